"""What every kind of index must hold: add a kind to KINDS and it is tested."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest

from models.codes import CodeLayout, Codes
from models.table import CodeTable
from service.inference.index.codes import CodeIndex
from service.inference.index.flat import FlatIndex
from service.inference.index.ivf import IvfIndex
from service.inference.index.protocol import VectorIndex

Vectors = npt.NDArray[np.float32]
Build = Callable[[CodeTable, Codes, Vectors], VectorIndex]

LAYOUTS = {
    "32 x 256": (CodeLayout(32, 256), 40),
    "4 x 8": (CodeLayout(4, 8), 24),
    "6 x 300": (CodeLayout(6, 300), 17),
}
WIDTH = 40
NUM_LISTS = 20


def starts(count: int) -> npt.NDArray[np.int64]:
    return np.linspace(0, count, NUM_LISTS + 1).astype(np.int64)


def lists_of(codes: Codes) -> npt.NDArray[np.int64]:
    """Where lists start, all items of one code in one of them."""
    edges = starts(len(codes)).tolist()
    for number in range(1, NUM_LISTS):
        while edges[number] and (codes[edges[number]] == codes[edges[number] - 1]).all():
            edges[number] -= 1
    return np.array(edges, dtype=np.int64)


EXACT: dict[str, Build] = {
    "flat": FlatIndex,
    "codes": CodeIndex.build,
}
KINDS: dict[str, Build] = EXACT | {
    "parted codes": lambda table, codes, popularity: CodeIndex.build(table, codes, popularity, lists_of(codes)),
    "ivf": lambda table, codes, popularity: IvfIndex.build(table, codes, popularity, lists_of(codes)),
}

every_kind = pytest.mark.parametrize("build", KINDS.values(), ids=KINDS.keys())
every_exact_kind = pytest.mark.parametrize("build", EXACT.values(), ids=EXACT.keys())
every_layout = pytest.mark.parametrize(("layout", "width"), LAYOUTS.values(), ids=LAYOUTS.keys())


def table_of(layout: CodeLayout, width: int, seed: int = 0) -> CodeTable:
    rows = np.random.default_rng(seed).standard_normal((layout.num_rows, width)).astype(np.float32)
    return CodeTable(layout, rows)


def codes_of(layout: CodeLayout, count: int, seed: int = 1) -> Codes:
    """Around twenty origins, one after the other as in a partition: an item differs from its origin in some places."""
    rng = np.random.default_rng(seed)
    origins = rng.integers(layout.codebook_size, size=(NUM_LISTS, layout.num_codebooks))
    codes = origins[np.searchsorted(starts(count), np.arange(count), side="right") - 1]
    differs = rng.random(codes.shape) < 0.5
    codes[differs] = rng.integers(layout.codebook_size, size=int(differs.sum()))
    return codes.astype(layout.dtype)


def users_near(table: CodeTable, codes: Codes, count: int, seed: int = 2) -> Vectors:
    rng = np.random.default_rng(seed)
    near = table.normalized(codes[rng.integers(len(codes), size=count)])
    users = near + rng.standard_normal(near.shape, dtype=np.float32) / np.sqrt(near.shape[1])
    return np.asarray(users / np.linalg.norm(users, axis=1, keepdims=True), dtype=np.float32)


def popularity_of(count: int, seed: int = 3) -> Vectors:
    return np.random.default_rng(seed).integers(3, size=count).astype(np.float32)


def best(
    index: VectorIndex, user: Vectors, popularity: Vectors, allowed: npt.NDArray[np.bool_]
) -> tuple[list[float], list[int]]:
    """Every allowed item by the index's own scores, which another test compares with float64's."""
    scores = index.scores(user, np.arange(len(index)))
    slots = sorted(np.flatnonzero(allowed).tolist(), key=lambda slot: (-scores[slot], -popularity[slot], slot))
    return [float(scores[slot]) for slot in slots], slots


@every_kind
@every_layout
def test_a_score_is_the_cosine_of_the_mean_of_rows(build: Build, layout: CodeLayout, width: int) -> None:
    table, codes = table_of(layout, width), codes_of(layout, 300)
    users = users_near(table, codes, 3)
    index = build(table, codes, popularity_of(300))
    rows = table.rows[layout.rows(codes)].astype(np.float64).mean(axis=1)
    expected = users.astype(np.float64) @ (rows / np.linalg.norm(rows, axis=1, keepdims=True)).T
    for user, cosines in zip(users, expected, strict=True):
        np.testing.assert_allclose(index.scores(user, np.arange(300)), cosines, atol=1e-6)


@every_kind
def test_every_kind_gives_the_same_score_bit_by_bit(build: Build) -> None:
    layout, width = LAYOUTS["32 x 256"]
    table, codes = table_of(layout, width), codes_of(layout, 500)
    users, popularity = users_near(table, codes, 5), popularity_of(500)
    scores, slots = build(table, codes, popularity).search(users, 20)
    reference = CodeIndex.build(table, codes, popularity)
    for user, row, places in zip(users, scores, slots, strict=True):
        np.testing.assert_array_equal(reference.scores(user, places), row)


@every_exact_kind
@every_layout
@pytest.mark.parametrize("count", [1, 30, 1000])
@pytest.mark.parametrize("share", [None, 0.02, 0.5, 0.97])
def test_finds_what_an_exhaustive_search_finds(
    build: Build, layout: CodeLayout, width: int, count: int, share: float | None
) -> None:
    table, codes, popularity = table_of(layout, width), codes_of(layout, count), popularity_of(count)
    users, index = users_near(table, codes, 7), build(table, codes, popularity)
    allowed = None if share is None else np.random.default_rng(4).random(count) < share
    matching = np.ones(count, dtype=np.bool_) if allowed is None else allowed
    for k in (1, 10, 300):
        scores, slots = index.search(users, k, allowed)
        assert scores.dtype == np.float32
        assert slots.dtype == np.int64
        for row, user in enumerate(users):
            expected_scores, expected_slots = best(index, user, popularity, matching)
            missing = max(0, k - len(expected_slots))
            assert slots[row].tolist() == expected_slots[:k] + [-1] * missing
            assert scores[row].tolist() == expected_scores[:k] + [-np.inf] * missing


@every_kind
@pytest.mark.parametrize("share", [0.001, 0.003, 0.01, 0.1, 0.3, 1.0])
def test_a_filter_of_any_selectivity_leaves_a_full_answer_that_is_nearly_the_exact_one(
    build: Build, share: float
) -> None:
    layout, width = LAYOUTS["32 x 256"]
    table, codes, popularity = table_of(layout, width), codes_of(layout, 6000), popularity_of(6000)
    users = users_near(table, codes, 60)
    index = build(table, codes, popularity).calibrated(users_near(table, codes, 200, seed=5))
    allowed = np.random.default_rng(6).random(6000) < share
    slots = index.search(users, 50, allowed)[1]
    exact = CodeIndex.build(table, codes, popularity).search(users, 50, allowed)[1]
    assert ((slots >= 0).sum(axis=1) == min(50, np.count_nonzero(allowed))).all()
    assert allowed[slots[slots >= 0]].all()
    found = [len(np.intersect1d(ours[ours >= 0], theirs)) for ours, theirs in zip(slots, exact, strict=True)]
    assert sum(found) >= 0.98 * (exact >= 0).sum()


@every_kind
def test_excluded_items_are_not_found_and_make_room_for_others(build: Build) -> None:
    layout, width = LAYOUTS["4 x 8"]
    table, codes, popularity = table_of(layout, width), codes_of(layout, 700), popularity_of(700)
    users, index = users_near(table, codes, 4), build(table, codes, popularity)
    for allowed in (None, np.random.default_rng(7).random(700) < 0.2):
        everything = index.search(users, 700, allowed)[1]
        excluded = [everything[0][:0], everything[1][:1], everything[2][:30], everything[3][everything[3] >= 0][:-2]]
        slots = index.search(users, 10, allowed, excluded)[1]
        for row, gone in enumerate(excluded):
            left = [slot for slot in everything[row].tolist() if slot >= 0 and slot not in gone][:10]
            found = slots[row][slots[row] >= 0].tolist()
            assert len(found) == len(left)
            assert set(found).isdisjoint(gone.tolist())
            assert build not in EXACT.values() or found == left


@every_kind
@pytest.mark.parametrize("share", [None, 0.4, 0.95])
def test_items_of_one_code_come_by_popularity_and_then_by_slot(build: Build, share: float | None) -> None:
    layout, width = LAYOUTS["4 x 8"]
    table, distinct = table_of(layout, width), codes_of(layout, 3)
    codes = np.repeat(distinct, 300, axis=0)
    popularity = popularity_of(900)
    allowed = np.ones(900, dtype=np.bool_) if share is None else np.random.default_rng(8).random(900) < share
    user = table.normalized(distinct[1:2])
    scores, slots = build(table, codes, popularity).search(user, 20, None if share is None else allowed)
    own = [slot for slot in range(300, 600) if allowed[slot]]
    assert slots[0].tolist() == sorted(own, key=lambda slot: (-popularity[slot], slot))[:20]
    assert len(set(scores[0].tolist())) == 1


@every_kind
def test_an_answer_does_not_depend_on_its_company(build: Build) -> None:
    layout, width = LAYOUTS["32 x 256"]
    table, codes = table_of(layout, width), codes_of(layout, 2000)
    index, users = build(table, codes, popularity_of(2000)), users_near(table, codes, 70)
    together = index.search(users, 25)
    for size in (1, 3, 8):
        for start in range(0, 16, size):
            apart = index.search(users[start : start + size], 25)
            np.testing.assert_array_equal(apart[0], together[0][start : start + size])
            np.testing.assert_array_equal(apart[1], together[1][start : start + size])


@every_kind
def test_a_score_does_not_depend_on_the_other_items(build: Build) -> None:
    layout, width = LAYOUTS["32 x 256"]
    table, codes = table_of(layout, width), codes_of(layout, 500)
    user = users_near(table, codes, 1)
    scores, slots = build(table, codes, popularity_of(500)).search(user, 500)
    for slot in (0, 1, 250, 499):
        alone, _ = build(table, codes[slot : slot + 1], popularity_of(1)).search(user, 1)
        assert alone[0, 0] == scores[0, slots[0] == slot][0]


@every_kind
def test_under_another_table_it_is_as_if_built_with_it(build: Build) -> None:
    layout, width = LAYOUTS["4 x 8"]
    codes, other = codes_of(layout, 800), table_of(layout, width, seed=9)
    users = users_near(other, codes, 6)
    swapped = build(table_of(layout, width), codes, popularity_of(800)).under(other, popularity_of(800, seed=10))
    rebuilt = build(other, codes, popularity_of(800, seed=10))
    for ours, theirs in zip(swapped.search(users, 30), rebuilt.search(users, 30), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(swapped.inverse_norms, rebuilt.inverse_norms)


@every_kind
def test_a_user_vector_of_zeros_gets_the_most_popular_of_what_is_searched(build: Build) -> None:
    layout, width = LAYOUTS["4 x 8"]
    popularity = popularity_of(300)
    index = build(table_of(layout, width), codes_of(layout, 300), popularity)
    scores, slots = index.search(np.zeros((1, width), dtype=np.float32), 5)
    assert scores[0].tolist() == [0.0] * 5
    assert popularity[slots[0]].tolist() == [2.0] * 5


@every_kind
@pytest.mark.parametrize("count", [0, 30])
def test_nothing_is_found_where_there_is_nothing(build: Build, count: int) -> None:
    layout, width = LAYOUTS["4 x 8"]
    table, codes = table_of(layout, width), codes_of(layout, 30)
    index = build(table, codes[:count], popularity_of(count))
    scores, slots = index.search(users_near(table, codes, 2), 3, np.zeros(count, dtype=np.bool_))
    assert slots.tolist() == [[-1] * 3] * 2
    assert np.isneginf(scores).all()
    assert len(index.scores(np.zeros(width, dtype=np.float32), np.zeros(0, dtype=np.int64))) == 0
    assert index.finite()


@every_kind
def test_no_query_gets_no_answer(build: Build) -> None:
    layout, width = LAYOUTS["4 x 8"]
    index = build(table_of(layout, width), codes_of(layout, 30), popularity_of(30))
    scores, slots = index.search(np.zeros((0, width), dtype=np.float32), 3)
    assert scores.shape == slots.shape == (0, 3)


@every_kind
def test_an_item_whose_rows_cancel_out_scores_nothing(build: Build) -> None:
    layout = CodeLayout(2, 4)
    rows = np.random.default_rng(11).standard_normal((8, WIDTH)).astype(np.float32)
    rows[4] = -rows[0]
    codes = np.array([[1, 1], [0, 0], [2, 3]], dtype=np.uint8)
    index = build(CodeTable(layout, rows), codes, np.zeros(3, dtype=np.float32))
    assert index.scores(rows[1], np.array([1])).tolist() == [0.0]
    assert sorted(index.search(rows[1:2], 3)[1][0].tolist()) == [0, 1, 2]


@every_kind
def test_calibrating_states_a_recall_only_where_it_can_be_less_than_one(build: Build) -> None:
    layout, width = LAYOUTS["32 x 256"]
    table, codes = table_of(layout, width), codes_of(layout, 3000)
    index = build(table, codes, popularity_of(3000)).calibrated(users_near(table, codes, 100))
    assert index.recall is None if build in EXACT.values() else index.recall is not None and index.recall >= 0.98

"""What every kind of index must hold: add a kind to KINDS and it is tested."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest

from service.inference.index import FlatIndex, VectorIndex

KINDS: dict[str, Callable[[npt.NDArray[np.float32]], VectorIndex]] = {"flat": FlatIndex}

WIDTH = 24


@pytest.fixture(params=sorted(KINDS))
def build(request: pytest.FixtureRequest) -> Callable[[npt.NDArray[np.float32]], VectorIndex]:
    return KINDS[request.param]


Build = Callable[[npt.NDArray[np.float32]], VectorIndex]


def unit_vectors(count: int, seed: int = 0) -> npt.NDArray[np.float32]:
    vectors = np.random.default_rng(seed).standard_normal((count, WIDTH)).astype(np.float32)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32)


def expected(
    vectors: npt.NDArray[np.float32], user: npt.NDArray[np.float32], k: int, allowed: npt.NDArray[np.bool_] | None
) -> tuple[list[float], list[int]]:
    scores = (vectors.astype(np.float64) @ user.astype(np.float64)).astype(np.float32)
    slots = np.arange(len(vectors)) if allowed is None else np.flatnonzero(allowed)
    best = sorted(slots.tolist(), key=lambda slot: (-scores[slot], slot))[:k]
    missing = k - len(best)
    return [float(scores[slot]) for slot in best] + [-np.inf] * missing, best + [-1] * missing


@pytest.mark.parametrize("queries", [1, 2, 7, 64])
@pytest.mark.parametrize("k", [1, 10, 300])
@pytest.mark.parametrize("share", [None, 0.02, 0.5, 0.97])
def test_finds_what_an_exhaustive_search_finds(build: Build, queries: int, k: int, share: float | None) -> None:
    vectors, users = unit_vectors(1000), unit_vectors(queries, seed=1)
    allowed = None if share is None else np.random.default_rng(2).random(len(vectors)) < share
    scores, slots = build(vectors).search(users, k, allowed)
    assert scores.dtype == np.float32
    assert slots.dtype == np.int64
    for row, user in enumerate(users):
        assert (scores[row].tolist(), slots[row].tolist()) == expected(vectors, user, k, allowed)


@pytest.mark.parametrize("allowed_share", [None, 0.4, 0.95])
def test_items_that_share_a_vector_come_in_the_order_of_slots(build: Build, allowed_share: float | None) -> None:
    distinct = unit_vectors(3)
    vectors = distinct[np.arange(900) % 3]
    allowed = None if allowed_share is None else np.random.default_rng(3).random(len(vectors)) < allowed_share
    _, slots = build(vectors).search(distinct[:1], 20, allowed)
    same = [slot for slot in range(0, 900, 3) if allowed is None or allowed[slot]]
    assert slots[0].tolist() == same[:20]


def test_items_that_differ_in_the_last_bit_come_in_their_true_order(build: Build) -> None:
    base = unit_vectors(1)[0]
    nudged = np.tile(base, (200, 1))
    nudged[np.arange(200), np.arange(200) % WIDTH] *= 1 + np.arange(200, dtype=np.float32) * 2e-8
    scores, slots = build(nudged).search(base[None], 10)
    assert (scores[0].tolist(), slots[0].tolist()) == expected(nudged, base, 10, None)


def test_an_answer_does_not_depend_on_its_company(build: Build) -> None:
    vectors, users = unit_vectors(500), unit_vectors(40, seed=4)
    index = build(vectors)
    together = index.search(users, 25)
    for row in range(len(users)):
        alone = index.search(users[row : row + 1], 25)
        np.testing.assert_array_equal(alone[0][0], together[0][row])
        np.testing.assert_array_equal(alone[1][0], together[1][row])


def test_a_score_does_not_depend_on_the_size_of_the_index(build: Build) -> None:
    vectors, user = unit_vectors(500), unit_vectors(1, seed=5)
    scores, slots = build(vectors).search(user, 500)
    for slot in (0, 1, 250, 499):
        alone, _ = build(vectors[slot : slot + 1]).search(user, 1)
        assert alone[0, 0] == scores[0, slots[0] == slot][0]


def test_a_user_vector_of_zeros_gets_the_first_items(build: Build) -> None:
    _, slots = build(unit_vectors(300)).search(np.zeros((1, WIDTH), dtype=np.float32), 5)
    assert slots[0].tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("allowed", [None, np.zeros(30, dtype=np.bool_)])
def test_nothing_is_found_where_there_is_nothing(build: Build, allowed: npt.NDArray[np.bool_] | None) -> None:
    index = build(unit_vectors(0 if allowed is None else 30))
    scores, slots = index.search(unit_vectors(2, seed=6), 3, allowed)
    assert slots.tolist() == [[-1] * 3] * 2
    assert np.isneginf(scores).all()


def test_no_query_gets_no_answer(build: Build) -> None:
    scores, slots = build(unit_vectors(10)).search(unit_vectors(0), 3)
    assert scores.shape == slots.shape == (0, 3)


def test_the_vectors_handed_in_may_change_afterwards(build: Build) -> None:
    vectors = unit_vectors(50)
    index, user = build(vectors), unit_vectors(1, seed=7)
    before = index.search(user, 5)[1].tolist()
    vectors[:] = 0
    assert index.search(user, 5)[1].tolist() == before

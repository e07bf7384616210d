"""Lists whose items are alike, and how many of them a search must look into."""

import numpy as np
import numpy.typing as npt
import pytest

from models.codes import CodeLayout, Codes
from models.table import CodeTable
from service.inference.index.choice import IndexConfig, arrange, build_index
from service.inference.index.codes import CodeIndex
from service.inference.index.kernels import set_order
from service.inference.index.lists import starts_of
from service.inference.index.measure import calibration_sample
from service.inference.index.partition import PartitionConfig, partition

LAYOUT, WIDTH, COUNT = CodeLayout(32, 256), 48, 20_000
CONFIG = PartitionConfig(num_lists=64, threads=2, seed=0)

Vectors = npt.NDArray[np.float32]


@pytest.fixture(scope="module")
def table() -> CodeTable:
    return CodeTable(LAYOUT, np.random.default_rng(0).standard_normal((LAYOUT.num_rows, WIDTH)).astype(np.float32))


@pytest.fixture(scope="module")
def codes() -> Codes:
    """Items around two hundred origins, of which some share their code."""
    rng = np.random.default_rng(1)
    codes = rng.integers(256, size=(200, 32))[rng.integers(200, size=COUNT)]
    differs = rng.random(codes.shape) < rng.random((COUNT, 1)) * 0.4
    codes[differs] = rng.integers(256, size=int(differs.sum()))
    return codes.astype(np.uint8)


def users_near(table: CodeTable, codes: Codes, seed: int) -> Vectors:
    rng = np.random.default_rng(seed)
    near = table.normalized(codes[rng.integers(len(codes), size=200)])
    users = near + rng.standard_normal(near.shape, dtype=np.float32) / np.sqrt(WIDTH)
    return np.asarray(users / np.linalg.norm(users, axis=1, keepdims=True), dtype=np.float32)


def test_items_of_one_code_are_in_one_list(table: CodeTable, codes: Codes) -> None:
    lists, _ = partition(table, codes, None, CONFIG)
    _, first, same = np.unique(codes, axis=0, return_index=True, return_inverse=True)
    np.testing.assert_array_equal(lists, lists[first][same.reshape(-1)])


def test_a_partition_has_about_as_many_lists_as_are_wanted_and_none_holds_much(table: CodeTable, codes: Codes) -> None:
    lists, num_lists = partition(table, codes, None, CONFIG)
    assert lists.dtype == np.int32
    assert 48 <= num_lists <= 72
    assert lists.min() >= 0
    assert lists.max() < num_lists
    assert np.bincount(lists).max() < COUNT / 10


def test_the_seed_alone_decides(table: CodeTable, codes: Codes) -> None:
    one, again = (partition(table, codes, None, CONFIG)[0] for _ in range(2))
    np.testing.assert_array_equal(one, again)


@pytest.mark.parametrize("count", [0, 1, 3, 40])
def test_few_items_are_parted_too(table: CodeTable, codes: Codes, count: int) -> None:
    lists, num_lists = partition(table, codes[:count], None, CONFIG)
    assert lists.shape == (count,)
    assert (lists < num_lists).all()


def test_few_lists_hold_nearly_all_that_users_are_looking_for(table: CodeTable, codes: Codes) -> None:
    users = users_near(table, codes, seed=2)
    lists, num_lists = partition(table, codes, users_near(table, codes, seed=3), CONFIG)
    order = np.argsort(lists, kind="stable")
    index = CodeIndex.build(table, codes[order], np.zeros(COUNT, np.float32), starts_of(lists[order], num_lists))
    tuned = index.calibrated(users_near(table, codes, seed=4))
    found, exact = (
        tuned.search(users, 50)[1],
        CodeIndex.build(table, codes[order], index.popularity).search(users, 50)[1],
    )
    recall = np.mean([len(np.intersect1d(ours, theirs)) / 50 for ours, theirs in zip(found, exact, strict=True)])
    assert recall >= 0.97  # of other users than those it was tuned to
    assert tuned.recall is not None
    assert tuned.recall >= 0.99
    assert tuned.scan_items < 0.6 * COUNT


@pytest.mark.parametrize(
    ("count", "config", "kind", "parted"),
    [
        (100, IndexConfig(), "flat", False),
        (100, IndexConfig(memory_bytes=1000), "codes", False),
        (100, IndexConfig("codes"), "codes", False),
        (COUNT, IndexConfig(), "codes", False),
        (COUNT, IndexConfig("flat"), "flat", False),
        (60_000, IndexConfig(), "codes", True),
        (60_000, IndexConfig("ivf", threads=2), "ivf", True),
    ],
)
def test_the_kind_is_chosen_by_size_memory_and_configuration(  # noqa: PLR0917 -- a case has as many parts
    table: CodeTable, codes: Codes, count: int, config: IndexConfig, kind: str, parted: bool
) -> None:
    items = np.resize(codes, (count, 32))
    arrangement = arrange(table, items, config)
    assert arrangement.kind == kind
    assert arrangement.reason
    assert (arrangement.num_lists > 1) is parted
    order = np.argsort(arrangement.lists, kind="stable")
    index = build_index(arrangement.take(order), table, items[order], np.zeros(count, np.float32), config)
    assert index.kind == kind
    assert len(index) == count


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("count", [1, 64, 3000])
def test_every_list_is_searched_once_whatever_its_score(odd: float, count: int) -> None:
    scores = np.random.default_rng(0).standard_normal(count).astype(np.float32)
    scores[:: max(1, count // 3)] = odd
    order = np.full(count, -1, dtype=np.int64)
    set_order(scores, order)
    assert sorted(order.tolist()) == list(range(count))


@pytest.mark.parametrize("num_items", [0, 1_000_000, 5_000_000, 10_000_000])
def test_an_index_is_tuned_to_users_of_every_kind(num_items: int) -> None:
    users = np.arange(256, dtype=np.float32)[:, None]  # in some order, as users by the length of their history are
    sample = calibration_sample(users, num_items)
    assert 0 < len(sample) <= len(users)
    assert sample.max() > 200
    assert sample.min() < 56

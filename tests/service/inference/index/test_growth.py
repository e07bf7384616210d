import numpy as np
import pytest

from models.table import CodeTable
from service.inference.index.choice import Arrangement, IndexConfig, build_index
from service.inference.index.growth import grown
from service.inference.index.protocol import Kind, VectorIndex
from tests.tiny_models import LAYOUT, WIDTH

SIZES = (5, 3, 4)  # of three lists, each of copies of one code
CODES = np.array([[0, 1, 2, 3], [4, 5, 6, 7], [7, 0, 3, 1]], dtype=np.uint8)


@pytest.fixture
def table() -> CodeTable:
    rows = np.random.default_rng(0).standard_normal((LAYOUT.num_rows, WIDTH)).astype(np.float32)
    return CodeTable(LAYOUT, rows)


def index_of(table: CodeTable, kind: Kind, num_lists: int) -> VectorIndex:
    lists = np.repeat(np.arange(3, dtype=np.int32), SIZES) % num_lists
    codes = np.repeat(CODES, SIZES, axis=0)
    return build_index(
        Arrangement(kind, "", lists, num_lists), table, codes, np.zeros(len(codes), np.float32), IndexConfig(kind)
    )


def norms(table: CodeTable, codes: np.ndarray) -> np.ndarray:
    popularity = np.zeros(len(codes), np.float32)
    alone = Arrangement("codes", "", np.zeros(len(codes), dtype=np.int32), 1)
    return build_index(alone, table, codes, popularity, IndexConfig("codes")).inverse_norms


@pytest.mark.parametrize("kind", ["codes", "ivf"])
def test_who_shares_a_code_joins_its_list_and_who_stays_keeps_it(table: CodeTable, kind: Kind) -> None:
    kept, added = np.array([1, 4, 5, 11]), CODES[[2, 0, 1, 2]]
    arrangement = grown(index_of(table, kind, 3), kept, table, (added, norms(table, added)), "because")
    assert arrangement is not None
    assert (arrangement.kind, arrangement.num_lists, arrangement.reason) == (kind, 3, "because")
    assert arrangement.lists.tolist() == [0, 0, 1, 2, 2, 0, 1, 2]


@pytest.mark.parametrize("kind", ["codes", "ivf"])
def test_who_shares_none_joins_the_list_whose_mean_is_nearest(table: CodeTable, kind: Kind) -> None:
    added = np.random.default_rng(1).integers(0, 8, (2000, 4)).astype(np.uint8)
    arrangement = grown(index_of(table, kind, 3), np.arange(12), table, (added, norms(table, added)), "")
    assert arrangement is not None
    nearest = (table.normalized(added) @ table.normalized(CODES).T).argmax(axis=1)
    np.testing.assert_array_equal(arrangement.lists[12:], nearest)


def test_without_lists_or_items_there_is_nothing_to_join(table: CodeTable) -> None:
    added = CODES[:1], norms(table, CODES[:1])
    assert grown(index_of(table, "flat", 1), np.arange(12), table, added, "") is None
    assert grown(index_of(table, "codes", 1), np.arange(12), table, added, "") is None
    assert grown(index_of(table, "codes", 3), np.arange(0), table, added, "") is None

"""The parts of the endurance run that judge: a slope that is sure of itself, and answers that are wrong."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.endurance.asking import faults_of
from benchmarks.endurance.ledger import Ledger, Written
from benchmarks.endurance.slope import lagged_correlation, least_of_blocks, slope
from benchmarks.endurance.swapping import renumbered
from models.adapter import DomainAdapter
from tests.tiny_models import TEXT_DIM, write_tiny_store
from training.dataset import Items

SECONDS = np.arange(0, 1200, 2.0)
BLOCK = 60.0


def _hanging_together(seed: int) -> "np.ndarray[Any, np.dtype[np.float64]]":
    """Noise each of whose values is nine tenths the one before."""
    rng = np.random.default_rng(seed)
    values = np.zeros(len(SECONDS) + 100)
    for place, step in enumerate(rng.standard_normal(len(values) - 1), start=1):
        values[place] = 0.9 * values[place - 1] + step
    return values[100:]


def test_a_slope_is_told_per_hour() -> None:
    line = slope(SECONDS, 100 + 3 * SECONDS / 3600, BLOCK, seed=0)
    assert (line.per_hour, line.low, line.high) == pytest.approx((3, 3, 3))
    assert not line.is_flat


def test_what_never_changes_is_flat() -> None:
    line = slope(SECONDS, np.full(len(SECONDS), 37.0), BLOCK, seed=0)
    assert (line.per_hour, line.low, line.high) == (0, 0, 0)
    assert line.is_flat
    assert lagged_correlation(np.full(len(SECONDS), 37.0), 30) == 0


def test_noise_that_hangs_together_is_not_taken_for_growth() -> None:
    flat = [slope(SECONDS, _hanging_together(seed), BLOCK, seed=0).is_flat for seed in range(40)]
    alone = [slope(SECONDS, _hanging_together(seed), 2.0, seed=0).is_flat for seed in range(40)]
    assert sum(flat) >= 33  # of 38 due; an interval by blocks is a little too narrow
    assert sum(alone) <= 24  # as if the samples were independent


def test_growth_is_found_under_noise_that_hangs_together() -> None:
    grown = [_hanging_together(seed) + 0.02 * SECONDS for seed in range(20)]
    assert all(not slope(SECONDS, values, BLOCK, seed=0).is_flat for values in grown)


def test_too_few_samples_for_blocks() -> None:
    with pytest.raises(ValueError, match="no two blocks"):
        slope(SECONDS[:59], SECONDS[:59], BLOCK, seed=0)


def test_growth_is_found_under_bursts_that_hide_it() -> None:
    rng = np.random.default_rng(0)
    bursts = 100 * (rng.random(len(SECONDS)) < 0.2)
    values = 500 + 6 * SECONDS / 3600 + rng.standard_normal(len(SECONDS)) * 0.1 + bursts
    assert slope(SECONDS, values, BLOCK, seed=0).is_flat
    times, least = least_of_blocks(SECONDS, values, BLOCK)
    line = slope(times, least, BLOCK, seed=0)
    assert len(least) == 20
    assert line.low <= 6 <= line.high
    assert line.low > 5


def _answer(**update: object) -> dict[str, Any]:
    items = [{"item_id": name, "score": score, "source": "model"} for name, score in (("a", 0.9), ("b", 0.5))]
    return {"items": items, "adapter_version": "v", "unknown_history_items": [], **update}


BODY: dict[str, Any] = {"history": ["c"], "limit": 2}


def test_a_right_answer_has_no_faults() -> None:
    assert faults_of(BODY, _answer(), frozenset("v")) == []


@pytest.mark.parametrize(
    ("body", "answer", "fault"),
    [
        ({**BODY, "limit": 3}, _answer(), "another number of items"),
        (BODY, _answer(adapter_version="w"), "never chosen"),
        ({**BODY, "history": ["a"]}, _answer(), "of the history"),
        (BODY, _answer(unknown_history_items=["c"]), "other unknown items"),
        (BODY, _answer(items=_answer()["items"][::-1]), "worse item first"),
        (BODY, _answer(items=_answer()["items"][:1] * 2), "an item twice"),
        (BODY, _answer(items=[{"item_id": n, "score": 1.0, "source": "popular"} for n in "ab"]), "a source"),
    ],
)
def test_a_wrong_answer_is_told_of(body: dict[str, Any], answer: dict[str, Any], fault: str) -> None:
    (told,) = faults_of(body, answer, frozenset("v"))
    assert fault in told


def test_an_item_that_is_gone_may_not_come_any_more() -> None:
    ledger = Ledger(Items((), [], []))
    now = 0.0
    assert ledger.may_come("a", 1, now)
    ledger.wrote("a", Written("text", {}), 1)
    assert ledger.may_come("a", 1, 1e18)
    ledger.before_write("a")
    ledger.wrote("a", None, 1)
    assert ledger.may_come("a", 1, now)  # asked before
    assert not ledger.may_come("a", 1, 1e18)
    assert not ledger.may_come("a", 2, 1e18)
    ledger.before_write("a")
    assert ledger.may_come("a", 1, 1e18)  # on its way back
    ledger.wrote("a", Written("text", {}, available=False), 1)
    assert not ledger.may_come("a", 1, 1e18)


def test_a_renumbered_adapter_has_other_codes_of_the_same_vectors(tmp_path: Path) -> None:
    tiny = write_tiny_store(tmp_path)
    first = tiny.load_adapter()
    other = DomainAdapter.load(renumbered(tiny.store, first, "shop"))
    assert other.quantizer.sha256 != first.quantizer.sha256
    text = np.random.default_rng(0).standard_normal((50, TEXT_DIM)).astype(np.float16)
    codes, others = first.quantizer.encode(text), other.quantizer.encode(text)
    assert not (codes == others).any()
    assert np.array_equal(first.table.raw(codes), other.table.raw(others))

"""The slope of what was sampled over time, and how sure it is."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

_DRAWS = 2_000
_OUTSIDE = (2.5, 97.5)  # percentiles: what is between them is the 95 % confidence interval
_HOUR = 3_600.0

Values = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Slope:
    """A least-squares slope, in units an hour, with the bounds of its 95 % confidence interval."""

    per_hour: float
    low: float
    high: float

    @property
    def is_flat(self) -> bool:
        """Whether the interval holds zero."""
        return self.low <= 0 <= self.high


def slope(seconds: Values, values: Values, block_seconds: float, seed: int) -> Slope:
    """The slope of evenly spaced samples by least squares, its interval by a circular block bootstrap of residuals.

    Samples are not independent: memory that a swap took is still taken at the next sample. A formula for independent
    ones would give an interval many times too narrow. So what is left beside the line is drawn anew in blocks, which
    keep what hangs together, put onto the line again, and the line fitted again. The blocks must be longer than what
    hangs together, and many.

    Args:
        seconds: [n], increasing by the same step.
        values: [n].
        block_seconds: length of a block.
        seed: of the draws.

    Raises:
        ValueError: with fewer than two blocks.
    """
    n, step = len(seconds), float(np.median(np.diff(seconds))) if len(seconds) > 1 else block_seconds
    length = max(1, round(block_seconds / step))
    if n < 2 * length:
        raise ValueError(f"{n} samples of {step:.3g} s are no two blocks of {block_seconds:g} s")
    centred = (seconds - seconds.mean()) / _HOUR  # [n]
    weights = centred / (centred @ centred)  # what a least-squares slope makes of values
    beside = values - values.mean()
    fitted = float(weights @ beside)
    residuals = beside - fitted * centred
    rng = np.random.default_rng(seed)
    starts = rng.integers(n, size=(_DRAWS, -(-n // length)))
    places = (starts[:, :, None] + np.arange(length)).reshape(_DRAWS, -1)[:, :n] % n  # [draws, n]
    low, high = np.percentile(fitted + residuals[places] @ weights, _OUTSIDE)
    return Slope(fitted, float(low), float(high))


def least_of_blocks(seconds: Values, values: Values, block_seconds: float) -> tuple[Values, Values]:
    """The least of each whole block, which is what remains between two bursts, and the times of the blocks.

    Args: see :func:`slope`.
    """
    step = float(np.median(np.diff(seconds)))
    length = max(1, round(block_seconds / step))
    blocks = len(values) // length
    least = values[: blocks * length].reshape(blocks, length).min(axis=1)
    return seconds[0] + np.arange(blocks) * length * step, least


def lagged_correlation(values: Values, lag: int) -> float:
    """The correlation of samples, less their line, with those ``lag`` samples later; 0 where they do not vary."""
    places = np.arange(len(values), dtype=np.float64)
    residuals = values - np.polyval(np.polyfit(places, values, 1), places)
    early, late = residuals[:-lag], residuals[lag:]
    scale = float(np.sqrt((early @ early) * (late @ late)))
    return float(early @ late) / scale if scale > 1e-9 * len(values) else 0.0

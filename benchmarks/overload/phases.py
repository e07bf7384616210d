"""What is told from the seconds of a load that is normal, then far too much, then normal again."""

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.serving.load import Part


@dataclass(frozen=True)
class Phase:
    """Some seconds of a load.

    Args:
        offered, answered: requests a second.
        p99: milliseconds within which 99 of 100 answers came.
        worst_p99: the same in the worst of its seconds.
    """

    offered: float
    answered: float
    p99: float
    worst_p99: float


def phase_of(whole: Part, seconds: Sequence[Part]) -> Phase:
    """A summary of a phase, which is these seconds.

    Raises:
        ValueError: if nothing was answered.
    """
    if not whole.answered:
        raise ValueError("nothing was answered")
    return Phase(
        offered=whole.offered / len(seconds),
        answered=whole.answered / len(seconds),
        p99=whole.milliseconds["p99"],
        worst_p99=max(second.milliseconds["p99"] for second in seconds if second.milliseconds),
    )


def recovery_seconds(after: Sequence[Part], limit_milliseconds: float) -> int | None:
    """Seconds from the end of an overload until every further second is well; None if the last one is not.

    A second is well in which every request was answered, 99 of 100 within the limit.
    """
    bad = [number for number, second in enumerate(after, start=1) if not _is_well(second, limit_milliseconds)]
    if not bad:
        return 0
    return bad[-1] if bad[-1] < len(after) else None


def _is_well(second: Part, limit_milliseconds: float) -> bool:
    if second.answered < second.offered:
        return False
    return not second.offered or second.milliseconds["p99"] <= limit_milliseconds

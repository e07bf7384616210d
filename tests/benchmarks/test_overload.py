"""What is told from the seconds of a load."""

import json
from dataclasses import asdict

import pytest

from benchmarks.overload.phases import phase_of, recovery_seconds
from benchmarks.serving.load import Load, Part, _schedule


def second(offered: int, answered: int, p99: float = 1.0) -> Part:
    return Part(offered, answered, {"p99": p99} if answered else {})


def test_a_phase_has_its_mean_rates_its_tail_and_that_of_its_worst_second() -> None:
    phase = phase_of(second(60, 30, 7.0), [second(10, 10, 5.0), second(30, 20, 9.0), second(20, 0)])
    assert (phase.offered, phase.answered, phase.p99, phase.worst_p99) == (20, 10, 7.0, 9.0)


def test_a_phase_without_answers_has_no_tail() -> None:
    with pytest.raises(ValueError, match="nothing"):
        phase_of(second(10, 0), [second(10, 0)])


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        ([second(9, 9), second(9, 9)], 0),
        ([second(9, 8), second(9, 9)], 1),
        ([second(9, 9, 50.0), second(9, 9), second(9, 9)], 1),
        ([second(9, 9), second(9, 2), second(9, 9), second(0, 0)], 2),
        ([second(9, 9), second(9, 8)], None),
    ],
)
def test_it_is_well_again_after_the_last_second_that_is_not(after: list[Part], expected: int | None) -> None:
    assert recovery_seconds(after, limit_milliseconds=20.0) == expected


def test_a_load_goes_from_rate_to_rate() -> None:
    load = Load((1,), "/", "bodies", rate=100.0, seconds=9.0, then=((1000.0, 10.0), (50.0, 20.0)))
    read = Load(**json.loads(json.dumps(asdict(load))))  # as its process gets it
    times = _schedule(read)
    counts = [int(((times >= start) & (times < end)).sum()) for start, end in ((0, 10), (10, 20), (20, 40))]
    assert counts == pytest.approx([1000, 10_000, 1000], rel=0.15)
    assert times[-1] < 40
    assert (times[1:] >= times[:-1]).all()

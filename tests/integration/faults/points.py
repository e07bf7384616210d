"""Points in our own code at which a process stops, so that it is surely killed there and nowhere else."""

from pathlib import Path

from tests.integration.faults.processes import ServiceProcess
from tests.integration.faults.waiting import wait_until

_STOP_AT = """
import signal, threading
from importlib import import_module
from itertools import count
from pathlib import Path

def stop_at(place, calls):
    module, _, names = place.partition(":")
    owner, *names = import_module(module), *names.split(".")
    for name in names[:-1]:
        owner = getattr(owner, name)
    whole, numbers = getattr(owner, names[-1]), count(1)

    def stop(*arguments, **named):
        if next(numbers) == calls:
            signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)  # this thread goes no step further
        return whole(*arguments, **named)

    setattr(owner, names[-1], stop)
"""
# On SIGUSR1 it reads in a file of its data directory at which call of which function to stop.
_WHEN_TOLD = """
def arm(*_):
    place, calls = Path({file!r}).read_text().split()
    stop_at(place, int(calls))
    Path({file!r}).unlink()

signal.signal(signal.SIGUSR1, arm)
"""
_FILE = "point"


def before(folder: Path) -> str:
    """What a service that keeps its data in ``folder`` must run first, to be armed later."""
    return _STOP_AT + _WHEN_TOLD.format(file=str(folder / _FILE))


def stopping(place: str, calls: int = 1) -> str:
    """What a process must run first to stop at a point; as :func:`arm` has it."""
    return f"{_STOP_AT}\nstop_at({place!r}, {calls})"


def arm(service: ServiceProcess, place: str, calls: int = 1) -> None:
    """Let it stop when a function is called the so-manieth time.

    Args:
        place: ``module:name.of.the.function``, as its callers look it up.
    """
    file = service.folder / _FILE
    file.write_text(f"{place} {calls}")
    service.strike()
    wait_until(lambda: not file.exists(), f"it will stop at {place}")


def until_stopped(pid: int) -> None:
    """Wait until a process has come to its point."""
    stat = Path(f"/proc/{pid}/stat")
    wait_until(lambda: stat.read_text().rpartition(") ")[2].startswith("T"), "it stops at the point")

"""Jobs that wait, by the flow that they belong to: each flow in its order, and one job of each flow in turn."""

from collections.abc import Hashable, Iterator, Mapping
from itertools import islice
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Job = TypeVar("Job")

_EAGERNESS = 4  # a flow may hold as many times what is left for all
_LITTLE = 256  # such a part of all may be held by any flow


def has_room(most: int, taken: int, held: int, more: int) -> bool:
    """Whether a flow may hold more of what all share.

    It may hold at most four times what is left for all, so that the first to come does not take everything; who holds
    nothing gets what it asks for while there is any room (Choudhury, Hahne, "Dynamic Queue Length Thresholds for
    Shared-Memory Packet Switches", IEEE/ACM Transactions on Networking 6, 1998). Nobody is refused a 256th part, even
    where others have taken all; so what all hold is bounded by how many flows there are.

    Args:
        most: that may be held, as a rule; where nothing is held a call of any size may be.
        taken: by all flows.
        held: by this one.
        more: that this one asks for.
    """
    free = most - taken
    if held + more <= max(1, most // _LITTLE):
        return True
    if not held:
        return not taken or free > 0
    return more <= free and held + more <= _EAGERNESS * free


class FairQueue(Generic[Key, Job]):
    """A bounded queue in which nobody waits behind all of another flow's jobs.

    One job of each flow is taken in turn (Nagle, "On Packet Switches with Infinite Storage", RFC 970, 1985).

    Args:
        size: jobs that may wait, see :func:`has_room`.
    """

    def __init__(self, size: int) -> None:
        self._most, self._size = size, 0
        self._flows: dict[Hashable, dict[Key, Job]] = {}  # the one whose turn is next first; none is empty

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[Key]:
        return (key for jobs in self._flows.values() for key in jobs)

    def has_room(self, flow: Hashable, more: int) -> bool:
        """Whether so many more jobs of a flow may wait."""
        return has_room(self._most, self._size, len(self._flows.get(flow, ())), more)

    def add(self, flow: Hashable, jobs: Mapping[Key, Job]) -> None:
        """Let jobs wait, which must be some."""
        self._flows.setdefault(flow, {}).update(jobs)
        self._size += len(jobs)

    def remove(self, flow: Hashable, key: Key) -> bool:
        """Take a job out before its turn; False if it does not wait any more."""
        jobs = self._flows.get(flow, {})
        if jobs.pop(key, None) is None:
            return False
        self._size -= 1
        if not jobs:
            del self._flows[flow]
        return True

    def firsts(self) -> Iterator[Job]:
        """The job of each flow that has waited longest."""
        return (next(iter(jobs.values())) for jobs in self._flows.values())

    def take(self, most: int) -> dict[Key, Job]:
        """The jobs whose turn it is; they wait no more."""
        taken: dict[Key, Job] = {}
        while self._flows and len(taken) < most:
            flow = next(iter(self._flows))
            jobs = self._flows.pop(flow)
            # A flow that is alone need not take turns with itself.
            for key in list(islice(jobs, 1 if self._flows else most - len(taken))):
                taken[key] = jobs.pop(key)
            if jobs:
                self._flows[flow] = jobs
        self._size -= len(taken)
        return taken

    def clear(self) -> None:
        self._flows.clear()
        self._size = 0

"""Who is admitted: as many requests as are expected to be answered in time, of each share its part."""

from asyncio import Task
from collections.abc import Callable
from dataclasses import dataclass
from math import exp

_REMEMBERED = 256.0  # answers over which a pace is a mean
_ASSUMED_PACE = 0.001  # seconds from one answer to the next, until it is measured
_EAGERNESS = 4  # a share may hold as many times what is left for all
_ALONE = _EAGERNESS / (_EAGERNESS + 1)  # of the room, what a share gets that is alone
_STANDING = 0.5  # of its room, what a lane keeps taken while a queue stands
_MEMORY = 0.5  # seconds over which that is a mean


@dataclass(frozen=True, slots=True)
class LaneConfig:
    """How much a lane admits.

    Args:
        fewest: requests in flight that are never too many.
        most: requests in flight at most.
        longest_wait: seconds that the last one admitted may expect to wait; 0: ``most`` alone counts.
        burst: how many times as many may be in flight while no queue stands.
    """

    fewest: int
    most: int
    longest_wait: float = 0.0
    burst: float = 1.0


class Lane:
    """Counts requests of one kind that are in flight, and admits another where it will not wait too long.

    What one expects to wait is the requests in flight times the pace, the seconds from one answer to the next. The pace
    is measured only while many are in flight: with few it tells how many are asked, not how many could be answered.

    Too many in flight are no overload yet: clients that each wait for an answer before they ask again make a queue that
    stays and does not grow, and to refuse some of them would only have them ask more often. A queue that grows to
    several times the limit is one: it stands, and nothing above the limit is admitted, until for half a second less
    than half of the limit was in flight on average, the latest counting most. That nobody is refused would be too much
    to wait for: under a load that can be carried requests still come together now and then. (Whether a queue stands,
    and not how long it is, tells an overload: Nichols, Jacobson, "Controlling Queue Delay", ACM Queue 10, 2012.)

    The lane is shared: each share may hold at most four times what is left for all. So a share that is alone gets four
    fifths, and those that want more than their part get equal parts; nobody's part has to be told beforehand
    (Choudhury, Hahne, "Dynamic Queue Length Thresholds for Shared-Memory Packet Switches", IEEE/ACM Transactions on
    Networking 6, 1998). One that holds nothing is never refused: it is a domain, and there are only so many.

    Args:
        name: what it is called in metrics.
        config: the limits.
        clock: seconds.
    """

    def __init__(self, name: str, config: LaneConfig, clock: Callable[[], float]) -> None:
        self.name, self._config, self._clock = name, config, clock
        self.in_flight = 0
        self._held: dict[str, int] = {}
        self._answers, self._seconds = 1.0, _ASSUMED_PACE
        self._last_answer: float | None = None  # while many are in flight
        self._stands = False
        self._fullness, self._noted_at = 0.0, 0.0  # of its room and when, while a queue stands
        self.room = self._room()

    def admit(self, share: str) -> bool:
        """Take a place for ``share``, if there is one."""
        if self._stands:
            self._note_fullness()
        held = self._held.get(share, 0)
        if held and held >= _EAGERNESS * (self.room - self.in_flight) and not self._is_in_burst(held):
            return False
        self._held[share] = held + 1
        self.in_flight += 1
        return True

    def release(self, share: str, answered: bool) -> None:
        """Give a place of ``share`` back.

        Args:
            answered: whether what was asked for was computed; how fast anything else goes tells nothing.
        """
        if self._stands:
            self._note_fullness()
        if answered:
            self._note_answer()
        self.in_flight -= 1
        held = self._held[share] - 1
        if held:
            self._held[share] = held
        else:
            del self._held[share]

    def _is_in_burst(self, held: int) -> bool:
        has_room = held < _EAGERNESS * (self._config.burst * self.room - self.in_flight)
        if has_room and (self._is_below_its_part(held) or not self._stands):
            return True
        if not self._stands:
            self._stands, self._fullness, self._noted_at = True, 1.0, self._clock()
        return False

    def _note_fullness(self) -> None:
        now = max(self._noted_at, self._clock())
        fading = exp((self._noted_at - now) / _MEMORY)
        taken = min(1.0, self.in_flight / (_ALONE * self.room))
        self._fullness, self._noted_at = fading * self._fullness + (1 - fading) * taken, now
        self._stands = self._fullness >= _STANDING

    def _is_below_its_part(self, held: int) -> bool:
        """Whether it is others that hold too much."""
        shares = len(self._held) + (not held)
        return held * shares < _ALONE * self.room

    def _note_answer(self) -> None:
        if 2 * self.in_flight < self.room:
            self._last_answer = None
            return
        now = self._clock()
        if self._last_answer is not None:
            kept = 1 - 1 / _REMEMBERED
            self._answers = self._answers * kept + 1
            self._seconds = self._seconds * kept + (now - self._last_answer)
            self.room = self._room()
        self._last_answer = now

    def _room(self) -> float:
        """How many may be in flight if there are very many shares; a share that is alone leaves a part of it."""
        config = self._config
        expected = config.longest_wait * self._answers / self._seconds if config.longest_wait else config.most
        return max(config.fewest, min(config.most, expected)) / _ALONE


class BodyMemory:
    """The bytes that large bodies take together, from their arrival until their requests are answered.

    It is shared as a lane is: a share that holds some may hold at most four times what it leaves, so that one alone
    never takes all. A body that is alone may take more than there is, and the first of a share while there is room.

    Args:
        limit: that they may take.
    """

    def __init__(self, limit: int) -> None:
        self.taken, self._limit = 0, limit
        self._held: dict[str, int] = {}

    def take(self, share: str, already: int, more: int) -> bool:
        """Let a body of ``share`` that has ``already`` so many take ``more``, if there is room."""
        held, left = self._held.get(share, 0), self._limit - self.taken
        is_first = not held and left > 0
        if self.taken > already and not is_first and held + more > _EAGERNESS * (left - more):
            return False
        self.taken += more
        self._held[share] = held + more
        return True

    def give(self, share: str, size: int) -> None:
        """Take back what a body has taken."""
        self.taken -= size
        held = self._held.get(share, 0) - size
        if held:
            self._held[share] = held
        else:
            self._held.pop(share, None)


class Ticket:
    """A request that was admitted.

    Args:
        lane, share: where it has its place; None: nowhere.
        can_be_dropped: whether it may be broken off when nobody waits for its answer any more.
        memory: what its body is taken from.
    """

    __slots__ = ("_held", "_is_released", "_lane", "_memory", "_share", "can_be_dropped", "is_abandoned", "task")

    def __init__(self, lane: Lane | None, share: str, can_be_dropped: bool, memory: BodyMemory) -> None:
        self._lane, self._share, self._memory = lane, share, memory
        self.can_be_dropped, self.is_abandoned = can_be_dropped, False
        self.task: Task[None] | None = None
        self._held, self._is_released = 0, False

    def hold(self, size: int) -> bool:
        """Keep so many more bytes of its body, if there is room for them."""
        is_held = self._memory.take(self._share, self._held, size)
        if is_held:
            self._held += size
        return is_held

    def abandon(self) -> None:
        """Nobody waits for the answer any more."""
        self.is_abandoned = True
        if self.can_be_dropped and self.task is not None:
            self.task.cancel()

    def release(self, answered: bool) -> None:
        """Give back the place and what is held of the body; the second time does nothing."""
        if self._is_released:
            return
        self._is_released = True
        self._memory.give(self._share, self._held)
        if self._lane is not None:
            self._lane.release(self._share, answered)

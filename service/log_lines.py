"""Log lines on their way out: the event loop hands them over, and a thread of their own writes them."""

from collections import deque
from collections.abc import Callable
from threading import Event, Lock, Thread
from typing import Protocol

_SECONDS = 0.05  # that a line waits for others, which one write takes along
MOST_LINES = 100_000  # that wait while nobody reads the log; of more the oldest are lost


class Unbuffered(Protocol):
    """A stream that takes as much as it can, and says how much: None or 0 if that is nothing."""

    def write(self, data: memoryview, /) -> int | None: ...


class LineWriter:
    """Writes lines in their order, many at a time, from a thread.

    A write to a file or a pipe lets go of the interpreter, and gets it back only when a computing thread has had its
    turn; the event loop would stand still for that long at every request.

    What cannot be written is lost, and once there is room again a line tells how many; one that was cut off is
    ended then, so that every line is whole.

    Args:
        stream: what is written to.
        told_of_loss: the line that tells of so many.
    """

    def __init__(self, stream: Unbuffered, told_of_loss: Callable[[int], bytes]) -> None:
        self._stream, self._told_of_loss = stream, told_of_loss
        self._rest, self._lost = b"", 0  # of the line that was cut off, and lines since
        self._lines: deque[bytes] = deque(maxlen=MOST_LINES)
        self._there_are_lines, self._lock = Event(), Lock()
        self._thread: Thread | None = None

    def msg(self, line: bytes) -> None:
        """Hand over one line, without its end."""
        self._lines.append(line)
        if not self._there_are_lines.is_set():
            self._there_are_lines.set()
            if self._thread is None:
                self._start()

    debug = info = warning = warn = msg

    def error(self, line: bytes) -> None:
        """Write a line at once, since it may be the last."""
        self.msg(line)
        self.flush()

    critical = fatal = exception = error

    def flush(self) -> None:
        """Write what was handed over so far."""
        with self._lock:
            self._there_are_lines.clear()
            lines = [self._told_of_loss(self._lost)] if self._lost else []
            while self._lines:
                lines.append(self._lines.popleft())
            data = self._rest + b"".join(line + b"\n" for line in lines)
            written = self._write(data)
            if written == len(data):
                self._rest, self._lost = b"", 0
            else:
                self._note_loss(data, written)

    def _write(self, data: bytes) -> int:
        written = 0
        try:
            while written < len(data) and (more := self._stream.write(memoryview(data)[written:])):
                written += more
        except (OSError, ValueError):
            return written  # the disk is full, or nobody reads the log any more; there is nowhere to say so
        return written

    def _note_loss(self, data: bytes, written: int) -> None:
        is_cut = data[written - 1] != ord("\n") if written else bool(self._rest)
        end = data.index(b"\n", written) + 1 if is_cut else written
        is_told = end > len(self._rest)  # of those that were lost before, by the first line
        lost_before = 0 if is_told or not self._lost else self._lost - 1
        self._rest, self._lost = data[written:end], lost_before + data.count(b"\n", end)

    def _start(self) -> None:
        self._thread = Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        pause = Event()
        while self._there_are_lines.wait():
            pause.wait(_SECONDS)
            self.flush()

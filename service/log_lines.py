"""Log lines on their way out: the event loop hands them over, and a thread of their own writes them."""

from collections import deque
from threading import Event, Lock, Thread
from typing import BinaryIO

_SECONDS = 0.05  # that a line waits for others, which one write takes along
MOST_LINES = 100_000  # that wait while nobody reads the log; of more the oldest are lost


class LineWriter:
    """Writes lines in their order, many at a time, from a thread.

    A write to a file or a pipe lets go of the interpreter, and gets it back only when a computing thread has had its
    turn; the event loop would stand still for that long at every request.

    Args:
        stream: what is written to; one that is gone is written to no more.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
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
            lines = []
            while self._lines:
                lines += [self._lines.popleft(), b"\n"]
            try:
                self._stream.write(b"".join(lines))
                self._stream.flush()
            except (OSError, ValueError):
                return  # nobody reads the log any more; there is nowhere to say so

    def _start(self) -> None:
        self._thread = Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        pause = Event()
        while self._there_are_lines.wait():
            pause.wait(_SECONDS)
            self.flush()

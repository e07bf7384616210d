import io
from errno import ENOSPC
from threading import Event, Thread

import pytest

from service.log_lines import MOST_LINES, LineWriter


def told(lines: int) -> bytes:
    return b"%d lost" % lines


class Disk(io.RawIOBase):
    """Takes as many bytes as it has room for, and then refuses, as a full disk does."""

    def __init__(self, room: int) -> None:
        self.room, self.written = room, b""

    def write(self, data: object, /) -> int:
        if not self.room:
            raise OSError(ENOSPC, "No space left on device")
        taken = bytes(data)[: self.room]  # type: ignore[call-overload]
        self.room -= len(taken)
        self.written += taken
        return len(taken)


def test_lines_come_in_their_order() -> None:
    stream = io.BytesIO()
    writer = LineWriter(stream, told)
    for number in range(1000):
        writer.info(b"%d" % number)
    writer.flush()
    assert stream.getvalue().splitlines() == [b"%d" % number for number in range(1000)]


def test_lines_of_many_threads_come_whole_and_once() -> None:
    stream = io.BytesIO()
    writer = LineWriter(stream, told)

    def write(first: int) -> None:
        for number in range(first, first + 500):
            writer.info(b"line %d" % number)
            if number % 100 == 0:
                writer.flush()

    threads = [Thread(target=write, args=(first,)) for first in range(0, 4000, 500)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    writer.flush()
    assert sorted(stream.getvalue().splitlines()) == sorted(b"line %d" % number for number in range(4000))


def test_an_error_is_written_at_once_with_what_was_said_before() -> None:
    stream = io.BytesIO()
    writer = LineWriter(stream, told)
    writer.info(b"before")
    writer.exception(b"broken")
    assert stream.getvalue() == b"before\nbroken\n"


@pytest.mark.parametrize("error", [BrokenPipeError(), ValueError("I/O operation on closed file")])
def test_a_log_that_nobody_reads_stops_nobody(error: Exception) -> None:
    class Gone(io.BytesIO):
        def write(self, _: object) -> int:
            raise error

    LineWriter(Gone(), told).error(b"line")


def test_lines_that_nobody_reads_do_not_pile_up_for_ever() -> None:
    let_go = Event()

    class Stuck(io.BytesIO):
        def write(self, data: object) -> int:
            let_go.wait()
            return super().write(data)  # type: ignore[arg-type]

    stream = Stuck()
    writer = LineWriter(stream, told)
    try:
        for number in range(3 * MOST_LINES):
            writer.info(b"%d" % number)
    finally:
        let_go.set()
    writer.flush()
    lines = stream.getvalue().splitlines()
    assert len(lines) <= 2 * MOST_LINES  # what was being written, and what waited
    assert lines[-1] == b"%d" % (3 * MOST_LINES - 1)


@pytest.mark.parametrize("room", range(25))
def test_a_full_disk_costs_lines_and_cuts_none(room: int) -> None:
    disk = Disk(room)
    writer = LineWriter(disk, told)
    for lines in ((b"first", b"second"), (b"third",), (b"fourth",)):
        for line in lines:
            writer.info(line)
        writer.flush()
    disk.room = 1000
    writer.info(b"last")
    writer.flush()
    lines = disk.written.splitlines()
    lost = [line for line in lines if line.endswith(b"lost")]
    kept = [line for line in lines if line not in lost]
    assert kept == [line for line in (b"first", b"second", b"third", b"fourth", b"last") if line in kept]
    assert lines[-1] == b"last"
    assert sum(int(line.split()[0]) for line in lost) == 5 - len(kept)


def test_room_that_comes_in_small_pieces_is_told_of_what_was_lost_meanwhile() -> None:
    disk = Disk(0)
    writer = LineWriter(disk, told)
    for number in range(40):
        disk.room = 3
        writer.info(b"line %d" % number)
        writer.flush()
    disk.room = 1000
    writer.error(b"last")
    lines = disk.written.splitlines()
    lost = [int(line.split()[0]) for line in lines if line.endswith(b"lost")]
    assert all(
        line in {b"last", *(b"line %d" % number for number in range(40))} for line in lines if b"lost" not in line
    )
    assert sum(lost) + len(lines) - len(lost) == 41

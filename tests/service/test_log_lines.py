import io
from threading import Event, Thread

import pytest

from service.log_lines import MOST_LINES, LineWriter


def test_lines_come_in_their_order() -> None:
    stream = io.BytesIO()
    writer = LineWriter(stream)
    for number in range(1000):
        writer.info(b"%d" % number)
    writer.flush()
    assert stream.getvalue().splitlines() == [b"%d" % number for number in range(1000)]


def test_lines_of_many_threads_come_whole_and_once() -> None:
    stream = io.BytesIO()
    writer = LineWriter(stream)

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
    writer = LineWriter(stream)
    writer.info(b"before")
    writer.exception(b"broken")
    assert stream.getvalue() == b"before\nbroken\n"


@pytest.mark.parametrize("error", [BrokenPipeError(), ValueError("I/O operation on closed file")])
def test_a_log_that_nobody_reads_stops_nobody(error: Exception) -> None:
    class Gone(io.BytesIO):
        def write(self, _: object) -> int:
            raise error

    LineWriter(Gone()).error(b"line")


def test_lines_that_nobody_reads_do_not_pile_up_for_ever() -> None:
    let_go = Event()

    class Stuck(io.BytesIO):
        def write(self, data: object) -> int:
            let_go.wait()
            return super().write(data)  # type: ignore[arg-type]

    stream = Stuck()
    writer = LineWriter(stream)
    try:
        for number in range(3 * MOST_LINES):
            writer.info(b"%d" % number)
    finally:
        let_go.set()
    writer.flush()
    lines = stream.getvalue().splitlines()
    assert len(lines) <= 2 * MOST_LINES  # what was being written, and what waited
    assert lines[-1] == b"%d" % (3 * MOST_LINES - 1)

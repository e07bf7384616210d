"""What was freed, given back to the system."""

import ctypes

_LARGE = 4 << 20  # bytes: what a request needs is smaller, a table or a column of a catalogue larger
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8  # of glibc's malloc.h
_FEWEST_ARENAS = 2


def tune_allocator(processors: int) -> None:
    """Have the C library keep few holes, where it is one that can be told how; before threads are many.

    By itself glibc gives nearly every thread an arena, and from the first large block that is freed puts blocks of that
    size into them, too. Every swap then leaves other holes there: memory grows for hours although nothing is kept. So
    each large block is taken from the system and given back when it is freed, and there are no more arenas than
    threads that can be in one at the same time.

    Args:
        processors: that this process may use.
    """
    tune = getattr(ctypes.CDLL(None), "mallopt", None)
    if tune is not None:
        tune(_MMAP_THRESHOLD, _LARGE)
        tune(_TRIM_THRESHOLD, 2 * _LARGE)  # as glibc has it by itself, until one of the two is set
        tune(_ARENA_MAX, max(_FEWEST_ARENAS, processors))


def give_back() -> None:
    """Make the C library return its free memory, where it is one that can.

    Loading a catalogue passes gigabytes of answers of Redis and of Python objects through the allocator, whose arenas
    keep the pages: of a million items that is as much again as the catalogue itself. It takes some 10 ms, without
    Python's lock.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)

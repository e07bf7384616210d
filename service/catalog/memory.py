"""What was freed, given back to the system."""

import ctypes


def give_back() -> None:
    """Make the C library return its free memory, where it is one that can.

    Loading a catalogue passes gigabytes of answers of Redis and of Python objects through the allocator, whose arenas
    keep the pages: of a million items that is as much again as the catalogue itself. It takes some 10 ms, without
    Python's lock.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)

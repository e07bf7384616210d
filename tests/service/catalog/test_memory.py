"""The C library keeps few holes: large blocks lie apart, and threads share arenas."""

import ctypes
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="needs glibc")

# In a process of its own, since what is told to the C library holds for good.
LIBRARY = """
import ctypes, sys, tempfile
from threading import Barrier, Thread
from service.catalog.memory import tune_allocator

class Info(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in "arena ordblks smblks hblks hblkhd a b c d e".split()]

libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]
libc.mallinfo2.restype = Info
libc.fopen.restype = ctypes.c_void_p
libc.malloc_info.argtypes, libc.fclose.argtypes = [ctypes.c_int, ctypes.c_void_p], [ctypes.c_void_p]
if sys.argv[1] == "tuned":
    tune_allocator(processors=2)
if sys.argv[1] == "service":
    import asyncio
    from pathlib import Path
    from tests.running_service import make_settings, running_service

    async def start():
        async with running_service(make_settings(Path(sys.argv[2], "artifacts"), Path(sys.argv[2], "data"))):
            pass

    asyncio.run(start())
"""
# How many blocks lie apart of one that is taken after a larger one was freed.
LARGE = """
libc.free(libc.malloc(30 << 20))
before = libc.mallinfo2().hblks
libc.malloc(20 << 20)
print(libc.mallinfo2().hblks - before)
"""
# How many arenas six threads have that take memory at the same time, and the main one.
ARENAS = """
barrier = Barrier(7)
def take():
    libc.malloc(1000)
    barrier.wait()
    barrier.wait()
threads = [Thread(target=take) for _ in range(6)]
for thread in threads:
    thread.start()
barrier.wait()
with tempfile.NamedTemporaryFile() as told:
    file = libc.fopen(told.name.encode(), b"w")
    libc.malloc_info(0, file)
    libc.fclose(file)
    print(told.read().count(b"<heap "))
barrier.wait()
"""


@pytest.mark.parametrize(
    ("script", "tuned", "by_itself"), [(LARGE, 1, 0), (ARENAS, 2, 7)], ids=["large blocks", "arenas"]
)
def test_few_holes_are_left(script: str, tuned: int, by_itself: int) -> None:
    assert run(script, "tuned") == tuned
    assert run(script, "by itself") == by_itself  # what there would be to mend


def test_a_service_sees_to_it(tmp_path: Path) -> None:
    assert run(LARGE, "service", str(tmp_path)) == 1


def run(script: str, *how: str) -> int:
    command = [sys.executable, "-c", LIBRARY + script, *how]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return int(told.splitlines()[-1])

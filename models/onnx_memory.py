"""How much memory the ONNX graphs of this process may take together, whatever a graph asks for.

A graph that may only hold known operators can still make a terabyte of a number. With an arena of its own for each
session nothing but the system's memory ends that, and with it the process. So all sessions share one arena with an end:
what goes beyond is an error of the run that asked for it.
"""

from functools import cache
from threading import Lock

import onnxruntime as ort

MEMORY_BYTES = 4 << 30
"""Weights included: the largest graph that can be read, and as much again to compute with."""

FOLDED_BYTES = 64 << 20
"""What a node may become that is computed when a graph is opened, which is not taken from the arena."""

_ONE_AT_A_TIME = Lock()  # ONNX Runtime refuses a second arena


def bound_memory(options: ort.SessionOptions) -> None:
    """Have a session take its memory from the shared arena, which the first call makes."""
    with _ONE_AT_A_TIME:
        _share_arena()
    options.add_session_config_entry("session.use_env_allocators", "1")
    options.add_session_config_entry("optimization.constant_folding_max_output_size_in_bytes", str(FOLDED_BYTES))


@cache
def _share_arena() -> None:
    cpu = ort.OrtMemoryInfo("Cpu", ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT)
    ort.create_and_register_allocator(cpu, ort.OrtArenaCfg({"max_mem": MEMORY_BYTES}))

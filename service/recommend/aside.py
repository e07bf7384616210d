"""The work of a call of many requests, which a thread does: the event loop would answer nobody else meanwhile."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

# Ids to look up, or items to give: a few milliseconds of the event loop; a hundred thousand take a third of a second.
_LARGE = 4096


async def run_sized(count: int, work: Callable[[], T]) -> T:
    """What ``work`` gives, done by a thread where it is large.

    Args:
        count: ids to look up, or items to give or to write.
        work: what may run in any thread.
    """
    return await asyncio.to_thread(work) if count > _LARGE else work()

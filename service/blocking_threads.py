"""The threads that the event loop hands what blocks to, all there from the start."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier


def start_blocking_threads(count: int) -> None:
    """Give the running event loop so many threads for ``asyncio.to_thread``, and start them.

    Its own pool starts a thread when one is first needed: late in life, where there may be no memory to be had, and
    in the middle of a request. The loop ends these as it would have ended those.

    Raises:
        RuntimeError: if the system gives no thread.
    """
    threads = ThreadPoolExecutor(count, "blocking")
    all_there = Barrier(count)
    try:
        for _ in range(count):  # each waits for the others, so that each needs a thread of its own
            threads.submit(all_there.wait)
    except RuntimeError:
        all_there.abort()
        threads.shutdown(wait=False)
        raise
    asyncio.get_running_loop().set_default_executor(threads)

"""A pool whose threads may die."""

import ctypes
from collections.abc import Iterator
from concurrent.futures import CancelledError
from threading import Event, Thread, current_thread, enumerate  # noqa: A004  (of threads)

import pytest

from service.errors import RetryableError
from service.inference.compute_threads import ComputeThreads
from service.metrics import Metrics

SECONDS = 30.0


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def pool(metrics: Metrics) -> Iterator[ComputeThreads]:
    with ComputeThreads(2, "pool", metrics) as pool:
        yield pool


def deaths(metrics: Metrics) -> float:
    return metrics.registry.get_sample_value("vqrec_compute_threads_died_total", {"pool": "pool"}) or 0.0


def threads_of(pool: ComputeThreads) -> set[Thread]:
    """The threads that take up work now, each of which is busy with it at the same time."""
    both, go_on = [Event(), Event()], Event()

    def here(mine: Event) -> Thread:
        mine.set()
        assert go_on.wait(SECONDS)
        return current_thread()

    busy = [pool.submit(here, mine) for mine in both]
    assert all(mine.wait(SECONDS) for mine in both)
    go_on.set()
    return {each.result(SECONDS) for each in busy}


def strike(thread: Thread) -> None:
    """Raise in a thread, at its next step of Python, what nothing in it expects."""
    struck = ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident or 0), ctypes.py_object(SystemExit))
    assert struck == 1


def test_results_and_errors_come_back(pool: ComputeThreads) -> None:
    assert list(pool.map(abs, range(-50, 0))) == list(range(50, 0, -1))
    with pytest.raises(ZeroDivisionError):
        pool.submit(divmod, 1, 0).result(SECONDS)


def test_all_threads_are_there_before_there_is_work(pool: ComputeThreads) -> None:
    assert {thread.name for thread in enumerate()} >= {"pool-0", "pool-1"}


def test_work_that_tries_to_end_its_thread_is_an_error_and_no_death(pool: ComputeThreads, metrics: Metrics) -> None:
    before = threads_of(pool)
    with pytest.raises(SystemExit):
        pool.submit(exit).result(SECONDS)
    assert threads_of(pool) == before
    assert deaths(metrics) == 0


def test_threads_that_die_idle_are_replaced_and_no_work_is_lost(pool: ComputeThreads, metrics: Metrics) -> None:
    for died in (2, 4, 6):
        before = threads_of(pool)
        for thread in before:
            strike(thread)
        for number in range(10_000):  # what wakes a thread ends it
            assert pool.submit(abs, -number).result(SECONDS) == number
            if deaths(metrics) == died:
                break
        assert not threads_of(pool) & before
        assert deaths(metrics) == died


def test_a_pool_none_of_whose_threads_lives_says_so_to_every_caller(metrics: Metrics) -> None:
    def fail() -> None:
        raise MemoryError

    with ComputeThreads(2, "pool", metrics, at_start=fail) as pool:
        for _ in range(3):
            with pytest.raises(RetryableError, match="try again"):
                pool.submit(abs, -1).result(SECONDS)


def test_shut_down_it_does_what_it_accepted_and_refuses_more(metrics: Metrics) -> None:
    pool = ComputeThreads(2, "closing", metrics)
    accepted = [pool.submit(abs, -number) for number in range(100)]
    pool.shutdown()
    assert [each.result(0) for each in accepted] == list(range(100))
    with pytest.raises(RuntimeError, match="shut down"):
        pool.submit(abs, 1)
    pool.shutdown()
    assert not [thread for thread in enumerate() if thread.name.startswith("closing-")]


def test_shut_down_at_once_it_cancels_what_was_not_begun(metrics: Metrics) -> None:
    pool, begun, going_on = ComputeThreads(1, "pool", metrics), Event(), Event()

    def work() -> bool:
        begun.set()
        return going_on.wait(SECONDS)

    running, waiting = pool.submit(work), pool.submit(abs, -1)
    assert begun.wait(SECONDS)
    pool.shutdown(wait=False, cancel_futures=True)
    with pytest.raises(CancelledError):
        waiting.result(SECONDS)
    going_on.set()
    assert running.result(SECONDS)

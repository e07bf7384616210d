import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from service.errors import OverloadedError, RetryableError, StoppingError
from service.inference.batcher import BatcherConfig, MicroBatcher
from service.metrics import Metrics

pytestmark = pytest.mark.anyio

FOR_EVER = 3600.0


@dataclass
class Work:
    """Doubles numbers, in batches that it notes; one that holds 0 waits until it is released."""

    batches: list[list[int]] = field(default_factory=list)
    started: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    released: threading.Event = field(default_factory=threading.Event)

    def __call__(self, values: Sequence[int]) -> list[int | Exception]:
        self.batches.append(list(values))
        self.started.release()
        if 0 in values and not self.released.wait(timeout=60):
            raise TimeoutError("the test never released its work")
        return [ValueError(f"no {value}") if value < 0 else 2 * value for value in values]

    async def has_started(self) -> None:
        assert await asyncio.to_thread(self.started.acquire, timeout=60)


@pytest.fixture
def work() -> Work:
    return Work()


@asynccontextmanager
async def batching(
    work: Callable[[Sequence[int]], Sequence[int | Exception]], metrics: Metrics | None = None, **config: float
) -> AsyncIterator[MicroBatcher[int, int]]:
    settings = BatcherConfig(**config)  # type: ignore[arg-type]
    with ThreadPoolExecutor(settings.workers) as pool:
        batcher = MicroBatcher("test", work, pool, metrics or Metrics(), settings)
        try:
            yield batcher
        finally:
            if isinstance(work, Work):
                work.released.set()
            await batcher.stop()


def later(batcher: MicroBatcher[int, int], *values: int) -> list[asyncio.Task[int]]:
    return [asyncio.create_task(batcher.submit(value)) for value in values]


async def settle() -> None:
    """Let every task run until it waits."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_jobs_of_one_turn_of_the_loop_are_one_batch(work: Work) -> None:
    async with batching(work, longest_wait=FOR_EVER) as batcher:
        assert await asyncio.gather(*later(batcher, 1, 2, 3)) == [2, 4, 6]
    assert work.batches == [[1, 2, 3]]


async def test_an_idle_pool_does_not_wait_for_company(work: Work) -> None:
    async with batching(work, longest_wait=FOR_EVER) as batcher:
        assert await batcher.submit(1) == 2


async def test_what_arrives_while_the_pool_is_busy_is_the_next_batch(work: Work) -> None:
    async with batching(work, longest_wait=FOR_EVER, largest_batch=4) as batcher:
        busy = later(batcher, 0)
        await work.has_started()
        waiting = later(batcher, 1, 2)
        await settle()
        waiting += later(batcher, 3, 4, 5, 6)
        await settle()
        work.released.set()
        assert await asyncio.gather(*busy, *waiting) == [0, 2, 4, 6, 8, 10, 12]
    assert work.batches == [[0], [1, 2, 3, 4], [5, 6]]


async def test_an_idle_thread_beside_a_busy_one_waits_for_a_full_batch(work: Work) -> None:
    async with batching(work, longest_wait=FOR_EVER, largest_batch=2, workers=2) as batcher:
        busy = later(batcher, 0)
        await work.has_started()
        first = later(batcher, 1)
        await settle()
        assert work.batches == [[0]]
        assert await asyncio.gather(*first, *later(batcher, 2)) == [2, 4]
        work.released.set()
        await asyncio.gather(*busy)


async def test_an_idle_thread_beside_a_busy_one_waits_no_longer_than_the_longest_wait(work: Work) -> None:
    async with batching(work, longest_wait=0.001, largest_batch=2, workers=2) as batcher:
        busy = later(batcher, 0)
        await work.has_started()
        assert await batcher.submit(1) == 2
        work.released.set()
        await asyncio.gather(*busy)


async def test_a_failed_job_fails_alone(work: Work) -> None:
    async with batching(work) as batcher:
        results = await asyncio.gather(*later(batcher, 1, -2, 3), return_exceptions=True)
    assert results[0] == 2
    assert isinstance(results[1], ValueError)
    assert results[2] == 6


@pytest.mark.parametrize(
    ("error", "seen"), [(ValueError, ValueError), (StopIteration, RuntimeError), (SystemExit, RuntimeError)]
)
async def test_when_the_work_raises_every_job_of_the_batch_does_and_the_next_is_served(
    error: type[BaseException], seen: type[Exception]
) -> None:
    def explode(values: Sequence[int]) -> list[int]:
        if 0 in values:
            raise error
        return list(values)

    async with batching(explode) as batcher:
        results = await asyncio.gather(*later(batcher, 0, 1), return_exceptions=True)
        assert [type(result) for result in results] == [seen, seen]
        assert await batcher.submit(5) == 5


async def test_a_wrong_number_of_results_is_an_error() -> None:
    async with batching(lambda _: [1]) as batcher:
        assert await batcher.submit(1) == 1
        with pytest.raises(RuntimeError, match="1 results for 2 jobs"):
            await batcher.submit_all([1, 2])


async def test_a_full_queue_refuses(work: Work) -> None:
    metrics = Metrics()
    async with batching(work, metrics, queue_size=2) as batcher:
        busy = later(batcher, 0)
        await work.has_started()
        waiting = later(batcher, 1)
        await settle()
        with pytest.raises(OverloadedError) as refused:
            await batcher.submit_all([2, 3])
        assert refused.value.retry_after >= 1
        waiting += later(batcher, 4)
        await settle()
        with pytest.raises(OverloadedError):
            await batcher.submit(5)
        work.released.set()
        assert await asyncio.gather(*busy, *waiting) == [0, 2, 8]
    assert metrics.registry.get_sample_value("vqrec_rejected_total", {"reason": "test_queue_full"}) == 3


async def test_an_empty_queue_takes_a_call_of_more_jobs_than_it_holds(work: Work) -> None:
    async with batching(work, queue_size=2) as batcher:
        assert await batcher.submit_all([1, 2, 3]) == [2, 4, 6]


async def test_a_cancelled_caller_s_job_is_not_computed_and_frees_its_place(work: Work) -> None:
    async with batching(work, queue_size=1) as batcher:
        busy = later(batcher, 0)
        await work.has_started()
        cancelled = later(batcher, 1)
        await settle()
        cancelled[0].cancel()
        await settle()
        waiting = later(batcher, 2)
        await settle()
        work.released.set()
        assert await asyncio.gather(*busy, *waiting) == [0, 4]
        assert cancelled[0].cancelled()
    assert work.batches == [[0], [2]]


async def test_a_caller_cancelled_while_its_batch_runs_does_not_disturb_the_others(work: Work) -> None:
    async with batching(work) as batcher:
        tasks = later(batcher, 0, 1)
        await work.has_started()
        tasks[0].cancel()
        work.released.set()
        assert await tasks[1] == 2
        assert await batcher.submit(3) == 6


async def test_stop_answers_what_was_accepted_and_refuses_what_comes(work: Work) -> None:
    async with batching(work, longest_wait=FOR_EVER, largest_batch=1) as batcher:
        accepted = later(batcher, 0)
        await work.has_started()
        accepted += later(batcher, 1, 2)
        await settle()
        stopping = asyncio.create_task(batcher.stop())
        await settle()
        with pytest.raises(StoppingError):
            await batcher.submit(3)
        assert not stopping.done()
        work.released.set()
        await stopping
        assert await asyncio.gather(*accepted) == [0, 2, 4]


async def test_a_stop_that_is_cancelled_fails_what_has_not_started(work: Work) -> None:
    async with batching(work) as batcher:
        tasks = later(batcher, 0)
        await work.has_started()
        tasks += later(batcher, 1)
        await settle()
        stopping = asyncio.create_task(batcher.stop())
        await settle()
        stopping.cancel()
        with pytest.raises(StoppingError):
            await tasks[1]
        work.released.set()
        assert await tasks[0] == 0


async def test_stop_of_an_idle_batcher_returns(work: Work) -> None:
    async with batching(work) as batcher:
        await batcher.stop()
        await batcher.stop()


async def test_a_pool_that_was_shut_down_is_an_error_to_every_caller(work: Work) -> None:
    with ThreadPoolExecutor(1) as pool:
        batcher = MicroBatcher("test", work, pool, Metrics(), BatcherConfig(workers=2, longest_wait=0))
        running = later(batcher, 0)
        await work.has_started()
        in_the_pool_s_own_queue = later(batcher, 1)
        await settle()
        pool.shutdown(wait=False, cancel_futures=True)
        with pytest.raises(RetryableError):
            await in_the_pool_s_own_queue[0]
        with pytest.raises(RetryableError):
            await batcher.submit(2)
        work.released.set()
        assert await running[0] == 0
        await batcher.stop()


async def test_a_broken_pool_is_an_error_to_every_caller(work: Work) -> None:
    def fail() -> None:
        raise OSError("no thread starts")

    with ThreadPoolExecutor(1, initializer=fail) as pool:
        batcher = MicroBatcher("test", work, pool, Metrics(), BatcherConfig())
        for _ in range(2):
            with pytest.raises(RetryableError):
                await batcher.submit(1)
        await batcher.stop()
    assert work.batches == []


async def test_it_measures_its_queue(work: Work) -> None:
    metrics = Metrics()
    async with batching(work, metrics, largest_batch=2) as batcher:
        busy = later(batcher, 0)
        await work.has_started()
        waiting = later(batcher, 1, 2, 3)
        await settle()
        assert metrics.registry.get_sample_value("vqrec_queue_depth", {"queue": "test"}) == 3
        work.released.set()
        await asyncio.gather(*busy, *waiting)
    read = metrics.registry.get_sample_value
    assert read("vqrec_queue_depth", {"queue": "test"}) == 0
    assert read("vqrec_batch_size_count", {"queue": "test"}) == 3
    assert read("vqrec_batch_size_sum", {"queue": "test"}) == 4
    assert read("vqrec_stage_seconds_count", {"stage": "test_wait"}) == 4
    assert read("vqrec_stage_seconds_count", {"stage": "test_batch"}) == 3


async def test_submit_all_of_nothing_is_nothing(work: Work) -> None:
    async with batching(work) as batcher:
        assert await batcher.submit_all([]) == []
    assert work.batches == []

"""Micro-batching: what callers ask for one at a time is computed together, in a pool of threads."""

import asyncio
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import BrokenExecutor, Executor
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import Generic, TypeVar

from service.errors import OverloadedError, RetryableError, StoppingError
from service.inference.fair_queue import FairQueue
from service.metrics import Metrics

In = TypeVar("In")
Out = TypeVar("Out")


@dataclass(frozen=True, slots=True)
class BatcherConfig:
    """How jobs become batches.

    Args:
        largest_batch: jobs in one call of the work.
        longest_wait: seconds that jobs wait for others while a batch is being computed; with an idle pool none wait.
        queue_size: jobs that may wait; more are refused, except that an empty queue takes any one call's, and so does
            any queue with room from a flow that has none waiting.
        workers: batches computed at the same time, at most the threads of the pool.
    """

    largest_batch: int = 64
    longest_wait: float = 0.002
    queue_size: int = 1024
    workers: int = 1


@dataclass(frozen=True, slots=True, eq=False)
class _Job(Generic[In]):
    value: In
    submitted: float


class MicroBatcher(Generic[In, Out]):
    """Collects jobs on the event loop and runs them in batches in a pool.

    There is no task of its own that could die: a batch starts when a job arrives or another batch ends. Every future
    ends in a result, an error or a cancellation.

    Args:
        name: what its metrics are labelled with.
        work: computes a batch, in a thread; gives a result for each job in their order, or an exception for one.
        pool: where it runs.
        metrics: queue depth, batch size, seconds in the queue and at work, refusals.
        config: the limits.
    """

    def __init__(
        self,
        name: str,
        work: Callable[[Sequence[In]], Sequence[Out | Exception]],
        pool: Executor,
        metrics: Metrics,
        config: BatcherConfig,
    ) -> None:
        self._name, self._work, self._pool, self._metrics, self._config = name, work, pool, metrics, config
        self._depth, self._batch_size = metrics.queue_depth.labels(name), metrics.batch_size.labels(name)
        self._waited = metrics.stage_seconds.labels(f"{name}_wait")
        self._waiting: FairQueue[asyncio.Future[Out], _Job[In]] = FairQueue(config.queue_size)
        self._running = 0
        self._timer: asyncio.Handle | None = None
        self._dispatch_is_due = False
        self._stopping = False
        self._drained = asyncio.Event()
        self._drained.set()

    async def submit(self, value: In, flow: Hashable = None) -> Out:
        """The result of one job; see :meth:`submit_all`."""
        (future,) = self._enqueue((value,), flow)
        try:
            return await future
        finally:
            self._forget((future,), flow)

    async def submit_all(self, values: Sequence[In], flow: Hashable = None) -> list[Out]:
        """The results of jobs that are accepted all or none.

        Args:
            values: what is to be computed.
            flow: whose jobs they are; flows take turns.

        Raises:
            OverloadedError: if the queue has no room for them.
            StoppingError: once :meth:`stop` was called.
            Exception: what the work raised or returned for one of them.
        """
        futures = self._enqueue(values, flow) if values else []
        try:
            return list(await asyncio.gather(*futures))
        finally:
            self._forget(futures, flow)

    def _enqueue(self, values: Sequence[In], flow: Hashable) -> list[asyncio.Future[Out]]:
        if self._stopping:
            raise StoppingError("the service is shutting down and takes no new work; try another replica")
        if not self._waiting.has_room(flow, len(values)):
            self._metrics.rejected.labels(f"{self._name}_queue_full").inc(len(values))
            raise OverloadedError(f"the {self._name} queue is full; try again in a moment")
        loop, now = asyncio.get_running_loop(), perf_counter()
        jobs = {loop.create_future(): _Job(value, now) for value in values}
        self._waiting.add(flow, jobs)
        self._drained.clear()
        self._depth.set(len(self._waiting))
        if not self._dispatch_is_due:
            # Not at once, so that what else arrives in this turn of the loop joins the same batch.
            self._dispatch_is_due = True
            loop.call_soon(self._dispatch)
        return list(jobs)

    def _forget(self, futures: Sequence[asyncio.Future[Out]], flow: Hashable) -> None:
        """Drop what is left after a cancellation or an error: whoever waits for it is gone."""
        for future in futures:
            if self._waiting.remove(flow, future):
                self._depth.set(len(self._waiting))
            future.cancel()

    async def stop(self) -> None:
        """Refuse new jobs and wait until all that were accepted are answered; cancelled, fail those not yet started."""
        self._stopping = True
        self._dispatch()
        try:
            await self._drained.wait()
        finally:
            stopped = StoppingError("the service shut down before this was computed; try another replica")
            self._settle(list(self._waiting), [stopped] * len(self._waiting))
            self._waiting.clear()

    def _dispatch(self) -> None:
        self._dispatch_is_due = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._waiting and self._running < self._config.workers:
            wait = self._seconds_to_wait()
            if wait > 0:
                self._timer = asyncio.get_running_loop().call_later(wait, self._dispatch)
                break
            self._start_batch()
        if not self._waiting and not self._running:
            self._drained.set()

    def _seconds_to_wait(self) -> float:
        if not self._running or self._stopping or len(self._waiting) >= self._config.largest_batch:
            return 0.0
        oldest = min(job.submitted for job in self._waiting.firsts())
        return oldest + self._config.longest_wait - perf_counter()

    def _start_batch(self) -> None:
        batch = self._waiting.take(self._config.largest_batch)
        self._depth.set(len(self._waiting))
        futures = [future for future in batch if not future.done()]  # a cancelled caller's job is not computed
        if not futures:
            return
        self._note_start([batch[future] for future in futures])
        values = [batch[future].value for future in futures]
        try:
            computed = asyncio.get_running_loop().run_in_executor(self._pool, self._compute, values)
        except RuntimeError as error:  # the pool is shut down or broken
            self._settle(futures, [_pool_is_gone(error)] * len(futures))
            return
        self._running += 1
        computed.add_done_callback(partial(self._finish, futures))

    def _compute(self, values: Sequence[In]) -> Sequence[Out | Exception]:
        """In a thread: the work, whose every way to fail becomes an exception that a future can carry."""
        with self._metrics.stage(f"{self._name}_batch"):
            try:
                results = self._work(values)
            except BaseException as error:
                if isinstance(error, Exception) and not isinstance(error, StopIteration):
                    raise
                # Set on a future, it would end the event loop or be refused.
                raise RuntimeError(f"{type(error).__name__} left the work of the {self._name} queue") from error
        if len(results) != len(values):
            raise RuntimeError(f"the {self._name} work gave {len(results)} results for {len(values)} jobs")
        return results

    def _finish(
        self, futures: Sequence[asyncio.Future[Out]], computed: asyncio.Future[Sequence[Out | Exception]]
    ) -> None:
        self._running -= 1
        if computed.cancelled():  # by a pool that was shut down with work in its queue
            self._settle(futures, [_pool_is_gone(None)] * len(futures))
        elif error := computed.exception():
            failure = _pool_is_gone(error) if isinstance(error, BrokenExecutor) else error
            self._settle(futures, [failure] * len(futures))
        else:
            self._settle(futures, computed.result())
        self._dispatch()

    def _settle(self, futures: Sequence[asyncio.Future[Out]], outcomes: Sequence[Out | BaseException]) -> None:
        for future, outcome in zip(futures, outcomes, strict=True):
            if future.done():
                continue  # its caller went away
            if isinstance(outcome, BaseException):
                future.set_exception(outcome)
            else:
                future.set_result(outcome)

    def _note_start(self, jobs: Sequence[_Job[In]]) -> None:
        now = perf_counter()
        for job in jobs:
            self._waited.observe(now - job.submitted)
        self._batch_size.observe(len(jobs))


def _pool_is_gone(cause: BaseException | None) -> RetryableError:
    error = RetryableError("the threads that compute are gone; the service must be restarted")
    error.__cause__ = cause
    return error

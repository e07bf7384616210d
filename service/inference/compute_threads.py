"""Threads that compute: all there from the start, and one that dies is replaced and what it was at fails."""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future, InvalidStateError
from contextlib import suppress
from functools import partial
from queue import SimpleQueue
from threading import Lock, Thread, current_thread
from typing import Any, ParamSpec, TypeVar

import structlog

from service.errors import RetryableError
from service.metrics import Metrics

log = structlog.get_logger(__name__)

P = ParamSpec("P")
T = TypeVar("T")


class ComputeThreads(Executor):
    """A pool that no thread's death leaves smaller, and none of whose futures is left open by one.

    The standard library's goes on counting a thread that died, for want of memory say: what it was at never ends, and
    after the last one nothing does. It also starts a thread when it is first needed, when there may be none to be had.

    Args:
        count: threads.
        name: of the pool, for its threads, the log and the metric.
        metrics: counts the deaths.
        at_start: what each thread does first.

    Raises:
        RuntimeError: if the system gives no thread.
    """

    def __init__(self, count: int, name: str, metrics: Metrics, at_start: Callable[[], None] | None = None) -> None:
        self._count, self._name, self._at_start = count, name, at_start
        self._died = metrics.threads_died.labels(name)
        self._lock = Lock()  # guards the next three
        self._tasks: deque[_Task] = deque()
        self._threads: set[Thread] = set()
        self._stopping = False
        self._calls: SimpleQueue[None] = SimpleQueue()  # one for each task, and one for each thread to end
        with self._lock:
            self._fill()

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """See :class:`concurrent.futures.Executor`.

        Raises:
            RuntimeError: once :meth:`shutdown` was called, or if every thread died and the system gives no other.
        """
        task = _Task(partial(fn, *args, **kwargs))
        with self._lock:
            if self._stopping:
                raise RuntimeError(f"the pool {self._name} is shut down")
            if len(self._threads) < self._count:
                self._fill()
            self._tasks.append(task)
        self._calls.put(None)
        return task.future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """See :class:`concurrent.futures.Executor`."""
        with self._lock:
            self._stopping = True
            threads = list(self._threads)
            cancelled = self._take_all() if cancel_futures else []
        for task in cancelled:
            task.future.cancel()
        for _ in threads:
            self._calls.put(None)
        if wait:
            for thread in threads:
                thread.join()

    def _fill(self) -> None:
        """Start the threads that are missing; called with the lock held."""
        while len(self._threads) < self._count:
            thread = Thread(target=self._run, name=f"{self._name}-{len(self._threads)}", daemon=True)
            try:
                thread.start()
            except RuntimeError:
                if not self._threads:
                    raise
                return  # the others do its work, and the next submit tries again
            self._threads.add(thread)

    def _run(self) -> None:
        task: _Task | None = None
        started = False
        try:
            if self._at_start is not None:
                self._at_start()
            started = True
            while True:
                self._calls.get()
                with self._lock:
                    if self._tasks:
                        task = self._tasks[0]  # held before it is taken, so that it is at no moment in neither place
                        self._tasks.popleft()
                    elif self._stopping:
                        return
                if task is not None:
                    task.run()
                    task = None  # what it computed is let go while the thread waits
        except BaseException as error:
            self._bury(task, error, replace=started)

    def _bury(self, task: "_Task | None", error: BaseException, *, replace: bool) -> None:
        """The last thing that a thread does which dies."""
        failure = RetryableError("the thread that computed this died; try again")
        with self._lock:
            failed = [task] if task is not None and task not in self._tasks else []
            self._threads.discard(current_thread())
            if replace and not self._stopping:
                with suppress(RuntimeError):  # the system gives none now; the next submit tries again
                    self._fill()
            if not self._threads:
                failed += self._take_all()
        self._calls.put(None)  # in place of the one that it may have got without taking a task
        for each in failed:
            each.fail(failure)
        self._died.inc()
        log.critical("compute-thread-died", pool=self._name, exc_info=error)

    def _take_all(self) -> "list[_Task]":
        """The tasks that wait, which wait no more; called with the lock held."""
        tasks = list(self._tasks)
        self._tasks.clear()
        return tasks


class _Task:
    """A call and the future of its result."""

    def __init__(self, call: Callable[[], Any]) -> None:
        self.future: Future[Any] = Future()
        self._call = call

    def run(self) -> None:
        if not self.future.set_running_or_notify_cancel():
            return
        try:
            result = self._call()
        except BaseException as error:
            self.future.set_exception(error)
        else:
            self.future.set_result(result)

    def fail(self, error: Exception) -> None:
        with suppress(InvalidStateError):  # it is done, or was cancelled
            self.future.set_exception(error)

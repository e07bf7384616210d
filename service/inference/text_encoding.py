"""Texts ─► vectors in the service: batches across callers, by length, on threads that give way to all others."""

import asyncio
import os
import sys
from collections import Counter
from collections.abc import Collection, Hashable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from threading import Lock
from time import perf_counter

import numpy as np

from models.text_encoder import TextEncoder, TextVectors, batch_size
from service.errors import OverloadedError, RetryableError, StoppingError
from service.inference.compute_threads import ComputeThreads
from service.inference.fair_queue import FairQueue, has_room
from service.inference.waiting_texts import Call, WaitingText, WaitingTexts
from service.metrics import Metrics

_NICENESS = 10


@dataclass(frozen=True, slots=True)
class EncodingConfig:
    """How texts are encoded beside everything else.

    Args:
        threads: batches computed at the same time, each by one thread.
        largest_batch: texts in one of them at most; of long ones fewer, see :func:`models.text_encoder.batch_size`.
        queue_size: texts accepted and not yet answered, which flows share as :func:`fair_queue.has_room` says.
    """

    threads: int = 1
    largest_batch: int = 64
    queue_size: int = 20_000


class TextEncoding:
    """Encodes texts of concurrent callers together. Made and used on one event loop.

    Its threads have a lower priority than all others of the process: recommending takes a processor from them at once,
    and leaves them a small share of it while it wants all. Every call ends in a result, an error or a cancellation.

    Args:
        encoder: the text encoder.
        metrics: those of the queue ``text``.
        config: the limits.
    """

    def __init__(self, encoder: TextEncoder, metrics: Metrics, config: EncodingConfig) -> None:
        self._encoder, self._metrics, self._config = encoder, metrics, config
        self._loop = asyncio.get_running_loop()
        self._pool = ComputeThreads(config.threads, "text", metrics, at_start=_give_way)
        self._lock = Lock()  # guards the next four, which the event loop and the threads share
        self._new: FairQueue[Call, Call] = FairQueue(config.queue_size)
        self._waiting = WaitingTexts()
        self._tokenized = 0  # texts since the last batch
        self._working = 0
        self._unanswered: dict[Call, None] = {}
        self._held: Counter[Hashable] = Counter()  # texts of each flow that has any
        self._texts = 0
        self._stopping = False
        self._drained = asyncio.Event()
        self._drained.set()

    async def warm_up(self) -> None:
        """Encode once, on the threads that will, what makes the first item wait otherwise."""
        await asyncio.wrap_future(self._pool.submit(self._encoder.encode, ["a text", "another text"]))

    async def stop(self) -> None:
        """Encode what was accepted, refuse what comes, and end the threads; cancelled, fail what is not encoded yet."""
        self._stopping = True
        try:
            await self._drained.wait()
        finally:
            self._fail_all(StoppingError("the service shut down before this was encoded; try another replica"))
            self._pool.shutdown(wait=False)

    async def encode(self, texts: Sequence[str], flow: Hashable = None) -> TextVectors:
        """Text vectors float16 [n, text_dim].

        Args:
            texts: any number, also none.
            flow: whose they are, such as a domain; flows take turns, and each has its part of the queue.

        Raises:
            OverloadedError: if the queue is full.
            StoppingError: once :meth:`stop` was called.
            Exception: what the encoder raised for one of these texts.
        """
        if self._stopping:
            raise StoppingError("the service is shutting down and takes no new work; try another replica")
        vectors = np.empty((len(texts), self._encoder.text_dim), dtype=np.float16)
        if not texts:
            return vectors
        if not has_room(self._config.queue_size, self._texts, self._held.get(flow, 0), len(texts)):
            self._metrics.rejected.labels("text_queue_full").inc(len(texts))
            raise OverloadedError("the text queue is full; try again in a moment")
        call = Call(texts, vectors, self._loop.create_future(), perf_counter(), len(texts), flow)
        self._unanswered[call] = None
        self._note_texts(flow, len(texts))
        try:
            with self._lock:
                self._new.add(flow, {call: call})
            self._start_threads(1)
            await call.answer
        finally:
            self._forget(call)
        return vectors

    def _forget(self, call: Call) -> None:
        """It is answered, or its caller went away, and what is left of it is not computed."""
        if call.missing:
            with self._lock:
                self._new.remove(call.flow, call)
                self._waiting.abandon(call)
        self._unanswered.pop(call, None)
        self._note_texts(call.flow, -len(call.texts))

    def _start_threads(self, wanted: int) -> None:
        """See that as many threads work as there are batches to be had."""
        with self._lock:
            starting = min(wanted, self._config.threads - self._working)
            self._working += starting
        for _ in range(starting):
            try:
                self._pool.submit(self._work).add_done_callback(self._ended)
            except RuntimeError as error:  # the pool is shut down or broken
                raise _threads_are_gone(error) from error

    def _work(self) -> None:
        """In a thread: one step after the other until nothing is left."""
        while True:
            with self._lock:
                call, batch = self._next()
                if call is None and not batch:
                    self._working -= 1
                    return
            if call is not None:
                self._tokenize(call)
            else:
                self._encode(batch)

    def _next(self) -> tuple[Call | None, Sequence[WaitingText]]:
        """What comes next: a call to be tokenised, or texts to be encoded.

        The more texts are tokenised, the fuller are the batches of one length; but who is ready waits for no more of
        them than make a batch.
        """
        if self._tokenized >= self._config.largest_batch or not self._new:
            self._tokenized = 0
            batch = self._waiting.take(self._batch_size)
            if batch or not self._new:
                return None, batch
        (call,) = self._new.take(1)
        self._tokenized += len(call.texts)
        return call, ()

    def _batch_size(self, length: int) -> int:
        return min(batch_size(length), self._config.largest_batch)

    def _tokenize(self, call: Call) -> None:
        try:
            tokens = self._encoder.tokenize(call.texts)
        except Exception as error:
            self._answer([call], error)
            return
        with self._lock:
            self._waiting.add(call, tokens)
        self._start_threads(len(tokens) - 1)

    def _encode(self, batch: Sequence[WaitingText]) -> None:
        calls = {text.call for text in batch}
        self._note_batch(batch)
        try:
            with self._metrics.stage("text_batch"):
                vectors = self._encoder.encode_tokens([text.token_ids for text in batch])
        except Exception as error:
            self._answer(calls, error)
            return
        with self._lock:
            for text, vector in zip(batch, vectors, strict=True):
                text.call.vectors[text.row] = vector
                text.call.missing -= 1
            complete = [call for call in calls if not call.missing]
        self._answer(complete, None)

    def _answer(self, calls: Collection[Call], error: Exception | None) -> None:
        if calls:
            with suppress(RuntimeError):  # the loop is closed, and nobody waits any more
                self._loop.call_soon_threadsafe(_settle, calls, error)

    def _ended(self, work: "Future[None]") -> None:
        """Where a thread did not end of itself, fail the calls that may have waited for it."""
        error = None if work.cancelled() else work.exception()
        if not work.cancelled() and error is None:
            return
        with self._lock:
            self._working -= 1
        with suppress(RuntimeError):  # the loop is closed, and nobody waits any more
            self._loop.call_soon_threadsafe(self._fail_all, _threads_are_gone(error))

    def _fail_all(self, error: Exception) -> None:
        _settle(list(self._unanswered), error)

    def _note_texts(self, flow: Hashable, more: int) -> None:
        self._texts += more
        self._held[flow] += more
        if not self._held[flow]:
            del self._held[flow]
        self._metrics.queue_depth.labels("text").set(self._texts)
        if self._texts:
            self._drained.clear()
        else:
            self._drained.set()

    def _note_batch(self, batch: Sequence[WaitingText]) -> None:
        now = perf_counter()
        waited = self._metrics.stage_seconds.labels("text_wait")
        for text in batch:
            waited.observe(now - text.call.submitted)
        self._metrics.batch_size.labels("text").observe(len(batch))


def _settle(calls: Collection[Call], error: Exception | None) -> None:
    for call in calls:
        if call.answer.done():
            continue  # its caller went away
        if error is not None:
            call.answer.set_exception(error)
        else:
            call.answer.set_result(None)


def _give_way() -> None:
    """Lower the priority of the calling thread, where the system knows one of a thread."""
    if sys.platform == "linux":
        with suppress(OSError):  # no lower one is left
            os.setpriority(os.PRIO_PROCESS, 0, os.getpriority(os.PRIO_PROCESS, 0) + _NICENESS)


def _threads_are_gone(cause: BaseException | None) -> RetryableError:
    if isinstance(cause, RetryableError):  # one of them is, and was replaced
        return cause
    error = RetryableError("the threads that encode are gone; the service must be restarted")
    error.__cause__ = cause
    return error

"""Makes what this process serves what Redis says it shall serve, again and again, until they are the same."""

import asyncio
from collections.abc import Collection, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import structlog

from models.errors import VqrecError
from service.catalog.builder import ReplicaBuilder
from service.catalog.directory import DomainDirectory, WantedDomain
from service.catalog.memory import give_back
from service.catalog.registry import Registry
from service.catalog.replica import DomainReplica, ReplicaContext
from service.errors import RedisUnavailableError

log = structlog.get_logger(__name__)

_BACKOFF = 1.0
_LAST_BACKOFF = 60.0
_RECONNECT_SECONDS = 0.2
_NOT_ASKED = "Redis was not asked yet"


class SwapObserver(Protocol):
    """Who wants to know how a choice fares in this process."""

    def listed(self, wanted: Collection[WantedDomain]) -> None: ...

    def progressed(self, wanted: WantedDomain, share: float) -> None: ...

    async def served(self, wanted: WantedDomain) -> None: ...

    async def failed(self, wanted: WantedDomain, error: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Failure:
    """A choice that this process could not follow, and when (of the loop's clock) it tries again."""

    revision: int
    error: str
    attempts: int
    retry_at: float


class Reconciler:
    """A loop that compares and one job a domain that builds. A failed job leaves what is served as it is."""

    def __init__(
        self,
        directory: DomainDirectory,
        registry: Registry,
        builder: ReplicaBuilder,
        context: ReplicaContext,
        observer: SwapObserver,
    ) -> None:
        self._directory, self._registry, self._builder = directory, registry, builder
        self._context, self._observer = context, observer
        self._wanted: dict[str, WantedDomain] | None = None
        self._jobs: dict[str, asyncio.Task[None]] = {}
        self._failures: dict[str, Failure] = {}
        self._measured: frozenset[str] = frozenset()  # domains that metrics may tell of
        self._wake = asyncio.Event()
        self._comparing = asyncio.Lock()
        self._tasks: list[asyncio.Task[None]] = []
        self._redis_fault: str | None = _NOT_ASKED
        self._was_ready = False

    def start(self) -> None:
        """Compare at once, then whenever woken, and every second."""
        self._wake.set()
        self._tasks = [
            asyncio.create_task(self._listen(), name="listen to the control stream"),
            asyncio.create_task(self._run(), name="reconcile"),
        ]

    async def stop(self) -> None:
        """Stop comparing and building, then every follower."""
        running = [*self._tasks, *self._jobs.values()]
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running)
        for domain in self._registry.domains:
            await self._drop(domain)

    @property
    def ready(self) -> bool:
        """Whether every domain that there was at the start has been served once or has failed; it stays true.

        One that cannot be served must not keep the others of this process from being asked.
        """
        return self._was_ready

    @property
    def knows_domains(self) -> bool:
        """Whether this process has heard which domains there are; it stays true."""
        return self._wanted is not None

    @property
    def domains(self) -> list[str]:
        """The names of all domains, served or not, as far as this process has heard."""
        return sorted({*(self._wanted or {}), *self._registry.domains})

    def wanted(self, domain: str) -> WantedDomain | None:
        """What the domain shall serve, as far as this process has heard."""
        return (self._wanted or {}).get(domain)

    def failure(self, domain: str) -> Failure | None:
        return self._failures.get(domain)

    async def forget(self, domain: str) -> None:
        """Stop serving a domain that was just deleted; nothing that is being built for it will be served."""
        async with self._comparing:
            if self._wanted is not None:
                self._wanted.pop(domain, None)
                self._registry.expect(self._wanted.keys())
            await self._drop(domain)

    def reasons(self) -> list[str]:
        """What keeps this process from being ready, or from being in full order."""
        reasons = [self._redis_fault] if self._redis_fault else []
        reasons += [f"domain {name}: what Redis holds of it cannot be read" for name in sorted(self._directory.damaged)]
        for name, wanted in (self._wanted or {}).items():
            failure, replica = self._failures.get(name), self._registry.get(name)
            if failure is not None:
                reasons.append(f"domain {name}: adapter {wanted.adapter.version} failed: {failure.error}")
            elif replica is None:
                reasons.append(f"domain {name}: adapter {wanted.adapter.version} is loading")
            elif replica.fault is not None and self._redis_fault is None:
                reasons.append(f"domain {name}: {replica.fault}")
        return reasons

    async def _listen(self) -> None:
        position = "0-0"
        while True:
            try:
                position = await self._directory.wait_for_wake_up(position)
            except RedisUnavailableError:
                await asyncio.sleep(_RECONNECT_SECONDS)
            self._wake.set()

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                refusal = await self._directory.refusal()
                self._note_redis(refusal or self._redis_fault)
                async with self._comparing:
                    await self._compare()
            except RedisUnavailableError as error:
                self._note_redis(error.detail)
            except Exception as error:
                log.exception("reconcile-failed")
                # What is served stays, but no choice is followed any more, which somebody waits for.
                reason = f"{type(error).__name__}, of which the log says more"
                self._note_redis(f"the domains in Redis cannot be compared with those served: {reason}")
            else:
                self._note_redis(refusal)

    def _note_redis(self, fault: str | None) -> None:
        if fault == self._redis_fault:
            return
        if fault is not None:
            log.warning("redis-unavailable", reason=fault)
        elif self._redis_fault != _NOT_ASKED:
            log.info("redis-available")
        self._redis_fault = fault

    async def _compare(self) -> None:
        serving = bool(self._registry.domains)
        wanted = {choice.domain: choice for choice in await self._directory.list_ours(serving=serving)}
        # Of one whose choice cannot be read any more, the one that was heard before holds.
        known = self._wanted or {}
        wanted.update({domain: known[domain] for domain in self._directory.damaged if domain in known})
        self._wanted = wanted
        self._registry.expect(wanted.keys() | self._directory.damaged)
        for domain in self._registry.domains:
            replica = self._registry.replica(domain)
            if domain not in wanted or wanted[domain].incarnation != replica.wanted.incarnation:
                await self._drop(domain)
        for choice in wanted.values():
            if choice.domain not in self._jobs:
                await self._converge(choice)
        self._forget_all_but(wanted)
        self._was_ready = self._was_ready or all(
            self._registry.get(domain) is not None or domain in self._failures for domain in wanted
        )

    def _forget_all_but(self, wanted: Mapping[str, WantedDomain]) -> None:
        """Let go of what is known of domains that are gone, however many came and went."""
        self._failures = {domain: failure for domain, failure in self._failures.items() if domain in wanted}
        self._observer.listed(wanted.values())
        # A job that was broken off may count something yet.
        measured = frozenset(wanted) | frozenset(self._jobs)
        for domain in self._measured - measured:
            self._context.metrics.forget_domain(domain)
        self._measured = measured

    async def _converge(self, wanted: WantedDomain) -> None:
        replica = self._registry.get(wanted.domain)
        if replica is None or replica.adapter.bundle.sha256 != wanted.adapter.sha256:
            failure = self._failures.get(wanted.domain)
            now = asyncio.get_running_loop().time()
            if failure is None or failure.revision != wanted.revision or now >= failure.retry_at:
                self._start_job(wanted.domain, self._swap(wanted, replica))
        elif replica.wanted.revision != wanted.revision:
            replica.wanted = wanted  # the same adapter was chosen again
            self._failures.pop(wanted.domain, None)
            await self._observer.served(wanted)
        elif replica.snapshot.needs_compaction:
            self._start_job(wanted.domain, self._compact(replica))

    def _start_job(self, domain: str, work: Coroutine[Any, Any, None]) -> None:
        job = asyncio.create_task(self._do(work), name=f"build {domain}")
        self._jobs[domain] = job
        job.add_done_callback(lambda _: self._finish_job(domain))

    async def _do(self, work: Coroutine[Any, Any, None]) -> None:
        await work
        # What it needed and what it replaced are let go by now, but for the requests in flight.
        await asyncio.get_running_loop().run_in_executor(self._context.build, give_back)

    def _finish_job(self, domain: str) -> None:
        del self._jobs[domain]
        self._wake.set()

    async def _swap(self, wanted: WantedDomain, previous: DomainReplica | None) -> None:
        try:
            replica = await self._builder.build(
                wanted, previous, lambda share: self._observer.progressed(wanted, share)
            )
        except RedisUnavailableError:
            return  # says nothing about the adapter; the loop tries again when Redis answers
        except Exception as error:
            await self._note_failure(wanted, error)
            return
        if not await self._install(replica, previous):
            return
        log.info(
            "adapter-served", domain=wanted.domain, adapter_version=wanted.adapter.version, items=len(replica.snapshot)
        )
        self._context.metrics.swaps.labels(wanted.domain, "succeeded").inc()
        await self._observer.served(wanted)
        if previous is not None:
            await self._drop_old_codes(replica, previous)
        try:
            await self._builder.tidy((self._wanted or {}).values())
        except OSError as error:
            log.warning("old-adapters-kept", reason=str(error))  # the next swap removes them

    async def _compact(self, previous: DomainReplica) -> None:
        try:
            replica = await self._builder.compact(previous)
        except Exception:
            log.exception("compaction-failed", domain=previous.domain)  # what is served stays right, if slower
        else:
            await self._install(replica, previous)

    async def _install(self, replica: DomainReplica, previous: DomainReplica | None) -> bool:
        wanted = self.wanted(replica.domain)
        if wanted is None or wanted.incarnation != replica.wanted.incarnation:
            await replica.stop()  # the domain was deleted while its replica was being built
            return False
        self._registry.install(replica)
        self._failures.pop(replica.domain, None)
        if previous is not None:
            await previous.stop()
        return True

    async def _note_failure(self, wanted: WantedDomain, error: Exception) -> None:
        reason = error.detail if isinstance(error, VqrecError) else f"{type(error).__name__}: {error}"
        log.error("adapter-failed", domain=wanted.domain, adapter_version=wanted.adapter.version, exc_info=error)
        self._context.metrics.swaps.labels(wanted.domain, "failed").inc()
        before = self._failures.get(wanted.domain)
        attempts = before.attempts + 1 if before is not None and before.revision == wanted.revision else 1
        delay = min(_BACKOFF * 2 ** (attempts - 1), _LAST_BACKOFF)
        retry_at = asyncio.get_running_loop().time() + delay
        self._failures[wanted.domain] = Failure(wanted.revision, reason, attempts, retry_at)
        await self._observer.failed(wanted, reason)

    async def _drop_old_codes(self, replica: DomainReplica, previous: DomainReplica) -> None:
        # The quantiser before is kept, so that a rollback finds its codes.
        kept = {replica.adapter.quantizer.sha256, previous.adapter.quantizer.sha256}
        try:
            await self._directory.drop_other_codes(replica.domain, kept)
        except RedisUnavailableError:
            log.warning("old-codes-kept", domain=replica.domain)  # the next swap drops them

    async def _drop(self, domain: str) -> None:
        job = self._jobs.get(domain)
        if job is not None:
            job.cancel()  # what it waits for in the stream is gone, and the next domain of this name waits for it
        replica = self._registry.remove(domain)
        if replica is not None:
            await replica.stop()

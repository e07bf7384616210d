"""The domains that this process serves. A request takes a snapshot here once and keeps it to its end."""

import asyncio
from collections.abc import Collection, Sequence

import numpy as np
import numpy.typing as npt

from service.catalog.replica import DomainReplica
from service.catalog.snapshot import DomainSnapshot
from service.catalog.stream import StreamId
from service.errors import DomainLoadingError, NotAppliedYetError, UnknownDomainError
from service.inference.recommender import Recommender
from service.inference.runtime import InferenceRuntime, RuntimeProvider
from service.metrics import Metrics


class Registry:
    """Domain ─► replica. The reconciler puts replicas in and takes them out, each by one assignment."""

    def __init__(self, runtimes: RuntimeProvider, metrics: Metrics) -> None:
        self._runtimes = runtimes
        self._metrics = metrics
        self._replicas: dict[str, DomainReplica] = {}
        self._wanted: frozenset[str] | None = None

    @property
    def domains(self) -> list[str]:
        """The names of the domains that are served, in order."""
        return sorted(self._replicas)

    @property
    def recommender(self) -> Recommender:
        return self._runtime().recommender

    async def encode_texts(self, domain: str, texts: Sequence[str]) -> npt.NDArray[np.float16]:
        """Text vectors float16 [n, text_dim] by the text encoder of the domain's backbone."""
        self.replica(domain)
        return await self._runtime().text_encoding.encode(texts, domain)

    def snapshot(self, domain: str) -> DomainSnapshot:
        """The domain as it is now.

        Raises:
            UnknownDomainError: if there is no such domain.
            DomainLoadingError: if there is, but this process does not serve it yet.
        """
        return self.replica(domain).snapshot

    def replica(self, domain: str) -> DomainReplica:
        """The replica behind :meth:`snapshot`, with the same errors."""
        replica = self._replicas.get(domain)
        if replica is not None:
            return replica
        if self._wanted is None or domain in self._wanted:
            raise DomainLoadingError(f"the domain {domain!r} is not loaded yet; /readyz says what is missing")
        raise UnknownDomainError(f"there is no domain {domain!r}; GET /v1/domains lists those there are")

    async def applied(self, domain: str, change: StreamId, timeout_seconds: float) -> None:
        """Wait until a change of this domain is served here.

        Raises:
            NotAppliedYetError: if that takes longer than ``timeout_seconds``; the change is stored all the same.
            UnknownDomainError: if the domain was deleted meanwhile.
        """
        try:
            async with asyncio.timeout(timeout_seconds):
                while not await self.replica(domain).reached(change):  # noqa: ASYNC110
                    await asyncio.sleep(0)  # it was replaced just now, and its successor is asked next
        except TimeoutError as error:
            raise NotAppliedYetError(
                "the write is stored and will be served here soon; no need to repeat it"
            ) from error

    def expect(self, domains: Collection[str]) -> None:
        """Note which domains there are, served or not."""
        self._wanted = frozenset(domains)

    def get(self, domain: str) -> DomainReplica | None:
        return self._replicas.get(domain)

    def install(self, replica: DomainReplica) -> None:
        """Serve this replica from now on; requests in flight keep the snapshot that they took."""
        self._replicas[replica.domain] = replica
        self._metrics.catalogue_items.labels(replica.domain).set(len(replica.snapshot))

    def remove(self, domain: str) -> DomainReplica | None:
        """Stop serving a domain."""
        replica = self._replicas.pop(domain, None)
        if replica is not None:
            self._metrics.catalogue_items.remove(domain)
        return replica

    def _runtime(self) -> InferenceRuntime:
        if self._runtimes.current is None:
            raise DomainLoadingError("the models are not loaded yet; /readyz says what is missing")
        return self._runtimes.current

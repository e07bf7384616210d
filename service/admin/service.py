"""The admin calls: everything is checked before anything is written, and writing is a compare-and-set."""

import asyncio

import structlog

from models.adapter import DomainAdapter
from models.errors import ArtifactMismatchError
from service.admin.operations import Operation, Operations
from service.admin.schemas import AdapterRequest, DryRunAnswer
from service.catalog.directory import FIRST_REVISION, AdapterChoice, DomainDirectory, WantedDomain, follow_damaged
from service.catalog.reconciler import Reconciler
from service.catalog.registry import Registry
from service.catalog.sources import AdapterSources, check_backbone
from service.errors import DamagedChoiceError, UnknownDomainError, VersionConflictError

log = structlog.get_logger(__name__)

_LOADS_AT_ONCE = 2  # of the threads for what blocks: a source may not answer for minutes


class AdminService:
    """Chooses adapters and deletes domains; the reconcilers of all processes do the rest."""

    def __init__(
        self,
        directory: DomainDirectory,
        sources: AdapterSources,
        operations: Operations,
        registry: Registry,
        reconciler: Reconciler,
    ) -> None:
        self._directory, self._sources, self._operations = directory, sources, operations
        self._registry, self._reconciler = registry, reconciler
        self._loading = asyncio.Semaphore(_LOADS_AT_ONCE)

    async def put_adapter(self, domain: str, request: AdapterRequest) -> Operation | DryRunAnswer:
        """Choose the adapter that every replica shall serve ``domain`` with.

        A choice that cannot be read any more is written anew. Its items lie beside it and are kept, and it goes on from
        the choice before, as far as that was heard or can be read, so that what is served is swapped and not dropped.

        Raises:
            VersionConflictError: if the domain's version is not the expected one, or another call came first.
            VqrecError: if the adapter is not there, damaged, not the one that was meant, or for another backbone.
        """
        damaged: DamagedChoiceError | None = None
        try:
            current = await self._directory.get(domain)
        except DamagedChoiceError as error:
            if request.expects_something:
                raise
            current, damaged = self._reconciler.wanted(domain), error
        _check_expected(request, current)
        async with self._loading:
            adapter = await asyncio.to_thread(self._load, request)
        check_backbone(adapter, await self._directory.backbone())
        if adapter.bundle.manifest.domain != domain:
            made_for = adapter.bundle.manifest.domain
            log.warning("adapter-of-another-domain", domain=domain, adapter=adapter.version, made_for=made_for)
        if request.dry_run:
            return self._plan(domain, current, adapter, damaged)
        source = await asyncio.to_thread(self._sources.canonical, request.source)
        choice = self._next(domain, current, AdapterChoice(source, adapter.bundle.sha256), damaged)
        is_chosen = damaged is None and current is not None and current.adapter == choice.adapter
        if is_chosen and self._serves(choice):
            done = Operation.of(choice).succeeded()
            await self._operations.write(done)
            return done
        return await self._choose(choice, adapter.bundle.manifest.backbone, damaged)

    async def roll_back(self, domain: str) -> Operation:
        """Choose the adapter before the present one.

        Raises:
            UnknownDomainError: if there is no such domain.
            VersionConflictError: if it never had another adapter.
            VqrecError: if the adapter is no longer there or whole.
        """
        current = await self._directory.get(domain)
        if current is None:
            raise UnknownDomainError(f"there is no domain {domain!r}")
        if current.previous is None:
            raise VersionConflictError(f"the domain {domain!r} has had no adapter before {current.adapter.version}")
        request = AdapterRequest(source=current.previous.source, sha256=current.previous.sha256)
        async with self._loading:
            adapter = await asyncio.to_thread(self._load, request)
        return await self._choose(self._next(domain, current, current.previous), adapter.bundle.manifest.backbone)

    async def delete_domain(self, domain: str) -> None:
        """Delete a domain, its adapter's choice and all its items.

        Raises:
            UnknownDomainError: if there is no such domain.
        """
        if not await self._directory.exists(domain):
            raise UnknownDomainError(f"there is no domain {domain!r}")
        await self._directory.delete(domain)
        await self._reconciler.forget(domain)
        await self._directory.wake_reconcilers()

    async def operation(self, operation_id: str) -> Operation:
        return await self._operations.get(operation_id)

    async def _choose(
        self, choice: WantedDomain, backbone: str, damaged: DamagedChoiceError | None = None
    ) -> Operation:
        await self._enlist(choice.domain, backbone)
        taken = Operation.of(choice)
        self._operations.take(taken)
        try:
            if damaged is not None:
                is_written = await self._directory.replace_damaged(choice, damaged.stored)
            else:
                is_written = await self._directory.choose(choice)
            if not is_written:
                self._operations.drop(choice.operation)
                raise VersionConflictError(
                    f"another call changed the domain {choice.domain!r} meanwhile; look and try again"
                )
        finally:
            self._operations.chosen(choice.operation)
        await self._enlist(choice.domain, backbone)  # again, since a delete may have run in between
        operation = await self._operations.store(taken)
        await self._directory.wake_reconcilers()
        return operation

    async def _enlist(self, domain: str, backbone: str) -> None:
        bound = await self._directory.enlist(domain, backbone)
        if bound != backbone:
            raise ArtifactMismatchError(
                f"the adapter was made for the backbone {backbone[:12]}, the other domains run {bound[:12]}: "
                f"make one with `vqrec adapt --backbone` and {bound[:12]}, or delete those domains first"
            )

    def _next(
        self,
        domain: str,
        current: WantedDomain | None,
        adapter: AdapterChoice,
        damaged: DamagedChoiceError | None = None,
    ) -> WantedDomain:
        operation = self._operations.new_id()
        if current is None and damaged is not None:
            return follow_damaged(domain, damaged.stored, operation, adapter)
        if current is None:
            return WantedDomain(domain, operation, FIRST_REVISION, operation, adapter, None)
        return WantedDomain(domain, current.incarnation, current.revision + 1, operation, adapter, current.adapter)

    def _load(self, request: AdapterRequest) -> DomainAdapter:
        adapter = self._sources.load(request.source, request.sha256)
        self._sources.check_models(adapter)
        return adapter

    def _plan(
        self,
        domain: str,
        current: WantedDomain | None,
        adapter: DomainAdapter,
        damaged: DamagedChoiceError | None,
    ) -> DryRunAnswer:
        replica = self._registry.get(domain)
        there = current is not None or damaged is not None
        same = damaged is None and current is not None and current.adapter.sha256 == adapter.bundle.sha256
        return DryRunAnswer(
            domain=domain,
            action="create" if not there else "nothing" if same else "replace",
            adapter_version=adapter.version,
            sha256=adapter.bundle.sha256,
            replaces=current.adapter.version if current else None,
            items=len(replica.snapshot) if replica else 0,
            codes_kept=replica is not None and replica.adapter.quantizer.sha256 == adapter.quantizer.sha256,
        )

    def _serves(self, choice: WantedDomain) -> bool:
        replica = self._registry.get(choice.domain)
        return replica is not None and replica.adapter.bundle.sha256 == choice.adapter.sha256


def _check_expected(request: AdapterRequest, current: WantedDomain | None) -> None:
    if not request.expects_something:
        return
    found = current.adapter.version if current else None
    if request.expected_version != found:
        expected = f"the version {request.expected_version}" if request.expected_version else "no such domain"
        raise VersionConflictError(
            f"expected {expected}, but " + (f"the domain's version is {found}" if found else "there is no such domain")
        )

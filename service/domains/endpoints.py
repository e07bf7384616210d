"""``/v1/domains``: what is served. Answered from memory, so it works without Redis."""

from fastapi import APIRouter, Depends

from service.catalog.directory import WantedDomain
from service.catalog.replica import DomainReplica
from service.dependencies import Domain, State, ThisCaller
from service.domains.schemas import DomainDetails, DomainList, DomainSummary
from service.errors import DomainLoadingError
from service.json_route import StrictJsonRoute
from service.openapi import OF_A_DOMAIN, raises
from service.security import require_scope
from service.state import AppState

router = APIRouter(
    prefix="/domains", tags=["domains"], route_class=StrictJsonRoute, dependencies=[Depends(require_scope("read"))]
)


@router.get("", response_model_exclude_none=True)
@raises(DomainLoadingError)
async def list_domains(state: State, caller: ThisCaller) -> DomainList:
    """Every domain that the key is for, those that are still loading included."""
    if not state.reconciler.knows_domains:
        raise DomainLoadingError("the domains are not known yet; /readyz says what is missing")
    names = filter(caller.covers, state.reconciler.domains)
    return DomainList(domains=[_summary(name, state.registry.get(name)) for name in names])


@router.get("/{domain}", response_model_exclude_none=True)
@raises(*OF_A_DOMAIN)
async def get_domain(domain: Domain, state: State) -> DomainDetails:
    """One domain in detail."""
    wanted, replica = state.reconciler.wanted(domain), state.registry.get(domain)
    if wanted is None:
        replica = state.registry.replica(domain)  # raises what is the matter
    return _details(domain, wanted, replica, _last_error(domain, state, replica))


def _summary(domain: str, replica: DomainReplica | None) -> DomainSummary:
    if replica is None:
        return DomainSummary(domain=domain, items=0)
    snapshot = replica.snapshot
    return DomainSummary(
        domain=domain,
        items=len(snapshot),
        adapter_version=snapshot.adapter.version,
        index=snapshot.index_kind,
        memory_bytes=snapshot.memory_bytes(),
    )


def _details(
    domain: str, wanted: WantedDomain | None, replica: DomainReplica | None, last_error: str | None
) -> DomainDetails:
    summary = _summary(domain, replica).model_dump()
    served = summary["adapter_version"]
    wanted_version = wanted.adapter.version if wanted and wanted.adapter.version != served else None
    previous_version = wanted.previous.version if wanted and wanted.previous else None
    details = DomainDetails(
        **summary, wanted_version=wanted_version, previous_version=previous_version, last_error=last_error
    )
    if replica is None:
        return details
    bundle, snapshot = replica.adapter.bundle, replica.snapshot
    items = max(1, len(snapshot))
    return details.model_copy(
        update={
            "adapter_sha256": bundle.sha256,
            "backbone": bundle.manifest.backbone,
            "quantizer": bundle.manifest.quantizer,
            "index_reason": snapshot.large.index_reason,
            "index_recall": snapshot.large.index.recall,
            "index_bytes_per_item": round(snapshot.index_bytes() / items, 1),
            "index_memory_bytes": snapshot.config.memory_bytes,
            "bytes_per_item": round(snapshot.memory_bytes() / items, 1),
            "metrics": bundle.manifest.metrics,
        }
    )


def _last_error(domain: str, state: AppState, replica: DomainReplica | None) -> str | None:
    failure = state.reconciler.failure(domain)
    if failure is not None:
        return failure.error
    return replica.fault if replica is not None else None

"""``/v1/admin``: which adapter each domain is served with."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Response
from fastapi.responses import JSONResponse

from models.errors import ArtifactMismatchError, ArtifactNotFoundError, InvalidArtifactError, InvalidCodesError
from service.admin.operations import Operation
from service.admin.schemas import ACCEPTED, AdapterRequest, DryRunAnswer, OperationAnswer
from service.admin.service import AdminService
from service.dependencies import Domain, ThisCaller, admin_service
from service.errors import (
    InvalidSourceError,
    RedisUnavailableError,
    RetryableError,
    UnknownDomainError,
    UnknownOperationError,
    VersionConflictError,
)
from service.json_route import StrictJsonRoute
from service.openapi import raises
from service.security import require_scope

router = APIRouter(
    prefix="/admin", tags=["admin"], route_class=StrictJsonRoute, dependencies=[Depends(require_scope("admin"))]
)

Admin = Annotated[AdminService, Depends(admin_service)]
# Whatever a segment of a path may hold, up to a length: an id that nobody gave out is unknown, not wrong.
OperationId = Annotated[
    str,
    Path(
        pattern=r"^[^/\u0000-\u001f\u007f-\u009f]{1,64}$",
        description="As a choice of adapter was answered; at most 64 characters.",
    ),
]

_READING = (ArtifactNotFoundError, ArtifactMismatchError, InvalidArtifactError, InvalidCodesError, InvalidSourceError)
_CHOOSING = (*_READING, VersionConflictError, RedisUnavailableError, RetryableError)


@router.put(
    "/domains/{domain}/adapter",
    status_code=202,
    response_model=OperationAnswer,
    response_model_exclude_none=True,
    responses={202: ACCEPTED, 200: {"model": DryRunAnswer, "description": "What it would do, for a dry run"}},
)
@raises(*_CHOOSING)
async def put_adapter(
    domain: Domain, body: AdapterRequest, admin: Admin, response: Response
) -> OperationAnswer | JSONResponse:
    """Serve a domain with this adapter; a new name creates the domain."""
    outcome = await admin.put_adapter(domain, body)
    if isinstance(outcome, DryRunAnswer):
        return JSONResponse(outcome.model_dump(exclude_none=True))
    return _accepted(outcome, response)


@router.post(
    "/domains/{domain}/adapter:rollback",
    status_code=202,
    response_model_exclude_none=True,
    responses={202: ACCEPTED},
)
@raises(*_CHOOSING, UnknownDomainError)
async def roll_back(domain: Domain, admin: Admin, response: Response) -> OperationAnswer:
    """Go back to the adapter before."""
    return _accepted(await admin.roll_back(domain), response)


@router.get("/operations/{operation_id}", response_model_exclude_none=True)
@raises(UnknownOperationError, RedisUnavailableError)
async def get_operation(operation_id: OperationId, admin: Admin, caller: ThisCaller) -> OperationAnswer:
    """How an operation fares in this process."""
    operation = await admin.operation(operation_id)
    if not caller.covers(operation.domain):
        raise UnknownOperationError.of(operation_id)  # so that those of other domains do not show
    return operation.answer()


@router.delete("/domains/{domain}", status_code=204)
@raises(UnknownDomainError, RedisUnavailableError)
async def delete_domain(domain: Domain, admin: Admin) -> None:
    """Delete a domain and its data."""
    await admin.delete_domain(domain)


def _accepted(operation: Operation, response: Response) -> OperationAnswer:
    response.headers["Location"] = f"/v1/admin/operations/{operation.id}"
    return operation.answer()

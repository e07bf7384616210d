"""``/v1/admin``: which adapter each domain is served with."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response

from service.admin.operations import Operation
from service.admin.schemas import AdapterRequest, DryRunAnswer, OperationAnswer
from service.admin.service import AdminService
from service.dependencies import Domain, admin_service
from service.json_route import StrictJsonRoute
from service.security import require_scope

router = APIRouter(
    prefix="/admin", tags=["admin"], route_class=StrictJsonRoute, dependencies=[Depends(require_scope("admin"))]
)

Admin = Annotated[AdminService, Depends(admin_service)]


@router.put("/domains/{domain}/adapter", status_code=202, response_model_exclude_none=True)
async def put_adapter(
    domain: Domain, body: AdapterRequest, admin: Admin, response: Response
) -> OperationAnswer | DryRunAnswer:
    """Serve a domain with this adapter; a new name creates the domain."""
    outcome = await admin.put_adapter(domain, body)
    if isinstance(outcome, DryRunAnswer):
        response.status_code = 200
        return outcome
    return _accepted(outcome, response)


@router.post("/domains/{domain}/adapter:rollback", status_code=202, response_model_exclude_none=True)
async def roll_back(domain: Domain, admin: Admin, response: Response) -> OperationAnswer:
    """Go back to the adapter before."""
    return _accepted(await admin.roll_back(domain), response)


@router.get("/operations/{operation_id}", response_model_exclude_none=True)
async def get_operation(operation_id: str, admin: Admin) -> OperationAnswer:
    """How an operation fares in this process."""
    return (await admin.operation(operation_id)).answer()


@router.delete("/domains/{domain}", status_code=204)
async def delete_domain(domain: Domain, admin: Admin) -> None:
    """Delete a domain and its data."""
    await admin.delete_domain(domain)


def _accepted(operation: Operation, response: Response) -> OperationAnswer:
    response.headers["Location"] = f"/v1/admin/operations/{operation.id}"
    return operation.answer()

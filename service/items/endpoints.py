"""Items over REST, one at a time and in bulk."""

from collections import Counter
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request, Response

from models.errors import InvalidItemError
from service.dependencies import Domain, State, item_service
from service.errors import (
    BadRequestError,
    NotAppliedYetError,
    PayloadTooLargeError,
    RedisUnavailableError,
    UnknownItemError,
    UnsupportedMediaTypeError,
)
from service.items.schemas import (
    BULK_BODY,
    STORED_LINKS,
    BulkAnswer,
    BulkResult,
    ItemAnswer,
    ItemBody,
    ItemId,
    ItemPatch,
    WriteAnswer,
)
from service.items.service import ItemService, Outcome
from service.json_route import StrictJsonRoute
from service.openapi import OF_A_DOMAIN, QUEUED, WRITING, raises
from service.security import charge, require_scope

router = APIRouter(prefix="/domains/{domain}", tags=["items"], route_class=StrictJsonRoute)

Items = Annotated[ItemService, Depends(item_service)]
# An id may hold slashes, so it is the whole rest of the path.
PathItemId = Annotated[ItemId, Path(description="1 to 256 characters of any script, slashes included.")]
_STORED: dict[int | str, dict[str, Any]] = {
    200: {"links": STORED_LINKS},
    201: {"links": STORED_LINKS, "model": WriteAnswer},
}
_READ, _INGEST = Depends(require_scope("read")), Depends(require_scope("ingest"))


@router.post("/items:bulk", dependencies=[_INGEST], response_model_exclude_none=True, openapi_extra=BULK_BODY)
@raises(*OF_A_DOMAIN, *QUEUED, *WRITING, BadRequestError, UnsupportedMediaTypeError, PayloadTooLargeError)
async def put_items(domain: Domain, request: Request, state: State, items: Items) -> BulkAnswer:
    """Store many items: a JSON array, or NDJSON with an item a line."""
    raw = await request.body()
    content_type = request.headers.get("content-type", "")
    with state.metrics.stage("validate"):
        entries = await state.bulks.read(raw, content_type)
    charge(request, len(entries))
    valid = [(entry.item_id, entry.record) for entry in entries if entry.item_id is not None and entry.record]
    outcomes = iter(await items.put(domain, valid))
    results = [
        _result(index, next(outcomes))
        if entry.record
        else BulkResult(index=index, item_id=entry.item_id, status="invalid", error=entry.error)
        for index, entry in enumerate(entries)
    ]
    counts = Counter(result.status for result in results)
    return BulkAnswer(
        results=results,
        created=counts["created"],
        updated=counts["updated"],
        unchanged=counts["unchanged"],
        invalid=counts["invalid"],
    )


@router.get("/items/{item_id:path}", dependencies=[_READ])
@raises(*OF_A_DOMAIN, UnknownItemError, RedisUnavailableError)
async def get_item(domain: Domain, item_id: PathItemId, items: Items) -> ItemAnswer:
    """An item as it is stored."""
    stored = await items.get(domain, item_id)
    record = stored.record
    return ItemAnswer(
        item_id=item_id,
        text=record.text,
        attributes=record.attributes,
        available=record.available,
        version=stored.version,
    )


@router.put("/items/{item_id:path}", dependencies=[_INGEST], responses=_STORED)
@raises(*OF_A_DOMAIN, *QUEUED, *WRITING, InvalidItemError)
async def put_item(
    domain: Domain, item_id: PathItemId, body: ItemBody, items: Items, response: Response
) -> WriteAnswer:
    """Store an item; when the call returns it can be recommended."""
    if body.item_id is not None and body.item_id != item_id:
        raise InvalidItemError("the item_id of the body is not the one of the path")
    (outcome,) = await items.put(domain, [(item_id, body.record())])
    if outcome.status == "created":
        response.status_code = 201
    return _answer(outcome)


@router.patch("/items/{item_id:path}", dependencies=[_INGEST])
@raises(*OF_A_DOMAIN, *WRITING, UnknownItemError, InvalidItemError)
async def patch_item(domain: Domain, item_id: PathItemId, body: ItemPatch, items: Items) -> WriteAnswer:
    """Change attributes and availability without encoding the text again."""
    return _answer(await items.patch(domain, item_id, body))


@router.delete("/items/{item_id:path}", dependencies=[_INGEST], status_code=204)
@raises(*OF_A_DOMAIN, UnknownItemError, RedisUnavailableError, NotAppliedYetError)
async def delete_item(domain: Domain, item_id: PathItemId, items: Items) -> None:
    """Delete an item."""
    await items.delete(domain, item_id)


def _answer(outcome: Outcome) -> WriteAnswer:
    return WriteAnswer(item_id=outcome.item_id, status=outcome.status, version=outcome.version)


def _result(index: int, outcome: Outcome) -> BulkResult:
    return BulkResult(index=index, item_id=outcome.item_id, status=outcome.status, version=outcome.version)

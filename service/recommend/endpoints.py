"""Recommendations and similar items over REST."""

from time import perf_counter
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from starlette.routing import BaseRoute

from service.dependencies import Domain, recommend_service
from service.errors import DeadlinePassedError, NotAvailableYetError, UnknownItemError
from service.openapi import OF_A_DOMAIN, QUEUED, raises
from service.readable import NAME_PATTERN
from service.recommend.answers import answer_document, json_bytes, similar_document
from service.recommend.aside import run_sized
from service.recommend.deadline import TimedJsonRoute, read_timeout
from service.recommend.schemas import (
    BatchRequest,
    BatchResponse,
    ItemId,
    Limit,
    RecommendRequest,
    RecommendResponse,
    SimilarResponse,
)
from service.recommend.service import RecommendService
from service.security import charge, require_scope

router = APIRouter(
    prefix="/domains/{domain}",
    tags=["recommendations"],
    dependencies=[Depends(require_scope("read")), Depends(read_timeout)],
    route_class=TimedJsonRoute,
)

Service = Annotated[RecommendService, Depends(recommend_service)]


# They give the bytes of their answers: the models say what these hold, and need not validate what was made here.


@router.post("/recommendations", response_model=RecommendResponse)
@raises(*OF_A_DOMAIN, *QUEUED, DeadlinePassedError, NotAvailableYetError)
async def recommend(
    domain: Domain,
    body: RecommendRequest,
    request: Request,
    service: Service,
) -> Response:
    """The items that a shopper with this history takes next."""
    start = perf_counter()
    answers = await service.recommend(domain, [body])
    return _json(answer_document(answers[0], request.state.request_id, domain, _milliseconds_since(start)))


@router.post("/recommendations:batch", response_model=BatchResponse)
@raises(*OF_A_DOMAIN, *QUEUED, DeadlinePassedError, NotAvailableYetError)
async def recommend_batch(
    domain: Domain,
    body: BatchRequest,
    request: Request,
    service: Service,
) -> Response:
    """The same for many histories, answered together."""
    start = perf_counter()
    charge(request, len(body.requests))
    answers = await service.recommend(domain, body.requests)
    took, request_id = _milliseconds_since(start), request.state.request_id

    def written() -> Response:
        return _json({"results": [answer_document(answer, request_id, domain, took) for answer in answers]})

    return await run_sized(sum(len(answer.items) for answer in answers), written)


@router.get("/items/{item_id:path}/similar", response_model=SimilarResponse)
@raises(*OF_A_DOMAIN, *QUEUED, DeadlinePassedError, UnknownItemError)
async def similar(
    domain: Domain,
    item_id: Annotated[ItemId, Path(json_schema_extra={"pattern": NAME_PATTERN})],
    request: Request,
    service: Service,
    limit: Annotated[Limit, Query()] = 10,
) -> Response:
    """The items nearest to this one."""
    start = perf_counter()
    answer = await service.similar(domain, item_id, limit)
    return _json(similar_document(answer, request.state.request_id, domain, _milliseconds_since(start)))


def recommend_route() -> BaseRoute:
    """The route of :func:`recommend`."""
    return next(route for route in router.routes if getattr(route, "endpoint", None) is recommend)


def _json(document: object) -> Response:
    return Response(json_bytes(document), media_type="application/json")


def _milliseconds_since(start: float) -> float:
    return (perf_counter() - start) * 1000

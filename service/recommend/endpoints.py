"""Recommendations and similar items over REST."""

from time import perf_counter
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request

from service.dependencies import Domain, recommend_service
from service.json_route import StrictJsonRoute
from service.recommend.schemas import (
    BatchRequest,
    BatchResponse,
    ItemId,
    Limit,
    RecommendRequest,
    RecommendResponse,
    SimilarResponse,
)
from service.recommend.service import Answer, RecommendService
from service.security import require_scope

router = APIRouter(
    prefix="/domains/{domain}",
    tags=["recommendations"],
    dependencies=[Depends(require_scope("read"))],
    route_class=StrictJsonRoute,
)

Service = Annotated[RecommendService, Depends(recommend_service)]


@router.post("/recommendations", response_model_exclude_none=True)
async def recommend(domain: Domain, body: RecommendRequest, request: Request, service: Service) -> RecommendResponse:
    """The items that a shopper with this history takes next."""
    start = perf_counter()
    answers = await service.recommend(domain, [body])
    return _response(request, domain, answers[0], start)


@router.post("/recommendations:batch", response_model_exclude_none=True)
async def recommend_batch(domain: Domain, body: BatchRequest, request: Request, service: Service) -> BatchResponse:
    """The same for many histories, answered together."""
    start = perf_counter()
    answers = await service.recommend(domain, body.requests)
    return BatchResponse(results=[_response(request, domain, answer, start) for answer in answers])


@router.get("/items/{item_id:path}/similar", response_model_exclude_none=True)
async def similar(
    domain: Domain,
    item_id: Annotated[ItemId, Path()],
    request: Request,
    service: Service,
    limit: Annotated[Limit, Query()] = 10,
) -> SimilarResponse:
    """The items nearest to this one."""
    start = perf_counter()
    answer = await service.similar(domain, item_id, limit)
    return SimilarResponse(
        request_id=request.state.request_id,
        domain=domain,
        adapter_version=answer.adapter_version,
        items=answer.items,
        took_ms=_milliseconds_since(start),
    )


def _response(request: Request, domain: str, answer: Answer, start: float) -> RecommendResponse:
    return RecommendResponse(
        request_id=request.state.request_id,
        domain=domain,
        adapter_version=answer.adapter_version,
        items=answer.items,
        unknown_history_items=answer.unknown_history_items,
        fallback=answer.fallback,
        took_ms=_milliseconds_since(start),
    )


def _milliseconds_since(start: float) -> float:
    return (perf_counter() - start) * 1000

"""``/livez``, ``/readyz`` and ``/metrics``, which need no key."""

from typing import Literal

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel, Field

from service.dependencies import State

router = APIRouter(tags=["health"])


class Liveness(BaseModel):
    status: Literal["alive"] = "alive"


class Readiness(BaseModel):
    """Ready, ready but not in full order, or not ready; and why."""

    status: Literal["ready", "degraded", "loading"]
    reasons: list[str] = Field(default_factory=list)


@router.get("/livez")
async def livez() -> Liveness:
    """The process answers."""
    return Liveness()


@router.get("/readyz", responses={503: {"model": Readiness}})
async def readyz(state: State, response: Response) -> Readiness:
    """Whether this process can take requests. Once it could it stays ready: it goes on from memory without Redis."""
    reasons = state.reconciler.reasons()
    if not state.reconciler.ready:
        response.status_code = 503
        return Readiness(status="loading", reasons=reasons or ["the domains are not known yet"])
    return Readiness(status="degraded" if reasons else "ready", reasons=reasons)


@router.get("/metrics", response_class=Response)
async def metrics(state: State) -> Response:
    """What Prometheus reads."""
    state.metrics.ready.set(state.reconciler.ready)
    state.metrics.faults.set(len(state.reconciler.reasons()))
    return Response(generate_latest(state.metrics.registry), media_type=CONTENT_TYPE_LATEST)

"""``/livez``, ``/readyz`` and ``/metrics``, which need no key."""

from typing import Literal

from fastapi import APIRouter, Response
from fastapi.responses import PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel, Field

from service.dependencies import State
from service.state import AppState

router = APIRouter(tags=["health"])


class Liveness(BaseModel):
    status: Literal["alive"] = "alive"


class Readiness(BaseModel):
    """Ready, ready but not in full order, or not ready; and why."""

    status: Literal["ready", "degraded", "loading", "stopping"]
    reasons: list[str] = Field(default_factory=list)


@router.get("/livez")
async def livez() -> Liveness:
    """The process answers."""
    return Liveness()


@router.get("/readyz", responses={503: {"model": Readiness}})
async def readyz(state: State, response: Response) -> Readiness:
    """Whether to send requests here. Once it could take them it stays ready, also without Redis, until it stops."""
    reasons = _reasons(state)
    if state.stopping.begun:
        response.status_code = 503
        return Readiness(status="stopping", reasons=["the process was told to stop; what still comes is answered"])
    if not state.reconciler.ready:
        response.status_code = 503
        return Readiness(status="loading", reasons=reasons or ["the domains are not known yet"])
    return Readiness(status="degraded" if reasons else "ready", reasons=reasons)


@router.get("/metrics", response_class=PlainTextResponse)
async def metrics(state: State) -> Response:
    """What Prometheus reads."""
    state.metrics.ready.set(state.reconciler.ready and not state.stopping.begun)
    state.metrics.faults.set(len(_reasons(state)))
    return Response(await state.scrape.document(), media_type=CONTENT_TYPE_LATEST)


def _reasons(state: AppState) -> list[str]:
    """What keeps this process from being ready, or from being in full order."""
    return [*state.reconciler.reasons(), *state.access.reasons()]

"""What an endpoint may ask for with ``Depends``: each a part of the application's state."""

from typing import Annotated, cast

from fastapi import Depends, Path, Request

from models.manifest import DomainName
from service.admin.service import AdminService
from service.items.service import ItemService
from service.recommend.service import RecommendService
from service.security import Caller, the_caller
from service.state import AppState

# They are coroutines because FastAPI runs plain functions in its pool of threads, and these have nothing to wait for.


async def app_state(request: Request) -> AppState:
    return _state(request)


async def recommend_service(request: Request) -> RecommendService:
    return _state(request).recommend


async def item_service(request: Request) -> ItemService:
    return _state(request).items


async def admin_service(request: Request) -> AdminService:
    return _state(request).admin


def _state(request: Request) -> AppState:
    return cast(AppState, request.state.app)


ThisCaller = Annotated[Caller, Depends(the_caller)]
State = Annotated[AppState, Depends(app_state)]
Domain = Annotated[DomainName, Path(description="The name of a domain, e.g. a shop.")]

"""The time that a request gives its answer: when it has passed nobody waits any more, and nothing is computed."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from time import perf_counter
from typing import Annotated, Any, TypeVar

from fastapi import Header, Request, Response
from pydantic import Field, TypeAdapter, ValidationError
from pydantic.json_schema import SkipJsonSchema

from service.errors import DeadlinePassedError
from service.json_route import StrictJsonRoute

T = TypeVar("T")

HEADER = "X-Request-Timeout-Ms"
MOST_MILLISECONDS = 600_000

_NAME = HEADER.lower().encode()

_Number = Annotated[int, Field(ge=1, le=MOST_MILLISECONDS)]
_NUMBER: TypeAdapter[int] = TypeAdapter(_Number)

_Milliseconds = Annotated[
    _Number | SkipJsonSchema[None],
    Header(
        alias=HEADER,
        examples=[2000],
        description="Milliseconds after which the caller does not want the answer any more, and gets 504.",
    ),
]


async def read_timeout(milliseconds: _Milliseconds = None) -> None:
    """A dependency that tells and checks what a request may say of its time, for :class:`TimedJsonRoute`."""


class TimedJsonRoute(StrictJsonRoute):
    """``APIRouter(route_class=TimedJsonRoute)``: all that is done for a request is done within its time.

    So is the reading of its body, which may have to wait for its turn.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_in_time(request: Request) -> Response:
            return await within(_milliseconds(request), request.state.started, handle(request))

        return handle_in_time


async def within(milliseconds: int | None, started: float, answer: Awaitable[T]) -> T:
    """The answer, if it is there in time.

    Args:
        started: when the request came, by ``perf_counter``.

    Raises:
        DeadlinePassedError: if it is not; what computes it is cancelled.
    """
    if milliseconds is None:
        return await answer
    deadline = asyncio.timeout(started + milliseconds / 1000 - perf_counter())
    try:
        async with deadline:
            return await answer
    except TimeoutError as error:
        if not deadline.expired():
            raise  # of something else
        raise DeadlinePassedError(f"the answer was not there within {milliseconds} ms, as {HEADER} asks") from error


def plain_milliseconds(headers: list[tuple[bytes, bytes]]) -> int | None:
    """What the headers ask for, if anything.

    Raises:
        ValueError: if it is not plainly a number that is allowed.
    """
    for name, value in headers:
        if name == _NAME:
            if not value.isdigit() or not 1 <= int(value) <= MOST_MILLISECONDS:
                raise ValueError(f"{HEADER} is not a number of milliseconds")
            return int(value)
    return None


def _milliseconds(request: Request) -> int | None:
    """What a request asks for; None also if :func:`read_timeout` is going to refuse it."""
    asked = request.headers.get(HEADER)
    try:
        return None if asked is None else _NUMBER.validate_python(asked)
    except ValidationError:
        return None

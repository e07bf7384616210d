"""The time that a request gives its answer: when it has passed nobody waits any more, and nothing is computed."""

import asyncio
from collections.abc import Awaitable
from typing import Annotated, TypeVar

from fastapi import Header, Request
from pydantic import Field
from pydantic.json_schema import SkipJsonSchema

from service.errors import DeadlinePassedError

T = TypeVar("T")

HEADER = "X-Request-Timeout-Ms"
MOST_MILLISECONDS = 600_000

_NAME = HEADER.lower().encode()

_Milliseconds = Annotated[
    Annotated[int, Field(ge=1, le=MOST_MILLISECONDS)] | SkipJsonSchema[None],
    Header(
        alias=HEADER,
        examples=[2000],
        description="Milliseconds after which the caller does not want the answer any more, and gets 504.",
    ),
]


async def read_timeout(request: Request, milliseconds: _Milliseconds = None) -> None:
    """A dependency that keeps what the request says of its time for :func:`within_timeout`."""
    request.state.timeout_milliseconds = milliseconds


async def within_timeout(request: Request, answer: Awaitable[T]) -> T:
    """See :func:`within`; for routes that depend on :func:`read_timeout`."""
    return await within(request.state.timeout_milliseconds, answer)


async def within(milliseconds: int | None, answer: Awaitable[T]) -> T:
    """The answer, if it is there in time.

    Raises:
        DeadlinePassedError: if it is not; what computes it is cancelled.
    """
    if milliseconds is None:
        return await answer
    deadline = asyncio.timeout(milliseconds / 1000)
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

"""How every router of the service reads JSON: what the standard does not know, and what is no text, is refused."""

import asyncio
from collections.abc import Callable, Coroutine
from email.message import Message
from functools import partial
from json import JSONDecodeError
from threading import Lock
from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic_core import from_json
from starlette.exceptions import HTTPException

from service.errors import UnsupportedMediaTypeError
from service.security import RequiredScope

__all__ = [
    "MAX_JSON_BYTES",
    "MAX_JSON_PARTS",
    "JSONDecodeError",
    "StrictJsonRequest",
    "StrictJsonRoute",
    "has_too_many_parts",
    "parse_json",
]


MAX_JSON_BYTES = 8 << 20
"""Of a body that is no bulk. To parse it stops all threads, for up to a tenth of a second for each MiB."""

_SMALL = 64 << 10  # bytes of a body that the event loop reads itself

MAX_JSON_PARTS = 350_000
"""Objects and lists in it, and colons, one behind each key: millions take the event loop seconds. A call of many needs
fewer, unless very many ids hold colons."""


class StrictJsonRequest(Request):
    """A request whose JSON body may hold no NaN, no Infinity, no lone surrogate and no endless nesting."""

    async def json(self) -> Any:  # noqa: ANN401  (any JSON value)
        if not hasattr(self, "_json"):
            body = await self.body()
            _check_size(body)
            self._json = parse_json(body)
        return self._json

    async def read_aside(self, validate: Callable[[Any], tuple[Any, list[Any]]], turn: asyncio.Semaphore) -> None:
        """Parse and validate a large body in a thread; the framework finds it valid at once then.

        What is no JSON is left to :meth:`json`.

        Args:
            validate: gives what a value is once it is valid, and what is wrong with it.
            turn: to hold a thread, from before it begins until it is done. If nobody waits any more, one that has begun
                holds it all the same; parsing holds the interpreter anyway, and other threads are for what waits.

        Raises:
            RequestValidationError: if anything is.
            HTTPException: if the body is too large.
        """
        body = await self.body()
        if len(body) <= _SMALL:
            return
        _check_size(body)
        loop, begun = asyncio.get_running_loop(), Lock()

        def parse() -> tuple[Any, list[Any]]:
            if not begun.acquire(blocking=False):
                return None, []  # to nobody
            try:
                return validate(parse_json(body))
            finally:
                loop.call_soon_threadsafe(turn.release)

        await turn.acquire()
        try:
            read, faults = await loop.run_in_executor(None, parse)
        except JSONDecodeError:
            return
        finally:
            if begun.acquire(blocking=False):  # no thread has, and now none will
                turn.release()
        if faults:
            raise RequestValidationError(faults)
        self._json = read


class StrictJsonRoute(APIRoute):
    """``APIRouter(route_class=StrictJsonRoute)``: the routes of this router read :class:`StrictJsonRequest`."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        takes_json = self.body_field is not None
        # One model: that of several parameters of the body would be another to the framework.
        validate = partial(self.body_field.validate, loc=("body",)) if self.body_field is not None else None
        guards = [each.dependency for each in self.dependencies if isinstance(each.dependency, RequiredScope)]

        async def handle_strictly(request: Request) -> Response:
            for guard in guards:
                await guard(request)  # the framework asks again, but only once it has read and parsed the body
            if request.headers.get("content-type") != "application/json" or "content-encoding" in request.headers:
                _check_encoding(request)
                if takes_json:
                    _check_content_type(request)
            strict = StrictJsonRequest(request.scope, request.receive)
            if validate is not None and _may_be_large(request):
                await strict.read_aside(validate, request.scope["state"]["app"].reading)
            return await handle(strict)

        return handle_strictly


def _may_be_large(request: Request) -> bool:
    length = request.headers.get("content-length", "")
    return not length.isdecimal() or int(length) > _SMALL


def _check_size(body: bytes) -> None:
    if len(body) > MAX_JSON_BYTES:
        raise HTTPException(413, f"a JSON body other than a bulk may have {MAX_JSON_BYTES} bytes")
    if has_too_many_parts(body):
        parts = f"{MAX_JSON_PARTS} objects and lists, and as many keys"
        raise HTTPException(413, f"a JSON body other than a bulk may hold {parts}")


def _check_content_type(request: Request) -> None:
    # Also with a body that would be JSON: what a web page may send to another site unasked is none.
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if given != "application/json" and not given.endswith("+json"):
        raise UnsupportedMediaTypeError("send the body with Content-Type: application/json")


def _check_encoding(request: Request) -> None:
    codings = {coding.strip().lower() for coding in request.headers.get("content-encoding", "").split(",")}
    if unknown := sorted(codings - {"", "identity"}):
        raise UnsupportedMediaTypeError(f"the Content-Encoding {unknown[0][:100]!r} is not read: send the body plain")
    content_type = Message()
    content_type["Content-Type"] = request.headers.get("content-type", "")
    charset = content_type.get_content_charset("utf-8")
    if charset not in ("utf-8", "utf8"):
        raise UnsupportedMediaTypeError(f"the charset {charset[:100]!r} is not read: send the body as UTF-8")


def has_too_many_parts(raw: bytes) -> bool:
    """Whether a body holds more than :data:`MAX_JSON_PARTS`; what stands in strings is counted, too."""
    if len(raw) <= MAX_JSON_PARTS:
        return False
    return raw.count(b"{") + raw.count(b"[") > MAX_JSON_PARTS or raw.count(b":") > MAX_JSON_PARTS


def parse_json(raw: bytes) -> Any:  # noqa: ANN401  (any JSON value)
    """Parse one JSON value.

    Raises:
        JSONDecodeError: if it is none; FastAPI answers a request with it, as it does for its own parser's.
    """
    try:
        return from_json(raw, allow_inf_nan=False, cache_strings="keys")  # ids and texts hardly ever come twice
    except ValueError as error:
        raise JSONDecodeError(str(error), "", 0) from error

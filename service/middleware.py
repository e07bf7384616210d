"""What surrounds every request, in plain ASGI: its id, its log line, its metrics, a path that can be read,
and the limit of its body."""

import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from time import perf_counter
from urllib.parse import unquote_to_bytes

import structlog
from prometheus_client import Counter, Histogram
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import BadRequestError
from service.metrics import Metrics
from service.problems import internal_problem, problem_of
from service.security import EVERY_ANSWER, caller_of

log = structlog.get_logger("service.access")

_REQUEST_ID = b"x-request-id"
API_PREFIX = "/v1"
_NO_ROUTE = "unknown"
_SANE_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")


class RequestIds:
    """The id of each request: the caller's, if it is a sane one, else a new one that comes once."""

    def __init__(self) -> None:
        self._process, self._numbers = secrets.token_hex(8), count()

    def of(self, headers: Sequence[tuple[bytes, bytes]]) -> str:
        for name, value in headers:
            if name == _REQUEST_ID:
                if _SANE_ID.fullmatch(value):
                    return value.decode()
                break
        return f"{self._process}{next(self._numbers):016x}"


@dataclass
class _Sent:
    """What has been answered so far; 499 is the usual sign for a client that went away before."""

    request_id: str
    status: int = 499
    started: float = field(default_factory=perf_counter)


class RequestContext:
    """Gives every request an id, notes when it came, measures and logs it, and answers what nobody foresaw with a
    problem document."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app, self._metrics, self._ids = app, metrics, RequestIds()
        # What `labels` would look up for every request; as many as the metrics themselves keep.
        self._counters: dict[tuple[str, str, int], Counter] = {}
        self._histograms: dict[tuple[str, str], Histogram] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        sent = _Sent(self._ids.of(scope["headers"]))
        scope.setdefault("state", {}).update(request_id=sent.request_id, started=sent.started)

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                sent.status = message["status"]
                message["headers"] = [
                    *message.get("headers", ()),
                    *EVERY_ANSWER,
                    (_REQUEST_ID, sent.request_id.encode()),
                ]
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=sent.request_id):
            try:
                await self._app(scope, receive, send_with_id)
            except ClientDisconnect:
                pass  # in the middle of its request, of which nothing was done
            except Exception:
                log.exception("unforeseen-error")
                if sent.status != _Sent.status:
                    raise  # an answer is under way; the server can only break it off
                await internal_problem(scope["path"], sent.request_id)(scope, receive, send_with_id)
            finally:
                self._note(scope, sent)

    def _note(self, scope: Scope, sent: _Sent) -> None:
        route = _template(scope)
        seconds = perf_counter() - sent.started
        method = scope["method"] if route != _NO_ROUTE else "ANY"  # of which a client may make up any
        scope["state"]["status"] = sent.status
        self._counter(method, route, sent.status).inc()
        self._histogram(method, route).observe(seconds)
        caller = caller_of(scope)
        log.info(
            "request",
            method=scope["method"],
            path=scope["path"][:1000],
            route=route,
            status=sent.status,
            milliseconds=round(seconds * 1000, 2),
            **({"key": caller.name} if caller and caller.name else {}),
        )

    def _counter(self, method: str, route: str, status: int) -> Counter:
        counter = self._counters.get((method, route, status))
        if counter is None:
            counter = self._counters[method, route, status] = self._metrics.requests.labels(method, route, str(status))
        return counter

    def _histogram(self, method: str, route: str) -> Histogram:
        histogram = self._histograms.get((method, route))
        if histogram is None:
            histogram = self._histograms[method, route] = self._metrics.request_seconds.labels(method, route)
        return histogram


class ReadablePath:
    """Refuses a path whose octets are not UTF-8 or hold a control character.

    What decodes paths would replace the former and what matches them would drop a last line feed: either way the
    request would reach another item than the one that it names.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        fault = _fault_of_path(scope) if scope["type"] == "http" else None
        if fault is None:
            await self._app(scope, receive, send)
            return
        error = BadRequestError(fault)
        await problem_of(error, scope["path"], scope["state"]["request_id"])(scope, receive, send)


class BodyLimit:
    """Refuses bodies that are too large: by their Content-Length at once, else while they stream in."""

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self._app, self._max_bytes = app, max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        received = 0
        announced = Headers(scope=scope).get("content-length", "0")

        async def receive_limited() -> Message:
            nonlocal received
            if announced.isdecimal() and int(announced) > self._max_bytes:
                raise self._too_large()
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._max_bytes:
                raise self._too_large()
            return message

        await self._app(scope, receive_limited, send)

    def _too_large(self) -> HTTPException:
        # FastAPI turns whatever else a body raises while it is read into a 400.
        return HTTPException(413, f"a body may have {self._max_bytes} bytes; send a large bulk in parts")


def _fault_of_path(scope: Scope) -> str | None:
    octets = unquote_to_bytes(scope["raw_path"])
    if _CONTROL.search(octets):
        return "the path holds a control character; no domain, item or operation has one in its name"
    try:
        octets.decode()
    except UnicodeDecodeError:
        return "the path is not UTF-8 once it is percent-decoded"
    return None


def _template(scope: Scope) -> str:
    """The path as the route writes it, since those that clients make up would be labels without end."""
    route: str | None = getattr(scope.get("route"), "path", None)
    if route is None:
        return _NO_ROUTE
    # A route does not know the prefix of the router that includes its own.
    return API_PREFIX + route if scope["path"].startswith(f"{API_PREFIX}/") else route

"""A span of each request, below the one that its ``traceparent`` names. It says what the request's log line says.

FastAPI's own tracing is not used: it begins outside of what gives a request its id, tells the query string, which no
log line does, and knows no route of a request that is answered beside the framework.
"""

from http import HTTPStatus

from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.middleware import API_PREFIX
from service.tracing.stages import worked_for

_UNTRACED = frozenset({"/livez", "/readyz", "/metrics"})
_PROPAGATED = frozenset({b"traceparent", b"tracestate"})
_LONGEST_PATH = 1000
_CLIENT_WENT_AWAY = 499


class TracedRequests:
    """Traces requests; those of probes and of Prometheus are left out."""

    def __init__(self, app: ASGIApp, tracer: Tracer) -> None:
        self._app, self._tracer = app, tracer
        self._propagator = TraceContextTextMapPropagator()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in _UNTRACED:
            await self._app(scope, receive, send)
            return
        carrier = {name.decode(): value.decode("latin-1") for name, value in scope["headers"] if name in _PROPAGATED}
        caller = self._propagator.extract(carrier, Context())
        span = self._tracer.start_span(scope["method"], caller, SpanKind.SERVER)
        if span.is_recording():
            await self._trace(span, scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _trace(self, span: Span, scope: Scope, receive: Receive, send: Send) -> None:
        status: int = _CLIENT_WENT_AWAY

        async def send_noting_status(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        token = worked_for.set((span.get_span_context(),))
        try:
            await self._app(scope, receive, send_noting_status)
        except Exception as error:
            status = HTTPStatus.INTERNAL_SERVER_ERROR.value
            span.set_attribute("error.type", type(error).__qualname__)
            raise
        finally:
            worked_for.reset(token)
            _describe(span, scope, status)
            span.end()


def _describe(span: Span, scope: Scope, status: int) -> None:
    method, path = scope["method"], scope["path"]
    span.set_attribute("vqrec.request_id", scope["state"]["request_id"])
    span.set_attribute("http.request.method", method)
    span.set_attribute("url.path", path[:_LONGEST_PATH])
    span.set_attribute("http.response.status_code", status)
    route: str | None = getattr(scope.get("route"), "path", None)
    if route is not None:
        # A route does not know the prefix of the router that includes its own.
        route = API_PREFIX + route if path.startswith(f"{API_PREFIX}/") else route
        span.set_attribute("http.route", route)
        span.update_name(f"{method} {route}")
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        span.set_status(StatusCode.ERROR)

"""The schema that the service publishes of itself: what each call may be answered, derived from what its route is."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, Final, TypeVar

from fastapi import FastAPI
from fastapi.routing import APIRoute, RouteContext, iter_route_contexts
from pydantic.json_schema import models_json_schema
from starlette.routing import BaseRoute

from models.errors import VqrecError
from service.errors import (
    BadRequestError,
    CrossSiteError,
    DomainLoadingError,
    ForbiddenError,
    InternalError,
    InvalidRequestError,
    LongHeadError,
    MalformedJsonError,
    NotAppliedYetError,
    OverloadedError,
    PayloadTooLargeError,
    RateLimitedError,
    RedisUnavailableError,
    RetryableError,
    SlowClientError,
    StoppingError,
    UnauthenticatedError,
    UnknownDomainError,
    UnsupportedMediaTypeError,
    WriteConflictError,
)
from service.json_route import StrictJsonRoute
from service.problems import MEDIA_TYPE, Problem, problem_type
from service.security import RequiredScope

Kind = type[VqrecError]
Document = dict[str, Any]
Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])

# What calls may raise because of what they are: the schema adds it without being told.
EVERY_CALL: Final[tuple[Kind, ...]] = (
    BadRequestError,
    InternalError,
    LongHeadError,
    OverloadedError,
    SlowClientError,
)
GUARDED: Final[tuple[Kind, ...]] = (UnauthenticatedError, ForbiddenError, RateLimitedError)
GUARDED_AGAINST_SITES: Final[tuple[Kind, ...]] = (CrossSiteError,)
WITH_PATH: Final[tuple[Kind, ...]] = (InvalidRequestError,)
STRICT: Final[tuple[Kind, ...]] = (UnsupportedMediaTypeError,)
WITH_JSON: Final[tuple[Kind, ...]] = (MalformedJsonError, InvalidRequestError, PayloadTooLargeError)

# What endpoints of one sort raise, for :func:`raises`.
OF_A_DOMAIN: Final[tuple[Kind, ...]] = (UnknownDomainError, DomainLoadingError)
QUEUED: Final[tuple[Kind, ...]] = (OverloadedError, StoppingError, RetryableError)
WRITING: Final[tuple[Kind, ...]] = (RedisUnavailableError, NotAppliedYetError, WriteConflictError)

_RAISES = "__raises__"
_COMPONENT = "#/components/schemas/{model}"
_REQUEST_ID: Final[Document] = {"$ref": "#/components/headers/RequestId"}
_HEADERS: Final[Document] = {
    "RequestId": {
        "description": "The caller's id of the request, if it sent a sane one, else a new one; the log has it, too.",
        "required": True,
        "schema": {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$"},
    },
    "RetryAfter": {
        "description": "Seconds after which it is worth trying again.",
        "required": True,
        "schema": {"type": "integer", "minimum": 1},
    },
    "Authenticate": {"description": "How to give a key.", "required": True, "schema": {"type": "string"}},
}
_SCHEMES: Final[Document] = {
    "ApiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    "Bearer": {"type": "http", "scheme": "bearer", "description": "The same keys, for clients that speak Bearer."},
}


def raises(*errors: Kind) -> Callable[[Endpoint], Endpoint]:
    """Declare what an endpoint itself may raise."""

    def declare(endpoint: Endpoint) -> Endpoint:
        setattr(endpoint, _RAISES, errors)
        return endpoint

    return declare


def link_to(operation: str, **parameters: str) -> Document:
    """A link, for the responses of a route: the call that goes on from its answer, and from what its parameters come.

    Args:
        operation: the name of that call's endpoint.
        parameters: runtime expressions of OpenAPI.
    """
    return {"operationId": operation, "parameters": parameters}


class DocumentedApp(FastAPI):
    """An application whose published schema says of each call who may make it and how it may fail.

    Args:
        asks_for_keys: whether there are API keys; without any the schema says that none is needed.
        given: see FastAPI.
    """

    def __init__(self, *, asks_for_keys: bool, **given: Any) -> None:  # noqa: ANN401  (FastAPI's own, all of them)
        super().__init__(**given, generate_unique_id_function=_operation_id)
        self._asks_for_keys = asks_for_keys

    def openapi(self) -> Document:
        if not self.openapi_schema:
            _complete(super().openapi(), self.routes, self._asks_for_keys)
        return super().openapi()


def errors_of(route: RouteContext) -> set[Kind]:
    """What a call may be answered with instead of what it asks for."""
    errors = {*EVERY_CALL, *getattr(route.endpoint, _RAISES, ())}
    scope = _scope_of(route)
    if scope is not None:
        errors |= {*GUARDED, *(GUARDED_AGAINST_SITES if scope != "read" else ())}
    if route.dependant.path_params:
        errors |= {*WITH_PATH}
    if isinstance(route.original_route, StrictJsonRoute):
        errors |= {*STRICT, *(WITH_JSON if route.body_field is not None else ())}
    return errors


def _operation_id(route: APIRoute) -> str:
    return route.name


def _scope_of(route: RouteContext) -> str | None:
    guards = [each.call for each in route.dependant.dependencies if isinstance(each.call, RequiredScope)]
    return guards[0].scope if guards else None


def _complete(document: Document, routes: Sequence[BaseRoute], asks_for_keys: bool) -> None:
    """Add to FastAPI's schema, in place, what it does not know of."""
    kinds: set[Kind] = set()
    for route in iter_route_contexts(routes):
        if not isinstance(route.original_route, APIRoute):
            continue
        errors = errors_of(route)
        kinds |= errors
        for method in route.methods or ():
            operation = document["paths"][route.path_format][method.lower()]
            _complete_operation(operation, errors, _scope_of(route), asks_for_keys)
    _, problem = models_json_schema([(Problem, "serialization")], ref_template=_COMPONENT)
    components = document["components"]
    components["headers"], components["securitySchemes"] = _HEADERS, _SCHEMES
    components["schemas"] |= problem["$defs"] | {_name(kind): _schema_of(kind) for kind in _by_slug(kinds)}
    for unused in ("HTTPValidationError", "ValidationError"):
        components["schemas"].pop(unused, None)


def _complete_operation(operation: Document, errors: Iterable[Kind], scope: str | None, asks_for_keys: bool) -> None:
    if scope is not None:
        alternatives: list[Document] = [{name: [scope]} for name in _SCHEMES]
        operation["security"] = alternatives if asks_for_keys else [{}, *alternatives]
    by_status: dict[int, set[Kind]] = defaultdict(set)
    for kind in errors:
        by_status[kind.status].add(kind)
    responses = operation["responses"]
    responses |= {str(status): _response_of(kinds) for status, kinds in by_status.items()}
    operation["responses"] = dict(sorted(responses.items()))
    for response in responses.values():
        response.setdefault("headers", {})["X-Request-ID"] = _REQUEST_ID


def _response_of(kinds: Collection[Kind]) -> Document:
    """The answer of one status, which each of these errors has."""
    ordered = _by_slug(kinds)
    references = {problem_type(kind.slug): _COMPONENT.format(model=_name(kind)) for kind in ordered}
    schema: Document = {"oneOf": [{"$ref": reference} for reference in references.values()]}
    if len(references) == 1:
        (schema,) = schema["oneOf"]
    else:
        schema["discriminator"] = {"propertyName": "type", "mapping": references}
    headers: Document = {}
    if all(issubclass(kind, RetryableError) for kind in kinds):
        headers["Retry-After"] = {"$ref": "#/components/headers/RetryAfter"}
    if UnauthenticatedError in kinds:
        headers["WWW-Authenticate"] = {"$ref": "#/components/headers/Authenticate"}
    return {
        "description": "; ".join(f"`{kind.slug}`: {kind.title}" for kind in ordered),
        "headers": headers,
        "content": {MEDIA_TYPE: {"schema": schema}},
    }


def _schema_of(kind: Kind) -> Document:
    return {
        "title": kind.title,
        "description": (kind.__doc__ or kind.title).strip().partition("\n")[0],
        "allOf": [{"$ref": _COMPONENT.format(model=Problem.__name__)}],
        "properties": {"type": {"const": problem_type(kind.slug)}, "status": {"const": kind.status}},
    }


def _name(kind: Kind) -> str:
    return f"{kind.slug.title().replace('-', '')}Problem"


def _by_slug(kinds: Iterable[Kind]) -> list[Kind]:
    return sorted(kinds, key=lambda kind: kind.slug)

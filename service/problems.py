"""Every error of the service as a problem document (RFC 9457): one shape, one place."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, cast

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import iter_route_contexts
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.routing import Match

from models.errors import VqrecError
from service.errors import (
    InternalError,
    InvalidRequestError,
    MalformedJsonError,
    PayloadTooLargeError,
    RetryableError,
)

MEDIA_TYPE = "application/problem+json"
_MOST_FAULTS = 20
_LONGEST_MESSAGE = 300
_LONGEST_PATH = 1000
_AUTHENTICATE = 'Bearer realm="vqrec"'


class Fault(BaseModel):
    """What is wrong with one part of a request."""

    where: str
    message: str


class Problem(BaseModel):
    """The document. ``type`` is stable and tells problems apart; ``detail`` is for people."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    request_id: str
    errors: list[Fault] | None = None


def install_problem_handlers(app: FastAPI) -> None:
    """Answer every error that an endpoint or the framework raises with a problem document."""
    app.add_exception_handler(VqrecError, _on_vqrec_error)
    app.add_exception_handler(RequestValidationError, _on_validation_error)
    app.add_exception_handler(HTTPException, _on_http_exception)


def problem_type(slug: str) -> str:
    """The ``type`` of a problem document."""
    return f"urn:vqrec:problem:{slug}"


def internal_problem(path: str, request_id: str) -> JSONResponse:
    """What a client is told of an error that nobody foresaw: nothing but how to ask for it."""
    detail = "something went wrong inside the service; its log tells more under this request id"
    return problem_of(InternalError(detail), path, request_id)


def problem_of(error: VqrecError, path: str, request_id: str, faults: list[Fault] | None = None) -> JSONResponse:
    """The answer to a request that ended with this error."""
    response = _response(path, request_id, error.status, (error.slug, error.title, error.detail), faults)
    response.headers.update(headers_of(error))
    return response


def headers_of(error: VqrecError) -> dict[str, str]:
    """What the answer to a request that ended with this error says beside its document."""
    headers: dict[str, str] = {}
    if isinstance(error, RetryableError):
        headers["Retry-After"] = str(error.retry_after)
    if error.status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = _AUTHENTICATE
    return headers


def faults_of(errors: Sequence[Any]) -> list[Fault]:
    """Faults out of pydantic's errors: where and what, and never the input itself, which may be huge or secret."""
    faults = [
        Fault(where=_where(error["loc"]), message=str(error["msg"])[:_LONGEST_MESSAGE])
        for error in errors[:_MOST_FAULTS]
    ]
    if len(errors) > _MOST_FAULTS:
        faults.append(Fault(where="", message=f"and {len(errors) - _MOST_FAULTS} more"))
    return faults


def summary_of(faults: Sequence[Fault]) -> str:
    """The first faults in one line."""
    return "; ".join(f"{fault.where}: {fault.message}" if fault.where else fault.message for fault in faults[:3])


async def _on_vqrec_error(request: Request, raised: Exception) -> JSONResponse:
    return problem_of(cast(VqrecError, raised), request.url.path, _request_id(request))


async def _on_validation_error(request: Request, raised: Exception) -> JSONResponse:
    errors = cast(RequestValidationError, raised).errors()
    if errors and errors[0]["type"] == "json_invalid":
        reason = errors[0].get("ctx", {}).get("error", "")
        malformed = MalformedJsonError(f"the body is not JSON: {reason}")
        return problem_of(malformed, request.url.path, _request_id(request))
    if errors and errors[0]["type"] == "missing" and errors[0]["loc"] == ("body",):
        errors = [{**errors[0], "msg": "the request has no body: send a JSON document"}]
    faults = faults_of(errors)
    return problem_of(InvalidRequestError(summary_of(faults)), request.url.path, _request_id(request), faults)


async def _on_http_exception(request: Request, raised: Exception) -> JSONResponse:
    error = cast(HTTPException, raised)
    title = HTTPStatus(error.status_code).phrase
    slug = title.lower().replace(" ", "-")
    detail = str(error.detail)
    if error.status_code == PayloadTooLargeError.status:
        slug, title = PayloadTooLargeError.slug, PayloadTooLargeError.title
    elif error.status_code == HTTPStatus.NOT_FOUND:
        detail = "there is nothing at this path"
    elif error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        detail = f"{request.method} is not possible at this path"
    response = _response(request.url.path, _request_id(request), error.status_code, (slug, title, detail))
    response.headers.update(error.headers or {})
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        response.headers["Allow"] = ", ".join(_methods_at(request))
    return response


def _methods_at(request: Request) -> list[str]:
    """The methods that are possible at the path of a request: each route knows its own alone."""
    routes = iter_route_contexts(request.app.routes)
    matching = [route.methods for route in routes if route.matches(request.scope)[0] is not Match.NONE]
    return sorted({method for methods in matching for method in methods or ()})


def _response(
    path: str, request_id: str, status: int, kind: tuple[str, str, str], faults: list[Fault] | None = None
) -> JSONResponse:
    slug, title, detail = kind
    problem = Problem(
        type=problem_type(slug),
        title=title,
        status=status,
        detail=detail,
        instance=path[:_LONGEST_PATH],
        request_id=request_id,
        errors=faults,
    )
    return JSONResponse(problem.model_dump(exclude_none=True), status, media_type=MEDIA_TYPE)


def _request_id(request: Request) -> str:
    return getattr(request.state, "request_id", "")


def _where(location: Sequence[object]) -> str:
    """``body.history.3.text``; a part that a client made up, such as a key, is cut."""
    return ".".join(str(part)[:64] for part in location)

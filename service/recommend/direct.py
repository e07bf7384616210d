"""The shortest way for the most frequent call: a plain recommendation request, answered beside the framework."""

from time import perf_counter
from typing import cast

from pydantic import ValidationError
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from models.errors import VqrecError
from service.json_route import JSONDecodeError, has_too_many_parts, parse_json
from service.problems import problem_of
from service.recommend.answers import answer_document, json_bytes
from service.recommend.deadline import plain_milliseconds, within
from service.recommend.schemas import RecommendRequest
from service.security import authorize
from service.state import AppState

_BEFORE, _AFTER = "/v1/domains/", "/recommendations"
_HANDLED_ELSEWHERE = frozenset({b"content-encoding", b"transfer-encoding", b"expect"})


class DirectRecommendations:
    """Answers ``POST /v1/domains/{domain}/recommendations`` without matching routes and solving dependencies.

    It takes only what is plain: a domain that is served, JSON of a stated length, a body that is valid. Whatever else
    comes goes to the framework untouched, a body that was read before it again; so what is wrong with a request is told
    in one place, and this is a shorter way to the same answers and no second opinion.

    Args:
        app: the framework.
        route: what the framework would choose for such a request; requests are counted under its path.
        max_bytes: of a body; larger ones are refused by the framework.
    """

    def __init__(self, app: ASGIApp, route: BaseRoute, max_bytes: int) -> None:
        self._app, self._route, self._max_bytes = app, route, max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        domain = self._plain_domain(scope)
        if domain is None:
            await self._app(scope, receive, send)
            return
        scope["route"] = self._route
        messages: list[Message] = []
        try:
            authorize(scope, "read", domain)  # as the route's dependency does, before the body is read
            answering = self._answer(scope, domain, receive, messages)
            body = await within(plain_milliseconds(scope["headers"]), scope["state"]["started"], answering)
        except VqrecError as error:
            await _refuse(error, scope, receive, send)
            return
        if body is None:
            if messages[-1]["type"] != "http.disconnect":  # else the client went away while it sent its request
                await self._app(scope, _again(messages, receive), send)
            return
        headers = [(b"content-length", b"%d" % len(body)), (b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _answer(self, scope: Scope, domain: str, receive: Receive, messages: list[Message]) -> bytes | None:
        """What is answered to a request, None if it is for the framework or its client went away.

        Args:
            messages: takes up all that is read.
        """
        messages.append(await receive())
        while messages[-1].get("more_body"):
            messages.append(await receive())
        if messages[-1]["type"] == "http.disconnect":
            return None
        asked = _read(messages, self._max_bytes)
        if asked is None:
            return None
        start = perf_counter()
        state = scope["state"]
        app: AppState = state["app"]
        (answer,) = await app.recommend.recommend(domain, (asked,))
        return json_bytes(answer_document(answer, state["request_id"], domain, (perf_counter() - start) * 1000))

    def _plain_domain(self, scope: Scope) -> str | None:
        """The domain of a request that can be answered here."""
        if scope["type"] != "http" or scope["method"] != "POST" or scope.get("root_path"):
            return None
        path: str = scope["path"]
        if not (path.startswith(_BEFORE) and path.endswith(_AFTER)) or scope.get("raw_path") != path.encode():
            return None
        domain = path[len(_BEFORE) : -len(_AFTER)]
        is_served = cast(AppState, scope["state"]["app"]).registry.get(domain) is not None
        return domain if is_served and self._is_plain_json(scope["headers"]) else None

    def _is_plain_json(self, headers: list[tuple[bytes, bytes]]) -> bool:
        content_type = length = b""
        for name, value in headers:
            if name == b"content-type":
                if content_type:
                    return False
                content_type = value
            elif name == b"content-length":
                length = value
            elif name in _HANDLED_ELSEWHERE:
                return False
        is_plain = content_type == b"application/json" and length.isdigit() and int(length) <= self._max_bytes
        return is_plain and _has_plain_timeout(headers)


async def _refuse(error: VqrecError, scope: Scope, receive: Receive, send: Send) -> None:
    await problem_of(error, scope["path"], scope["state"]["request_id"])(scope, receive, send)


def _has_plain_timeout(headers: list[tuple[bytes, bytes]]) -> bool:
    try:
        plain_milliseconds(headers)
    except ValueError:
        return False
    return True


def _read(messages: list[Message], max_bytes: int) -> RecommendRequest | None:
    """The request, or None if it is none."""
    body = messages[0].get("body", b"")
    if len(messages) > 1:
        body = b"".join(message.get("body", b"") for message in messages)
    if len(body) > max_bytes or has_too_many_parts(body):
        return None
    try:
        return RecommendRequest.model_validate(parse_json(body))
    except (JSONDecodeError, ValidationError):
        return None


def _again(messages: list[Message], receive: Receive) -> Receive:
    """What gives these messages first, and then what follows."""
    rest = iter(messages)

    async def receive_again() -> Message:
        for message in rest:
            return message
        return await receive()

    return receive_again

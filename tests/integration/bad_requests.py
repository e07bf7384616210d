"""Requests that a service refuses, and what a refusal is."""

import json
from dataclasses import dataclass, field
from typing import Any

from tests.running_service import RunningService

JSON = {"content-type": "application/json"}
SHOP = "/v1/domains/shop"
ADAPTER_URL = "/v1/admin/domains/shop/adapter"


@dataclass(frozen=True)
class Bad:
    """A request, the status it deserves and words that the problem must hold."""

    method: str
    path: str
    body: bytes | object = None
    status: int = 422
    says: str = ""
    headers: dict[str, str] = field(default_factory=lambda: JSON)

    @property
    def content(self) -> bytes | None:
        if self.body is None or isinstance(self.body, bytes):
            return self.body
        return json.dumps(self.body).encode()


async def state_of(service: RunningService) -> list[Any]:
    """Everything that could have changed: in Redis and in memory."""
    redis = service.state.redis
    details = (await service.http.get(SHOP)).json()
    return [
        details,
        await redis.run(redis.commands.hgetall("vqrec:{shop}:items")),
        await redis.run(redis.commands.hgetall("vqrec:{shop}:adapter")),
        await redis.run(redis.commands.hgetall("vqrec:domains")),
        await redis.run(redis.commands.xlen("vqrec:{shop}:changes")),
    ]


async def check(service: RunningService, case: Bad) -> None:
    """The service refuses the request with the problem that it deserves, and stays as it was."""
    before = await state_of(service)
    answer = await service.http.request(case.method, case.path, content=case.content, headers=case.headers)
    assert answer.status_code == case.status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == case.status
    assert problem["type"].startswith("urn:vqrec:problem:")
    assert problem["request_id"] == answer.headers["x-request-id"]
    assert case.says in json.dumps(problem, ensure_ascii=False)
    assert len(answer.content) < 10_000
    assert await state_of(service) == before

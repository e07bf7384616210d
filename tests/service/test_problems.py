"""Errors that the framework raises, as problem documents."""

import pytest

from tests.running_service import RunningService

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("path", "method", "methods"),
    [
        ("/livez", "DELETE", "GET"),
        ("/v1/domains/shop/items/a", "OPTIONS", "DELETE, GET, PATCH, PUT"),
        ("/v1/domains/shop/items/a/similar", "POST", "DELETE, GET, PATCH, PUT"),  # also the path of an item
        ("/v1/domains/shop/items:bulk", "GET", "POST"),
        ("/v1/admin/domains/shop", "GET", "DELETE"),
    ],
)
async def test_another_method_is_told_all_that_are_possible(
    service: RunningService, path: str, method: str, methods: str
) -> None:
    answer = await service.http.request(method, path)
    assert answer.status_code == 405
    assert answer.headers["allow"] == methods
    assert answer.json()["type"] == "urn:vqrec:problem:method-not-allowed"

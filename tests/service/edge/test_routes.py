"""What a path is taken for."""

import pytest
from fastapi.routing import APIRoute

from service.admin.endpoints import router as admin_router
from service.domains.endpoints import router as domains_router
from service.edge.routes import target_of
from service.health.endpoints import router as health_router
from service.items.endpoints import router as items_router
from service.middleware import API_PREFIX
from service.recommend.endpoints import router as recommend_router
from service.security import RequiredScope

KINDS = {
    "/v1/domains/{domain}/recommendations": "recommend",
    "/v1/domains/{domain}/items/{item_id:path}/similar": "recommend",
    "/v1/domains/{domain}/recommendations:batch": "batch",
}
V1 = sorted(
    (method, f"{API_PREFIX}{route.path}")
    for router in (recommend_router, items_router, domains_router, admin_router)
    for route in router.routes
    if isinstance(route, APIRoute)
    for method in route.methods
)
SCOPES = {
    (method, f"{API_PREFIX}{route.path}"): dependency.dependency.scope
    for router in (recommend_router, items_router, domains_router, admin_router)
    for route in router.routes
    if isinstance(route, APIRoute)
    for method in route.methods
    for dependency in route.dependencies
    if isinstance(dependency.dependency, RequiredScope)
}
HEALTH = [route.path for route in health_router.routes if isinstance(route, APIRoute)]


@pytest.mark.parametrize(("method", "template"), V1)
def test_every_call_is_known_by_its_path(method: str, template: str) -> None:
    of_a_domain = template.startswith("/v1/domains/{domain}")
    for item_id in ("a", "a/b", "%2F", "similar"):
        path = template.replace("{domain}", "shop").replace("{item_id:path}", item_id)
        for query in ("", "?limit=3", "?x=/similar"):
            target = target_of(method.encode(), (path + query).encode())
            assert target.kind == KINDS.get(template, "other")
            assert target.domain == ("shop" if of_a_domain else "")
            has_a_name = of_a_domain and template != "/v1/domains/{domain}"
            assert target.route == (template if has_a_name else "")
            assert target.needed == (SCOPES[method, template] if of_a_domain else None)


@pytest.mark.parametrize("path", HEALTH)
def test_health_is_known_with_and_without_a_query(path: str) -> None:
    assert target_of(b"GET", path.encode()).kind == target_of(b"GET", f"{path}?x".encode()).kind == "health"


@pytest.mark.parametrize(
    "path",
    [
        b"",
        b"*",
        b"/",
        b"/livez/",
        b"/v1",
        b"/v1/domains/",
        b"/v1/domains//recommendations/",
        b"\xff",
        b"http://x/livez",
    ],
)
def test_anything_else_is_something_else(path: bytes) -> None:
    assert target_of(b"GET", path).kind == "other"
    assert target_of(b"GET", path).route == ""


@pytest.mark.parametrize("method", [b"PUT", b"PATCH", b"DELETE"])
def test_a_write_of_an_item_whose_id_looks_like_a_question_is_a_write(method: bytes) -> None:
    assert target_of(method, b"/v1/domains/shop/items/a/similar").kind == "other"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        (b"GET", b"/v1/domains/shop/recommendations"),
        (b"HEAD", b"/v1/domains/shop/items/a"),
        (b"POST", b"/v1/domains/sh%6fp/recommendations"),
        (b"POST", b"/v1/domains//recommendations"),
        (b"POST", b"/v1/domains/shop/anything"),
        (b"GET", b"/v1/domains/shop/"),
    ],
)
def test_what_is_no_call_as_it_is_written_is_for_the_application_to_judge(method: bytes, path: bytes) -> None:
    assert target_of(method, path).needed is None

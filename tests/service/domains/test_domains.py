"""What is told of the domains that are served."""

import pytest

from tests.running_service import RunningService
from tests.tiny_models import TinyStore

pytestmark = pytest.mark.anyio


async def test_the_list_and_the_details_agree(shop: RunningService, tiny: TinyStore) -> None:
    listed = (await shop.http.get("/v1/domains")).json()["domains"]
    details = (await shop.http.get("/v1/domains/shop")).json()
    assert listed == [{name: details[name] for name in listed[0]}]
    assert details["items"] == 5
    assert details["adapter_version"] == tiny.adapter.version
    assert details["adapter_sha256"] == tiny.adapter.sha256
    assert details["quantizer"] == tiny.adapter.manifest.quantizer
    assert details["bytes_per_item"] * 5 == pytest.approx(details["memory_bytes"], rel=0.01)
    assert details["index"] == "flat"
    assert "items" in details["index_reason"]
    assert "index_recall" not in details  # it finds all
    assert 0 < details["index_bytes_per_item"] < details["bytes_per_item"]
    assert details["index_memory_bytes"] == shop.state.settings.index_memory_bytes
    assert "wanted_version" not in details
    assert "last_error" not in details


async def test_an_unknown_domain(shop: RunningService) -> None:
    answer = await shop.http.get("/v1/domains/nowhere")
    assert answer.status_code == 404
    assert "nowhere" in answer.json()["detail"]

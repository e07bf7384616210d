"""Adapters that cannot be served are refused with a problem that says what is wrong, and change nothing."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from models.bundle import MANIFEST
from tests.integration.bad_requests import ADAPTER_URL, Bad, check
from tests.running_service import RunningService, make_settings, running_service
from tests.tiny_models import TinyStore, write_tiny_adapter, write_tiny_backbone, write_tiny_store

pytestmark = pytest.mark.anyio


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[tuple[RunningService, TinyStore]]:
    store = write_tiny_store(tmp_path / "artifacts")
    async with running_service(make_settings(store.root, tmp_path / "data")) as service:
        await service.serve(store.adapter)
        await service.put_items({"hammer": "claw hammer", "saw": "hand saw"})
        yield service, store


async def test_an_adapter_with_a_wrong_sha256(shop: tuple[RunningService, TinyStore]) -> None:
    service, store = shop
    other = write_tiny_adapter(store, seed=1)
    body = {"source": f"adapters/shop/{other.version}", "sha256": "0" * 64}
    await check(service, Bad("PUT", ADAPTER_URL, body, 409, "0" * 64))


async def test_an_adapter_for_another_backbone(shop: tuple[RunningService, TinyStore]) -> None:
    service, store = shop
    backbone = write_tiny_backbone(store.root, store.text_encoder, np.random.default_rng(7))
    other = write_tiny_adapter(store, seed=1, backbone=backbone)
    case = Bad("PUT", ADAPTER_URL, {"source": f"adapters/shop/{other.version}"}, 409, backbone.version)
    await check(service, case)
    detail = (await service.http.put(ADAPTER_URL, json=case.body)).json()["detail"]
    assert store.backbone.version in detail
    assert "vqrec adapt --backbone" in detail


async def test_a_backbone_that_is_missing_is_named_by_its_place_below_the_root(
    shop: tuple[RunningService, TinyStore],
) -> None:
    service, store = shop
    backbone = write_tiny_backbone(store.root, store.text_encoder, np.random.default_rng(7))
    other = write_tiny_adapter(store, seed=1, backbone=backbone)
    backbone.path.rename(store.root / "elsewhere")
    assert (await service.http.delete("/v1/admin/domains/shop")).status_code == 204
    for source in (f"adapters/shop/{other.version}", "adapters/shop"):
        problem = (await service.http.put(ADAPTER_URL, json={"source": source})).json()
        assert problem["type"].endswith(("artifact-not-found", "invalid-artifact"))
        assert str(store.root) not in json.dumps(problem)
    missing = await service.http.put(ADAPTER_URL, json={"source": f"adapters/shop/{other.version}"})
    assert f"no artifact {backbone.version} in backbones:" in missing.json()["detail"]


async def test_an_adapter_with_a_missing_file(shop: tuple[RunningService, TinyStore]) -> None:
    service, store = shop
    other = write_tiny_adapter(store, seed=1)
    (other.path / "adapter.safetensors").unlink()
    await check(
        service, Bad("PUT", ADAPTER_URL, {"source": f"adapters/shop/{other.version}"}, 422, "adapter.safetensors")
    )


async def test_an_adapter_with_a_changed_byte(shop: tuple[RunningService, TinyStore]) -> None:
    service, store = shop
    other = write_tiny_adapter(store, seed=1)
    tensors = other.path / "adapter.safetensors"
    raw = bytearray(tensors.read_bytes())
    raw[-1] ^= 1
    tensors.write_bytes(raw)
    await check(service, Bad("PUT", ADAPTER_URL, {"source": f"adapters/shop/{other.version}"}, 422, "damaged"))


async def test_an_adapter_with_a_broken_manifest(shop: tuple[RunningService, TinyStore]) -> None:
    service, store = shop
    other = write_tiny_adapter(store, seed=1)
    (other.path / MANIFEST).write_text("{}")
    await check(service, Bad("PUT", ADAPTER_URL, {"source": f"adapters/shop/{other.version}"}, 422, "manifest"))


async def test_a_link_that_leads_out_of_the_artifact_root(
    shop: tuple[RunningService, TinyStore], tmp_path: Path
) -> None:
    service, store = shop
    (store.root / "adapters" / "link").symlink_to(tmp_path)
    await check(service, Bad("PUT", ADAPTER_URL, {"source": "adapters/link"}, 422, "lead out"))


async def test_a_backbone_in_the_place_of_an_adapter(shop: tuple[RunningService, TinyStore]) -> None:
    service, store = shop
    await check(service, Bad("PUT", ADAPTER_URL, {"source": f"backbones/{store.backbone.version}"}, 409, "backbone"))


async def test_an_expected_version_that_is_not_there(shop: tuple[RunningService, TinyStore]) -> None:
    service, store = shop
    source = f"adapters/shop/{store.adapter.version}"
    await check(
        service, Bad("PUT", ADAPTER_URL, {"source": source, "expected_version": "0" * 12}, 409, store.adapter.version)
    )
    await check(service, Bad("PUT", ADAPTER_URL, {"source": source, "expected_version": None}, 409, "no such domain"))

"""Damaged and hostile adapters are put to a service that serves: each is refused, and no shopper notices."""

import asyncio
import json
import re
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.adapter import TENSORS_FILE
from models.backbone import GRAPH_FILE
from models.bundle import write_bundle
from models.text_encoder import TOKENIZER_FILE
from tests.hostile.adapters import ADAPTERS
from tests.hostile.damage import copy_of, digest_of
from tests.running_service import RunningService, make_settings, running_service
from tests.tiny_models import TinyStore, write_tiny_adapter, write_tiny_backbone, write_tiny_store

pytestmark = pytest.mark.anyio

ADAPTER = "/v1/admin/domains/shop/adapter"
WORDS = ("hammer", "saw", "plane", "chisel", "vice", "file", "drill", "level", "clamp", "rasp")
TEXTS = {f"{first}-{second}": f"{first} with {second}" for first in WORDS for second in WORDS}
HISTORY = ["hammer-saw", "drill-file", "rasp-vice"]


@pytest.fixture
def store(tmp_path: Path) -> TinyStore:
    return write_tiny_store(tmp_path / "artifacts", popularity={"saw-saw": 3})


@pytest.fixture
async def service(store: TinyStore, tmp_path: Path) -> AsyncIterator[RunningService]:
    settings = make_settings(store.root, tmp_path / "data", adapter_url_prefixes=f"file://{tmp_path}/published")
    async with running_service(settings) as running:
        await running.serve(store.adapter)
        await running.put_items(TEXTS)
        yield running


async def answer_of(service: RunningService) -> dict[str, Any]:
    """A recommendation, less what no two answers share."""
    answer = await service.recommend(HISTORY, limit=20)
    return {key: value for key, value in answer.items() if key not in ("request_id", "took_ms")}


@asynccontextmanager
async def shoppers_who_notice_nothing(service: RunningService) -> AsyncIterator[None]:
    """Ask without a pause while the body runs; every answer must be the one before it, to the last digit."""
    before, done, asked = await answer_of(service), asyncio.Event(), 0
    assert len(before["items"]) == 20

    async def ask() -> None:
        nonlocal asked
        while not done.is_set():
            assert await answer_of(service) == before
            asked += 1
            await asyncio.sleep(0)

    clients = [asyncio.create_task(ask()) for _ in range(2)]
    try:
        yield
    finally:
        done.set()
        await asyncio.gather(*clients)
    assert asked >= 2
    assert await answer_of(service) == before
    assert (await service.http.get("/readyz")).json() == {"status": "ready", "reasons": []}


async def assert_refused(service: RunningService, source: str, dry_run: bool, name: str) -> str:
    """Put an adapter that must be refused, at once or as an operation; what the refusal says."""
    answer = await service.http.put(ADAPTER, json={"source": source, "dry_run": dry_run})
    document = answer.json()
    if answer.status_code == 202:
        document = await service.until_finished(answer.headers["location"])
        assert document["state"] == "failed", name
        return str(document["error"])
    assert 400 <= answer.status_code < 500, f"{name}: {answer.text}"
    assert answer.headers["content-type"] == "application/problem+json"
    assert len(document["detail"]) > 10
    return str(document["detail"])


@pytest.mark.parametrize("dry_run", [True, False], ids=["dry run", "in earnest"])
async def test_hostile_adapters_are_refused_while_serving_goes_on(
    service: RunningService, store: TinyStore, tmp_path: Path, dry_run: bool
) -> None:
    refused = set()
    async with shoppers_who_notice_nothing(service):
        for number, (name, (damage, fault)) in enumerate(ADAPTERS.items()):
            path = copy_of(store.adapter.path, store.root / "incoming" / str(number), damage)
            told = await assert_refused(service, str(path.relative_to(store.root)), dry_run, name)
            assert re.search(fault, told), f"{name}: {told}"
            assert str(tmp_path) not in told, "folders of the host are no client's business"
            refused.add(digest_of(path))
    tell(refused)
    other = write_tiny_adapter(store, seed=1)
    await service.serve(other)  # and what is sound is taken as before
    assert (await answer_of(service))["adapter_version"] == other.version


async def test_hostile_adapters_from_a_url_are_refused_and_leave_nothing(
    service: RunningService, store: TinyStore, tmp_path: Path
) -> None:
    published = tmp_path / "published"
    # Of a file behind a URL there is only what it holds: a link is as good, and what nobody names is not seen.
    cases = {
        name: hostile
        for name, hostile in ADAPTERS.items()
        if not name.startswith(("a surplus", "a name that", "a thousand")) and not name.endswith((" a link", " a pipe"))
    }
    refused = set()
    async with shoppers_who_notice_nothing(service):
        for number, (name, (damage, fault)) in enumerate(cases.items()):
            path = copy_of(store.adapter.path, published / str(number), damage)
            told = await assert_refused(service, f"file://{path}", False, name)
            # What is not there, or leads elsewhere, is not even fetched.
            assert re.search(f"{fault}|cannot be read|leads out of", told), f"{name}: {told}"
            refused.add(digest_of(path))
    tell(refused)
    cache = service.state.settings.data_dir / "adapters"
    assert list(cache.iterdir()) == []


def tell(refused: set[str]) -> None:
    print(f"{len(refused)} different damaged or hostile adapters were refused by a service that went on answering")
    assert len(refused) >= 250


SOURCES = (
    "..", "../artifacts", "adapters/../../artifacts", "/", "/etc", "/proc/self", "/dev/zero", ".", "", "a\0b",
    "adapters", "adapters/shop", "nowhere", "x" * 2048, "/" * 2000, "a/" * 1000, "~", "$HOME", "incoming/out",
    "incoming/round", "incoming/pipe", "incoming/file", "file:///etc", "http://localhost:1/", "https://169.254.169.254/",
    "s3://bucket/x", "memory://x", "simplecache::file:///etc", "file://", "://", "::", "file:///%2e%2e/etc",
)  # fmt: skip


async def test_hostile_sources_are_refused_while_serving_goes_on(
    service: RunningService, store: TinyStore, tmp_path: Path
) -> None:
    incoming = store.root / "incoming"
    incoming.mkdir()
    outside = tmp_path / "outside"
    shutil.copytree(store.adapter.path, outside)
    (incoming / "out").symlink_to(outside)
    (incoming / "round").symlink_to("round")
    (incoming / "file").write_text("{}")
    published = f"file://{tmp_path}/published"
    more = (
        str(outside),
        f"file://{outside}",
        f"{published}/../outside",
        f"{published}/%2e%2e/outside",
        f"{published}x",
    )
    async with shoppers_who_notice_nothing(service):
        for source in (*SOURCES, *more):
            for dry_run in (True, False):
                await assert_refused(service, source, dry_run, source)


async def test_an_adapter_for_other_models_or_lost_once_chosen_is_refused(
    service: RunningService, store: TinyStore
) -> None:
    backbone = write_tiny_backbone(store.root, store.text_encoder, np.random.default_rng(9))
    stranger = write_tiny_adapter(store, seed=2, backbone=backbone)
    damaged_later = write_tiny_adapter(store, seed=3)
    async with shoppers_who_notice_nothing(service):
        told = await assert_refused(service, f"adapters/shop/{stranger.version}", False, "another backbone")
        assert backbone.version in told
    await service.serve(damaged_later)
    await service.serve(store.adapter)
    (damaged_later.path / TENSORS_FILE).write_bytes(b"")
    async with shoppers_who_notice_nothing(service):
        answer = await service.http.post(f"{ADAPTER}:rollback")
        assert (answer.status_code, answer.json()["title"]) == (422, "Invalid artifact")
        assert TENSORS_FILE in answer.json()["detail"]


def with_a_hostile_graph(store: TinyStore) -> TinyStore:
    files = {name: store.backbone.read_bytes(name) for name in store.backbone.manifest.files}
    backbone = write_bundle(store.store.backbones, store.backbone.manifest, {**files, GRAPH_FILE: b"\x3a\x02\x0a\x00"})
    return replace(store, backbone=backbone)


def with_a_hostile_tokenizer(store: TinyStore) -> TinyStore:
    """Its second text, which it does not have, makes the library panic."""
    files = {name: store.text_encoder.read_bytes(name) for name in store.text_encoder.manifest.files}
    document = json.loads(files[TOKENIZER_FILE])
    document["post_processor"]["single"] = [{"Sequence": {"id": "B", "type_id": 0}}]
    files[TOKENIZER_FILE] = json.dumps(document).encode()
    text_encoder = write_bundle(store.store.text_encoders, store.text_encoder.manifest, files)
    backbone = write_tiny_backbone(store.root, text_encoder, np.random.default_rng(9))
    return replace(store, text_encoder=text_encoder, backbone=backbone)


@pytest.mark.parametrize(
    ("hostile", "fault"), [(with_a_hostile_graph, "ONNX graph"), (with_a_hostile_tokenizer, "not a tokenizer")]
)
async def test_hostile_models_fail_the_operation_and_the_next_adapter_is_served(
    store: TinyStore, tmp_path: Path, hostile: Callable[[TinyStore], TinyStore], fault: str
) -> None:
    adapter = write_tiny_adapter(hostile(store), seed=5)
    async with running_service(make_settings(store.root, tmp_path / "data")) as service:
        told = await assert_refused(service, f"adapters/shop/{adapter.version}", False, fault)
        assert fault in told
        reasons = (await service.http.get("/readyz")).json()["reasons"]
        assert any(fault in reason for reason in reasons)
        assert (await service.http.delete("/v1/admin/domains/shop")).status_code == 204
        await service.serve(store.adapter)
        await service.put_items(TEXTS)
        assert len((await answer_of(service))["items"]) == 20

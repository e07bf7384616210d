"""What a shop does with the service, and what it may expect of Redis afterwards."""

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, cast

import httpx
import redis

from models.adapter import DomainAdapter
from models.item_text import compose_text, text_sha256
from service.catalog.keys import DomainKeys
from service.catalog.record import StoredItem
from tests.tiny_models import TinyStore

DOMAIN = "shop"
KEYS = DomainKeys(DOMAIN)
TOOLS = {"hammer": "claw hammer", "saw": "hand saw", "plane": "jack plane", "vice": "bench vice"}
WORDS = ("oak", "ash", "elm", "fir", "yew", "box", "fig", "bay", "tea", "nut")


def texts(count: int, name: str = "item") -> dict[str, str]:
    """Items and texts that differ from each other."""
    return {f"{name}-{n}": f"{WORDS[n % 10]} {WORDS[n // 10 % 10]} {name} {n}" for n in range(count)}


def put(http: httpx.Client, items: Mapping[str, str], domain: str = DOMAIN) -> httpx.Response:
    """One bulk."""
    body = [{"item_id": item_id, "text": text} for item_id, text in items.items()]
    return http.post(f"/v1/domains/{domain}/items:bulk", json=body)


def put_one(http: httpx.Client, item_id: str, text: str, domain: str = DOMAIN) -> httpx.Response:
    return http.put(f"/v1/domains/{domain}/items/{item_id}", json={"text": text})


def choose(http: httpx.Client, adapter: Path, domain: str = DOMAIN, **more: object) -> httpx.Response:
    """Ask for an adapter by its folder in the artifact root."""
    return http.put(f"/v1/admin/domains/{domain}/adapter", json={"source": str(adapter), **more})


def details(http: httpx.Client, domain: str = DOMAIN) -> dict[str, Any]:
    return cast("dict[str, Any]", http.get(f"/v1/domains/{domain}").raise_for_status().json())


def recommended(http: httpx.Client, domain: str = DOMAIN, limit: int = 50) -> list[tuple[str, float]]:
    """What follows on the hammer, with scores."""
    answer = http.post(f"/v1/domains/{domain}/recommendations", json={"history": ["hammer"], "limit": limit})
    return [(item["item_id"], item["score"]) for item in answer.raise_for_status().json()["items"]]


def serves(http: httpx.Client, item_id: str, domain: str = DOMAIN) -> bool:
    """Whether the replica has the item in its index."""
    return http.get(f"/v1/domains/{domain}/items/{item_id}/similar").status_code == 200


def metric(http: httpx.Client, line: str) -> float:
    """The value of a metric, by its name with its labels as they are written."""
    found = [row for row in http.get("/metrics").text.splitlines() if row.startswith(f"{line} ")]
    return float(found[0].rpartition(" ")[2]) if found else 0.0


def fresh_codes(tiny: TinyStore, adapter: DomainAdapter, items: Mapping[str, str]) -> dict[str, bytes]:
    """What Redis must hold for these texts: the tag of each and its code, encoded here and now."""
    composed = [compose_text({"text": text}) for text in items.values()]
    vectors = tiny.load_text_encoder().encode(composed)
    codes = adapter.quantizer.layout.to_bytes(adapter.quantizer.encode(vectors))
    tags = [bytes.fromhex(text_sha256(text)[:16]) for text in composed]
    return {item_id: tag + code for item_id, tag, code in zip(items, tags, codes, strict=True)}


def assert_stored(store: redis.Redis, tiny: TinyStore, adapter: DomainAdapter, items: Mapping[str, str]) -> None:
    """Check that Redis holds these items of the shop and no other, each with its text, its code and a vector."""
    stored = _hash(store, KEYS.items)
    assert stored.keys() == items.keys(), stored.keys() ^ items.keys()
    records = {item_id: StoredItem.parse(item_id, value) for item_id, value in stored.items()}
    found = {item_id: item.record.text for item_id, item in records.items() if item is not None}
    assert found == {item_id: compose_text({"text": text}) for item_id, text in items.items()}
    assert _hash(store, KEYS.vectors).keys() == items.keys()
    assert _hash(store, KEYS.codes(adapter.quantizer.sha256)) == fresh_codes(tiny, adapter, items)


def changes(store: redis.Redis) -> Counter[str]:
    """How often each item of the shop was written."""
    entries = cast("Iterable[tuple[bytes, dict[bytes, bytes]]]", store.xrange(KEYS.changes))
    return Counter(fields[b"id"].decode() for _, fields in entries)


def _hash(store: redis.Redis, key: str) -> dict[str, bytes]:
    found = cast("dict[bytes, bytes]", store.hgetall(key))
    return {name.decode(): value for name, value in found.items()}

"""Requests that ask for more memory than there is: refused one by one and all at once, while others are answered."""

import gzip
import resource
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from tests.integration.faults.load import Load, recommend
from tests.integration.faults.processes import ServiceProcess
from tests.integration.faults.shop import DOMAIN, TOOLS, details, put, put_one, recommended, texts
from tests.tiny_models import TinyStore
from training.local_service import serve_adapter

MIB = 1 << 20
ROOM = 768 * MIB  # beside what it takes at rest; more cannot be had, and the process ends where it tries
SHOP = f"/v1/domains/{DOMAIN}"
JSON = ("content-type", "application/json")


IN_THE_SUITE = ("objects", "numbers", "long lines", "more than a body may have", "packed", "entries", "an answer")


class Large(NamedTuple):
    """A request, and the status that it must get when it comes alone."""

    method: str
    path: str
    body: bytes
    status: int
    headers: tuple[tuple[str, str], ...] = (JSON,)


def full_of(part: bytes, size: int, head: bytes, tail: bytes, between: bytes = b",") -> bytes:
    """As many times a part as there is room for in so many bytes."""
    times = (size - len(head) - len(tail)) // (len(part) + len(between))
    return head + between.join([part] * times) + tail


@pytest.fixture(scope="module")
def large(full_size: bool) -> dict[str, Large]:
    """Requests by what is too large about them: a few that ask for the most, or with --full-size all."""
    everything = _requests()
    return everything if full_size else {name: everything[name] for name in IN_THE_SUITE}


def _requests() -> dict[str, Large]:
    bulk, one = f"{SHOP}/items:bulk", f"{SHOP}/recommendations"
    lines = (("content-type", "application/x-ndjson"),)
    many_fields = b",".join(b'"%d":{}' % number for number in range(100_000))
    excluding = b'{"history":[],"exclude_item_ids":['
    whole = b'{"history":["hammer"],"limit":500,"return_attributes":true}'
    return {
        "objects": Large("POST", bulk, full_of(b'{"a":{}}', 32 * MIB, b"[", b"]"), 413),
        "numbers": Large("POST", bulk, full_of(b"0", 32 * MIB, b"[", b"]"), 413),
        "lines": Large("POST", bulk, full_of(b"0", 32 * MIB, b"", b"", b"\n"), 413, lines),
        "long lines": Large(
            "POST", bulk, full_of(full_of(b"{}", MIB, b"[", b"]"), 32 * MIB, b"", b"", b"\n"), 413, lines
        ),
        "more than a body may have": Large("POST", bulk, full_of(b"0", 33 * MIB, b"[", b"]"), 413),
        "packed": Large("POST", bulk, gzip.compress(bytes(64 * MIB), 1), 415, (JSON, ("content-encoding", "gzip"))),
        "entries": Large("POST", one, full_of(b"{}", 8 * MIB, b'{"history":[', b"]}"), 413),
        "exclusions": Large("POST", one, full_of(b'"hammer"', 8 * MIB, excluding, b"]}"), 422),
        "conditions": Large(
            "POST", one, full_of(b"{}", 8 * MIB, b'{"history":["hammer"],"filter":{"a":[', b"]}}"), 413
        ),
        "fields": Large("POST", one, b'{"history":["hammer"],%s}' % many_fields, 422),
        "attributes": Large(
            "PUT", f"{SHOP}/items/saw", full_of(b"[]", 8 * MIB, b'{"text":"saw","attributes":{"a":[', b"]}}"), 413
        ),
        "histories": Large("POST", f"{one}:batch", full_of(b"{}", 8 * MIB, b'{"requests":[', b"]}"), 413),
        "an answer": Large("POST", f"{one}:batch", b'{"requests":[%s]}' % b",".join([whole] * 256), 413),
    }


@pytest.fixture(scope="module")
def service(store: TinyStore, folder: Path) -> Iterator[ServiceProcess]:
    patient = {"VQREC_APPLY_TIMEOUT_SECONDS": "60"}  # a bulk of 13 MB on a busy machine
    with ServiceProcess(store.root, folder / "service", patient) as service:
        service.until_ready()
        serve_adapter(service.http, DOMAIN, store.adapter.path)
        assert put(service.http, TOOLS).status_code == 200
        large = {f"a{number}": "x" * 1000 for number in range(64)}
        items = [{"item_id": item_id, "text": text, "attributes": large} for item_id, text in texts(400).items()]
        for start in (0, 200):
            assert service.http.post(f"{SHOP}/items:bulk", json=items[start : start + 200]).status_code == 200
        yield service


def test_what_asks_for_too_much_memory_is_refused_and_harms_nobody(
    service: ServiceProcess, large: dict[str, Large], full_size: bool
) -> None:
    before = recommended(service.http)
    _, most = resource.prlimit(service.pid, resource.RLIMIT_DATA)
    resource.prlimit(service.pid, resource.RLIMIT_DATA, (_bytes(service, "VmData") + ROOM, most))
    at_rest = _bytes(service, "VmRSS")
    Path(f"/proc/{service.pid}/clear_refs").write_text("5")  # the peak is measured from here
    with Load(lambda: service.url, recommend, clients=2) as load:
        for name, request in large.items():
            assert _status(service, request) == request.status, name
        bulks = [(name, request) for name, request in large.items() if request.path.endswith(":bulk")]
        together = [*large.items()] * 8 if full_size else bulks
        with ThreadPoolExecutor(len(together)) as clients:
            answers = clients.map(lambda item: (item[0], _status(service, item[1])), together)
            for name, status in answers:
                assert status in (large[name].status, 429), name
    load.assert_no_failure()
    peak = _bytes(service, "VmHWM") - at_rest
    assert peak < ROOM
    assert service.runs
    assert put_one(service.http, "saw", TOOLS["saw"]).json()["status"] == "unchanged"
    assert recommended(service.http) == before
    assert "unforeseen-error" not in service.log
    print(f"\n{len(large) + len(together)} requests, {peak / MIB:.0f} MiB more than at rest at most")
    print(f"{load.answered} recommendations answered meanwhile, the slowest after {load.slowest:.1f} s")


def test_killed_for_memory_it_has_everything_at_the_next_start(
    service: ServiceProcess, large: dict[str, Large]
) -> None:
    before = recommended(service.http)
    with ThreadPoolExecutor(1) as client:
        call = client.submit(_status, service, large["numbers"])
        assert put_one(service.http, "last", "the last that was acknowledged").status_code == 201
        service.kill()  # as the kernel does it, without a word
        call.exception()
    service.start()
    service.until_well()
    assert details(service.http)["items"] == len(TOOLS) + 400 + 1
    assert [item for item, _ in recommended(service.http, limit=500) if item == "last"] == ["last"]
    assert [pair for pair in recommended(service.http, limit=500) if pair[0] != "last"][: len(before)] == before


def _status(service: ServiceProcess, request: Large) -> int:
    with httpx.Client(base_url=service.url, timeout=120) as http:
        return http.request(request.method, request.path, content=request.body, headers=request.headers).status_code


def _bytes(service: ServiceProcess, name: str) -> int:
    """A figure of the process in bytes, as the kernel counts it."""
    lines = Path(f"/proc/{service.pid}/status").read_text().splitlines()
    (line,) = [line for line in lines if line.startswith(f"{name}:")]
    return int(line.split()[1]) * 1024

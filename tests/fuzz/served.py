"""A service as a process of its own on a socket, as clients meet it."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

_POLLS = 3000
_POLL_SECONDS = 0.02


@dataclass(frozen=True)
class ServedShop:
    """Where it answers, how to be let in, and what it logs."""

    url: str
    headers: Mapping[str, str]
    log: Path

    def send(self, method: str, path: str, **more: Any) -> httpx.Response:
        """One request, which must succeed."""
        answer = httpx.request(method, self.url + path, headers=self.headers, timeout=30, **more)
        assert answer.is_success, answer.text
        return answer

    def serve(self, domain: str, source: str) -> None:
        """Choose an adapter and wait until it serves."""
        location = self.send("PUT", f"/v1/admin/domains/{domain}/adapter", json={"source": source}).headers["location"]
        _until(lambda: self.send("GET", location).json()["state"] == "succeeded")


@contextmanager
def served_shop(artifacts: Path, folder: Path, key: str | None = None) -> Iterator[ServedShop]:
    """Run ``vqrec serve`` on a free port of the loopback.

    Args:
        artifacts: the artifact root.
        folder: for its data and its log.
        key: an API key of every scope; None for a service that asks for none.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    headers = {"X-API-Key": key} if key else {}
    environment = {name: value for name, value in os.environ.items() if not name.startswith("VQREC_")}
    environment |= {"VQREC_REDIS_FSYNC": "everysec", "VQREC_LOG_LEVEL": "warning", "VQREC_DRAIN_SECONDS": "0"}
    environment |= {"VQREC_APPLY_TIMEOUT_SECONDS": "60", "VQREC_REDIS_TIMEOUT_SECONDS": "60"}  # a machine may be busy
    if key:
        environment["VQREC_API_KEYS"] = f"{key}:read,ingest,admin"
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "log"
    arguments = ["--port", str(port), "--artifacts", str(artifacts), "--data-dir", str(folder / "data")]
    command = [sys.executable, "-c", "from service.commands import serve; serve()", *arguments]
    with log.open("wb") as output, subprocess.Popen(command, stdout=output, stderr=output, env=environment) as process:
        try:
            shop = ServedShop(f"http://127.0.0.1:{port}", headers, log)
            _until(lambda: process.poll() is not None or _is_ready(shop.url))
            assert process.poll() is None, log.read_text()
            yield shop
            assert process.poll() is None, log.read_text()
        finally:
            process.terminate()


def _is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz", timeout=30).status_code == 200
    except httpx.TransportError:
        return False


def _until(condition: Any) -> None:
    for _ in range(_POLLS):
        if condition():
            return
        time.sleep(_POLL_SECONDS)
    raise AssertionError("it did not come to be")

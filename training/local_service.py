"""A service on this machine, started as a user would start it and stopped when it is no longer needed."""

import signal
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

from training.errors import ServiceError

_READY_SECONDS = 60.0
_OPERATION_SECONDS = 300.0


@dataclass(frozen=True)
class LocalProcess:
    """A service that is ready.

    Args:
        client: of its REST interface.
        pid: of its process.
        ready_seconds: from its start until it said that it was ready.
    """

    client: httpx.Client
    pid: int
    ready_seconds: float


@contextmanager
def local_service(artifacts: Path, data_dir: Path, port: int, redis_url: str | None = None) -> Iterator[httpx.Client]:
    """A client of a service on loopback, once it is ready; see :func:`local_process`."""
    with local_process(artifacts, data_dir, port, {"REDIS_URL": redis_url or ""}) as process:
        yield process.client


@contextmanager
def local_process(
    artifacts: Path,
    data_dir: Path,
    port: int,
    environment: Mapping[str, str],
    ready_within: float = _READY_SECONDS,
) -> Iterator[LocalProcess]:
    """``vqrec serve`` on loopback, once it is ready. Its log is ``data_dir``/service.log.

    Args:
        artifacts: the artifact root.
        data_dir: made if it does not exist.
        port: on loopback.
        environment: further variables. Where REDIS_URL is not among them or empty, its Redis is an embedded one,
            which listens on ``data_dir``/redis/redis.sock.
        ready_within: seconds that it may take.

    Raises:
        ServiceError: if the port is taken, or the service stops at once or is not ready in time.
    """
    check_free(port)
    options = ["--port", str(port), "--artifacts", str(artifacts), "--data-dir", str(data_dir)]
    # `env` adds to what the process inherits, and becomes the service: its pid stays.
    # Nobody but its client sends it traffic, so there is nobody to wait for when it stops.
    variables = [f"{n}={v}" for n, v in {"REDIS_URL": "", "VQREC_DRAIN_SECONDS": "0", **environment}.items()]
    command = ["env", *variables, str(Path(sys.executable).with_name("vqrec")), "serve", *options]
    data_dir.mkdir(parents=True, exist_ok=True)
    log_path = data_dir / "service.log"
    start = time.monotonic()
    with (
        log_path.open("ab") as log,
        subprocess.Popen(command, stdout=log, stderr=log) as process,  # noqa: S603 - ours
    ):
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=120) as client:
                _wait_until_ready(client, process, log_path, start + ready_within)
                yield LocalProcess(client, process.pid, time.monotonic() - start)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=60)


def serve_adapter(client: httpx.Client, domain: str, source: Path) -> str:
    """Have the service serve the adapter at ``source`` as ``domain``; returns its version once it does.

    Raises:
        ServiceError: if it refuses to, or fails.
    """
    operation = checked(client.put(f"/v1/admin/domains/{domain}/adapter", json={"source": str(source)}))
    deadline = time.monotonic() + _OPERATION_SECONDS
    while operation["state"] not in ("succeeded", "failed") and time.monotonic() < deadline:
        time.sleep(0.1)
        operation = checked(client.get(f"/v1/admin/operations/{operation['id']}"))
    if operation["state"] != "succeeded":
        raise ServiceError(f"{domain}: the swap is {operation['state']}: {operation.get('error')}")
    return str(checked(client.get(f"/v1/domains/{domain}"))["adapter_version"])


def checked(response: httpx.Response) -> dict[str, Any]:
    """The JSON of a successful answer.

    Raises:
        ServiceError: with the problem, if it was none.
    """
    if response.is_error:
        raise ServiceError(f"{response.request.method} {response.request.url} answered {response.text}")
    answer: dict[str, Any] = response.json()
    return answer


def check_free(port: int) -> None:
    """Raises ServiceError if something listens on this port of loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise ServiceError(f"port {port} is taken: stop what listens there, or choose another port") from error


def _wait_until_ready(client: httpx.Client, process: "subprocess.Popen[bytes]", log: Path, deadline: float) -> None:
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise ServiceError(f"the service stopped at once; the end of {log}:\n{log.read_text()[-2000:]}")
        try:
            if client.get("/readyz", timeout=2).is_success:
                return
        except httpx.TransportError:
            pass  # not listening yet
        time.sleep(0.1)
    raise ServiceError(f"the service is not ready in time; see {log}")

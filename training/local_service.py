"""A service on this machine, started as a user would start it and stopped when it is no longer needed."""

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from training.errors import ServiceError

_READY_SECONDS = 60.0
_OPERATION_SECONDS = 300.0


@contextmanager
def local_service(artifacts: Path, data_dir: Path, port: int) -> Iterator[httpx.Client]:
    """``vqrec serve`` on loopback with an embedded Redis in ``data_dir``; a client of it, once it is ready.

    Its log is ``data_dir``/service.log.

    Raises:
        ServiceError: if the port is taken, or the service stops at once or is not ready after a minute.
    """
    _check_free(port)
    options = ["--port", str(port), "--artifacts", str(artifacts), "--data-dir", str(data_dir)]
    command = [str(Path(sys.executable).with_name("vqrec")), "serve", *options]
    data_dir.mkdir(parents=True, exist_ok=True)
    log_path = data_dir / "service.log"
    with log_path.open("ab") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:  # noqa: S603 - ours
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=120) as client:
                _wait_until_ready(client, process, log_path)
                yield client
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


def _check_free(port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise ServiceError(f"port {port} is taken: stop what listens there, or choose another port") from error


def _wait_until_ready(client: httpx.Client, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise ServiceError(f"the service stopped at once; the end of {log}:\n{log.read_text()[-2000:]}")
        try:
            if client.get("/readyz", timeout=2).is_success:
                return
        except httpx.TransportError:
            pass  # not listening yet
        time.sleep(0.2)
    raise ServiceError(f"the service is not ready after {_READY_SECONDS:.0f} s; see {log}")

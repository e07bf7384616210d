"""Real processes that a test may kill, pause, starve of disk and start anew. All listen on loopback."""

import os
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import redis

from service.redis_server import find_redis_server
from tests.integration.faults.disk import SmallDisk
from tests.integration.faults.waiting import wait_until

VQREC = Path(sys.executable).with_name("vqrec")
_LIGHT = {  # one thread of each sort: several of these processes share a machine with the test
    "VQREC_NETWORK_THREADS": "1",
    "VQREC_TEXT_THREADS": "1",
    "VQREC_DRAIN_SECONDS": "0",
    "VQREC_REDIS_TIMEOUT_SECONDS": "2",
}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class _Process:
    """A process that ends with the context at the latest."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.kill()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def runs(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        raise NotImplementedError

    def kill(self) -> None:
        """As ``kill -9`` does it: nothing is put in order."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(30)

    def pause(self) -> None:
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def terminate(self) -> None:
        """Tell it to stop, and do not wait for it."""
        self._signal(signal.SIGTERM)

    def strike(self) -> None:
        """Set off the fault that it was started with."""
        self._signal(signal.SIGUSR1)

    def wait(self, seconds: float = 60.0) -> int:
        """Wait for its end; what it ended with, for a signal its negative number."""
        assert self._process is not None
        return self._process.wait(seconds)

    def limit_files(self, most_bytes: int | None) -> None:
        """Let none of its files grow beyond a size, as a full disk does; None lets them again."""
        limit_files(self.pid, most_bytes)

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)


class RedisProcess(_Process):
    """A Redis that syncs its append-only file, on a port and a folder that it keeps from start to start."""

    def __init__(self, folder: Path, fsync: str = "always") -> None:
        super().__init__(folder)
        self.port, self.fsync = free_port(), fsync
        self.client = redis.Redis(port=self.port, socket_timeout=30)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def log_bytes(self) -> int:
        """The size of its append-only file."""
        return (self.folder / "appendonly.aof").stat().st_size

    def start(self) -> None:
        """Start it and wait until it has loaded its data."""
        options: dict[str, object] = {
            "port": self.port,
            "bind": "127.0.0.1",
            "dir": self.folder,
            "appendonly": "yes",
            "appendfsync": self.fsync,
            "save": "",
            "logfile": self.folder / "redis.log",
        }
        command = [
            str(find_redis_server()),
            *(str(word) for pair in options.items() for word in ("--" + pair[0], pair[1])),
        ]
        # Python ignores the signal that follows on a file that grew too large; so must Redis, to be told by the write.
        self._process = subprocess.Popen(command, restore_signals=False)
        wait_until(self._answers, "Redis answers")

    def _answers(self) -> bool:
        assert self.runs, (self.folder / "redis.log").read_text()[-2000:]
        try:
            return bool(self.client.ping())
        except (redis.ConnectionError, redis.TimeoutError):
            return False


class ServiceProcess(_Process):
    """``vqrec serve``, on a port and a data directory that it keeps from start to start.

    Args:
        artifacts: the artifact root.
        folder: its data directory, with its log.
        environment: further variables; REDIS_URL among them, or its Redis is an embedded one.
        before: code that the process runs first, to bring a fault with it.
        disk: what its data directory lies on; it must be mounted over ``folder``.
        log: where it writes its log, if not into ``folder``.
    """

    def __init__(
        self,
        artifacts: Path,
        folder: Path,
        environment: Mapping[str, str],
        before: str = "",
        *,
        disk: SmallDisk | None = None,
        log: Path | None = None,
    ) -> None:
        super().__init__(folder)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.http = httpx.Client(base_url=self.url, timeout=60)
        self._environment = {**os.environ, "REDIS_URL": "", **_LIGHT, **environment}
        self._log = log or folder / "service.log"
        options = ["--port", str(self.port), "--artifacts", str(artifacts), "--data-dir", str(folder)]
        command = [*_command(before), *options]
        self._command = disk.inside(*command) if disk is not None else command

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log, env=self._environment)

    def __exit__(self, *error: Any) -> None:
        self.http.close()
        super().__exit__(*error)

    @property
    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def readiness(self) -> tuple[int, str, str]:
        """What /readyz answers: the status code, the status, and the reasons; 0 while nobody listens."""
        try:
            answer = self.http.get("/readyz")
        except httpx.TransportError:
            return 0, "away", ""
        return answer.status_code, answer.json()["status"], "; ".join(answer.json()["reasons"])

    def until_ready(self) -> float:
        """Wait until it takes requests; the seconds that it took."""

        def ready() -> bool:
            assert self.runs, self.log[-3000:]
            return self.readiness()[0] == 200

        return wait_until(ready, "the service is ready", 180)

    def until_well(self) -> float:
        """Wait until it has nothing to complain of; the seconds that it took."""
        try:
            return wait_until(lambda: self.readiness() == (200, "ready", ""), "the service is well")
        except AssertionError as error:
            raise AssertionError(f"{error}: {self.readiness()}\n{self.log[-3000:]}") from None


def limit_files(pid: int, most_bytes: int | None) -> None:
    """See :meth:`RedisProcess.limit_files`, for a process that another one started."""
    _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard if most_bytes is None else most_bytes, hard))


def _command(before: str) -> Sequence[str]:
    if not before:
        return [str(VQREC), "serve"]
    return [sys.executable, "-c", f"{before}\nfrom service.commands import serve; serve()"]

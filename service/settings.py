"""The configuration of the service: the only place that reads the environment. ``vqrec doctor`` prints all of it."""

import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, HttpUrl, SecretStr, ValidationError, field_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from models.cpu import available_cpus
from service.errors import ConfigurationError
from service.redis_url import url_fault
from service.security.keys import ApiKeys
from service.security.rate_limit import Rate
from service.security.sources import KeySources

MIB = 1 << 20
# More is a slip of the keyboard, and would be met long after the start, by a timer or an allocation.
_HOUR, _DAY = 3600, 86_400
_MOST_BYTES, _MOST_THREADS, _MOST_WAITING = 1 << 50, 1024, 10_000_000
_OTHERS = {"VQREC_API_KEY", "VQREC_DATA"}  # of `vqrec ingest`, and of tests and benchmarks


class Settings(BaseSettings):
    """Every setting, read from ``VQREC_<NAME>`` (and ``REDIS_URL``) unless it is passed in by name."""

    model_config = SettingsConfigDict(
        env_prefix="VQREC_",
        frozen=True,
        extra="forbid",
        populate_by_name=True,
        env_ignore_empty=True,
        hide_input_in_errors=True,
    )

    artifacts: Path = Field(Path("artifacts"), description="the artifact root: text encoders, backbones, adapters")
    data_dir: Path = Field(Path("vqrec-data"), description="what the service keeps: embedded Redis, fetched adapters")
    backbone: str | None = Field(None, description="path or sha256 prefix of the backbone; unset: the first adapter's")
    adapter_url_prefixes: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="URL prefixes, separated by white space, that adapters may be fetched from"
    )
    adapter_download_bytes: int = Field(
        1024 * MIB, ge=1, le=_MOST_BYTES, description="largest adapter that is fetched from a URL"
    )
    adapter_download_seconds: float = Field(300.0, gt=0, le=_DAY, description="longest time to fetch one from a URL")

    api_keys: SecretStr | None = Field(None, description="API keys: KEY:scope,scope, or what `vqrec key` prints")
    api_keys_file: Path | None = Field(None, description="a file of such entries, read anew when it changes")
    rate_limit: float | None = Field(
        None, ge=0.001, le=1e6, description="requests a second of an API key without a rate of its own; unset: no limit"
    )

    redis_url: SecretStr | None = Field(
        None, validation_alias="REDIS_URL", description="redis://, rediss:// or unix://; unset: embedded, in data_dir"
    )
    redis_timeout_seconds: float = Field(5.0, gt=0, le=_HOUR, description="longest wait for an answer of Redis")
    redis_connections: int = Field(
        32, ge=2, le=10_000, description="connections to Redis at most, followers not counted"
    )
    redis_fsync: Literal["always", "everysec"] = Field("always", description="appendfsync of the embedded Redis")
    redis_start_seconds: float = Field(
        60.0, gt=0, le=_DAY, description="longest wait for the embedded Redis to load its data"
    )

    stream_length: int = Field(
        100_000, ge=100, le=10**9, description="changes kept for replicas that fall behind, about"
    )
    apply_timeout_seconds: float = Field(
        5.0, gt=0, le=_HOUR, description="longest wait of a write until it is served here"
    )

    index: Literal["auto", "flat", "ivf", "codes"] = Field(
        "auto",
        description="kind of index of every domain; auto: by the size of its catalogue and the memory it may take",
    )
    index_memory_bytes: int = Field(
        1024 * MIB, ge=1, le=_MOST_BYTES, description="memory that the index of one domain may take"
    )
    index_threads: int = Field(
        1, ge=0, le=_MOST_THREADS, description="threads that build an index; 0: as many as there are processors"
    )

    max_body_bytes: int = Field(32 * MIB, ge=1024, le=_MOST_BYTES, description="largest request body")
    body_memory_bytes: int = Field(
        128 * MIB,
        ge=1,
        le=_MOST_BYTES,
        description="that bodies of more than 64 KiB may take together; more are answered 429",
    )
    connections: int = Field(
        2000, ge=1, le=1_000_000, description="open connections that are served; on more only health is"
    )
    client_seconds: float = Field(
        20.0,
        gt=0,
        le=_DAY,
        description="in which a client sends a request or takes an answer, and one more for each 16 KiB",
    )
    idle_seconds: int = Field(75, ge=1, le=_DAY, description="longest time that a connection is kept without a request")
    max_bulk_items: int = Field(10_000, ge=1, le=_MOST_WAITING, description="items in one bulk at most")

    network_threads: int = Field(
        0,
        ge=0,
        le=_MOST_THREADS,
        description="batches computed at the same time, a thread each; 0: as many as there are processors",
    )
    batch_size: int = Field(32, ge=1, le=1024, description="histories in one run of the network at most")
    batch_wait_milliseconds: float = Field(
        5.0, ge=0, le=60_000, description="longest wait for a batch to fill while another is computed"
    )
    queue_size: int = Field(4096, ge=1, le=_MOST_WAITING, description="histories that may wait; more are answered 429")
    queue_milliseconds: float = Field(
        12.0, gt=0, le=600_000, description="longest wait that a recommendation may expect; more are answered 429"
    )
    text_threads: int = Field(
        0, ge=0, le=_MOST_THREADS, description="threads of the text encoder; 0: as many as there are processors"
    )
    text_batch_size: int = Field(64, ge=1, le=1024, description="texts of one length encoded in one go at most")
    text_queue_size: int = Field(
        20_000, ge=256, le=_MOST_WAITING, description="texts that may wait; more are answered 429"
    )

    traces_url: HttpUrl | None = Field(
        None, description="collector of traces, OTLP over HTTP: http://collector:4318/v1/traces; unset: no traces"
    )
    traces_share: float = Field(0.05, ge=0, le=1, description="of the requests traced whose caller decides nothing")

    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="least severe log line written")
    drain_seconds: float = Field(
        5.0, ge=0, le=_HOUR, description="how long it serves on after SIGTERM, while /readyz says that it stops"
    )
    graceful_seconds: int = Field(30, ge=0, le=_DAY, description="longest wait for requests in flight when stopping")

    @field_validator("*", mode="before")
    @classmethod
    def _says_something(cls, value: object) -> object:
        if isinstance(value, str) and not value.strip():
            raise ValueError("it holds nothing but white space: give it a value, or unset it")
        return value

    @field_validator("redis_url", mode="after")
    @classmethod
    def _is_redis_url(cls, url: SecretStr | None) -> SecretStr | None:
        fault = url_fault(url.get_secret_value()) if url is not None else None
        if fault is not None:
            raise ValueError(f"this is not a Redis URL that the service can use: {fault}")
        return url

    @field_validator("adapter_url_prefixes", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(value.split()) if isinstance(value, str) and value.strip() else value

    @field_validator("traces_url", mode="after")
    @classmethod
    def _no_credentials(cls, url: HttpUrl | None) -> HttpUrl | None:
        if url is not None and (url.username or url.password):
            raise ValueError("a key for the collector belongs into OTEL_EXPORTER_OTLP_HEADERS, since this is shown")
        return url

    def key_sources(self) -> KeySources:
        """Where the API keys come from."""
        return KeySources(self.api_keys.get_secret_value() if self.api_keys else None, self.api_keys_file)

    def load_api_keys(self) -> ApiKeys:
        """Every key of both settings as they are now.

        Raises:
            ConfigurationError: if the file cannot be read, a source holds no key, or an entry is wrong.
        """
        return self.key_sources().read()

    def default_rate(self) -> Rate | None:
        """The rate of keys that have none of their own; None: no limit."""
        return Rate.of(self.rate_limit) if self.rate_limit is not None else None


def load_settings(**given: object) -> Settings:
    """Settings from ``given`` (None: not given) and the environment.

    Raises:
        ConfigurationError: naming every variable that is wrong and why; values are not repeated.
    """
    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]
    except ValidationError as error:
        faults = [f"{environment_name(str(fault['loc'][0]))}: {_told(fault)}" for fault in error.errors()]
        raise ConfigurationError("; ".join(faults)) from error


def _told(fault: ErrorDetails) -> str:
    ours = fault.get("ctx", {}).get("error")
    return str(ours) if isinstance(ours, ValueError) else fault["msg"].replace("Input should be", "it must be", 1)


def unknown_variables() -> list[str]:
    """Variables of the environment that look like settings and are none: misspelt, most likely."""
    known = {environment_name(name) for name in Settings.model_fields} | _OTHERS
    return sorted(name for name in os.environ if name.startswith("VQREC_") and name not in known)


def environment_name(field: str) -> str:
    """The variable that a setting is read from."""
    return "REDIS_URL" if field in ("redis_url", "REDIS_URL") else f"VQREC_{field.upper()}"


def threads(configured: int) -> int:
    """A number of threads where 0 means one for each processor this process may use."""
    return configured or available_cpus()

"""What the doctor says of Redis and of traces."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from redis import Redis
from redis.backoff import ExponentialBackoff
from redis.exceptions import ConnectionError  # noqa: A004 - redis-py's own
from redis.retry import Retry

from service.doctor import Finding, examine
from service.redis_server import find_redis_server
from service.settings import Settings
from tests.running_service import make_settings
from tests.service.tracing.collector import collecting
from tests.tiny_models import TinyStore


@pytest.fixture
def unsafe_redis(tmp_path: Path) -> Iterator[str]:
    """A server that keeps nothing, and tells no CONFIG."""
    socket = tmp_path / "redis.sock"
    options = ("--port", "0", "--unixsocket", str(socket), "--save", "", "--rename-command", "CONFIG", "")
    with subprocess.Popen([str(find_redis_server()), *options], stdout=subprocess.DEVNULL) as server:
        patient = Retry(ExponentialBackoff(cap=0.1, base=0.001), 100, (ConnectionError,))
        with Redis(unix_socket_path=str(socket), retry=patient) as redis:
            redis.ping()
        yield f"unix://{socket}"
        server.terminate()


@pytest.fixture
def about(tiny: TinyStore, tmp_path: Path) -> Callable[..., list[Finding]]:
    """The findings about a subject, under some settings."""

    def found(subject: str, **more: object) -> list[Finding]:
        settings: Settings = make_settings(tiny.root, tmp_path, **more)
        return [finding for finding in examine(settings, 0) if finding.subject == subject]

    return found


def test_a_redis_that_loses_what_it_acknowledged_is_wrong(
    about: Callable[..., list[Finding]], unsafe_redis: str
) -> None:
    (finding,) = about("acknowledged writes", redis_url=unsafe_redis)
    assert finding.is_fault
    assert finding.line().startswith("WRONG acknowledged writes")
    assert "appendonly yes" in finding.line()


def test_the_embedded_redis_is_safe_and_says_what_it_is_told(about: Callable[..., list[Finding]]) -> None:
    (safe,) = about("acknowledged writes", redis_fsync="always")
    assert safe.line().startswith("ok    ")
    (lax,) = about("acknowledged writes", redis_fsync="everysec")
    assert (lax.is_fault, lax.line()[:6]) == (False, "note  ")


def test_a_redis_that_does_not_answer_is_wrong(about: Callable[..., list[Finding]], tmp_path: Path) -> None:
    (finding,) = about("Redis", redis_url=f"unix://{tmp_path}/nobody.sock")
    assert (finding.is_fault, finding.found) == (True, "does not answer")
    assert about("acknowledged writes", redis_url=f"unix://{tmp_path}/nobody.sock") == []


def test_traces_that_reach_nobody_are_noted(about: Callable[..., list[Finding]]) -> None:
    assert about("traces") == []
    with collecting() as collector:
        (reached,) = about("traces", traces_url=collector.url)
        assert reached.line().startswith("ok    ")
    (lost,) = about("traces", traces_url=collector.url)
    assert (lost.is_fault, "no collector answers" in lost.line()) == (False, True)

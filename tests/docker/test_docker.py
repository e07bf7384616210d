"""What can be said of the images and the compose file without a Docker engine."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from service.security import parse_keys
from tests.docker.dockerfiles import REPOSITORY, copied, instructions

IMAGES = ("service", "training")
REPLICAS = ("service-1", "service-2")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text())
    return loaded


@pytest.mark.parametrize("image", IMAGES)
def test_every_source_that_is_copied_exists_and_reaches_the_builder(image: str) -> None:
    ignore = (REPOSITORY / ".dockerignore").read_text().splitlines()
    sources = copied(image)
    assert sources
    for source in sources:
        assert (REPOSITORY / source).exists(), source
        assert f"!{source}" in ignore


@pytest.mark.parametrize("image", IMAGES)
def test_everything_that_the_build_reads_is_copied(image: str) -> None:
    assert {"pyproject.toml", "constraints.txt", "README.md", "LICENSE", "models", image} <= set(copied(image))


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_installs_its_own_extra_with_pinned_dependencies(image: str) -> None:
    runs = [rest for name, rest in instructions(image) if name == "RUN" and "pip install" in rest]
    assert len(runs) == 1
    assert re.findall(r"'\.\[(.*?)\]'", runs[0]) == [image]
    assert "-c constraints.txt" in runs[0]


def test_the_service_image_holds_nothing_of_training() -> None:
    assert "training" not in copied("service")
    assert not any("[training" in rest or "torch" in rest for _, rest in instructions("service"))


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_runs_as_a_user_of_its_own(image: str) -> None:
    users = [rest for name, rest in instructions(image) if name == "USER"]
    assert len(users) == 1
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", users[0])
    assert users[0] == next(rest for name, rest in instructions("service") if name == "USER")


@pytest.mark.parametrize("image", IMAGES)
def test_every_stage_is_pinned_to_a_supported_python(image: str) -> None:
    bases = [rest.split()[0] for name, rest in instructions(image) if name == "FROM"]
    assert len(bases) == 2
    assert all(re.fullmatch(r"python:3\.1[12]\.\d+-slim-\w+", base) for base in bases)


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_reports_to_nobody(image: str) -> None:
    assert any("ORT_DISABLE_TELEMETRY=1" in rest.split() for name, rest in instructions(image) if name == "ENV")


def test_the_service_image_holds_no_pip() -> None:
    builder, final = _stages("service")
    assert any("/opt/vqrec/bin/python -m pip uninstall --yes pip" in rest for name, rest in builder if name == "RUN")
    removed = [rest for name, rest in final if name == "RUN"]
    assert any("python -m pip uninstall --yes pip" in rest and "import ensurepip" in rest for rest in removed)


def test_the_service_image_serves_and_tells_its_health() -> None:
    of = dict(instructions("service"))
    assert of["ENTRYPOINT"] == '["vqrec"]'
    assert of["CMD"] == '["serve", "--host", "0.0.0.0"]'
    assert of["EXPOSE"] == "8000"
    assert of["STOPSIGNAL"] == "SIGTERM"
    assert "/livez" in of["HEALTHCHECK"]


def test_compose_builds_from_files_that_exist(compose: dict[str, Any]) -> None:
    built = [service["build"] for service in compose["services"].values() if "build" in service]
    assert all((REPOSITORY / build["context"] / build["dockerfile"]).is_file() for build in built)


def test_compose_redis_keeps_what_it_acknowledged(compose: dict[str, Any]) -> None:
    redis = compose["services"]["redis"]
    command = dict(zip(redis["command"][1::2], redis["command"][2::2], strict=True))
    assert re.fullmatch(r"redis:\d+\.\d+\.\d+-alpine", redis["image"])
    assert command["--appendonly"] == "yes"
    assert command["--appendfsync"] == "always"
    assert command["--maxmemory-policy"] == "noeviction"
    assert "redis:/data" in redis["volumes"]
    assert redis["healthcheck"]["test"]


def test_compose_redis_is_reached_by_the_service_alone(compose: dict[str, Any]) -> None:
    assert "ports" not in compose["services"]["redis"]
    (network,) = compose["services"]["redis"]["networks"]
    assert compose["networks"][network]["internal"] is True


@pytest.mark.parametrize("name", [*REPLICAS, "redis", "training"])
def test_compose_confines_every_container(compose: dict[str, Any], name: str) -> None:
    service = compose["services"][name]
    assert service["read_only"] is True
    assert len(service["tmpfs"]) == 1
    assert service["cap_drop"] == ["ALL"]
    assert "cap_add" not in service
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["pids_limit"] > 0
    assert not service.get("privileged", False)
    assert not {"network_mode", "pid", "ipc", "userns_mode", "devices"} & service.keys()
    assert all(not volume.startswith(("/", ".", "~")) for volume in service["volumes"])  # nothing of the host


def test_compose_runs_nothing_as_root(compose: dict[str, Any]) -> None:
    for service in compose["services"].values():
        assert "build" in service or service["user"] == "redis"  # what is built here has a user of its own


@pytest.mark.parametrize("name", REPLICAS)
def test_compose_replicas_only_read_artifacts_and_wait_for_redis(compose: dict[str, Any], name: str) -> None:
    service = compose["services"][name]
    assert "artifacts:/artifacts:ro" in service["volumes"]
    assert service["depends_on"]["redis"]["condition"] == "service_healthy"


def test_compose_publishes_each_replica_on_a_port_of_its_own_on_loopback(compose: dict[str, Any]) -> None:
    ports = [port for name in REPLICAS for port in compose["services"][name]["ports"]]
    assert len(set(ports)) == len(REPLICAS)
    assert all(port.startswith("127.0.0.1:") and port.endswith(":8000") for port in ports)


def test_compose_trains_only_when_it_is_asked_to(compose: dict[str, Any]) -> None:
    training = compose["services"]["training"]
    assert training["profiles"] == ["training"]
    assert "artifacts:/artifacts" in training["volumes"]


def test_compose_takes_keys_from_a_file_whose_example_the_service_can_read(compose: dict[str, Any]) -> None:
    path = Path(compose["secrets"]["api-keys"]["file"])
    keys = parse_keys((REPOSITORY / f"{path}.example").read_text().replace("replace-me", "replaced"))
    assert {scope for key in keys.keys for scope in key.scopes} == {"read", "ingest", "admin"}
    assert compose["services"]["service-1"]["environment"]["VQREC_API_KEYS_FILE"] == "/run/secrets/api-keys"
    assert not any("KEY" in name and "FILE" not in name for name in compose["services"]["service-1"]["environment"])


def _stages(image: str) -> list[list[tuple[str, str]]]:
    stages: list[list[tuple[str, str]]] = []
    for name, rest in instructions(image):
        if name == "FROM":
            stages.append([])
        stages[-1].append((name, rest))
    return stages

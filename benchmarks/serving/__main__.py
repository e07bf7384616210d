"""Requests a second at a 99th percentile of 25 ms: the service, LitServe, plain FastAPI, and the engine alone."""

import json
import subprocess
import sys
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path

import httpx
import psutil

from benchmarks.serving.catalogue import DOMAIN, Catalogue
from benchmarks.serving.contenders import Ground, contenders
from benchmarks.serving.load import Load
from benchmarks.serving.sweep import Point, measure, sweep
from benchmarks.setting import read_setting
from models.store import ArtifactStore
from training.evaluate import ServedModel

_COMPARED = 200  # answers of each server that are held against the service's
_SAME = 1e-4  # of a score, where the servers round in another order


def main() -> None:
    setting = read_setting("serving", __doc__ or "")
    dataset = setting.dataset(DOMAIN)
    adapter = setting.adapter(dataset, DOMAIN, ArtifactStore(setting.artifacts))
    folder = setting.work / "serving"
    catalogue = Catalogue.build(setting, dataset, ServedModel.load(adapter))
    catalogue.save(folder)
    seconds = 2.0 if setting.quick else 6.0
    bare = _bare(adapter, folder, seconds)
    bound = max(run["queries_per_second"] for run in bare)
    answers: dict[str, list[list[float]]] = {}
    points: dict[str, list[Point]] = {}
    best: dict[str, Point | None] = {}
    for contender in contenders(Ground(setting, adapter, folder, catalogue)):
        with contextmanager(contender.start)() as servers:
            ports = tuple(range(setting.port, setting.port + len(servers)))
            send = partial(Load, ports, contender.path, str(folder / "bodies.jsonl"), seconds=seconds)
            answers[contender.name] = _scores(setting.port, contender.path, catalogue)

            def at(rate: float, send: Callable[..., Load] = send, servers: list[psutil.Process] = servers) -> Point:
                return measure(send(rate=rate), servers)

            points[contender.name], best[contender.name] = sweep(at, contender.first_rate)
    ours = max((point.rate for name, point in best.items() if point and name.startswith("vqrec")), default=0.0)
    rows = [_row(name, point, ours) for name, point in best.items()]
    facts = {
        "items": len(catalogue.items),
        "histories": len(catalogue.histories),
        "bare engine, queries a second": round(bound),
        "share of the bare engine": round(ours / bound, 3),
        "answers that differ from the service's": {name: _different(answers, name) for name in answers},
    }
    series = {"bare": bare, "points": [{"server": name, **asdict(point)} for name in points for point in points[name]]}
    setting.report(
        ("server", "requests/s", "p50", "p99", "server cpu", "generator cpu", "ours is"), rows, facts, series
    )


def _bare(adapter: Path, folder: Path, seconds: float) -> list[dict[str, float]]:
    command = [sys.executable, "-m", "benchmarks.serving.bare", str(adapter), str(folder), str(seconds)]
    runs: list[dict[str, float]] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return runs


def _scores(port: int, path: str, catalogue: Catalogue) -> list[list[float]]:
    """The scores that the server gives to the first histories; ids may differ where items have one code."""
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
        bodies = catalogue.bodies()[:_COMPARED]
        answers = [
            client.post(path, content=body, headers={"content-type": "application/json"}).raise_for_status()
            for body in bodies
        ]
    return [[item["score"] for item in answer.json()["items"]] for answer in answers]


def _different(answers: dict[str, list[list[float]]], name: str) -> int:
    pairs = zip(answers["vqrec"], answers[name], strict=True)
    return sum(
        len(one) != len(other) or any(abs(a - b) > _SAME for a, b in zip(one, other, strict=True))
        for one, other in pairs
    )


def _row(name: str, point: Point | None, ours: float) -> tuple[object, ...]:
    if point is None:
        return (name, None, None, None, None, None, None)
    latency = point.milliseconds
    ratio = ours / point.rate
    return (name, point.rate, latency["p50"], latency["p99"], point.server_share, point.generator_share, ratio)


if __name__ == "__main__":
    main()

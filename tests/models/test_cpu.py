"""How many processors there are to use: the smaller of what the scheduler and the cgroup allow."""

import os
from pathlib import Path

import pytest

from models import cpu


@pytest.fixture
def cgroup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in place of /sys/fs/cgroup, on a machine with eight processors."""
    monkeypatch.setattr(cpu, "_CGROUP_V2", tmp_path / "cpu.max")
    monkeypatch.setattr(cpu, "_CGROUP_V1", tmp_path / "cpu")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    return tmp_path


@pytest.mark.parametrize(
    ("limit", "cpus"),
    [
        ("max 100000\n", 8),
        ("200000 100000\n", 2),
        ("150000 100000\n", 2),
        ("50000 100000\n", 1),
        ("1000 100000\n", 1),
        ("6400000 100000\n", 8),
    ],
)
def test_the_second_cgroup_hierarchy(cgroup: Path, limit: str, cpus: int) -> None:
    (cgroup / "cpu.max").write_text(limit)
    assert cpu.available_cpus() == cpus


@pytest.mark.parametrize(("quota", "cpus"), [("-1\n", 8), ("300000\n", 3), ("250000\n", 3), ("10000\n", 1)])
def test_the_first_cgroup_hierarchy(cgroup: Path, quota: str, cpus: int) -> None:
    (cgroup / "cpu").mkdir()
    (cgroup / "cpu" / "cpu.cfs_quota_us").write_text(quota)
    (cgroup / "cpu" / "cpu.cfs_period_us").write_text("100000\n")
    assert cpu.available_cpus() == cpus


def test_without_a_cgroup_the_scheduler_decides(cgroup: Path) -> None:
    assert not list(cgroup.iterdir())
    assert cpu.available_cpus() == 8


def test_this_machine_has_a_processor() -> None:
    assert 1 <= cpu.available_cpus() <= (os.cpu_count() or 1)

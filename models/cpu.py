"""How many processors this process may use: the cgroup's share, not the host's count."""

import os
from math import ceil
from pathlib import Path

_CGROUP_V2 = Path("/sys/fs/cgroup/cpu.max")
_CGROUP_V1 = Path("/sys/fs/cgroup/cpu")


def available_cpus() -> int:
    """The smaller of the scheduler's affinity and the cgroup's quota, at least one."""
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _cgroup_quota()
    return max(1, min(affinity, ceil(quota)) if quota else affinity)


def _cgroup_quota() -> float | None:
    try:
        if _CGROUP_V2.is_file():
            limit, period = _CGROUP_V2.read_text().split()[:2]
        else:
            limit = (_CGROUP_V1 / "cpu.cfs_quota_us").read_text().strip()
            period = (_CGROUP_V1 / "cpu.cfs_period_us").read_text().strip()
    except OSError:
        return None  # not in a cgroup that says
    return None if limit in ("max", "-1") else int(limit) / int(period)

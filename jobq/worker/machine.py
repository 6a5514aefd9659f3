"""What the machine allows: how many CPUs this process may use."""

import math
import os
from pathlib import Path

CGROUP_V2 = Path("/sys/fs/cgroup/cpu.max")
CGROUP_V1_QUOTA = Path("/sys/fs/cgroup/cpu/cpu.cfs_quota_us")
CGROUP_V1_PERIOD = Path("/sys/fs/cgroup/cpu/cpu.cfs_period_us")


def usable_cpus() -> int:
    """The CPUs that affinity and the cgroup's quota leave to this process; at least 1."""
    quota = cgroup_quota()
    cpus = affinity()
    return max(1, cpus if quota is None else min(cpus, math.ceil(quota)))


def affinity() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cgroup_quota() -> float | None:
    """CPUs' worth of time that the cgroup may use; None where there is no limit."""
    try:
        if CGROUP_V2.exists():
            quota, period = CGROUP_V2.read_text().split()[:2]
        else:
            quota, period = CGROUP_V1_QUOTA.read_text().strip(), CGROUP_V1_PERIOD.read_text().strip()
        limit = float(quota) / float(period)
    except (OSError, ValueError, ZeroDivisionError):  # no cgroup, or "max": no limit
        return None
    return limit if limit > 0 else None

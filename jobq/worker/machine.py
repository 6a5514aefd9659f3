"""What the machine allows and tells: how many CPUs there are to use, what a process holds, what it listens to."""

import math
import os
from pathlib import Path

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")

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


def resident_kilobytes(pid: int) -> int | None:
    """The memory that a process holds now; None where the platform does not tell."""
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:
            return int(file.read().split()[1]) * PAGE_BYTES // 1024
    except (OSError, IndexError, ValueError):
        return None


def catches_signal(pid: int, number: int) -> bool:
    """Whether a process has a handler for a signal; where the platform does not tell, it is believed to."""
    try:
        with open(f"/proc/{pid}/status", "rb") as file:
            caught = next((line for line in file if line.startswith(b"SigCgt:")), None)
    except OSError:
        return True
    return caught is None or bool(int(caught.split()[1], 16) >> (number - 1) & 1)

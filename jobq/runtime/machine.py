"""Facts about the machine: usable CPUs, the memory of a process, the signals that it handles."""

import math
import os
from collections.abc import Iterator
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
OWN_CGROUPS = Path("/proc/self/cgroup")

CLOCK_TICKS = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def usable_cpus() -> int:
    """The CPUs that affinity and the cgroups' quotas leave to this process; at least 1."""
    quota = cgroup_quota()
    cpus = affinity()
    return max(1, cpus if quota is None else min(cpus, math.ceil(quota)))


def affinity() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cgroup_quota() -> float | None:
    """CPUs' worth of time that this process may use; None where there is no limit.

    A limit may be set on the process's own cgroup, as a service manager does, or on any above it: the lowest counts.
    """
    limits = [limit for folder in cgroup_folders() if (limit := limit_of(folder)) is not None]
    return min(limits, default=None)


def cgroup_folders() -> Iterator[Path]:
    """The cgroups that may limit the time of this process, from the topmost that can be seen down to its own.

    In a container the names are the host's, and only the topmost folder exists under them: it is the container's own.
    """
    try:
        entries = [line.split(":", 2) for line in OWN_CGROUPS.read_text().splitlines()]
    except (OSError, ValueError):
        entries = []
    for root, controller in ((CGROUPS, ""), (CGROUPS / "cpu", "cpu")):  # of version 2, and of version 1
        folder = root
        yield root
        for own in (entry[2] for entry in entries if len(entry) == 3 and controller in entry[1].split(",")):
            for name in Path(own).parts[1:]:
                folder /= name
                yield folder


def limit_of(cgroup: Path) -> float | None:
    try:
        if (file := cgroup / "cpu.max").exists():
            quota, period = file.read_text().split()[:2]
        else:
            quota, period = (cgroup / "cpu.cfs_quota_us").read_text(), (cgroup / "cpu.cfs_period_us").read_text()
        limit = float(quota) / float(period)
    except (OSError, ValueError, ZeroDivisionError):  # no cgroup, or "max": no limit
        return None
    return limit if 0 < limit < math.inf else None


def resident_kilobytes(pid: int) -> int | None:
    """The memory that a process holds now. None if the platform does not tell."""
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:
            return int(file.read().split()[1]) * PAGE_BYTES // 1024
    except (OSError, IndexError, ValueError):
        return None


def cpu_seconds(pid: int) -> float | None:
    """The CPU time of a process since it began. None if the platform does not tell."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()  # a name may hold anything
        return (int(fields[11]) + int(fields[12])) / CLOCK_TICKS
    except (OSError, IndexError, ValueError):
        return None


def catches_signal(pid: int, number: int) -> bool:
    """Whether a process has a handler for a signal. True if the platform does not tell."""
    try:
        with open(f"/proc/{pid}/status", "rb") as file:
            caught = next((line for line in file if line.startswith(b"SigCgt:")), None)
    except OSError:
        return True
    return caught is None or bool(int(caught.split()[1], 16) >> (number - 1) & 1)

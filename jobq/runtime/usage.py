"""What the processes of children use now: their memory, and the CPUs that they kept busy since the last look."""

from collections.abc import Iterable
from dataclasses import dataclass
from time import monotonic

from jobq.runtime.machine import cpu_seconds, resident_kilobytes


@dataclass(frozen=True, slots=True)
class Seen:
    at: float
    seconds: float  # of CPU, since the process began


class ProcessUsage:
    """Asked at each heartbeat, by its thread alone."""

    def __init__(self) -> None:
        self._seen: dict[int, Seen] = {}

    def look(self, pids: Iterable[int]) -> dict[int, dict[str, float | int | None]]:
        """By process id. A process that is seen for the first time has no figure for its CPU yet."""
        now, before = monotonic(), self._seen
        self._seen = {pid: Seen(now, used) for pid in pids if (used := cpu_seconds(pid)) is not None}
        return {
            pid: {"memory_kilobytes": resident_kilobytes(pid), "cpus": cpus_between(before.get(pid), seen)}
            for pid, seen in self._seen.items()
        }


def cpus_between(before: Seen | None, now: Seen) -> float | None:
    if before is None or now.at <= before.at:
        return None
    return round(max(0.0, now.seconds - before.seconds) / (now.at - before.at), 2)

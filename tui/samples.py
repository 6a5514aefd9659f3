"""What the console saw since it was opened: how the queues grow and shrink from one look to the next. Pure."""

from collections import deque
from dataclasses import dataclass
from datetime import datetime

from jobq.records import Stats

from .source import COUNT_LIMIT

MOST = 1800
WINDOW_SECONDS = 60.0

LEAST_SECONDS = 10.0
"""From looks that are closer together no pace can be known: one job more or less would make it."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What one look found, as far as it is compared with the next one."""

    at: datetime
    total: int
    pending: dict[str, int]

    @classmethod
    def of(cls, stats: Stats) -> "Sample":
        return cls(stats.at, stats.pending, {queue.name: queue.pending for queue in stats.queues})


class Samples:
    def __init__(self) -> None:
        self._samples: deque[Sample] = deque(maxlen=MOST)

    def add(self, stats: Stats) -> None:
        if not self._samples or stats.at > self._samples[-1].at:
            self._samples.append(Sample.of(stats))

    @property
    def began_at(self) -> datetime | None:
        return self._samples[0].at if self._samples else None

    def totals(self, most: int) -> list[float]:
        """What was pending in all, the last looks, oldest first."""
        return [float(sample.total) for sample in list(self._samples)[-most:]]

    def waiting(self, queue: str, most: int) -> list[float]:
        return [float(sample.pending.get(queue, 0)) for sample in list(self._samples)[-most:]]

    def growth_per_minute(self, queue: str) -> float | None:
        """How fast the jobs that wait in a queue became more in the last minute; less than nothing where fewer.

        None where the looks go back too shortly, or where they are too many to be counted.
        """
        if len(self._samples) < 2:
            return None
        last = self._samples[-1]
        first = next(one for one in self._samples if (last.at - one.at).total_seconds() <= WINDOW_SECONDS)
        before, now = first.pending.get(queue, 0), last.pending.get(queue, 0)
        if (last.at - first.at).total_seconds() < LEAST_SECONDS or max(before, now) >= COUNT_LIMIT:
            return None
        return (now - before) / ((last.at - first.at).total_seconds() / 60)

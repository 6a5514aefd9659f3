"""What the console has seen since it was opened: how queues grow and shrink from one look to the next. Pure."""

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from jobq.records import Stats

from .source import COUNT_LIMIT

MOST = 1800
WINDOW_SECONDS = 60.0

TREND = timedelta(minutes=30)
"""Maximum length of a trend."""

LEAST_SECONDS = 10.0
"""Looks that are closer together than this give no rate: one job more or less would dominate it."""


@dataclass(frozen=True, slots=True)
class Sample:
    """The part of a look that is compared with the next one."""

    at: datetime
    total: int
    pending: dict[str, int]

    @classmethod
    def of(cls, stats: Stats) -> "Sample":
        return cls(stats.at, stats.pending, {queue.name: queue.pending for queue in stats.queues})


class Samples:
    def __init__(self) -> None:
        self._samples: list[Sample] = []  # the oldest first

    def add(self, stats: Stats) -> None:
        if not self._samples or stats.at > self._samples[-1].at:
            self._samples.append(Sample.of(stats))
            del self._samples[:-MOST]

    @property
    def span(self) -> tuple[datetime, datetime] | None:
        """From the first moment of a trend to its last; None before the first look."""
        if not self._samples:
            return None
        until = self._samples[-1].at
        return max(self._samples[0].at, until - TREND), until

    def totals(self, number: int) -> list[float]:
        """The total of pending jobs, at this number of moments of the trend."""
        return self._trend(number, lambda sample: sample.total)

    def waiting(self, queue: str, number: int) -> list[float]:
        return self._trend(number, lambda sample: sample.pending.get(queue, 0))

    def _trend(self, number: int, figure: Callable[[Sample], int]) -> list[float]:
        """The moments are evenly spaced. Each has the value of the last look before it."""
        if (span := self.span) is None:
            return []
        since, until = span
        moments = [since + (until - since) * place / max(1, number - 1) for place in range(number)]
        places = [bisect_right(self._samples, moment, key=lambda sample: sample.at) for moment in moments]
        return [float(figure(self._samples[max(0, place - 1)])) for place in places]

    def growth_per_minute(self, queue: str) -> float | None:
        """How fast the number of pending jobs of a queue grew in the last minute; negative if it shrank.

        None if the looks do not go back far enough, or if there are too many jobs to count.
        """
        if len(self._samples) < 2:
            return None
        last = self._samples[-1]
        first = next(one for one in self._samples if (last.at - one.at).total_seconds() <= WINDOW_SECONDS)
        before, now = first.pending.get(queue, 0), last.pending.get(queue, 0)
        if (last.at - first.at).total_seconds() < LEAST_SECONDS or max(before, now) >= COUNT_LIMIT:
            return None
        return (now - before) / ((last.at - first.at).total_seconds() / 60)

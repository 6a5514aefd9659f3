"""The results of this worker's attempts since its start: counts and histograms by queue and class, for /metrics."""

import threading
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from jobq.histograms import BOUNDS as FINE_BOUNDS
from jobq.histograms import BUCKETS, MIDDLES
from jobq.records import Count

MAX_PAIRS = 100
"""Maximum pairs of queue and class with figures of their own. Others are counted together: names can be arbitrary, and
each pair takes some forty lines in every scrape."""

OTHER = "(other)"

BOUNDS = (0.001, 0.01, 0.1, 0.32, 1.0, 3.2, 10.0, 32.0, 100.0, 320.0, 1000.0, 3200.0, 10000.0)
"""Bounds of the buckets of /metrics, in seconds. Each is also a bound of jobq's own, finer histograms."""


@dataclass(slots=True)
class Histogram:
    """Durations, in jobq's own buckets. Each value of a bucket counts with the duration in its middle."""

    counts: list[int] = field(default_factory=lambda: [0] * BUCKETS)

    def add(self, bucket: int | None, attempts: int) -> None:
        if bucket is not None:
            self.counts[bucket] += attempts

    @property
    def seconds(self) -> float:
        return sum(count * middle for count, middle in zip(self.counts, MIDDLES, strict=True))

    def cumulated(self) -> list[tuple[str, float]]:
        """The number of durations up to this bound, as Prometheus counts them."""
        found = [(f"{bound:g}", float(sum(self.counts[: FINE_BOUNDS.index(bound) + 1]))) for bound in BOUNDS]
        return [*found, ("+Inf", float(sum(self.counts)))]


@dataclass(slots=True)
class PairFigures:
    """The figures of one queue and class."""

    outcomes: Counter[tuple[str, bool]] = field(default_factory=Counter)  # by outcome, and whether it was retried
    runs: Histogram = field(default_factory=Histogram)
    waits: Histogram = field(default_factory=Histogram)


class Figures:
    """Added to by the thread that records, read by the one that answers."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pairs: dict[tuple[str, str], PairFigures] = {}

    def add(self, counts: Iterable[Count]) -> None:
        with self._lock:
            for count in counts:
                figures = self._figures_of(count.queue, count.job_class)
                figures.outcomes[count.outcome, count.retried] += count.attempts
                figures.runs.add(count.run_bucket, count.attempts)
                figures.waits.add(count.wait_bucket, count.attempts)

    def _figures_of(self, queue: str, job_class: str) -> PairFigures:
        key = (queue, job_class)
        if key not in self._pairs and len(self._pairs) >= MAX_PAIRS:
            key = (OTHER, OTHER)
        return self._pairs.setdefault(key, PairFigures())

    def snapshot(self) -> dict[tuple[str, str], PairFigures]:
        with self._lock:
            return {
                key: PairFigures(
                    Counter(figures.outcomes),
                    Histogram(list(figures.runs.counts)),
                    Histogram(list(figures.waits.counts)),
                )
                for key, figures in self._pairs.items()
            }

"""What the console saw since it was opened: throughput and growth, from one look to the next. Pure."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from jobq.records import Stats
from jobq.states import Outcome

MOST = 1800
WINDOW_SECONDS = 60.0

BAD = (Outcome.ERRORED, Outcome.LOST)


@dataclass(frozen=True, slots=True)
class Sample:
    """What one look found, as far as it is compared with the next one."""

    at: datetime
    ended: int
    failed: int
    pending: dict[str, int]
    is_exact: bool

    @classmethod
    def of(cls, stats: Stats) -> "Sample":
        return cls(
            at=stats.at,
            ended=sum(stats.outcomes.values()),
            failed=sum(stats.outcomes.get(outcome, 0) for outcome in BAD),
            pending={queue.name: queue.pending for queue in stats.queues},
            is_exact=not set(stats.estimated) & {"successful", *BAD},
        )


@dataclass(frozen=True, slots=True)
class Step:
    """Between two looks: attempts that ended well and badly, by the minute, and what then waited."""

    good: float
    bad: float
    waiting: int


class Samples:
    def __init__(self) -> None:
        self._samples: deque[Sample] = deque(maxlen=MOST)

    def add(self, stats: Stats) -> None:
        if not self._samples or stats.at > self._samples[-1].at:
            self._samples.append(Sample.of(stats))

    def __len__(self) -> int:
        return len(self._samples)

    @property
    def began_at(self) -> datetime | None:
        return self._samples[0].at if self._samples else None

    @property
    def window(self) -> tuple[Sample, Sample] | None:
        """The last look, and the one a minute or so before."""
        if len(self._samples) < 2:
            return None
        last = self._samples[-1]
        first = next(one for one in self._samples if (last.at - one.at).total_seconds() <= WINDOW_SECONDS)
        return None if first is last else (first, last)

    @property
    def ended_per_minute(self) -> float | None:
        return self._per_minute(lambda sample: sample.ended, must_be_exact=True)

    @property
    def failed_per_minute(self) -> float | None:
        return self._per_minute(lambda sample: sample.failed, must_be_exact=True)

    def growth_per_minute(self, queue: str) -> float | None:
        """How fast the jobs that wait in a queue become more; less than nothing where they become fewer."""
        return self._per_minute(lambda sample: sample.pending.get(queue, 0))

    def waiting(self, queue: str, most: int) -> list[float]:
        return [float(sample.pending.get(queue, 0)) for sample in list(self._samples)[-most:]]

    def steps(self, most: int) -> Sequence[Step]:
        """The last steps from look to look, oldest first."""
        shown = list(self._samples)[-most - 1 :]
        steps = []
        for before, after in pairwise(shown):
            minutes = (after.at - before.at).total_seconds() / 60
            ended = max(0, after.ended - before.ended) / minutes if after.is_exact and before.is_exact else 0.0
            failed = max(0, after.failed - before.failed) / minutes if after.is_exact and before.is_exact else 0.0
            steps.append(Step(max(0.0, ended - failed), failed, sum(after.pending.values())))
        return steps

    def _per_minute(self, figure: Callable[[Sample], int], *, must_be_exact: bool = False) -> float | None:
        window = self.window
        if window is None or (must_be_exact and not (window[0].is_exact and window[1].is_exact)):
            return None
        first, last = window
        return (figure(last) - figure(first)) / ((last.at - first.at).total_seconds() / 60)

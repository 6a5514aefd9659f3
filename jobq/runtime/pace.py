"""How long recent jobs took, and how many jobs a child may hold because of that."""

from collections.abc import Sequence

from jobq.records import Report

WINDOW_SECONDS = 0.02
"""A child holds about this many seconds of work ahead: enough to cover the way to the supervisor and back."""

MAX_WINDOW = 128

LONG_JOB_SECONDS = 0.05
"""From this run time on a child gets one job at a time: waiting for the next costs it less than a hundredth."""

SHORTEST_JOB_SECONDS = 20e-6
"""The cost of each job to its process, besides its own run."""

GATHER_SECONDS = 0.001
"""While children have enough to do, the supervisor lets their reports gather for at most this long. Otherwise each of
the shortest jobs would wake it, and every look costs as much as many of them."""

MIN_TO_GATHER = 16
"""Children have enough to do if each holds at least this many jobs."""


class JobPace:
    """The mean run time of jobs. Recent ones weigh more."""

    def __init__(self) -> None:
        self.mean_seconds: float | None = None

    def learn(self, reports: Sequence[Report]) -> None:
        """The weight of the latest job, high enough that the windows follow a change quickly."""
        latest = max(0.0, sum(report.ended - (report.started or report.ended) for report in reports) / len(reports))
        if self.mean_seconds is None:
            self.mean_seconds = latest
            return
        weight = min(1.0, 0.1 * len(reports))
        self.mean_seconds = weight * latest + (1 - weight) * self.mean_seconds

    @property
    def window(self) -> int:
        """The number of jobs that a child may hold at once."""
        if self.mean_seconds is None or self.mean_seconds >= LONG_JOB_SECONDS:
            return 1
        return min(MAX_WINDOW, max(2, int(WINDOW_SECONDS / max(self.mean_seconds, 1e-6)) + 1))

    def seconds_to_gather(self, min_held: int) -> float:
        """How long reports may gather, because each child has work for longer than that: at least `min_held` jobs."""
        if min_held < MIN_TO_GATHER:
            return 0.0
        return max(0.0, min(GATHER_SECONDS, min_held * ((self.mean_seconds or 0.0) + SHORTEST_JOB_SECONDS) / 4))

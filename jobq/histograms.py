"""Histograms of durations: the bounds that the roll-up of metrics uses, and what can be read from the counts."""

from bisect import bisect_right
from collections.abc import Sequence

BOUNDS = (
    0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5,
    1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600, 14400, 86400,
)  # fmt: skip
"""Seconds at which a bucket begins: the first holds what took less than the first bound, the last what took longer
than the last. Rows of the database hold counts for just these: a change would need new rows."""

BUCKETS = len(BOUNDS) + 1


def bucket(seconds: float) -> int:
    """The bucket of a duration, as PostgreSQL's width_bucket() numbers it: from 0."""
    return bisect_right(BOUNDS, seconds)


def mean(counts: Sequence[int]) -> float | None:
    """About the mean duration, as if all of a bucket lay in its middle; None without any.

    What lies beyond the last bound is said to be the last bound.
    """
    total = sum(counts)
    if total == 0:
        return None
    edges = (0.0, *BOUNDS, BOUNDS[-1])
    return sum(count * (edges[index] + edges[index + 1]) / 2 for index, count in enumerate(counts)) / total


def quantile(counts: Sequence[int], share: float) -> float | None:
    """The duration below which `share` of the counted lie, as if a bucket's were spread evenly; None without any.

    What lies beyond the last bound is said to be the last bound.
    """
    total = sum(counts)
    if total == 0:
        return None
    rank, seen = share * total, 0
    for index, count in enumerate(counts):
        if count and seen + count >= rank:
            low = BOUNDS[index - 1] if index else 0.0
            high = BOUNDS[index] if index < len(BOUNDS) else low
            return low + (high - low) * (rank - seen) / count
        seen += count
    return float(BOUNDS[-1])

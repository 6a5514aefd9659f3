"""Histograms of durations: the buckets, their form in a row of metrics, and the figures that are read from them."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import ceil

LEADING = (10, 12, 14, 16, 18, 20, 24, 28, 32, 36, 40, 48, 56, 64, 72, 80, 90)
"""Lower bounds of buckets within each power of ten: log-linear, no bucket is wider than a fifth of its lower bound."""

BOUNDS = (*(float(f"{leading}e{power}") for power in range(-4, 5) for leading in LEADING), 1_000_000.0)
"""Lower bounds of the buckets in seconds, from a millisecond to eleven days. The first bucket holds shorter durations
than the first bound, the last bucket longer ones than the last. Rows of the database depend on these bounds."""

BUCKETS = len(BOUNDS) + 1

DIGITS = 12
"""Decimal digits of each bucket in a packed histogram: counts up to a million million."""

FEW = 20
"""With fewer attempts than this the 95th percentile is the maximum: such a figure also shows their number."""


def bucket(seconds: float) -> int:
    """The bucket of a duration, as PostgreSQL's width_bucket() numbers it: from 0."""
    return bisect_right(BOUNDS, seconds)


def packed(counts: Mapping[int, int]) -> int:
    """The counts as one number with twelve digits for each bucket, as the database keeps them.

    So sum() adds histograms, a numeric holds only the digits between the first and the last bucket in use, and a row
    of one minute stays small.
    """
    return sum(count * 10 ** (DIGITS * place) for place, count in counts.items())


def unpacked(number: int) -> tuple[int, ...]:
    """The count of every bucket."""
    digits = str(number).zfill(BUCKETS * DIGITS)
    return tuple(int(digits[end - DIGITS : end]) for end in range(len(digits), 0, -DIGITS))


MIDDLES = (BOUNDS[0] / 2, *(2 * low * high / (low + high) for low, high in pairwise(BOUNDS)), BOUNDS[-1])
"""The duration that represents each bucket: at most a tenth off, for the shortest and for the longest in it."""


def mean(counts: Sequence[int]) -> float | None:
    """The approximate mean, as if each bucket had its middle value. None if it is empty."""
    total = sum(counts)
    if total == 0:
        return None
    return sum(count * middle for count, middle in zip(counts, MIDDLES, strict=True)) / total


def quantile(counts: Sequence[int], share: float, longest: float | None = None) -> float | None:
    """This quantile of the durations, accurate to a tenth. None if there are none.

    `longest` is the true maximum, if known: no quantile exceeds it, and the quantile 1 is exactly this.
    """
    total = sum(counts)
    if total == 0:
        return None
    rank, seen = ceil(share * total), 0
    if rank >= total and longest is not None:
        return longest
    for place, count in enumerate(counts):
        seen += count
        if count and seen >= rank:
            return MIDDLES[place] if longest is None else min(MIDDLES[place], longest)
    return MIDDLES[-1]

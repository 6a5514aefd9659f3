"""Histograms of durations: the buckets, how a row of metrics keeps them, and which figures are read from them."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import ceil

LEADING = (10, 12, 14, 16, 18, 20, 24, 28, 32, 36, 40, 48, 56, 64, 72, 80, 90)
"""Where buckets begin within each power of ten: log-linear, no bucket is wider than a fifth of its lower bound."""

BOUNDS = (*(float(f"{leading}e{power}") for power in range(-4, 5) for leading in LEADING), 1_000_000.0)
"""Seconds at which a bucket begins, from a millisecond to eleven days. The first bucket holds what took less than the
first bound, the last bucket what took longer than the last. Rows of the database hold counts for just these."""

BUCKETS = len(BOUNDS) + 1

DIGITS = 12
"""Decimal digits of each bucket in a packed histogram: counts up to a million million."""

FEW = 20
"""Of fewer attempts than this the 95th percentile is the longest: such a figure says of how many it is."""


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
"""The duration that stands for each bucket: at most a tenth off, for the shortest and for the longest in it."""


def mean(counts: Sequence[int]) -> float | None:
    """About the mean duration, as if all of a bucket took its middle; None without any."""
    total = sum(counts)
    if total == 0:
        return None
    return sum(count * middle for count, middle in zip(counts, MIDDLES, strict=True)) / total


def quantile(counts: Sequence[int], share: float, longest: float | None = None) -> float | None:
    """The duration that this share of the counted did not exceed, at most a tenth off; None without any.

    `longest` is the true maximum, where it is known: no quantile is above it, and that of all is exactly this.
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

"""Histograms of durations: buckets as the database numbers them, and what is read from the counts."""

import random
from itertools import pairwise
from math import ceil
from typing import Any

import pytest

from jobq.histograms import BOUNDS, BUCKETS, FEW, bucket, mean, packed, quantile, unpacked
from jobq.store import statements


def counted(durations: list[float]) -> list[int]:
    counts = [0] * BUCKETS
    for seconds in durations:
        counts[bucket(seconds)] += 1
    return counts


def test_of_nothing_there_is_no_quantile_and_no_mean() -> None:
    assert quantile([0] * BUCKETS, 0.5) is None
    assert mean([0] * BUCKETS) is None


def test_a_mean_is_near_the_true_one() -> None:
    durations = [random.Random(2).expovariate(1 / 3) for _ in range(10_000)]
    assert mean(counted(durations)) == pytest.approx(sum(durations) / len(durations), rel=0.05)


def test_no_bucket_is_wider_than_a_fifth_of_its_lower_bound() -> None:
    assert all(low < high <= low * 1.2000001 for low, high in pairwise(BOUNDS))


@pytest.mark.parametrize("draw", range(5))
@pytest.mark.parametrize("share", [0.1, 0.5, 0.95, 0.99])
def test_a_quantile_is_at_most_a_tenth_off(share: float, draw: int) -> None:
    chance = random.Random(draw)
    durations = sorted(chance.lognormvariate(chance.uniform(-4, 9), chance.uniform(0, 3)) + 0.001 for _ in range(999))
    true = durations[ceil(share * len(durations)) - 1]
    assert quantile(counted(durations), share) == pytest.approx(true, rel=0.1)
    assert quantile(counted(durations), share, durations[-1]) == pytest.approx(true, rel=0.1)


@pytest.mark.parametrize("bound", BOUNDS[:-1])
def test_alike_durations_are_told_within_a_tenth_wherever_they_lie_in_a_bucket(bound: float) -> None:
    for seconds in (bound, bound * 1.1, bound * 1.19999):
        assert quantile(counted([seconds] * 50), 0.95) == pytest.approx(seconds, rel=0.1)


def test_of_few_the_95th_percentile_is_exactly_the_longest() -> None:
    durations = [609.0, *[1.0] * (FEW - 2)]
    assert quantile(counted(durations), 0.95, 609.0) == 609.0
    assert quantile(counted([*durations, 1.0, 1.0]), 0.95, 609.0) == pytest.approx(1.0, rel=0.1)


def test_what_takes_longer_than_the_last_bound_is_said_to_take_that_long_or_as_the_longest() -> None:
    assert quantile(counted([1e9]), 0.5) == mean(counted([1e9])) == BOUNDS[-1]
    assert quantile(counted([1e9]), 0.5, 1e9) == 1e9


def test_packed_histograms_add_up_as_numbers() -> None:
    one, other = {0: 3, 77: 10**11}, {77: 5, BUCKETS - 1: 9}
    counts = unpacked(packed(one) + packed(other))
    assert {place: count for place, count in enumerate(counts) if count} == {0: 3, 77: 10**11 + 5, BUCKETS - 1: 9}
    assert unpacked(0) == (0,) * BUCKETS


def test_a_histogram_of_one_kind_of_job_takes_few_bytes(connection: Any) -> None:
    """A row of metrics for each minute, queue and class: 100 bytes a histogram would be gigabytes a month."""
    counts = {place: 1000 + place for place in range(70, 80)}
    ((size,),) = connection.execute("SELECT pg_column_size(%s::text::numeric)", [str(packed(counts))]).fetchall()
    assert size <= 6 * len(counts) + 8


def test_the_database_numbers_the_buckets_alike(connection: Any) -> None:
    durations = [0.0, 0.0005, *map(float, BOUNDS), *(bound * 1.01 for bound in BOUNDS)]
    rows = connection.execute(
        f"SELECT width_bucket(seconds, {statements.BOUNDS}) FROM unnest(%s::float8[]) AS seconds",
        [durations],
    ).fetchall()
    assert [number for (number,) in rows] == [bucket(seconds) for seconds in durations]

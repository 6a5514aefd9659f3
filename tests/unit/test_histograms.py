"""Histograms of durations: buckets as the database numbers them, and what is read from the counts."""

import random
from typing import Any

import pytest

from jobq.histograms import BOUNDS, BUCKETS, bucket, mean, quantile
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
    assert mean(counted(durations)) == pytest.approx(sum(durations) / len(durations), rel=0.3)


@pytest.mark.parametrize("share", [0.5, 0.95, 0.99])
def test_a_quantile_lies_in_the_bucket_of_the_true_one(share: float) -> None:
    durations = sorted(random.Random(1).expovariate(1 / 3) for _ in range(10_000))
    true = durations[int(share * len(durations))]
    found = quantile(counted(durations), share)
    assert found is not None
    assert abs(bucket(found) - bucket(true)) <= 1


def test_what_takes_longer_than_the_last_bound_is_said_to_take_that_long() -> None:
    assert quantile(counted([1e9]), 0.5) == mean(counted([1e9])) == BOUNDS[-1]


def test_the_database_numbers_the_buckets_alike(connection: Any) -> None:
    durations = [0.0, 0.0005, *map(float, BOUNDS), *(bound * 1.01 for bound in BOUNDS)]
    rows = connection.execute(
        f"SELECT width_bucket(seconds * interval '1 second', {statements.BOUNDS}) FROM unnest(%s::float8[]) AS seconds",
        [durations],
    ).fetchall()
    assert [number for (number,) in rows] == [bucket(seconds) for seconds in durations]

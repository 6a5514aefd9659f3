"""How many claimed jobs a worker holds ahead of its children."""

import pytest

from jobq.runtime.stock import max_waiting


def max_in_stock(*, mean: float | None, at_current: float | None) -> int:
    return max_waiting(mean, at_current, processes=2, limit_per_process=500)


def test_of_short_jobs_it_holds_as_many_as_it_may() -> None:
    assert max_in_stock(mean=10e-6, at_current=None) == 1000


def test_short_jobs_that_were_not_heard_of_for_a_moment_are_still_short() -> None:
    """On a busy machine the next report may be milliseconds away; to claim less for that would leave children idle."""
    assert max_in_stock(mean=10e-6, at_current=0.02) == 1000


@pytest.mark.parametrize(("mean", "at_current", "limit"), [(10e-6, 0.05, 2), (0.05, None, 2), (0.05, 1.0, 0)])
def test_of_long_jobs_it_holds_hardly_any(mean: float, at_current: float | None, limit: int) -> None:
    assert max_in_stock(mean=mean, at_current=at_current) == limit


def test_before_the_first_job_has_ended_it_holds_none() -> None:
    assert max_in_stock(mean=None, at_current=None) == 0

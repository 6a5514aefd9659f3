"""Delays before a retry."""

from hypothesis import given
from hypothesis import strategies as st

from jobq.retries import exponential


def test_the_first_delay_is_a_second_and_each_is_twice_the_one_before() -> None:
    assert [exponential(attempt) for attempt in range(1, 6)] == [1, 2, 4, 8, 16]


def test_a_steep_factor_counts_from_its_first_use() -> None:
    assert [exponential(attempt, factor=100) for attempt in (1, 2, 3)] == [1, 100, 3600]


def test_an_attempt_before_the_first_waits_as_the_first() -> None:
    assert exponential(0) == exponential(-3) == exponential(1)


attempts = st.integers(1, 10**9)
factors = st.floats(1, 1000)


@given(attempt=attempts, first=st.floats(0.001, 1000), factor=factors, most=st.floats(1, 10**7))
def test_no_delay_is_longer_than_the_longest(attempt: int, first: float, factor: float, most: float) -> None:
    assert 0 <= exponential(attempt, first=first, factor=factor, most=most) <= most


@given(attempt=st.integers(1, 5000), first=st.floats(0.001, 1000), factor=factors, most=st.floats(1, 10**7))
def test_a_later_retry_never_waits_less(attempt: int, first: float, factor: float, most: float) -> None:
    def delay(number: int) -> float:
        return exponential(number, first=first, factor=factor, most=most)

    assert delay(attempt) <= delay(attempt + 1)


@given(attempt=st.integers(1, 20), first=st.floats(0.001, 1000), factor=factors)
def test_a_delay_below_the_longest_is_the_first_times_the_factor_each_time(
    attempt: int, first: float, factor: float
) -> None:
    exact = first * factor ** (attempt - 1)
    assert exponential(attempt, first=first, factor=factor, most=exact + 1) == exact


def test_a_delay_is_a_float() -> None:
    assert isinstance(exponential(1, first=1, factor=2, most=60), float)
    assert isinstance(exponential(100, most=60), float)

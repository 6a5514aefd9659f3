"""How many looks into the database notifications may cause, by a clock of the test's."""

import pytest

from jobq.runtime.hints import BURST, MAX_QUEUES, PAUSE_SECONDS, Hints, Pace


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def look_in_vain(pace: Pace, times: int) -> None:
    for _ in range(times):
        pace.looked()


def test_a_burst_of_looks_in_vain_is_free_and_the_next_one_waits(clock: Clock) -> None:
    pace = Pace(clock)
    look_in_vain(pace, BURST - 1)
    assert pace.seconds_to_wait() == 0
    look_in_vain(pace, 1)
    assert pace.seconds_to_wait() == pytest.approx(PAUSE_SECONDS)
    clock.now += PAUSE_SECONDS
    assert pace.seconds_to_wait() == pytest.approx(0)


def test_a_flood_gets_one_look_in_each_pause(clock: Clock) -> None:
    pace, looks = Pace(clock), 0
    until = clock.now + 10
    while clock.now < until:
        clock.now += max(pace.seconds_to_wait(), 0.0001)
        pace.looked()
        looks += 1
    assert looks <= BURST + 10 / PAUSE_SECONDS + 1


def test_looks_that_lead_to_jobs_never_wait(clock: Clock) -> None:
    pace = Pace(clock)
    for _ in range(10 * BURST):
        pace.looked()
        pace.was_useful()
        assert pace.seconds_to_wait() == 0


def test_quiet_gives_back_one_burst_and_no_more(clock: Clock) -> None:
    pace = Pace(clock)
    clock.now += 3600
    look_in_vain(pace, BURST)
    assert pace.seconds_to_wait() > 0


def test_each_thing_is_heard_once_and_what_cannot_be_meant_is_dropped() -> None:
    hints = Hints()
    for name in ("mail", "mail", "", "ü" * 201, "x" * 7000):
        hints.add_queue(name)
    for worker in ("", "7", "7", "seven", "٣", "9" * 20, "-1"):
        hints.add_wanted(worker)
    assert hints.queues == {"mail"}
    assert hints.wanted == {"", "7"}
    assert not hints.are_too_many
    assert not Hints()


def test_more_names_than_are_worth_looking_at_mean_everywhere() -> None:
    hints = Hints()
    for number in range(MAX_QUEUES + 1):
        hints.add_queue(f"queue {number}")
    assert hints.are_too_many
    assert len(hints.queues) == MAX_QUEUES

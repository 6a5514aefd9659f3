"""Forecasts: what they say is what then happens, as far as simulated arrivals show; and their words."""

import heapq
import random
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil

import pytest

from jobq.histograms import bucket, mean, packed, unpacked
from jobq.observe.forecast import Forecast, Outlook, Work, seconds_to_empty

PAST_SECONDS = 600


@dataclass(frozen=True)
class Traffic:
    """A queue as it really is, which nobody knows."""

    waiting: int
    incoming: float  # jobs a second, in the mean
    seconds: float  # of a job, in the mean
    spread: float = 0.5  # of its logarithm; 0: all alike

    def run_time(self, chance: random.Random) -> float:
        return self.seconds * chance.lognormvariate(-(self.spread**2) / 2, self.spread)

    def arrivals(self, chance: random.Random) -> float:
        """Seconds until the next one."""
        return chance.expovariate(self.incoming) if self.incoming else float("inf")


def measured(traffic: Traffic, chance: random.Random) -> Work:
    """What jobq knows of it: ten minutes of arrivals, and a histogram of run times."""
    came, at = 0, traffic.arrivals(chance)
    while at < PAST_SECONDS:
        came, at = came + 1, at + traffic.arrivals(chance)
    counts = Counter(bucket(traffic.run_time(chance)) for _ in range(2000))
    seconds = mean(unpacked(packed(counts)))
    assert seconds is not None
    return Work(traffic.waiting, traffic.waiting * seconds, came / PAST_SECONDS, seconds)


def simulated(queues: Sequence[Traffic], processes: int, chance: random.Random) -> float:
    """Until nothing of the first queue waits. Processes take from the queues by turns, as claims do."""
    waiting = [queue.waiting for queue in queues]
    arrivals = [(queue.arrivals(chance), place) for place, queue in enumerate(queues)]
    heapq.heapify(arrivals)
    busy: list[float] = []
    turns = deque(range(len(queues)))
    now = 0.0
    while waiting[0] > 0:
        while len(busy) < processes and any(waiting):
            place = turns[0]
            turns.rotate(-1)
            if waiting[place]:
                waiting[place] -= 1
                heapq.heappush(busy, now + queues[place].run_time(chance))
        if arrivals[0][0] < busy[0]:
            now, place = heapq.heappop(arrivals)
            waiting[place] += 1
            heapq.heappush(arrivals, (now + queues[place].arrivals(chance), place))
        else:
            now = heapq.heappop(busy)
    return now


CASES = {
    "a steady queue": (24, [Traffic(12_000, 20, 0.6)]),
    "nothing comes in": (4, [Traffic(2_000, 0, 0.3)]),
    "jobs of very different lengths": (10, [Traffic(3_000, 4, 1.0, spread=1.2)]),
    "beside a queue that is worked as it comes": (16, [Traffic(6_000, 5, 0.5), Traffic(0, 10, 0.4)]),
    "beside a long queue": (12, [Traffic(3_000, 3, 0.5), Traffic(9_000, 2, 0.5)]),
    "beside a shorter queue of longer jobs": (12, [Traffic(6_000, 3, 0.4), Traffic(500, 0.5, 2.0)]),
}


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("case", CASES)
def test_a_forecast_is_within_a_fifth_of_what_then_happens(case: str, seed: int) -> None:
    processes, queues = CASES[case]
    chance = random.Random(seed)
    own, *beside = (measured(queue, chance) for queue in queues)
    said = seconds_to_empty(own, processes, beside)
    happened = simulated(queues, processes, chance)
    assert said is not None
    assert said == pytest.approx(happened, rel=0.2)


def test_what_comes_in_faster_than_it_goes_is_never_empty() -> None:
    work = Work(100, 50.0, incoming=10.0, usual_seconds=0.5)
    assert work.load == 5.0
    assert seconds_to_empty(work, 5) is None
    assert seconds_to_empty(work, 6) == pytest.approx(50.0)


def test_a_paused_queue_and_one_without_processes_stay_as_they_are() -> None:
    work = Work(100, 50.0, 0.0, 0.5)
    assert seconds_to_empty(work, 0) is None
    assert seconds_to_empty(replace(work, is_paused=True), 9) is None
    assert seconds_to_empty(Work(0, 0.0, 3.0, 0.5), 1) == 0.0


def test_no_job_ends_sooner_for_more_processes() -> None:
    assert seconds_to_empty(Work(3, 90.0, 0.0, 30.0), 1000) == 30.0


def test_processes_beyond_what_a_queue_may_use_at_once_do_not_help() -> None:
    work = Work(100, 100.0, 0.0, 1.0, most=5, held_by="gate crm")
    assert seconds_to_empty(work, 50) == seconds_to_empty(work, 5) == pytest.approx(20.0)


@pytest.mark.parametrize("within", [60.0, 600.0, 3600.0])
def test_the_processes_that_are_wanted_empty_it_within_the_time(within: float) -> None:
    """By the formula of jobq.wanted_processes()."""
    work = Work(5000, 2500.0, 12.0, 0.5)
    wanted = ceil(round(work.backlog_seconds / within + work.load, 3))
    empty = seconds_to_empty(work, wanted)
    assert empty is not None
    assert empty <= within
    fewer = seconds_to_empty(work, wanted - 1)
    assert fewer is None or fewer > within


FORECAST = Forecast("mail", 5000, 1860.0, 24, (Outlook(24, 2460.0), Outlook(48, 840.0)), 21)


@pytest.mark.parametrize(
    ("forecast", "text"),
    [
        (FORECAST, "empty in 41 minutes with these 24 processes, in 14 minutes with 48; needs 21 to keep up"),
        (
            replace(FORECAST, outlooks=(Outlook(24, None), Outlook(48, 840.0)), keep_up=31),
            "never empty with 24 processes; empty in 14 minutes with 48 processes; needs 31 to keep up",
        ),
        (
            replace(FORECAST, outlooks=(Outlook(24, 2460.0), Outlook(48, 2460.0)), most=24, held_by="gate crm"),
            "empty in 41 minutes with these 24 processes, in 41 minutes with 48; needs 21 to keep up; "
            "more do not help: gate crm is full",
        ),
        (replace(FORECAST, due=0), "empty; needs 21 to keep up"),
        (replace(FORECAST, is_paused=True), "paused: 5,000 jobs stay"),
        (
            replace(FORECAST, processes=0, outlooks=(Outlook(1, 90.0),), keep_up=0),
            "no worker works it; empty in 90 s with 1 process",
        ),
    ],
)
def test_a_forecast_in_words(forecast: Forecast, text: str) -> None:
    assert forecast.text == text

"""A few hundred steps of `python -m tests.faults.gates`."""

from faults import gates, rates
from jobq.settings import Settings


def test_no_more_run_than_a_gate_allows_whatever_is_done_in_whatever_order(settings: Settings) -> None:
    machine = gates.run(settings, steps=400, seed=1)
    assert machine.fullest > 1
    assert {"claimed", "ended", "rescued", "taken"} <= set(machine.counts)


def test_a_rate_holds_in_every_window_while_the_clock_steps(settings: Settings) -> None:
    outcome = rates.run(settings, starts=300, seed=1)
    assert outcome.fullest <= outcome.rate
    assert outcome.fullest > outcome.rate // 2, "the rate is used"

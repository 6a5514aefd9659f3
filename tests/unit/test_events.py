"""What reaches the main loop from other threads, in order of arrival."""

import os
import signal
from collections.abc import Iterator

import pytest

from jobq.runtime.events import Events, HooksTaken, QueuesPaused, Signalled, StopRequested
from jobq.runtime.stop_signals import NAMES, STOPS, name_of


@pytest.fixture
def events() -> Iterator[Events]:
    events = Events()
    yield events
    events.close()


def test_what_arrives_while_events_are_taken_comes_at_the_next_turn(events: Events) -> None:
    events.put(StopRequested("ada"))
    taken = []
    for event in events.take():
        taken.append(event)
        events.put(event)
    assert taken == [StopRequested("ada")]
    assert events
    assert list(events.take()) == [StopRequested("ada")]
    assert not events


def test_what_was_dropped_is_not_taken_and_the_others_keep_their_order(events: Events) -> None:
    for event in (StopRequested("ada"), HooksTaken([]), QueuesPaused(), HooksTaken([]), StopRequested("bob")):
        events.put(event)
    taking = events.take()
    assert next(taking) == StopRequested("ada")
    events.drop(HooksTaken)
    assert list(taking) == [QueuesPaused(), StopRequested("bob")]


@pytest.fixture
def handlers() -> Iterator[None]:
    """Puts the handlers of this process back after the test."""
    before = {number: signal.getsignal(number) for number in (*STOPS, signal.SIGCHLD)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("handlers")
def test_every_signal_that_ends_a_worker_and_can_be_caught_is_a_stop(events: Events) -> None:
    for number in STOPS:
        signal.signal(number, signal.SIG_DFL)
    events.catch_signals()
    for number in STOPS:
        os.kill(os.getpid(), number)
    assert sorted(event.number for event in events.take() if isinstance(event, Signalled)) == sorted(STOPS)
    assert {*NAMES, f"signal {signal.SIGRTMIN + 3}"} == set(map(name_of, STOPS))


@pytest.mark.usefixtures("handlers")
def test_a_closed_terminal_does_not_end_a_worker_that_was_started_by_nohup(events: Events) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    events.catch_signals()
    os.kill(os.getpid(), signal.SIGHUP)
    assert not events

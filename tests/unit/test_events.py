"""What reaches the main loop from other threads, in order of arrival."""

from collections.abc import Iterator

import pytest

from jobq.runtime.events import Events, HooksTaken, QueuesPaused, StopRequested


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
        events.put_back(event)
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

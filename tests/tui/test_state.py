"""What the console knows, without a terminal."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import canned
from jobq.tui.state import State

from jobq.errors import DatabaseUnreachable


def looked(**changes: Any) -> Any:
    return replace(canned.CannedSource(canned.trouble()).look(3600.0), **changes)


def test_the_clock_goes_on_from_the_databases_own_time() -> None:
    moment = 100.0
    state = State(lambda: moment)
    snapshot = looked()
    state.looked(snapshot, "1h")
    moment = 107.0
    assert state.age == 7.0
    assert state.now == snapshot.at + timedelta(seconds=7)


def test_a_lost_database_leaves_what_was_known_until_it_is_back() -> None:
    state = State(lambda: 0.0)
    snapshot = looked()
    state.looked(snapshot, "1h")
    state.lose(DatabaseUnreachable("it cannot be reached"), 3)
    assert state.lost is not None
    assert (state.lost.tries, state.snapshot) == (3, snapshot)
    state.looked(snapshot, "1h")
    assert state.lost is None


def test_what_needs_somebody_and_what_the_role_may_not_do_are_read_from_the_last_look() -> None:
    state = State(lambda: 0.0)
    assert (state.troubles, state.forbidden("retry")) == ((), None)
    state.looked(looked(forbidden={"retry": "it may only read"}), "1h")
    assert state.troubles
    assert state.forbidden("retry") == "it may only read"
    assert state.samples.span is not None

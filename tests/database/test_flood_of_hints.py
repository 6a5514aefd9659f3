"""Any login may notify the channels of the workers: a listener reads a flood, and acts on it as on one notification."""

from collections import Counter
from typing import Any

import pytest
from test_roles import granted

from jobq.runtime import listener as listening
from jobq.runtime.hints import BURST, MAX_QUEUES, PAUSE_SECONDS
from jobq.store.database import Database
from jobq.store.rights import Role
from jobq.store.statements import channel, control_channel

STRANGER = Role("stranger", "may log in", ())


@pytest.fixture
def told() -> Counter[str]:
    """How often the supervisor was told of something."""
    return Counter()


@pytest.fixture
def listener(database: Database, told: Counter[str]) -> listening.Listener:
    def tell(what: str) -> None:
        told[what] += 1

    return listening.Listener(
        database,
        on_hint=lambda queue: tell(f"queue {queue}"),
        on_control=lambda worker: tell(f"worker {worker}"),
        on_connected_again=lambda: tell("everywhere"),
    )


def test_a_flood_from_another_login_is_a_few_looks(
    store: Any, database: Database, listener: listening.Listener, told: Counter[str]
) -> None:
    with database.connect("listen") as connection, granted(STRANGER, store) as other, other.connect("test") as stranger:
        listener.on_connected(connection)
        told.clear()
        for name, text in ((channel("jobq"), "none "), (control_channel("jobq"), "")):
            flood = "SELECT pg_notify(%s, %s || number) FROM generate_series(1, 10000) AS number"
            stranger.execute(flood, [name, text])
        stranger.execute("SELECT pg_notify(%s, '')", [control_channel("jobq")])  # what is the last of them counts, too
        ticks = 0
        while not told["worker "] and not (ticks and told["everywhere"]):
            listener.tick(connection)
            ticks += 1
    # At most the names that a tick passes on, a hundred of each kind, and not 20,000.
    assert sum(told.values()) <= ticks * (2 * MAX_QUEUES + 1)
    assert sum(told.values()) < 2000


def test_after_a_burst_in_vain_a_listener_waits_for_more_to_come(
    store: Any, database: Database, listener: listening.Listener, told: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    monkeypatch.setattr(listener._stopping, "wait", waits.append)
    monkeypatch.setattr(listener._pace, "_clock", lambda: listener._pace._counted_at)  # time stands still
    with database.connect("listen") as connection:

        def notify(queue: str) -> None:
            store.execute("SELECT pg_notify(%s, %s)", channel("jobq"), queue)
            while not told[f"queue {queue}"]:
                listener.tick(connection)

        listener.on_connected(connection)
        for number in range(BURST):
            notify(str(number))
        assert not any(waits)
        notify("one more")
        assert waits[-1] == pytest.approx(PAUSE_SECONDS)
        for _ in range(BURST):
            listener.was_useful()
        notify("mail")
        assert waits[-1] == 0

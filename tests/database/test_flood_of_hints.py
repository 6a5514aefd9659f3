"""Any login may notify the channels of the workers: a listener reads a flood, and acts on it as on one notification."""

import selectors
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from test_roles import granted

from jobq.runtime import listener as listening
from jobq.runtime.hints import BURST, MAX_QUEUES, PAUSE_SECONDS
from jobq.runtime.ownership import Ownership
from jobq.store.database import Database
from jobq.store.rights import Role
from jobq.store.statements import channel, control_channel, worker_channel
from tests.conftest import wait_until

STRANGER = Role("stranger", "may log in", ())


@pytest.fixture
def told() -> Counter[str]:
    """How often the supervisor was told of something."""
    return Counter()


class Loop:
    """What a main loop does with its listener."""

    def __init__(self, database: Database, told: Counter[str]) -> None:
        self.selector = selectors.DefaultSelector()
        self.listener = listening.Listener(
            database,
            self.selector,
            lambda: None,
            Ownership(7),
            on_announced=lambda announcement: tell(f"job {announcement.job_id}"),
            on_hint=lambda queue: tell(f"queue {queue}"),
            on_gate=lambda gate: tell(f"gate {gate}"),
            on_control=lambda worker: tell(f"worker {worker}"),
            on_connected_again=lambda: tell("everywhere"),
        )

        def tell(what: str) -> None:
            told[what] += 1

    def turn(self) -> None:
        self.listener.turn()
        for key, _ in self.selector.select(0.01):
            key.data.hear()


@pytest.fixture
def loop(database: Database, told: Counter[str]) -> Iterator[Loop]:
    loop = Loop(database, told)
    wait_until(lambda: loop.turn() or loop.listener.is_connected)
    told.clear()
    yield loop
    loop.listener.stop()
    loop.selector.close()


def test_a_flood_from_another_login_is_a_few_looks(
    store: Any, database: Database, loop: Loop, told: Counter[str]
) -> None:
    with granted(STRANGER, store) as other, other.connect("test") as stranger:
        for name, text in (
            (channel("jobq"), "none "),
            (f"{worker_channel('jobq')}7", "[1, 0, 8,"),
            (control_channel("jobq"), ""),
        ):
            flood = "SELECT pg_notify(%s, %s || number) FROM generate_series(1, 10000) AS number"
            stranger.execute(flood, [name, text])
        stranger.execute("SELECT pg_notify(%s, '')", [control_channel("jobq")])  # what is the last of them counts, too
        turns = 0
        while not told["worker "] and not (turns and told["everywhere"]):
            loop.turn()
            turns += 1
    # At most the names that a turn passes on, a hundred of each kind, and not 30,000.
    assert sum(told.values()) <= turns * (2 * MAX_QUEUES + 1)
    assert sum(told.values()) < 3000


def test_after_a_burst_in_vain_a_listener_waits_for_more_to_come(
    store: Any, loop: Loop, told: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    monkeypatch.setattr(loop.listener, "hear_nothing", waits.append)
    monkeypatch.setattr(loop.listener._pace, "_clock", lambda: loop.listener._pace._counted_at)  # time stands still

    def notify(queue: str) -> None:
        store.execute("SELECT pg_notify(%s, %s)", channel("jobq"), queue)
        while not told[f"queue {queue}"]:
            loop.turn()

    for number in range(BURST - 1):
        notify(str(number))
    assert waits == []
    notify("one more")
    assert waits == [pytest.approx(PAUSE_SECONDS)]
    for _ in range(BURST):
        loop.listener.was_useful()
    notify("mail")
    assert len(waits) == 1


def test_a_listener_that_waits_leaves_what_comes_where_it_is(store: Any, loop: Loop, told: Counter[str]) -> None:
    loop.listener.hear_nothing(0.05)
    store.execute("SELECT pg_notify(%s, 'mail')", channel("jobq"))

    assert not loop.selector.get_map()
    wait_until(lambda: loop.turn() or told["queue mail"])


def test_a_job_is_announced_on_the_channel_of_the_worker(store: Any, loop: Loop, told: Counter[str]) -> None:
    prefix = worker_channel("jobq")
    forged = ("{}", "[" * 5000, '[3, 0, 5, "C"]', '["4", 0, "q", "C"]', '[5, 99, "q", "C"]', '[-6, 0, "q", "C"]')
    for worker, text in ((8, '[1, 0, "q", "C"]'), (7, '[2, 1, "q", "C"]'), *((7, text) for text in forged)):
        store.execute("SELECT pg_notify(%s, %s)", f"{prefix}{worker}", text)
    store.execute("SELECT pg_notify(%s, 'mail')", channel("jobq"))

    wait_until(lambda: loop.turn() or told["queue mail"])
    assert told == {"job 2": 1, "queue mail": 1}

"""Who declares whom dead, and when: the silence of a worker may be the database's, or that of its clock."""

from collections.abc import Callable

import pytest

from jobq.queue_choice import QueueChoice
from jobq.runtime import maintenance, vigil
from jobq.runtime.maintenance import Maintenance
from jobq.settings import Settings
from jobq.store import control, workers
from jobq.store.database import Database
from jobq.testing import Clock
from tests.conftest import Store

TIMEOUT, LOOK = 60.0, 5.0


class Watcher:
    """What a live worker does to find the dead ones. It also says that others are alive, and its clock is turned."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self.now = 1000.0
        self.store = store
        self.alive: list[int] = []
        self.start(settings)

    def start(self, settings: Settings) -> None:
        self.maintain = Maintenance(Database(settings), QueueChoice(), on_owed_hooks=lambda: None)
        self.id = self.store.worker(host="watcher")

    def look(self) -> None:
        for worker in (self.id, *self.alive):
            workers.heartbeat(self.store.connection, self.store.schema, worker_id=worker, status={})
        seen = control.wanted(self.store.connection, self.store.schema, worker_id=self.id)
        self.maintain.looked(seen.beats, seen.has_left)
        self.maintain.tick(self.store.connection)

    def watch(self, seconds: float) -> None:
        """Looks as often as a worker does, for so long by its clock."""
        for _ in range(round(seconds / LOOK)):
            self.now += LOOK
            self.look()


@pytest.fixture
def watcher(settings: Settings, store: Store, monkeypatch: pytest.MonkeyPatch) -> Watcher:
    assert (settings.heartbeat_timeout, settings.poll_every) == (TIMEOUT, LOOK)
    watcher = Watcher(settings, store)
    for module in (vigil, maintenance):
        monkeypatch.setattr(module, "monotonic", lambda: watcher.now)
    return watcher


def claimed(store: Store, host: str) -> tuple[int, int]:
    """A worker, and a job that it runs."""
    job, worker = store.add(), store.worker(host=host)
    assert job is not None
    assert [assignment.id for assignment in store.claim(worker)] == [job]
    return worker, job


def step(store: Store, interval: str) -> None:
    """As if the clock of the database stepped: what it said before lies that much further back, or ahead."""
    store.execute(f"UPDATE jobq.workers SET heartbeat_at = heartbeat_at - interval '{interval}'")


STEPS: dict[str, Callable[[Store, Clock], None]] = {
    "forward": lambda _store, clock: clock.advance(hours=1),
    "back": lambda _store, clock: clock.reset(),
    "forward, as rows show it": lambda store, _clock: step(store, "1 hour"),
    "back, as rows show it": lambda store, _clock: step(store, "-1 hour"),
}


def dead(store: Store) -> set[str]:
    return {row.host for row in store.rows("SELECT host FROM jobq.workers WHERE stop_reason = 'silent'")}


@pytest.mark.parametrize("kind", STEPS)
def test_when_the_clock_of_the_database_steps_no_live_worker_is_declared_dead_and_a_dead_one_is(
    watcher: Watcher, store: Store, database: Database, kind: str
) -> None:
    with Clock() as clock:
        clock.advance(hours=2)
        see_a_step(watcher, store, lambda: STEPS[kind](store, clock))


def see_a_step(watcher: Watcher, store: Store, take: Callable[[], None]) -> None:
    lively, its = claimed(store, "lively")
    _, orphan = claimed(store, "killed")
    watcher.alive = [lively]
    watcher.watch(20)
    watcher.alive = []  # it beats again only after some looks
    take()
    watcher.watch(20)
    assert dead(store) == set()

    watcher.alive = [lively]
    watcher.watch(TIMEOUT - 20 + LOOK)

    assert dead(store) == {"killed"}
    assert (store.job(its).state, store.job(orphan).state) == ("running", "pending")
    assert [(row.id, row.outcome) for row in store.results()] == [(orphan, "lost")]


def test_a_new_worker_rescues_after_it_has_watched_for_the_timeout(watcher: Watcher, store: Store) -> None:
    """Also where the other was dead long before: the clock may have stepped just before this one started."""
    _, orphan = claimed(store, "killed")
    step(store, "1 day")

    watcher.watch(TIMEOUT)
    assert store.job(orphan).state == "running"
    watcher.watch(LOOK)

    assert dead(store) == {"killed"}
    assert [(row.id, row.outcome) for row in store.results()] == [(orphan, "lost")]


def test_after_the_database_was_away_every_worker_has_its_time_to_report(watcher: Watcher, store: Store) -> None:
    """A failover or a recovery of two minutes: whoever comes back first must not take the others for dead."""
    _, job = claimed(store, "late")
    watcher.watch(TIMEOUT - LOOK)
    step(store, "2 minutes")
    watcher.now += 120  # nobody could look

    watcher.watch(TIMEOUT)
    assert store.job(job).state == "running"
    watcher.watch(LOOK)

    assert dead(store) == {"late"}
    assert [row.outcome for row in store.results(job)] == ["lost"]


def test_a_worker_whose_own_clock_runs_fast_declares_nobody_dead(watcher: Watcher, store: Store) -> None:
    _, job = claimed(store, "lively")

    watcher.watch(10 * TIMEOUT)  # within a moment of the database's

    assert dead(store) == set()
    assert store.job(job).state == "running"

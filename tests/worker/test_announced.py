"""A job that is enqueued alone is announced to a few of the workers that wait: one claims it, whoever else is there."""

import os
import selectors
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from jobq.queue_choice import QueueChoice
from jobq.records import ClassRecord
from jobq.runtime import announced
from jobq.runtime.announced import STAND_BY_SECONDS, Announced, Announcement
from jobq.runtime.claimer import Claimer
from jobq.runtime.exchange import Exchange
from jobq.runtime.listener import Listener
from jobq.runtime.ownership import Ownership
from jobq.runtime.preparer import Preparer
from jobq.runtime.waiting import Waiting
from jobq.settings import Settings
from jobq.store import claiming, enqueueing
from jobq.store.callers.psycopg3 import carry_out
from jobq.store.database import Database
from jobq.store.statements import channel, worker_channel
from tests.conftest import JOB_CLASS, Store, new_job, wait_until

if TYPE_CHECKING:
    from tests.conftest import Application

KNOWN = ClassRecord(JOB_CLASS, (), (), None)


def enqueue(store: Store, **fields: Any) -> int:
    """As run_in_worker() does on a connection of jobq's own."""
    added = carry_out(store.connection, enqueueing.adding(store.schema, new_job(**fields), is_announced=True))
    assert added is not None
    return added.id


# Whom it is announced to


@pytest.fixture
def heard(store: Store, database_url: str) -> Iterator[Callable[[], list[str]]]:
    """What was notified since the last time, by channel: of the first nine workers, and of all."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        for name in (channel("jobq"), *(f"{worker_channel('jobq')}{number}" for number in range(1, 10))):
            connection.execute(f'LISTEN "{name}"'.encode())

        def heard() -> list[str]:
            connection.execute("SELECT 1")
            return sorted(notified.channel.rpartition(":")[2] for notified in connection.notifies(timeout=0))

        yield heard


def test_three_workers_of_those_that_wait_are_told_and_no_others(store: Store, heard: Callable[[], list[str]]) -> None:
    waiting = [store.worker(classes=[KNOWN]) for _ in range(5)]
    for worker in waiting[1:]:
        store.set_waiting(worker, waiting=True)

    enqueue(store)

    told = heard()
    assert len(told) == len(set(told)) == 3
    assert set(told) <= {str(worker) for worker in waiting[1:]}


@pytest.mark.parametrize(
    "fields",
    [{"job_class": "elsewhere.Unknown"}, {"delay": 60.0}, {"expires_in": 60.0}],
    ids=["of a class that none of them knows", "due later", "that may expire"],
)
def test_of_another_job_the_queue_is_told_to_all(
    store: Store, heard: Callable[[], list[str]], fields: dict[str, Any]
) -> None:
    store.set_waiting(store.worker(classes=[KNOWN]), waiting=True)

    enqueue(store, **fields)

    assert heard() == ["jobq"]


def test_a_worker_of_other_queues_is_not_told(store: Store, heard: Callable[[], list[str]]) -> None:
    worker = store.worker(classes=[KNOWN])
    store.execute("UPDATE jobq.workers SET queues = '{mail}'")
    store.set_waiting(worker, waiting=True)

    enqueue(store)
    assert heard() == ["jobq"]
    enqueue(store, queue="mail")
    assert heard() == [str(worker)]


def test_jobs_of_one_transaction_are_not_announced_one_by_one(store: Store, heard: Callable[[], list[str]]) -> None:
    store.set_waiting(store.worker(classes=[KNOWN]), waiting=True)

    with store.connection.transaction():
        for _ in range(3):
            enqueueing.enqueue(store.connection, store.schema, new_job())

    assert heard() == ["jobq"]


# What is claimed


def claim(store: Store, worker: int, *ids: int, most: int = 1, classes: tuple[str, ...] = (JOB_CLASS,)) -> list[int]:
    steps = claiming.claim_announced(store.schema, ids, worker_id=worker, queue="default", classes=classes, most=most)
    return [assignment.id for assignment in carry_out(store.connection, steps)]


def test_an_announced_job_is_claimed_as_any_other(store: Store) -> None:
    worker, job = store.worker(), store.add(arguments='{"to": "ada"}')

    (assignment,) = carry_out(
        store.connection,
        claiming.claim_announced(store.schema, [job], worker_id=worker, queue="default", classes=[JOB_CLASS], most=5),
    )

    assert (assignment.id, assignment.attempt, assignment.arguments) == (job, 1, '{"to": "ada"}')
    assert store.job(job).worker_id == worker
    assert [row.job_ids for row in store.rows("SELECT job_ids FROM jobq.claims")] == [[job]]
    assert claim(store, worker, job) == [], "it has been taken"


def test_what_waits_ahead_of_an_announced_job_is_claimed_first(store: Store) -> None:
    job, urgent = store.add(), store.add(priority=5)
    assert claim(store, store.worker(), job) == [urgent]


def test_once_the_announced_job_was_taken_nothing_else_is_claimed(store: Store) -> None:
    worker, job, _ = store.worker(), store.add(), store.add()
    store.claim(worker, most=1)
    assert claim(store, worker, job) == []


def test_an_announced_job_that_may_not_be_claimed_is_left_alone(store: Store) -> None:
    worker, dead, job = store.worker(), store.worker(), store.add()
    store.declare_dead(dead)
    assert claim(store, dead, job) == []
    assert claim(store, worker, job, classes=("elsewhere.Unknown",)) == []
    store.execute("INSERT INTO jobq.queues (name, paused_at) VALUES ('default', now())")
    assert claim(store, worker, job) == []
    store.execute("DELETE FROM jobq.queues")
    store.execute("UPDATE jobq.jobs SET expires_at = now() - interval '1 second'")
    assert claim(store, worker, job) == []


def test_an_announced_job_that_somebody_has_locked_holds_nobody_up(store: Store, connection: Any) -> None:
    worker, job, other = store.worker(), store.add(), store.add()
    with connection.transaction():
        connection.execute("SELECT FROM jobq.jobs WHERE id = %s FOR UPDATE", [job])
        assert claim(store, worker, job) == [other]


# Who claims it


def test_whoever_was_named_first_and_did_not_get_the_job_looks_further_unless_somebody_stood_by() -> None:
    first, second = (Announcement(1, "default", JOB_CLASS, place, heard_at=100.0) for place in (0, 1))
    assert first.is_missed(100.0)
    assert not first.is_missed(100.0 + STAND_BY_SECONDS)
    assert not second.is_missed(100.0)


def test_whoever_is_named_first_looks_at_once_and_the_others_a_little_later() -> None:
    told = Announced()
    for number, place in ((1, 2), (2, 0), (3, 1)):
        told.add(Announcement(number, "default", JOB_CLASS, place, heard_at=100.0))

    assert [one.job_id for one in told.take_due(100.0)] == [2]
    assert told.look_at == 100.0 + STAND_BY_SECONDS
    told.forget([3])
    assert [one.job_id for one in told.take_due(200.0)] == [1]


class Sleeper:
    """A worker that waits, without children: what it has claimed is its `claimer.room`'s."""

    def __init__(self, store: Store, settings: Settings, selector: selectors.BaseSelector) -> None:
        self.database, ownership = Database(settings), Ownership(store.worker(classes=[KNOWN]))
        self.worker_id = ownership.worker_id
        self.listener = Listener(
            self.database,
            selector,
            lambda: None,
            ownership,
            on_announced=lambda announcement: self.claimer.announce(announcement),
            on_hint=lambda queue: self.claimer.hint(queue),
            on_gate=lambda gate: None,
            on_control=print,
            on_connected_again=lambda: self.claimer.look(),
        )
        self.claimer = Claimer(
            self.database,
            selector,
            lambda: None,
            ownership,
            QueueChoice(),
            preparer=Preparer(self.database, ownership, on_prepared=lambda: None, on_impossible=pytest.fail),
            waiting=Waiting(settings.schema, ownership),
            on_claimed=lambda: None,
            may_sleep=lambda: self.listener.is_listening,
            on_owed_hooks=lambda: None,
            on_gated=lambda has_gated: None,
        )
        self.claimer.classes = (JOB_CLASS,)
        self.claimer.want(2)
        self.exchanges: list[Exchange] = [self.listener, self.claimer]

    @property
    def is_settled(self) -> bool:
        return self.claimer._idling.has_settled and self.claimer._idling.asleep_until is not None

    def stop(self) -> None:
        for exchange in self.exchanges:
            exchange.stop()


@pytest.fixture
def sleepers(store: Store, settings: Settings) -> Iterator[list[Sleeper]]:
    with selectors.DefaultSelector() as selector:
        patient = replace(settings, poll_every=3600.0)
        sleepers = [Sleeper(store, patient, selector) for _ in range(6)]
        wait_until(lambda: turn(sleepers) or all(sleeper.is_settled for sleeper in sleepers))
        yield sleepers
        for sleeper in sleepers:
            sleeper.stop()


def turn(sleepers: list[Sleeper]) -> None:
    """One turn of the loops of these; the others stand still."""
    for sleeper in sleepers:
        sleeper.claimer.room.take()
        sleeper.claimer.want(2)
    exchanges = [exchange for sleeper in sleepers for exchange in sleeper.exchanges]
    for exchange in exchanges:
        exchange.turn()
    ready = sleepers[0].listener._ear._selector.select(0.001)
    for key, _ in ready:
        if key.data in exchanges:
            key.data.hear()


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often something was asked for, by what."""
    counted: Counter[str] = Counter()

    def counting(name: str, steps: Callable[..., Any]) -> Callable[..., Any]:
        def count(*arguments: Any, **named: Any) -> Any:
            counted[name] += 1
            return steps(*arguments, **named)

        return count

    for name in ("claim", "claim_announced", "promote"):
        monkeypatch.setattr(claiming, name, counting(name, getattr(claiming, name)))
    return counted


def test_of_many_workers_that_wait_one_claims_a_lone_job_and_two_stand_by(
    store: Store, sleepers: list[Sleeper], looks: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(announced, "STAND_BY_SECONDS", 3600.0)  # else a busy machine lets them come first
    for number in range(1, 5):
        job = enqueue(store)
        wait_until(lambda job=job: turn(sleepers) or store.job(job).worker_id)  # type: ignore[misc]
        assert looks == {"claim_announced": number}
    assert sum(len(sleeper.claimer._announced._waiting) for sleeper in sleepers) == 8


def test_a_lone_job_does_not_wait_for_a_worker_that_stands_still(store: Store, sleepers: list[Sleeper]) -> None:
    moving = sleepers[:4]  # of the three that are told, one at least
    for _ in range(8):
        job = enqueue(store)
        wait_until(lambda job=job: turn(moving) or store.job(job).worker_id)  # type: ignore[misc]


def test_a_statement_that_waits_for_a_lock_holds_up_nothing_else(
    store: Store, sleepers: list[Sleeper], connection: Any
) -> None:
    sleeper = sleepers[0]
    wanted: list[str] = []
    sleeper.listener._on_control = wanted.append
    with connection.transaction():
        connection.execute("LOCK TABLE jobq.jobs IN ACCESS EXCLUSIVE MODE")
        sleeper.claimer.look()
        wait_until(lambda: turn([sleeper]) or sleeper.claimer._steps is not None)
        connection.execute("SELECT 1")
        store.execute("SELECT pg_notify('jobq-control:jobq', '7')")
        wait_until(lambda: turn([sleeper]) or wanted)
    wait_until(lambda: turn([sleeper]) or sleeper.claimer._steps is None)
    assert wanted == ["7"]


def test_a_worker_that_is_stopped_by_a_signal_delays_no_lone_job(
    sample: "Application", store: Store, eventually: Callable[..., Any]
) -> None:
    """Without those that stand by, half of the jobs would wait for the poll."""
    patient = {"JOBQ_POLL_EVERY": "3600", "JOBQ_MAX_PROCESSES": "1", "JOBQ_HEARTBEAT_TIMEOUT": "3600"}
    waiting = "SELECT FROM jobq.workers WHERE waiting AND cardinality(class_names) > 0"
    with sample.start("run", environment=patient) as frozen, sample.start("run", environment=patient):
        eventually(lambda: len(store.rows(waiting)) == 2)
        frozen.process.send_signal(signal.SIGSTOP)
        try:
            for _ in range(6):
                job = enqueue(store, job_class="jobs.Echo", arguments="{}")
                eventually(lambda job=job: store.results(job))
        finally:
            os.kill(frozen.process.pid, signal.SIGCONT)

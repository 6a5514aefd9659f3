"""Claims of which a worker does not know, or knows twice: answers that were lost, and statements that came late."""

import selectors
from dataclasses import replace

import psycopg
import pytest

from jobq.queue_choice import QueueChoice
from jobq.records import Assignment
from jobq.runtime import claimer as claimer_module
from jobq.runtime import exchange, looking_around, queue_map
from jobq.runtime import missed as missing
from jobq.runtime.claimer import Claimer
from jobq.runtime.completer import Completer
from jobq.runtime.ownership import Ownership
from jobq.runtime.preparer import Preparer
from jobq.runtime.supervisor import Supervisor
from jobq.runtime.waiting import Waiting
from jobq.settings import Settings
from jobq.states import Outcome
from jobq.store.database import Database
from jobq.store.line import Line
from tests.conftest import JOB_CLASS, Store, carried_out_on, report_on, wait_until


def test_giving_back_a_second_time_does_not_take_back_what_was_claimed_anew(store: Store) -> None:
    worker_id = store.worker()
    job_id = store.add()
    first = store.claim(worker_id)
    assert store.give_back(worker_id, *first) == ["default"]
    second = store.claim(worker_id)
    assert [(job.id, job.attempt) for job in second] == [(job.id, job.attempt) for job in first]

    assert store.give_back(worker_id, *first) == []

    assert store.job(job_id).state == "running"
    assert store.give_back(worker_id, *second) == ["default"]


def test_a_worker_whose_report_came_too_late_asks_whether_it_is_still_alive(settings: Settings, store: Store) -> None:
    dead, job_id = store.worker(), store.add()
    (assignment,) = store.claim(dead)
    store.declare_dead(dead)
    store.rescue()
    heard: list[str] = []
    completer = Completer(
        Database(settings),
        Ownership(dead),
        on_recorded=lambda: heard.append("recorded"),
        on_disowned=lambda: heard.append("disowned"),
    )

    completer.add([report_on(assignment)])
    completer.tick(store.connection)

    assert heard == ["disowned", "recorded"]
    assert [(result.id, result.outcome) for result in store.results()] == [(job_id, "lost")]


def test_a_report_that_cannot_be_stored_at_all_holds_no_other_up(settings: Settings, store: Store) -> None:
    """A job that has found the pipe may write a report of any content in its own place."""
    worker_id = store.worker()
    store.add_many({}, {}, {})
    first, second, third = store.claim(worker_id)
    completer = Completer(Database(settings), Ownership(worker_id), on_recorded=lambda: None, on_disowned=lambda: None)

    completer.add(
        [
            report_on(first, Outcome.ERRORED, error_type="E", fingerprint="\0"),
            report_on(second)._replace(attempt=10**10),
            report_on(third),
        ]
    )
    completer.tick(store.connection)

    assert completer.backlog == 0
    assert {result.id: (result.outcome, result.error_type) for result in store.results()} == {
        first.id: ("errored", "NotStorable"),
        third.id: ("successful", None),
    }


def test_coroutines_are_given_back_by_the_one_that_claims_them(settings: Settings, store: Store, line: Line) -> None:
    """The answer may be lost, and it is sent again: by then nobody may have claimed them anew for this worker, as the
    same attempt. One connection does the one after the other."""
    supervisor = Supervisor(Database(replace(settings, concurrency=2, max_processes=1)), QueueChoice(), drain=False)
    worker_id = store.worker()
    supervisor.ownership.begin_anew(worker_id)
    job_id = store.add()
    (assignment,) = store.claim(worker_id)
    supervisor.ownership.take(worker_id, [assignment])
    supervisor.stock.coroutines.append(assignment)

    supervisor.supply.give_back_all()

    carried_out_on(line, supervisor.services.claimer.tick())
    assert store.job(job_id).state == "running"
    carried_out_on(line, supervisor.services.coroutine_claimer.tick())
    assert (store.job(job_id).state, store.job(job_id).attempt) == ("pending", 0)
    assert not supervisor.ownership.held()
    supervisor.selector.close()
    supervisor.events.close()


def test_a_worker_that_stops_waits_for_the_claim_that_is_on_its_way_and_gives_it_back(
    settings: Settings, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else its jobs would wait until the worker is found to have left them."""
    monkeypatch.setattr(exchange, "LOCK_SECONDS", 60.0)  # for as long as this test holds the lock
    supervisor = Supervisor(Database(replace(settings, max_processes=1)), QueueChoice(), drain=False)
    services, supply = supervisor.services, supervisor.supply
    claimer = services.claimer
    services.exchanges = [claimer]
    supervisor.ownership.begin_anew(store.worker())
    claimer.classes = (JOB_CLASS,)
    claimer.want(1)

    def turn() -> None:
        for key, _ in supervisor.selector.select(0.01):
            key.data.hear()
        services.turn()

    wait_until(lambda: turn() or claimer.is_connected)
    with psycopg.connect(settings.database_url or "") as locking:
        job_id = store.add()
        locking.execute("LOCK TABLE jobq.jobs IN ACCESS EXCLUSIVE MODE")
        claimer.look()
        wait_until(lambda: turn() or claimer.is_asking)
        supply.stop_claiming()
        supply.receive()
        supply.give_back_all()
        assert supervisor.shutdown._has_to_write
    wait_until(lambda: turn() or supply.receive() or supply.give_back_all() or not supervisor.shutdown._has_to_write)
    assert (store.job(job_id).state, store.job(job_id).attempt) == ("pending", 0)
    services.stop(0.0)
    supervisor.selector.close()
    supervisor.events.close()


def test_a_claim_that_the_server_does_after_its_worker_has_asked_what_it_holds_is_found(
    settings: Settings, store: Store, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(missing, "MISSED_AGAIN_SECONDS", 0.01)
    worker_id = store.worker()
    delivered: list[Assignment] = []
    claimer = claimer_of(settings, worker_id)

    def tick() -> bool:
        """Whether it sleeps until it is woken."""
        is_asleep = carried_out_on(line, claimer.tick()) is None
        delivered.extend(claimer.room.take())
        return is_asleep

    carried_out_on(line, claimer.on_connected())
    carried_out_on(line, claimer.on_connected())  # it was lost, in the middle of a claim
    assert claimer.room.take() == []

    store.add()
    late = store.claim(worker_id)

    wait_until(lambda: not tick() and delivered)
    assert delivered == late
    wait_until(lambda: claimer.missed._wait >= 0.08 or tick())
    assert delivered == late  # once


def claimer_of(settings: Settings, worker_id: int) -> Claimer:
    database, ownership = Database(settings), Ownership(worker_id)
    claimer = Claimer(
        database,
        selectors.SelectSelector(),
        lambda: None,
        ownership,
        QueueChoice(),
        preparer=Preparer(database, ownership, on_prepared=lambda: None, on_impossible=pytest.fail),
        waiting=Waiting(database.schema, ownership),
        on_claimed=lambda: None,
        may_sleep=lambda: False,
        on_owed_hooks=lambda: None,
        on_gated=lambda has_gated: None,
    )
    claimer.classes = (JOB_CLASS,)
    return claimer


def test_a_front_that_is_slow_to_look_at_is_looked_at_seldom_and_never_forgotten(
    settings: Settings, store: Store, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where an open transaction keeps what was done from being vacuumed: what comes next is found without it."""
    now = 1000.0
    for module in (claimer_module, looking_around):
        monkeypatch.setattr(module, "monotonic", lambda: now)
    monkeypatch.setattr(queue_map, "is_slow", lambda _seconds, _jobs: True)
    claimer = claimer_of(settings, store.worker())
    carried_out_on(line, claimer.on_connected())

    def found() -> list[int]:
        """What is claimed until the claimer sleeps."""
        claimer.want(10)
        while carried_out_on(line, claimer.tick()) == 0.0:
            pass
        return [assignment.id for assignment in claimer.room.take()]

    first = store.add()
    assert found() == [first]
    ahead, behind = store.add(priority=5), store.add()
    claimer.hint("default")
    assert found() == [behind]
    assert claimer.queues.empty_look_began is None, "nothing is proven to be empty"
    now += 1.0
    assert found() == [ahead]
    now += 1.0
    assert (found(), claimer.queues.empty_look_began) == ([], now)
    ahead, behind = store.add(priority=5), store.add()
    claimer.hint("default")
    assert found() == [behind], "the hint does not wait for the front, though it may be looked at"
    claimer.look()
    assert found() == [ahead], "where somebody asks for a look everywhere, the front is part of it"
    now += 1.0
    assert (found(), claimer.queues.empty_look_began) == ([], now)
    store.add(job_class="elsewhere.Unknown", priority=9)
    now += 1.0
    found_none = found(), claimer.queues.empty_look_began
    assert found_none == ([], now), "to have seen that nothing is for this worker is enough"


def test_what_was_claimed_and_not_taken_yet_counts_as_room_that_is_used_up(
    settings: Settings, store: Store, line: Line
) -> None:
    """What the supervisor says while a claim is under way holds, less what that brings: it may go on at once."""
    claimer = claimer_of(settings, store.worker())
    carried_out_on(line, claimer.on_connected())
    jobs = [store.add() for _ in range(5)]
    claimer.want(2)
    carried_out_on(line, claimer.tick())
    claimer.want(3)  # of which the two that were not taken fill all but one

    while carried_out_on(line, claimer.tick()) == 0.0:
        pass

    assert [assignment.id for assignment in claimer.room.take()] == jobs[:3]


def test_less_than_is_worth_a_claim_is_not_claimed(settings: Settings, store: Store, line: Line) -> None:
    claimer = claimer_of(settings, store.worker())
    carried_out_on(line, claimer.on_connected())
    store.add()

    claimer.want(3, least=4)
    carried_out_on(line, claimer.tick())
    assert claimer.room.take() == []

    claimer.want(4, least=4)
    wait_until(lambda: carried_out_on(line, claimer.tick()) is not None and claimer.room.has_delivered)


def test_room_that_is_gone_when_the_claim_begins_is_no_error(settings: Settings, store: Store, line: Line) -> None:
    """As where jobs turn out to be long, and more is held already than may be."""
    claimer = claimer_of(settings, store.worker())
    carried_out_on(line, claimer.on_connected())
    store.add()
    claimer.queues.enter("default")
    claimer.want(-3)

    assert not carried_out_on(line, claimer._claim())
    assert claimer.room.take() == []

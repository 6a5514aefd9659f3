"""Claims of which a worker does not know, or knows twice: answers that were lost, and statements that came late."""

from dataclasses import replace

import pytest

from jobq.queue_choice import QueueChoice
from jobq.records import Assignment
from jobq.runtime import claimer as claiming
from jobq.runtime.claimer import Claimer
from jobq.runtime.completer import Completer
from jobq.runtime.ownership import Ownership
from jobq.runtime.preparer import Preparer
from jobq.runtime.supervisor import Supervisor
from jobq.settings import Settings
from jobq.states import Outcome
from jobq.store.database import Database
from tests.conftest import JOB_CLASS, Store, report_on, wait_until


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
    completer = Completer(
        Database(settings), Ownership(worker_id), on_recorded=lambda: None, on_disowned=lambda: None
    )

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


def test_coroutines_are_given_back_by_the_one_that_claims_them(settings: Settings, store: Store) -> None:
    """The answer may be lost, and it is sent again: by then nobody may have claimed them anew for this worker, as the
    same attempt. One thread does the one after the other."""
    supervisor = Supervisor(Database(replace(settings, concurrency=2, max_processes=1)), QueueChoice(), drain=False)
    worker_id = store.worker()
    supervisor.ownership.begin_anew(worker_id)
    job_id = store.add()
    (assignment,) = store.claim(worker_id)
    supervisor.ownership.take(worker_id, [assignment])
    supervisor.stock.coroutines.append(assignment)

    supervisor.supply.give_back_all()

    supervisor.services.claimer.tick(store.connection)
    assert store.job(job_id).state == "running"
    supervisor.services.coroutine_claimer.tick(store.connection)
    assert (store.job(job_id).state, store.job(job_id).attempt) == ("pending", 0)
    assert not supervisor.ownership.held()
    supervisor.selector.close()
    supervisor.events.close()


def test_a_claim_that_the_server_does_after_its_worker_has_asked_what_it_holds_is_found(
    settings: Settings, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claiming, "MISSED_AGAIN_SECONDS", 0.01)
    worker_id = store.worker()
    delivered: list[Assignment] = []
    claimer = claimer_of(settings, worker_id)

    def tick() -> bool:
        """Whether it sleeps until it is woken."""
        is_asleep = claimer.tick(store.connection) is None
        delivered.extend(claimer.take())
        return is_asleep

    claimer.on_connected(store.connection)
    claimer.on_connected(store.connection)  # it was lost, in the middle of a claim
    assert claimer.take() == []

    store.add()
    late = store.claim(worker_id)

    wait_until(lambda: not tick() and delivered)
    assert delivered == late
    wait_until(lambda: claimer._missed_wait >= 0.08 or tick())
    assert delivered == late  # once


def claimer_of(settings: Settings, worker_id: int) -> Claimer:
    database, ownership = Database(settings), Ownership(worker_id)
    claimer = Claimer(
        database,
        ownership,
        QueueChoice(),
        preparer=Preparer(database, ownership, on_prepared=lambda: None, on_impossible=pytest.fail),
        on_delivered=lambda: None,
        may_sleep=lambda: False,
        on_owed_hooks=lambda: None,
    )
    claimer.classes = (JOB_CLASS,)
    return claimer


def test_a_front_that_is_slow_to_look_at_is_looked_at_seldom_and_never_forgotten(
    settings: Settings, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where an open transaction keeps what was done from being vacuumed: what comes next is found without it."""
    now = 1000.0
    monkeypatch.setattr(claiming, "monotonic", lambda: now)
    monkeypatch.setattr(claiming, "is_slow", lambda _seconds, _jobs: True)
    claimer = claimer_of(settings, store.worker())
    claimer.on_connected(store.connection)

    def found() -> list[int]:
        """What is claimed until the claimer sleeps."""
        claimer.want(10)
        while claimer.tick(store.connection) == 0.0:
            pass
        return [assignment.id for assignment in claimer.take()]

    first = store.add()
    assert found() == [first]
    ahead, behind = store.add(priority=5), store.add()
    claimer.hint("default")
    assert found() == [behind]
    assert claimer.empty_look_began is None, "nothing is proven to be empty"
    now += 1.0
    assert found() == [ahead]
    now += 1.0
    assert (found(), claimer.empty_look_began) == ([], now)
    ahead, behind = store.add(priority=5), store.add()
    claimer.hint("default")
    assert found() == [behind], "the hint does not wait for the front, though it may be looked at"
    claimer.look()
    assert found() == [ahead], "where somebody asks for a look everywhere, the front is part of it"
    now += 1.0
    assert (found(), claimer.empty_look_began) == ([], now)
    store.add(job_class="elsewhere.Unknown", priority=9)
    now += 1.0
    assert (found(), claimer.empty_look_began) == ([], now), "to have seen that nothing is for this worker is enough"


def test_what_was_claimed_and_not_taken_yet_counts_as_room_that_is_used_up(settings: Settings, store: Store) -> None:
    """What the supervisor says while a claim is under way holds, less what that brings: it may go on at once."""
    claimer = claimer_of(settings, store.worker())
    claimer.on_connected(store.connection)
    jobs = [store.add() for _ in range(5)]
    claimer.want(2)
    claimer.tick(store.connection)
    claimer.want(3)  # of which the two that were not taken fill all but one

    while claimer.tick(store.connection) == 0.0:
        pass

    assert [assignment.id for assignment in claimer.take()] == jobs[:3]


def test_less_than_is_worth_a_claim_is_not_claimed(settings: Settings, store: Store) -> None:
    claimer = claimer_of(settings, store.worker())
    claimer.on_connected(store.connection)
    store.add()

    claimer.want(3, least=4)
    claimer.tick(store.connection)
    assert claimer.take() == []

    claimer.want(4, least=4)
    wait_until(lambda: claimer.tick(store.connection) is not None and claimer.has_delivered)


def test_room_that_is_gone_when_the_claim_begins_is_no_error(settings: Settings, store: Store) -> None:
    """As where jobs turn out to be long, and more is held already than may be."""
    claimer = claimer_of(settings, store.worker())
    claimer.on_connected(store.connection)
    store.add()
    claimer._enter("default")
    claimer.want(-3)

    assert not claimer._claim(store.connection)
    assert claimer.take() == []

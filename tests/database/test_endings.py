"""How attempts end: once, by the worker that holds them, and what becomes of the job."""

import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from jobq.states import Outcome
from jobq.store import acts, jobs, workers


def claim_one(store: Any, **fields: Any) -> tuple[int, Any]:
    """A worker, and the job that it has just claimed."""
    worker = store.worker()
    store.add(**fields)
    (assignment,) = store.claim(worker)
    return worker, assignment


@pytest.mark.parametrize("outcome", list(Outcome))
def test_a_finished_job_leaves_the_queue_for_the_history(outcome: Outcome, store: Any, report: Any) -> None:
    worker = store.worker()
    store.add(
        priority=3, retries=2, unique_key="k", arguments='{"a": 1}', source="shop.py:1", trace_context='{"t": "1"}'
    )
    (assignment,) = store.claim(worker)
    before = store.job(assignment.id)
    ended = report(assignment, outcome, value='{"rows": 7}', error_type="E", error_message="m", traceback="t")
    assert store.finish(worker, ended) == 1
    assert store.unfinished() == []
    (result,) = store.results()
    for column in (
        "id", "attempt", "enqueued_at", "run_at", "worker_id", "retries", "priority", "queue", "job_class",
        "arguments", "unique_key", "source", "trace_context",
    ):  # fmt: skip
        assert getattr(result, column) == getattr(before, column), column
    assert (result.outcome, result.retried, result.value) == (outcome, False, {"rows": 7})
    assert (result.error_type, result.error_message, result.traceback) == ("E", "m", "t")


def test_the_databases_clock_says_when_an_attempt_began_and_ended(store: Any, report: Any) -> None:
    """The worker's clock only measures how long ago that was."""
    worker, assignment = claim_one(store)
    now = time.monotonic()
    (before,) = store.rows("SELECT statement_timestamp() AS at")
    jobs.finish(
        store.connection,
        store.schema,
        worker_id=worker,
        reports=[report(assignment, started=now - 90, ended=now - 30)],
        now=now,
    )
    (after,) = store.rows("SELECT statement_timestamp() AS at")
    (result,) = store.results()
    assert result.ended_at - result.started_at == timedelta(seconds=60)
    assert before.at <= result.ended_at + timedelta(seconds=30) <= after.at


def test_an_attempt_that_never_began_has_no_start(store: Any, report: Any) -> None:
    worker, assignment = claim_one(store)
    store.finish(worker, report(assignment, "cancelled", started=None))
    assert store.results()[0].started_at is None


def test_an_attempt_ends_once(store: Any, report: Any) -> None:
    worker, assignment = claim_one(store, retries=9)
    assert store.finish(worker, report(assignment)) == 1
    assert store.finish(worker, report(assignment, "errored")) == 0
    assert store.retry(worker, report(assignment, "errored", retry_delay=0.0)) == 0
    assert store.give_back(worker, assignment) == []
    assert store.unfinished() == []
    assert [result.outcome for result in store.results()] == ["successful"]


@pytest.mark.parametrize("change", [{"id": 10**9}, {"attempt": 2}, {"attempt": 0}])
def test_a_report_on_another_attempt_changes_nothing(change: dict[str, int], store: Any, report: Any) -> None:
    worker, assignment = claim_one(store)
    before = store.unfinished()
    stray = assignment._replace(**change)
    assert store.finish(worker, report(stray)) == 0
    assert store.retry(worker, report(stray, "errored", retry_delay=0.0)) == 0
    assert store.give_back(worker, stray) == []
    assert store.unfinished() == before
    assert store.results() == []


def test_a_report_of_another_worker_changes_nothing(store: Any, report: Any) -> None:
    _, assignment = claim_one(store)
    stranger = store.worker()
    before = store.unfinished()
    assert store.finish(stranger, report(assignment)) == 0
    assert store.retry(stranger, report(assignment, "errored", retry_delay=0.0)) == 0
    assert store.give_back(stranger, assignment) == []
    assert store.unfinished() == before


def test_a_late_report_does_not_overwrite_a_rescued_job(store: Any, report: Any) -> None:
    dead, assignment = claim_one(store)
    store.declare_dead(dead)
    assert [rescued.id for rescued in store.rescue()] == [assignment.id]
    assert store.finish(dead, report(assignment)) == 0, "while it waits"
    alive = store.worker()
    (again,) = store.claim(alive)
    assert again.attempt == 2
    assert store.finish(dead, report(assignment)) == 0, "while it runs again"
    assert store.retry(dead, report(assignment, "errored", retry_delay=0.0)) == 0
    assert store.give_back(dead, assignment) == []
    assert store.finish(alive, report(again)) == 1
    assert [(result.attempt, result.outcome, result.worker_id) for result in store.results()] == [
        (1, "lost", dead),
        (2, "successful", alive),
    ]


def test_a_report_and_a_rescue_that_race_record_the_attempt_once(store: Any, report: Any) -> None:
    dead = store.worker()
    store.add_many(*({} for _ in range(400)))
    claimed = store.claim(dead, most=400)
    store.declare_dead(dead)
    start = threading.Barrier(2)

    def finish_all() -> int:
        with store.another() as own:
            start.wait(30)
            return sum(own.finish(dead, report(assignment)) for assignment in claimed)

    def rescue_all() -> int:
        with store.another() as own:
            start.wait(30)
            return sum(len(own.rescue(limit=7)) for _ in range(60))

    with ThreadPoolExecutor(2) as threads:
        finished, rescued = threads.submit(finish_all), threads.submit(rescue_all)
        assert finished.result(60) + rescued.result(60) + len(store.rescue()) == 400
    outcomes = Counter(result.outcome for result in store.results())
    assert outcomes.total() == 400
    assert outcomes["successful"] == finished.result()
    assert outcomes["lost"] == len(store.unfinished())


def test_a_batch_with_a_lost_row_still_records_the_others(store: Any, report: Any) -> None:
    worker = store.worker()
    store.add_many(*({"retries": 9} for _ in range(6)))
    claimed = store.claim(worker)
    store.execute("UPDATE jobq.jobs SET worker_id = %s WHERE id = %s", store.worker(), claimed[1].id)
    store.execute("UPDATE jobq.jobs SET worker_id = %s WHERE id = %s", store.worker(), claimed[4].id)
    assert store.finish(worker, *(report(assignment) for assignment in claimed[:3])) == 2
    assert store.retry(worker, *(report(a, "errored", retry_delay=1.0) for a in claimed[3:])) == 2
    assert [result.id for result in store.results()] == [claimed[place].id for place in (0, 2, 3, 5)]


def test_a_batch_is_recorded_row_by_row_whatever_its_order(store: Any, report: Any) -> None:
    worker = store.worker()
    store.add_many(*({"priority": number} for number in range(5)))
    claimed = store.claim(worker)
    store.finish(worker, *(report(assignment, value=str(assignment.id)) for assignment in claimed))
    assert {result.id: result.value for result in store.results()} == {
        assignment.id: assignment.id for assignment in claimed
    }


def test_a_failed_attempt_is_recorded_and_its_job_put_back_in_one_statement(store: Any, report: Any) -> None:
    worker, assignment = claim_one(store, retries=3, unique_key="k")
    before = store.job(assignment.id)
    with store.another() as other, store.connection.transaction():
        store.retry(
            worker,
            report(assignment, "errored", retry_delay=60.0, error_type="E", error_message="m", traceback="t"),
        )
        assert (other.job(assignment.id).state, other.results()) == ("running", []), "not half of it"
    job = store.job(assignment.id)
    assert (job.state, job.attempt, job.excused, job.losses) == ("scheduled", 1, 0, 0)
    assert (job.worker_id, job.started_at, job.cancel_requested_at) == (None, None, None)
    assert (job.enqueued_at, job.unique_key, job.retries) == (before.enqueued_at, "k", 3)
    (result,) = store.results()
    assert (result.outcome, result.retried, result.run_at) == ("errored", True, before.run_at)
    assert (result.error_type, result.error_message, result.traceback) == ("E", "m", "t")


def test_a_retry_waits_for_its_delay_from_now(store: Any, report: Any) -> None:
    worker, assignment = claim_one(store)
    (before,) = store.rows("SELECT statement_timestamp() AS at")
    store.retry(worker, report(assignment, "errored", retry_delay=60.0))
    (after,) = store.rows("SELECT statement_timestamp() AS at")
    assert before.at <= store.job(assignment.id).run_at - timedelta(seconds=60) <= after.at
    assert store.claim(worker) == []


def test_a_retry_without_delay_is_pending_at_once(store: Any, report: Any) -> None:
    worker, assignment = claim_one(store)
    store.retry(worker, report(assignment, "errored", retry_delay=0.0))
    (again,) = store.claim(worker)
    assert (again.id, again.attempt, again.tries) == (assignment.id, 2, 2)


def test_an_excused_attempt_does_not_count_against_the_retries(store: Any, report: Any) -> None:
    worker, assignment = claim_one(store)
    store.retry(worker, report(assignment, "lost", retry_delay=0.0, excused=True))
    (again,) = store.claim(worker)
    assert (again.attempt, again.tries, again.losses) == (2, 1, 0)


def test_a_counted_loss_brings_a_job_nearer_to_its_limit(store: Any, report: Any) -> None:
    worker, assignment = claim_one(store)
    store.retry(worker, report(assignment, "lost", retry_delay=0.0, excused=True, loss=True))
    (again,) = store.claim(worker)
    assert (again.tries, again.losses) == (1, 1)


def test_a_job_that_was_lost_as_often_as_allowed_rests_as_lost(store: Any) -> None:
    job = store.add(unique_key="k")
    for loss in (1, 2, 3):
        worker = store.worker(host="anvil", pid=4711)
        (assignment,) = store.claim(worker)
        assert (assignment.attempt, assignment.tries, assignment.losses) == (loss, 1, loss - 1)
        store.declare_dead(worker, assignment)
        assert [(r.id, r.attempt, r.retried) for r in store.rescue()] == [(job, loss, loss < 3)]
    assert store.unfinished() == []
    results = store.results(job)
    assert [(r.attempt, r.outcome, r.retried, r.error_type) for r in results] == [
        (1, "lost", True, "WorkerLost"),
        (2, "lost", True, "WorkerLost"),
        (3, "lost", False, "WorkerLost"),
    ]
    assert "anvil/4711" in results[2].error_message
    assert "loss 3 of 3" in results[2].error_message
    assert store.add(unique_key="k") is not None, "its key is free"


def test_losses_and_errors_are_counted_apart(store: Any, report: Any) -> None:
    worker, first = claim_one(store, retries=1)
    store.retry(worker, report(first, "errored", retry_delay=0.0))
    (second,) = store.claim(worker)
    store.declare_dead(worker, second)
    store.rescue()
    (third,) = store.claim(store.worker())
    assert (second.tries, third.attempt, third.tries, third.losses) == (2, 3, 2, 1)


def test_jobs_that_were_lost_before_come_back_spread_over_some_time(store: Any) -> None:
    """So that one which takes whole workers down does not meet the same neighbours again."""
    worker = store.worker()
    store.add_many(*({} for _ in range(20)))
    claimed = store.claim(worker)
    store.execute("UPDATE jobq.jobs SET losses = 1 WHERE id > %s", claimed[9].id)
    store.declare_dead(worker, *claimed)
    store.rescue(spread=1000.0)
    first, before = store.unfinished()[:10], store.unfinished()[10:]
    assert {job.state for job in first} == {"pending"}
    assert {job.state for job in before} == {"scheduled"}
    assert len({job.run_at for job in before}) == 10
    (now,) = store.rows("SELECT now() AS at")
    assert all(job.run_at <= now.at + timedelta(seconds=1000) for job in before)


def test_only_jobs_of_workers_that_are_gone_are_rescued(store: Any) -> None:
    alive, dead = store.worker(), store.worker()
    store.add_many({}, {}, {"delay": 60}, {})
    (kept,) = store.claim(alive, most=1)
    (lost,) = store.claim(dead, most=1)
    store.execute("UPDATE jobq.jobs SET progress = '{}' WHERE id = %s", lost.id)
    store.declare_dead(dead)
    assert [rescued.id for rescued in store.rescue()] == [lost.id]
    assert store.job(lost.id).progress is None
    assert store.job(kept.id).state == "running"
    assert store.rescue() == []


def test_a_job_of_a_worker_without_a_row_is_rescued(store: Any) -> None:
    _, assignment = claim_one(store)
    store.execute("DELETE FROM jobq.workers")
    assert [rescued.id for rescued in store.rescue()] == [assignment.id]
    assert "is not known" in store.results()[0].error_message


def test_rescuers_that_race_rescue_each_job_once(store: Any) -> None:
    dead = store.worker()
    store.add_many(*({} for _ in range(1000)))
    store.declare_dead(dead, *store.claim(dead, most=1000))

    def rescue(_: int) -> list[int]:
        with store.another() as own:
            return [rescued.id for _ in range(30) for rescued in own.rescue(limit=20)]

    with ThreadPoolExecutor(4) as threads:
        rescued = Counter(job for jobs in threads.map(rescue, range(4)) for job in jobs)
    rescued.update(job.id for job in store.rescue())
    assert set(rescued.values()) == {1}
    assert len(rescued) == len(store.results()) == 1000
    assert {job.losses for job in store.unfinished()} == {0}, "they were lost together, however few a rescue found"


def test_a_job_that_runs_again_by_the_time_another_rescue_comes_to_it_is_not_lost(store: Any) -> None:
    """What that rescue saw was an earlier attempt. It was held up between one row and the next, here by a function of
    PostgreSQL's that it calls for each."""
    dead, alive = store.worker(), store.worker()
    first, second = store.add_many({}, {})
    store.claim(dead)
    store.declare_dead(dead)
    with ThreadPoolExecutor(1) as threads, store.another() as other:
        other.execute("CREATE SCHEMA slow")
        other.execute(
            "CREATE FUNCTION slow.date_bin(interval, timestamptz, timestamptz) RETURNS timestamptz LANGUAGE plpgsql "
            "AS 'BEGIN PERFORM pg_advisory_xact_lock(1); RETURN pg_catalog.date_bin($1, $2, $3); END'"
        )
        other.execute("SET search_path = slow, pg_catalog")
        store.execute("SELECT pg_advisory_lock(1)")
        late = threads.submit(other.rescue)
        store.wait_until_another_waits()
        assert [rescued.id for rescued in store.rescue()] == [second]
        (again,) = store.claim(alive)
        store.execute("SELECT pg_advisory_unlock(1)")
        assert [rescued.id for rescued in late.result(30)] == [first]
    assert (again.id, again.attempt) == (second, 2)
    assert (store.job(second).state, store.job(second).worker_id) == ("running", alive)
    assert [(result.id, result.attempt) for result in store.results()] == [(first, 1), (second, 1)]


def test_a_worker_whose_heartbeat_stands_still_is_declared_dead_and_no_other(store: Any) -> None:
    names = ("old", "of the future", "young", "beats", "stopped", "not seen")
    ids = dict(zip(names, (store.worker(host=name) for name in names), strict=True))
    shifts = {"old": "-61", "of the future": "+61", "young": "-30", "beats": "-61", "not seen": "-61"}
    for name, shift in shifts.items():
        store.execute(
            f"UPDATE jobq.workers SET heartbeat_at = now() + interval '{shift} seconds' WHERE id = {ids[name]}"
        )
    workers.stop(store.connection, store.schema, worker_id=ids["stopped"])
    beats = dict(store.connection.execute("SELECT id, extract(epoch FROM heartbeat_at)::float8 FROM jobq.workers"))
    del beats[ids["not seen"]]
    workers.heartbeat(store.connection, store.schema, worker_id=ids["beats"], status={})

    dead = workers.silence(store.connection, store.schema, beats, timeout=60)

    assert {worker.host for worker in dead.silenced} == {"old", "of the future"}
    assert dead.locked == []
    reasons = {worker.host: worker.stop_reason for worker in store.rows("SELECT host, stop_reason FROM jobq.workers")}
    assert reasons == dict.fromkeys(names) | dict.fromkeys(("old", "of the future"), "silent") | {"stopped": "stopped"}


def test_a_heartbeat_after_being_declared_dead_says_so(store: Any) -> None:
    worker = store.worker()
    assert workers.heartbeat(store.connection, store.schema, worker_id=worker, status={"busy": 1}) is not None
    assert store.rows("SELECT status FROM jobq.workers")[0].status == {"busy": 1}
    store.declare_dead(worker)
    assert workers.heartbeat(store.connection, store.schema, worker_id=worker, status={}) is None


def test_what_has_not_started_is_given_back_as_no_attempt(store: Any, report: Any) -> None:
    worker, assignment = claim_one(store)
    assert store.give_back(worker, assignment) == ["default"]
    job = store.job(assignment.id)
    assert (job.state, job.attempt, job.worker_id, job.started_at) == ("pending", 0, None, None)
    assert store.results() == []
    assert store.finish(worker, report(assignment)) == 0
    (again,) = store.claim(store.worker())
    assert (again.id, again.attempt) == (assignment.id, 1)


def test_what_is_given_back_keeps_its_place_in_the_order_of_service(store: Any) -> None:
    first, second = store.worker(), store.worker()
    added = store.add_many({}, {}, {})
    store.give_back(first, *store.claim(first, most=2))
    assert [assignment.id for assignment in store.claim(second)] == added


def test_giving_back_wakes_whoever_listens(store: Any, database_url: str) -> None:
    worker, assignment = claim_one(store)
    with psycopg.connect(database_url, autocommit=True) as listener:
        listener.execute('LISTEN "jobq:jobq"')
        store.give_back(worker, assignment)
        (heard,) = listener.notifies(timeout=30, stop_after=1)
        assert heard.payload == "default"


@pytest.mark.parametrize("state", ["pending", "scheduled"])
def test_a_job_that_is_not_running_is_cancelled(state: str, store: Any) -> None:
    job = store.add(unique_key="k", delay=60 if state == "scheduled" else 0)
    assert store.cancel(job, 10**9) == [job]
    assert store.unfinished() == []
    (result,) = store.results()
    assert (result.outcome, result.attempt, result.started_at, result.retried) == ("cancelled", 1, None, False)
    assert "ada@here" in result.error_message
    assert store.cancel(job) == []


def test_a_running_job_is_not_cancelled_behind_its_workers_back(store: Any, report: Any) -> None:
    worker, assignment = claim_one(store)
    assert store.cancel(assignment.id) == []
    assert store.finish(worker, report(assignment)) == 1


def test_a_job_is_cancelled_between_two_attempts(store: Any, report: Any) -> None:
    worker, assignment = claim_one(store, retries=1)
    store.retry(worker, report(assignment, "errored", retry_delay=60.0))
    assert store.cancel(assignment.id) == [assignment.id]
    assert [(r.attempt, r.outcome, r.retried) for r in store.results()] == [
        (1, "errored", True),
        (2, "cancelled", False),
    ]


def test_a_cancel_and_a_claim_that_race_give_each_job_one_fate(store: Any, report: Any) -> None:
    worker = store.worker()
    added = store.add_many(*({} for _ in range(600)))
    start = threading.Barrier(2)

    def claim_all() -> set[int]:
        with store.another() as own:
            start.wait(30)
            return {assignment.id for _ in range(80) for assignment in own.claim(worker, most=10)}

    def cancel_all() -> set[int]:
        with store.another() as own:
            start.wait(30)
            return {job for place in range(600, 0, -10) for job in own.cancel(*added[place - 10 : place])}

    with ThreadPoolExecutor(2) as threads:
        claiming, cancelling = threads.submit(claim_all), threads.submit(cancel_all)
        claimed, cancelled = claiming.result(60), cancelling.result(60)
    assert claimed | cancelled == set(added)
    assert claimed & cancelled == set()
    assert {job.id for job in store.unfinished()} == claimed
    assert {result.id for result in store.results()} == cancelled


def test_a_cancel_that_waits_for_a_claim_finds_the_job_running(store: Any) -> None:
    worker = store.worker()
    job = store.add()
    with ThreadPoolExecutor(1) as threads, store.another() as other:
        with store.connection.transaction():
            store.claim(worker)
            cancelling = threads.submit(other.cancel, job)
            store.wait_until_another_waits()
        assert cancelling.result(30) == []
    assert store.job(job).state == "running"


def test_a_finished_job_is_queued_again_by_hand_under_its_own_id(store: Any, report: Any) -> None:
    worker, assignment = claim_one(store, priority=3, unique_key="k", arguments='{"a": 1}')
    store.finish(worker, report(assignment, "errored"))
    assert store.retry_by_hand(assignment.id, 10**9) == [assignment.id]
    job = store.job(assignment.id)
    assert (job.state, job.attempt, job.priority, job.unique_key) == ("pending", 1, 3, "k")
    assert [result.retried for result in store.results()] == [True]
    assert store.retry_by_hand(assignment.id) == []
    (again,) = store.claim(worker)
    assert (again.attempt, again.losses, again.arguments) == (2, 0, '{"a": 1}')


@pytest.mark.parametrize(("retries", "errors"), [(0, 1), (2, 3), (5, 1)])
def test_a_retry_by_hand_allows_one_more_attempt_than_were_made(
    retries: int, errors: int, store: Any, report: Any
) -> None:
    worker, assignment = claim_one(store, retries=retries)
    for _ in range(errors - 1):
        store.retry(worker, report(assignment, "errored", retry_delay=0.0))
        (assignment,) = store.claim(worker)
    store.finish(worker, report(assignment, "errored"))
    store.retry_by_hand(assignment.id)
    (again,) = store.claim(worker)
    assert again.tries == errors + 1
    assert again.retries == max(retries, errors)


def test_a_job_that_rests_as_lost_starts_its_losses_anew_by_hand(store: Any) -> None:
    worker, assignment = claim_one(store)
    store.declare_dead(worker, assignment)
    store.rescue(max_losses=1)
    assert store.retry_by_hand(assignment.id) == [assignment.id]
    assert (store.job(assignment.id).losses, store.job(assignment.id).excused) == (0, 0)


def test_two_operators_who_retry_the_same_jobs_queue_each_job_once(store: Any, report: Any) -> None:
    worker = store.worker()
    added = store.add_many(*({} for _ in range(300)))
    store.finish(worker, *(report(assignment, "errored") for assignment in store.claim(worker, most=300)))
    start = threading.Barrier(4)

    def retry(number: int) -> list[int]:
        with store.another() as own:
            start.wait(30)
            return [job for place in range(0, 300, 30) for job in own.retry_by_hand(*added[place : place + 30])]

    with ThreadPoolExecutor(4) as threads:
        retried = [job for jobs in threads.map(retry, range(4)) for job in jobs]
    assert sorted(retried) == added
    assert [job.id for job in store.unfinished()] == added
    assert {result.retried for result in store.results()} == {True}


def test_a_second_operator_finds_a_job_taken_that_ended_again_meanwhile(store: Any, report: Any) -> None:
    """Whose retry waited for the first's gets nothing, not even after the job has come and gone."""
    worker, assignment = claim_one(store)
    store.finish(worker, report(assignment, "errored"))
    with ThreadPoolExecutor(1) as threads, store.another() as other:
        with store.connection.transaction():
            assert store.retry_by_hand(assignment.id) == [assignment.id]
            waiting = threads.submit(other.retry_by_hand, assignment.id)
            store.wait_until_another_waits()
            (again,) = store.claim(worker)
            store.finish(worker, report(again, "errored"))
        assert waiting.result(30) == []
    assert store.unfinished() == []


def test_of_a_purge_and_a_retry_that_meet_the_second_finds_the_job_gone(store: Any, report: Any) -> None:
    worker = store.worker()
    store.add_many({}, {})
    ended = store.claim(worker)
    store.finish(worker, *(report(assignment, "errored") for assignment in ended))
    first, second = (assignment.id for assignment in ended)

    with ThreadPoolExecutor(1) as threads, store.another() as other:
        with store.connection.transaction():
            assert store.retry_by_hand(first) == [first]
            purging = threads.submit(acts.purge, other.connection, store.schema, [first], act=1)
            store.wait_until_another_waits()
        assert purging.result(30) == []
        with store.connection.transaction():
            assert acts.purge(store.connection, store.schema, [second], act=1) == [second]
            retrying = threads.submit(other.retry_by_hand, second)
            store.wait_until_another_waits()
        assert retrying.result(30) == []
    assert [job.id for job in store.unfinished()] == [result.id for result in store.results()] == [first]


def test_a_job_whose_unique_key_is_held_by_now_is_skipped_and_the_others_are_queued(store: Any, report: Any) -> None:
    worker = store.worker()
    held, free, plain = store.add_many({"unique_key": "held"}, {"unique_key": "free"}, {})
    store.finish(worker, *(report(assignment, "errored") for assignment in store.claim(worker)))
    holder = store.add(unique_key="held")
    assert store.retry_by_hand(held, free, plain) == [free, plain]
    assert [job.id for job in store.unfinished()] == [free, plain, holder]
    assert [(result.id, result.retried) for result in store.results()] == [
        (held, False),
        (free, True),
        (plain, True),
    ]


def test_of_two_finished_jobs_with_one_key_one_is_queued_again(store: Any, report: Any) -> None:
    worker = store.worker()
    twins = []
    for _ in range(2):
        twins.append(store.add(unique_key="k"))
        (assignment,) = store.claim(worker)
        store.finish(worker, report(assignment, "errored"))
    (queued,) = store.retry_by_hand(*twins)
    assert [result.retried for result in store.results()] == [twin == queued for twin in twins]


def test_a_cancelled_job_is_queued_again_by_hand_and_no_attempt_has_two_ends(store: Any, report: Any) -> None:
    worker = store.worker()
    job = store.add()
    store.cancel(job)
    assert store.retry_by_hand(job) == [job]
    (assignment,) = store.claim(worker)
    store.finish(worker, report(assignment))
    assert [(result.attempt, result.outcome) for result in store.results(job)] == [
        (1, "cancelled"),
        (2, "successful"),
    ]


@pytest.mark.parametrize("ending", ["retry", "rescue", "retry by hand", "promote"])
def test_what_becomes_pending_again_notifies_a_worker_that_waits(
    ending: str, store: Any, report: Any, database_url: str
) -> None:
    worker, assignment = claim_one(store)
    sleeper = store.worker()
    store.set_waiting(sleeper, waiting=True)
    with psycopg.connect(database_url, autocommit=True) as listener:
        listener.execute('LISTEN "jobq:jobq"')
        if ending == "retry":
            store.retry(worker, report(assignment, "errored", retry_delay=0.0))
        elif ending == "rescue":
            store.declare_dead(worker)
            store.rescue()
        elif ending == "retry by hand":
            store.finish(worker, report(assignment, "errored"))
            store.retry_by_hand(assignment.id)
        else:
            store.retry(worker, report(assignment, "errored", retry_delay=60.0))
            list(listener.notifies(timeout=30, stop_after=1))  # so that its next due time is known
            store.execute("UPDATE jobq.jobs SET run_at = now()")
            store.promote(worker)
        (heard,) = listener.notifies(timeout=30, stop_after=1)
        assert heard.payload == "default"


def test_a_text_that_postgresql_does_not_take_is_told_from_other_trouble(store: Any, report: Any) -> None:
    worker, assignment = claim_one(store)
    with pytest.raises(psycopg.Error) as refused:
        store.finish(worker, report(assignment, value='"\\u0000"'))
    assert jobs.is_refusal_of_data(refused.value)
    with pytest.raises(psycopg.Error) as refused:
        store.finish(worker, report(assignment, error_message="a\0b"))
    assert jobs.is_refusal_of_data(refused.value)
    with pytest.raises(psycopg.Error) as trouble:
        store.execute("SELECT FROM jobq.nowhere")
    assert not jobs.is_refusal_of_data(trouble.value)
    assert store.finish(worker, report(assignment)) == 1

"""What becomes of a job whose unique key is held, by the rules of its class: the rows and the outcomes."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from conftest import JOB_CLASS, new_job
from jobq.records import KeyRules
from jobq.states import Outcome
from jobq.store import acts, audit, enqueueing, jobs, keys
from jobq.store.callers.psycopg3 import carry_out

RUNNING_IS_FOLLOWED = ["debounce", "rerun", "newest"]

WAITING_IS_REPLACED = ["replace", *RUNNING_IS_FOLLOWED]


def rules(on_held: str, *, until: str = "finished", span: float | None = None, limit: float | None = None) -> KeyRules:
    return KeyRules(on_held, until, span, 3600.0 if on_held == "debounce" and limit is None else limit)


def version(number: int, on_held: str = "rerun", key: str = "k", **fields: Any) -> Any:
    """A job of one class and key that tells which enqueue it came from."""
    key_rules = fields.pop("key_rules", None) or rules(on_held)
    return new_job(arguments=f'{{"version": {number}}}', unique_key=key, key_rules=key_rules, **fields)


def enqueue(store: Any, job: Any) -> Any:
    return enqueueing.enqueue(store.connection, store.schema, job)


def start(store: Any, worker: int) -> Any:
    """The one job that can be claimed."""
    (assignment,) = store.claim(worker)
    return assignment


def versions(rows: list[Any]) -> list[int]:
    return [row.arguments["version"] for row in rows]


# A holder that waits


@pytest.mark.parametrize("on_held", WAITING_IS_REPLACED)
def test_a_waiting_holder_gets_all_that_the_new_job_says_and_keeps_its_id(store: Any, on_held: str) -> None:
    first = enqueue(store, version(1, on_held, retries=1))
    asked = version(
        2, on_held, queue="other", priority=7, retries=4, timeout=5.0, source="here:1", expires_in=60.0,
        trace_context='{"traceparent": "x"}', has_abort_hook=True,
    )  # fmt: skip
    second = enqueue(store, asked)

    assert (second.id, second.holder.verdict) == (first.id, "replaced")
    (job,) = store.unfinished()
    assert (job.id, job.enqueued_at, job.arguments) == (first.id, first.enqueued_at, {"version": 2})
    assert (job.queue, job.priority, job.retries, job.timeout, job.source) == ("other", 7, 4, 5.0, "here:1")
    assert (job.has_abort_hook, job.trace_context, job.expires_at) == (True, {"traceparent": "x"}, second.expires_at)
    assert job.replaced_at is not None


@pytest.mark.parametrize("on_held", ["skip", "return"])
def test_a_holder_is_left_alone_and_is_told_of_where_the_class_returns_it(store: Any, on_held: str) -> None:
    first = enqueue(store, version(1, on_held))
    worker = store.worker()
    for state in ("pending", "running"):
        again = enqueue(store, version(2, on_held))
        if on_held == "skip":
            assert again is None
        else:
            assert (again.id, again.state, again.holder.verdict) == (first.id, state, "held")
            assert again.holder.arguments == '{"version": 1}'
        if state == "pending":
            running = start(store, worker)
    assert running.arguments == '{"version": 1}'


def test_a_replaced_job_waits_as_long_as_the_new_one_says(store: Any) -> None:
    first = enqueue(store, version(1, "replace", delay=600))
    assert first.state == "scheduled"
    assert enqueue(store, version(2, "replace")).state == "pending"
    later = enqueue(store, version(3, "replace", delay=60))
    assert (later.id, later.state) == (first.id, "scheduled")
    assert store.claim(store.worker()) == []


def test_a_replaced_retry_starts_at_once_and_has_all_the_attempts_that_the_new_job_asks_for(
    store: Any, report: Any
) -> None:
    worker = store.worker()
    enqueue(store, version(1, "replace", retries=1))
    store.retry(worker, report(start(store, worker), Outcome.ERRORED, retry_delay=3600.0))
    assert enqueue(store, version(2, "replace", retries=3)).state == "pending"

    job = start(store, worker)
    assert (job.attempt, job.arguments) == (2, '{"version": 2}')
    tries = job.attempt - job.excused
    assert job.retries - (tries - 1) == 3  # as for a first attempt with three retries


def test_a_debounced_job_waits_its_delay_again_up_to_the_limit_after_the_first_enqueue(store: Any) -> None:
    patient = rules("debounce", limit=100.0)
    first = enqueue(store, version(1, key_rules=patient, delay=30))
    assert first.run_at - first.enqueued_at == timedelta(seconds=30)

    store.execute("UPDATE jobq.jobs SET enqueued_at = enqueued_at - interval '60 s', run_at = run_at - interval '29 s'")
    second = enqueue(store, version(2, key_rules=patient, delay=30))
    assert first.run_at < second.run_at < first.run_at + timedelta(seconds=10)

    store.execute("UPDATE jobq.jobs SET enqueued_at = enqueued_at - interval '20 s'")
    third = enqueue(store, version(3, key_rules=patient, delay=30))
    assert third.run_at - third.enqueued_at == timedelta(seconds=100)
    assert versions(store.unfinished()) == [3]

    store.execute("UPDATE jobq.jobs SET enqueued_at = enqueued_at - interval '60 s'")
    assert enqueue(store, version(4, key_rules=patient, delay=30)).state == "pending"


def test_a_debounced_job_never_waits_longer_than_the_limit(store: Any) -> None:
    only = enqueue(store, version(1, key_rules=rules("debounce", limit=10.0), delay=30))
    assert only.run_at - only.enqueued_at == timedelta(seconds=10)


# A holder that runs


def test_a_running_holder_is_not_replaced(store: Any, report: Any) -> None:
    worker = store.worker()
    enqueue(store, version(1, "replace"))
    running = start(store, worker)
    assert enqueue(store, version(2, "replace")) is None
    store.finish(worker, report(running))
    assert store.unfinished() == []


def end_successful(store: Any, report: Any, worker: int, running: Any) -> None:
    store.finish(worker, report(running))


def end_errored(store: Any, report: Any, worker: int, running: Any) -> None:
    store.finish(worker, report(running, Outcome.ERRORED, error_type="TimedOut"))


def end_killed(store: Any, report: Any, worker: int, running: Any) -> None:
    store.finish(worker, report(running, Outcome.LOST, aborted=True))


def end_cancelled(store: Any, report: Any, worker: int, running: Any) -> None:
    store.request_cancel(running.id)
    store.retry(worker, report(running, Outcome.ERRORED, retry_delay=0.0))


def end_before_it_began(store: Any, report: Any, worker: int, running: Any) -> None:
    store.request_cancel(running.id)
    store.give_back(worker, running)


def end_with_its_worker(store: Any, report: Any, worker: int, running: Any) -> None:
    store.declare_dead(worker, running)
    store.rescue(max_losses=1)


def end_itself(store: Any, report: Any, worker: int, running: Any) -> None:
    with psycopg.connect(store.settings.database_url) as connection:
        assert carry_out(connection, jobs.completing(store.schema, worker, report(running)))


ENDS = {
    "successful": end_successful,
    "errored": end_errored,
    "lost": end_killed,
    "cancelled": end_cancelled,
    "cancelled before it began": end_before_it_began,
    "lost with its worker": end_with_its_worker,
    "successful by its own word": end_itself,
}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
@pytest.mark.parametrize("on_held", RUNNING_IS_FOLLOWED)
def test_a_running_job_is_followed_by_one_more_with_the_latest_arguments_however_it_ends(
    store: Any, report: Any, on_held: str, end: Callable[..., None]
) -> None:
    worker = store.worker()
    first = enqueue(store, version(1, on_held))
    running = start(store, worker)
    for number in (2, 3):
        met = enqueue(store, version(number, on_held, retries=number))
        assert (met.id, met.state, met.holder.verdict) == (first.id, "running", "followed")
    assert len(store.unfinished()) == 1

    end(store, report, worker, running)

    (follower,) = store.unfinished()
    assert follower.id != first.id
    assert (follower.state, follower.attempt, follower.retries, follower.arguments) == (
        *("pending", 0, 3),
        {"version": 3},
    )
    assert versions(store.results()) == [1]
    store.finish(worker := store.worker(), report(start(store, worker)))
    assert (store.unfinished(), versions(store.results())) == ([], [1, 3])


def test_a_follow_up_keeps_all_that_was_asked_for(store: Any, report: Any) -> None:
    worker = store.worker()
    enqueue(store, version(1))
    running = start(store, worker)
    asked = version(
        2, queue="other", priority=7, retries=4, timeout=5.0, source="here:1", delay=60, expires_in=90.0,
        trace_context='{"traceparent": "x"}', has_abort_hook=True,
    )  # fmt: skip
    asked = asked._replace(arguments='{"version": 2, "nothing": null, "text": "\\u00e9\\n"}')
    enqueue(store, asked)
    store.finish(worker, report(running))
    (job,) = store.unfinished()
    assert job.arguments == {"version": 2, "nothing": None, "text": "é\n"}
    assert (job.state, job.queue, job.priority, job.retries, job.unique_key) == ("scheduled", "other", 7, 4, "k")
    assert (job.timeout, job.source, job.has_abort_hook) == (5.0, "here:1", True)
    assert job.trace_context == {"traceparent": "x"}
    assert (job.run_at - job.enqueued_at, job.expires_at - job.enqueued_at) == (
        timedelta(seconds=60),
        timedelta(seconds=90),
    )


def retried(store: Any, report: Any, worker: int, running: Any) -> None:
    store.retry(worker, report(running, Outcome.ERRORED, retry_delay=3600.0))


def deferred(store: Any, report: Any, worker: int, running: Any) -> None:
    store.retry(worker, report(running, Outcome.DEFERRED, retry_delay=3600.0, excused=True))


def given_back(store: Any, report: Any, worker: int, running: Any) -> None:
    store.give_back(worker, running)


def rescued(store: Any, report: Any, worker: int, running: Any) -> None:
    store.declare_dead(worker)
    store.rescue()


@pytest.mark.parametrize("put_back", [retried, deferred, given_back, rescued])
def test_a_job_that_runs_again_does_so_with_the_latest_arguments_and_is_not_followed_too(
    store: Any, report: Any, put_back: Callable[..., None]
) -> None:
    worker = store.worker()
    first = enqueue(store, version(1, retries=1))
    running = start(store, worker)
    enqueue(store, version(2, retries=2))
    put_back(store, report, worker, running)

    worker = store.worker()
    again = start(store, worker)
    assert (again.id, again.arguments) == (first.id, '{"version": 2}')
    assert again.retries - (again.attempt - again.excused - 1) == 2
    store.finish(worker, report(again))
    assert store.unfinished() == []


def test_a_follow_up_that_no_statement_gave_to_the_retry_comes_when_the_job_ends(store: Any, report: Any) -> None:
    """As with workers of another release."""
    worker = store.worker()
    enqueue(store, version(1, retries=1))
    running = start(store, worker)
    enqueue(store, version(2))
    store.execute("UPDATE jobq.jobs SET worker_id = NULL, started_at = NULL")
    again = start(store, worker)
    assert (again.id, again.arguments) == (running.id, '{"version": 1}')
    store.finish(worker, report(again))
    assert start(store, worker).arguments == '{"version": 2}'


def test_the_newest_asks_the_running_one_to_end_and_tells_its_worker(store: Any) -> None:
    worker = store.worker()
    enqueue(store, version(1, "newest"))
    start(store, worker)
    with store.another() as other:
        other.execute('LISTEN "jobq-control:jobq"')
        enqueue(store, version(2, "newest"))
        heard = next(other.connection.notifies(timeout=10, stop_after=1))
        assert heard.payload == str(worker)
    (job,) = store.unfinished()
    assert job.cancel_requested_at is not None
    assert job.cancel_requested_by == "a newer job with its key"


def test_the_history_and_the_hooks_of_a_replaced_run_have_the_arguments_that_it_ran_with(
    store: Any, report: Any
) -> None:
    worker = store.worker()
    enqueue(store, version(1, has_abort_hook=True))
    running = start(store, worker)
    enqueue(store, version(2))
    store.finish(worker, report(running, Outcome.LOST, aborted=True))
    assert versions(store.results()) == [1]
    assert versions(store.owed_hooks()) == [1]


def test_a_late_report_brings_no_second_follow_up(store: Any, report: Any) -> None:
    worker = store.worker()
    enqueue(store, version(1))
    running = start(store, worker)
    enqueue(store, version(2))
    assert store.finish(worker, report(running)) == 1
    assert store.finish(worker, report(running)) == 0
    assert versions(store.unfinished()) == [2]


# The key in between, and transactions


@pytest.fixture
def meanwhile() -> Iterator[Callable[..., Future[Any]]]:
    """Begins a call in another thread."""
    with ThreadPoolExecutor() as pool:
        yield pool.submit


@pytest.mark.parametrize("on_held", ["skip", "return", "rerun"])
def test_the_key_is_not_free_between_a_job_and_its_follow_up(
    store: Any, report: Any, on_held: str, meanwhile: Any
) -> None:
    worker = store.worker()
    enqueue(store, version(1))
    running = start(store, worker)
    enqueue(store, version(2))
    with store.another() as other:
        with store.connection.transaction():
            store.finish(worker, report(running))
            answer = meanwhile(enqueue, other, version(3, on_held))
            store.wait_until_another_waits()
        met = answer.result()
    (job,) = store.unfinished()
    assert job.id != running.id
    if on_held == "skip":
        assert (met, job.arguments) == (None, {"version": 2})
    else:
        assert (met.id, job.arguments) == (job.id, {"version": 3 if on_held == "rerun" else 2})


@pytest.mark.parametrize("state", ["pending", "running"])
def test_what_is_rolled_back_changes_neither_the_holder_nor_what_follows_it(
    store: Any, report: Any, state: str
) -> None:
    worker = store.worker()
    first = enqueue(store, version(1))
    running = start(store, worker) if state == "running" else None
    with store.connection.transaction(force_rollback=True):
        assert enqueue(store, version(2)).id == first.id
    running = running or start(store, worker)
    assert running.arguments == '{"version": 1}'
    store.finish(worker, report(running))
    assert store.unfinished() == []


def test_a_follow_up_that_is_asked_for_while_the_job_completes_itself_is_not_lost(
    store: Any, report: Any, meanwhile: Any
) -> None:
    worker = store.worker()
    enqueue(store, version(1))
    running = start(store, worker)
    with store.another() as other:
        with store.connection.transaction():
            assert carry_out(store.connection, jobs.completing(store.schema, worker, report(running)))
            answer = meanwhile(enqueue, other, version(2))
            store.wait_until_another_waits()
        assert answer.result().holder is None  # the key was free by then: a job of its own
    assert versions(store.unfinished()) == [2]


def test_the_end_of_a_job_waits_for_an_enqueue_that_is_about_to_have_it_followed(
    store: Any, report: Any, meanwhile: Any
) -> None:
    worker = store.worker()
    enqueue(store, version(1))
    running = start(store, worker)
    with store.another() as other:
        with store.connection.transaction():
            enqueue(store, version(2))
            ended = meanwhile(other.finish, worker, report(running))
            store.wait_until_another_waits()
        assert ended.result() == 1
    assert versions(store.unfinished()) == [2]


def test_a_job_that_is_being_replaced_is_not_claimed_before_that_is_certain(store: Any) -> None:
    enqueue(store, version(1))
    worker = store.worker()
    with store.another() as other:
        with other.connection.transaction():
            enqueue(other, version(2))
            assert store.claim(worker) == []
        assert start(store, worker).arguments == '{"version": 2}'


@pytest.mark.parametrize("on_held", ["return", "replace"])
def test_a_holder_that_is_left_alone_ends_while_the_transaction_that_met_it_is_open(
    store: Any, report: Any, on_held: str
) -> None:
    worker = store.worker()
    enqueue(store, version(1, on_held))
    running = start(store, worker)
    with store.another() as other, other.connection.transaction():
        enqueue(other, version(2, on_held))
        assert store.finish(worker, report(running)) == 1


def test_in_a_transaction_that_sees_no_newer_rows_a_key_that_was_taken_since_is_an_error_and_no_loop(
    store: Any,
) -> None:
    with store.another() as other:
        other.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        other.rows("SELECT 1")
        enqueue(store, version(1))
        with pytest.raises(psycopg.errors.SerializationFailure):
            enqueue(other, version(2))


# unique_until and unique_for


@pytest.mark.parametrize("on_held", ["skip", "return", "replace", "debounce"])
def test_a_key_that_is_let_go_of_at_the_start_is_free_for_one_more_that_waits(
    store: Any, report: Any, on_held: str
) -> None:
    worker = store.worker()
    free = rules(on_held, until="started")
    first = enqueue(store, version(1, key_rules=free))
    running = start(store, worker)
    second = enqueue(store, version(2, key_rules=free))
    assert second.id != first.id
    assert second.holder is None
    third = enqueue(store, version(3, key_rules=free))
    assert {"skip": third is None}.get(on_held, third and third.id == second.id)
    assert [job.state for job in store.unfinished()] == ["running", "pending"]

    store.retry(worker, report(running, Outcome.ERRORED, retry_delay=0.0))
    assert {job.arguments for job in store.claim(worker)} == {
        '{"version": 1}',
        '{"version": 2}' if on_held in ("skip", "return") else '{"version": 3}',
    }


def test_a_retry_holds_its_key_again_where_no_other_job_took_it(store: Any, report: Any) -> None:
    worker = store.worker()
    free = rules("skip", until="started")
    enqueue(store, version(1, key_rules=free))
    store.retry(worker, report(start(store, worker), Outcome.ERRORED, retry_delay=60.0))
    assert enqueue(store, version(2, key_rules=free)) is None


@pytest.mark.parametrize("on_held", ["skip", "return", "replace"])
def test_a_throttled_key_is_not_enqueued_again_until_the_time_is_over(store: Any, report: Any, on_held: str) -> None:
    worker = store.worker()
    throttled = rules(on_held, span=600.0)
    first = enqueue(store, version(1, key_rules=throttled))
    store.finish(worker, report(start(store, worker)))
    assert enqueue(store, version(2, key_rules=throttled)) is None
    assert enqueue(store, version(2, key_rules=throttled, key="another")) is not None
    store.cancel(*[job.id for job in store.unfinished()])

    (row,) = store.rows("SELECT until FROM jobq.throttles WHERE unique_key = 'k'")
    assert row.until - first.enqueued_at == timedelta(seconds=600)
    store.execute("UPDATE jobq.throttles SET until = now()")
    assert enqueue(store, version(3, key_rules=throttled)).holder is None


def test_within_its_time_a_job_that_still_waits_is_met_as_ever(store: Any) -> None:
    first = enqueue(store, version(1, key_rules=rules("replace", span=600.0)))
    assert enqueue(store, version(2, key_rules=rules("replace", span=600.0))).id == first.id
    assert enqueue(store, version(3, key_rules=rules("return", span=600.0))).id == first.id
    assert enqueue(store, version(4, key_rules=rules("skip", span=600.0))) is None
    assert versions(store.unfinished()) == [2]


def test_a_job_that_is_unfinished_after_its_time_still_holds_its_key(store: Any) -> None:
    enqueue(store, version(1, key_rules=rules("skip", span=600.0)))
    store.execute("UPDATE jobq.throttles SET until = now()")
    assert enqueue(store, version(2, key_rules=rules("skip", span=600.0))) is None


def test_a_throttle_that_is_rolled_back_holds_nobody_up(store: Any) -> None:
    throttled = rules("skip", span=600.0)
    with store.connection.transaction(force_rollback=True):
        enqueue(store, version(1, key_rules=throttled))
    assert enqueue(store, version(2, key_rules=throttled)) is not None


def test_of_throttles_only_those_that_are_over_are_forgotten(store: Any) -> None:
    for key in "abc":
        enqueue(store, version(1, key=key, key_rules=rules("skip", span=600.0)))
    store.execute("UPDATE jobq.throttles SET until = now() - interval '1 s' WHERE unique_key <> 'b'")
    keys.forget_throttles(store.connection, store.schema)
    assert [row.unique_key for row in store.rows("SELECT unique_key FROM jobq.throttles")] == ["b"]


# Many at once


@pytest.mark.parametrize("size", [1, 200], ids=["by statement", "with COPY"])
def test_equal_keys_in_one_batch_are_enqueued_as_one_after_the_other(store: Any, report: Any, size: int) -> None:
    worker = store.worker()
    enqueue(store, version(0, key="running"))
    running = start(store, worker)
    batch = [
        version(1, key="b"), version(2, key="a"), version(3, key="b"), version(4, key="running"),
        version(5, key="a"), version(6, key="running"), version(7, "return", key="a"), version(8, "skip", key="b"),
    ]  # fmt: skip
    added = enqueueing.enqueue_many(store.connection, store.schema, [*batch, *[new_job()] * size])

    assert len(added) == len(batch) + size
    assert [job is None for job in added] == [False] * 7 + [True] + [False] * size
    assert added[0].id == added[2].id
    assert added[1].id == added[4].id == added[6].id
    assert added[3].id == added[5].id == running.id
    assert [job.holder and job.holder.verdict for job in added[:7]] == [
        *(None, None, "replaced", "followed"),
        *("replaced", "followed", "held"),
    ]
    store.finish(worker, report(running))
    found = {job.unique_key: job.arguments["version"] for job in store.unfinished() if job.unique_key}
    assert found == {"a": 5, "b": 3, "running": 6}


def test_a_batch_that_meets_one_held_key_loses_that_job_alone(store: Any) -> None:
    enqueue(store, version(0, "skip", key="held"))
    throttled = rules("skip", span=60.0)
    batch = [version(number, key_rules=throttled, key=key) for number, key in enumerate(["x", "held", "y"])]
    added = enqueueing.enqueue_many(store.connection, store.schema, batch)
    assert [job is None for job in added] == [False, True, False]
    assert len(store.unfinished()) == 3


def test_a_large_batch_of_keys_goes_in_with_few_statements_and_loses_nothing(store: Any) -> None:
    batch = [version(number, key=f"{number % 1500}") for number in range(3000)]
    added = enqueueing.enqueue_many(store.connection, store.schema, batch)
    assert len({job.id for job in added}) == 1500
    assert sorted(versions(store.unfinished())) == list(range(1500, 3000))


# Operators


def test_a_cancelled_job_is_followed_all_the_same_and_the_follow_up_can_be_cancelled_too(
    store: Any, report: Any
) -> None:
    worker = store.worker()
    enqueue(store, version(1))
    running = start(store, worker)
    enqueue(store, version(2))
    store.request_cancel(running.id)
    store.finish(worker, report(running, Outcome.CANCELLED))
    (follower,) = store.unfinished()
    assert store.cancel(follower.id) == [follower.id]
    assert store.unfinished() == []


def test_a_retry_by_hand_is_left_alone_where_the_key_is_held_whatever_the_class_says(store: Any, report: Any) -> None:
    worker = store.worker()
    enqueue(store, version(1))
    ended = start(store, worker)
    store.finish(worker, report(ended, Outcome.ERRORED))
    enqueue(store, version(2))
    assert store.retry_by_hand(ended.id) == []
    assert versions(store.unfinished()) == [2]


def test_a_retry_by_hand_is_not_throttled(store: Any, report: Any) -> None:
    worker = store.worker()
    enqueue(store, version(1, key_rules=rules("skip", span=600.0)))
    ended = start(store, worker)
    store.finish(worker, report(ended, Outcome.ERRORED))
    assert store.retry_by_hand(ended.id) == [ended.id]


def test_an_undone_retry_leaves_what_was_enqueued_into_it_since(store: Any, report: Any) -> None:
    worker = store.worker()
    enqueue(store, version(1))
    ended = start(store, worker)
    store.finish(worker, report(ended, Outcome.ERRORED))
    acts.retry_by_hand(store.connection, store.schema, [ended.id], act=1)
    enqueue(store, version(2))
    assert audit.undo_retry(store.connection, store.schema, 1, [ended.id]) == []
    assert versions(store.unfinished()) == [2]


def test_an_undone_cancel_finds_the_key_held_by_the_follow_up(store: Any, report: Any) -> None:
    worker = store.worker()
    enqueue(store, version(1, retries=1))
    running = start(store, worker)
    enqueue(store, version(2))
    store.execute("UPDATE jobq.jobs SET worker_id = NULL, started_at = NULL")
    acts.cancel(store.connection, store.schema, [running.id], cancelled_by="ada@here", act=1)
    assert versions(store.unfinished()) == [2]
    assert audit.undo_cancel(store.connection, store.schema, 1, [running.id]) == []


def test_an_ordinary_job_calls_no_trigger_and_has_nothing_written_for_these_rules(store: Any, report: Any) -> None:
    """The statements that enqueue, claim and end ordinary jobs know nothing of the rules."""
    worker = store.worker()
    store.execute("SET track_functions = 'all'")
    store.add(unique_key="k")
    assert store.add(unique_key="k") is None
    (job,) = store.unfinished()
    assert (job.follow_up, job.replaced_at) == (None, None)
    store.finish(worker, report(start(store, worker)))
    store.execute("SELECT pg_stat_force_next_flush()")
    assert store.rows("SELECT funcname FROM pg_stat_user_functions WHERE schemaname = 'jobq'") == []


def test_a_key_is_found_by_its_index_however_many_jobs_wait(store: Any) -> None:
    store.execute(
        "INSERT INTO jobq.jobs (job_class, unique_key) SELECT %s, number::text FROM generate_series(1, 2000) AS number",
        JOB_CLASS,
    )
    store.execute("ANALYZE jobq.jobs")
    with store.another() as other:
        enqueue(other, version(1, key="1000"))
        other.execute("SELECT pg_stat_force_next_flush()")
        before = other.rows("SELECT seq_scan FROM pg_stat_user_tables WHERE relid = 'jobq.jobs'::regclass")
        for number in range(20):
            enqueue(other, version(number, key="1000"))
        other.execute("SELECT pg_stat_force_next_flush()")
        assert other.rows("SELECT seq_scan FROM pg_stat_user_tables WHERE relid = 'jobq.jobs'::regclass") == before

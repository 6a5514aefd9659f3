"""An act is on the attempt that somebody saw: where the job went on since, it is refused, and says why."""

import re
from typing import Any

import pytest

from jobq import observe, operate
from jobq.errors import NotRunning
from jobq.filters import of
from jobq.states import Outcome
from jobq.store.database import Database


@pytest.fixture
def failing(store: Any, report: Any) -> Any:
    """Has jobs fail: new ones, or those that wait."""
    worker = store.worker()

    def fail(*ids: int, **fields: Any) -> list[int]:
        ids = ids or (store.add(queue="failing", **fields),)
        claimed = store.claim(worker, ["failing"], most=len(ids))
        store.finish(worker, *[report(one, Outcome.ERRORED, error_type="E") for one in claimed])
        return [one.id for one in claimed]

    return fail


def retry(database: Database, seen: dict[int, int], who: str = "ana@ops") -> operate.Acted:
    with operate.acting_as(who):
        return operate.retry(database, list(seen), seen=seen)


def test_of_two_who_retry_what_they_both_saw_one_does(failing: Any, store: Any, database: Database) -> None:
    (job,) = failing()
    assert retry(database, {job: 1}).done == [job]
    second = retry(database, {job: 1}, "bo@ops")
    assert second.done == []
    assert re.fullmatch(r"ana@ops retried it at \d\d:\d\d:\d\d UTC: it is pending now", second.skipped[job])


def test_a_retry_of_an_attempt_that_is_no_more_the_last_is_refused_by_name(
    failing: Any, store: Any, database: Database
) -> None:
    (job,) = failing()
    retry(database, {job: 1})
    failing(job)
    second = retry(database, {job: 1}, "bo@ops")
    assert second.done == []
    assert re.fullmatch(r"ana@ops retried it at \d\d:\d\d:\d\d UTC: attempt 2 ended as errored", second.skipped[job])
    assert store.unfinished() == []
    assert retry(database, {job: 2}, "bo@ops").done == [job]


def test_who_retried_is_not_guessed_where_several_may_have(failing: Any, store: Any, database: Database) -> None:
    many = [failing()[0] for _ in range(22)]
    retry(database, dict.fromkeys(many, 1))
    last = max(many)
    store.execute("UPDATE jobq.audit SET ids = ids[1:20]")
    assert retry(database, {last: 1}).skipped[last].startswith("ana@ops retried it at ")
    store.execute("INSERT INTO jobq.audit (who, verb, affected, ids, ended_at, at) SELECT 'bo@ops', verb, affected, "
                  "ids, ended_at, at FROM jobq.audit")  # fmt: skip
    assert retry(database, {last: 1}).skipped[last] == "it is pending: only finished jobs can be retried"


def test_without_an_attempt_a_retry_is_of_whatever_was_last(failing: Any, database: Database) -> None:
    (job,) = failing()
    operate.retry(database, [job])
    failing(job)
    assert operate.retry(database, [job]).done == [job]


def test_a_delete_of_an_attempt_that_is_no_more_the_last_is_refused(
    failing: Any, store: Any, database: Database
) -> None:
    (job,), (other,) = failing(), failing()
    retry(database, {job: 1})
    failing(job)
    acted = operate.purge(database, [job, other], seen={job: 1, other: 1})
    assert acted.done == [other]
    assert "attempt 2 ended as errored" in acted.skipped[job]
    assert [result.id for result in store.results()] == [job, job]


def test_a_cancel_of_a_job_that_waited_leaves_it_alone_once_it_runs(store: Any, database: Database) -> None:
    first, second = store.add(), store.add()
    selected = observe.select(database, of("state", "pending"))
    assert selected.seen == {first: 0, second: 0}
    store.claim(store.worker(), most=1)
    acted = operate.cancel(database, selected.ids, seen=selected.seen)
    assert (acted.done, acted.asked) == ([second], [])
    assert acted.skipped == {first: "attempt 0 was shown, which is not the last one: attempt 1 is running"}
    assert operate.cancel(database, [first], seen={first: 1}).asked == [first]


def test_a_stop_is_for_the_attempt_that_was_seen(store: Any, report: Any, database: Database) -> None:
    job = store.add(retries=3)
    worker = store.worker()
    (one,) = store.claim(worker)
    store.retry(worker, report(one, Outcome.ERRORED, retry_delay=0.0))
    store.claim(worker)
    acted = operate.cancel(database, [job], seen={job: 1})
    assert acted.asked == []
    assert acted.skipped == {job: "attempt 1 was shown, which is not the last one: attempt 2 is running"}


def test_a_stack_is_asked_only_of_the_attempt_that_was_seen(store: Any, database: Database) -> None:
    job = store.add()
    store.claim(store.worker())
    with pytest.raises(NotRunning, match="Attempt 7 of job 1 runs no more: attempt 1 is running"):
        operate.stack(database, job, timeout=0.0, attempt=7)
    with pytest.raises(NotRunning, match="did not answer"):
        operate.stack(database, job, timeout=0.0, attempt=1)


def test_what_was_selected_is_fixed_with_its_attempts(failing: Any, store: Any, database: Database) -> None:
    (job,), (other,) = failing(), failing()
    selected = observe.select(database, of("outcome", "errored"))
    assert selected.seen == {job: 1, other: 1}
    retry(database, {job: 1}, "bo@ops")
    failing(job)
    (late,) = failing()
    acted = operate.retry(database, selected.ids, seen=selected.seen)
    assert acted.done == [other]
    assert list(acted.skipped) == [job]
    assert late not in {one.id for one in store.unfinished()}

"""What happened to a job, in its order, as the console's job page and `jobq show` tell it: from real rows."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from jobq import observe, operate
from jobq.observe import Acted, Asked, Begun, Enqueued, Tried
from jobq.records import ClassRecord, Report
from jobq.states import Outcome
from jobq.store.database import who_am_i

if TYPE_CHECKING:
    from conftest import Store
    from jobq.store.database import Database

Reporter = Callable[..., Report]


def told(database: "Database", job_id: int) -> tuple[observe.Event, ...]:
    detail = observe.show(database, job_id)
    return observe.happened(detail, observe.acts_on(database, job_id, since=observe.first_enqueued_at(detail)))


def kinds(events: tuple[observe.Event, ...]) -> list[type]:
    return [type(event) for event in events]


def failed(store: "Store", report: Reporter, **fields: Any) -> tuple[int, int]:
    """A worker, and a job that ended as errored."""
    worker = store.worker()
    job_id = store.add(**fields)
    assert job_id is not None
    assert store.finish(worker, report(store.claim(worker)[0], Outcome.ERRORED)) == 1
    return worker, job_id


def test_a_retry_by_hand_stands_after_the_attempts_before_it(
    store: "Store", report: Reporter, database: "Database"
) -> None:
    worker = store.worker()
    job_id = store.add(source="shop/orders.py:33")
    assert job_id is not None
    enqueued_at = observe.show(database, job_id).job.enqueued_at
    store.retry(worker, report(store.claim(worker)[0], Outcome.ERRORED, retry_delay=0.0))
    store.finish(worker, report(store.claim(worker)[0], Outcome.ERRORED))
    operate.retry(database, [job_id])
    store.finish(worker, report(store.claim(worker)[0], Outcome.SUCCESSFUL))

    first, one, two, again, three = told(database, job_id)

    assert isinstance(first, Enqueued)
    assert (first.at, first.by, first.is_again) == (enqueued_at, "shop/orders.py:33", False)
    assert isinstance(one, Tried)
    assert one.backoff is not None
    assert one.waited is not None
    assert isinstance(two, Tried)
    assert (two.attempt.attempt, two.backoff) == (2, None)
    assert isinstance(again, Enqueued)
    assert (again.is_again, again.by) == (True, who_am_i())
    assert again.act is not None
    assert again.act.verb == "retry"
    assert isinstance(three, Tried)
    assert (three.attempt.attempt, three.attempt.outcome) == (3, Outcome.SUCCESSFUL)


def test_a_backoff_is_told_while_it_is_waited_for(store: "Store", report: Reporter, database: "Database") -> None:
    worker, job_id = store.worker(), store.add()
    assert job_id is not None
    store.retry(worker, report(store.claim(worker)[0], Outcome.ERRORED, retry_delay=3600.0))

    _, tried = told(database, job_id)

    assert isinstance(tried, Tried)
    assert tried.backoff is not None
    assert 3590 < tried.backoff < 3610


def test_a_retry_of_hundreds_is_found_by_its_time(store: "Store", report: Reporter, database: "Database") -> None:
    """The audit names only the first jobs of an act; the moment at which the others were queued again proves it."""
    worker = store.worker()
    ids = [job for job in store.add_many(*[{}] * 60) if job is not None]
    store.finish(worker, *(report(one, Outcome.ERRORED) for one in store.claim(worker)))
    operate.retry(database, ids)

    detail = observe.show(database, ids[-1])
    acts = observe.acts_on(database, ids[-1], since=observe.first_enqueued_at(detail))
    last = observe.happened(detail, acts)[-1]

    assert acts.named == ()
    assert isinstance(last, Enqueued)
    assert last.by == who_am_i()
    assert observe.possible_acts(detail, acts) == ()


def test_a_cancelled_job_says_who_cancelled_it_before_its_end(store: "Store", database: "Database") -> None:
    job_id = store.add()
    assert job_id is not None
    operate.cancel(database, [job_id])

    events = told(database, job_id)

    assert kinds(events) == [Enqueued, Acted, Tried]
    end = events[-1]
    assert isinstance(end, Tried)
    assert (end.attempt.started_at, end.waited) == (None, None)


def test_a_running_job_that_was_asked_to_end_says_by_whom_once(store: "Store", database: "Database") -> None:
    worker, first, second = store.worker(), store.add(), store.add()
    assert first is not None
    assert second is not None
    store.claim(worker)
    operate.cancel(database, [first])
    store.request_cancel(second)

    assert kinds(told(database, first)) == [Enqueued, Begun, Acted]
    events = told(database, second)
    assert kinds(events) == [Enqueued, Begun, Asked]
    assert events[-1] == Asked(events[-1].at, "ada@here")


def test_a_job_whose_first_attempts_are_gone_was_queued_again(
    store: "Store", report: Reporter, database: "Database"
) -> None:
    """Its history is kept for some days only: what is left must not call the retry its enqueueing."""
    worker, job_id = failed(store, report)
    operate.retry(database, [job_id])
    store.finish(worker, report(store.claim(worker)[0], Outcome.ERRORED))
    store.execute("DELETE FROM jobq.results WHERE id = %s AND attempt = 1", job_id)

    first, *_ = told(database, job_id)

    assert isinstance(first, Enqueued)
    assert (first.is_again, first.by) == (True, who_am_i())


def test_what_an_operator_enqueued_names_that_person_once(
    store: "Store", report: Reporter, database: "Database"
) -> None:
    store.worker(classes=[ClassRecord("shop.jobs.Work", (), (), None)])
    _, old = failed(store, report)
    with operate.acting_as("ana (admin)"):
        new = operate.run_again(database, old, {})
    assert new is not None

    assert kinds(told(database, new.id)) == [Enqueued]
    assert told(database, new.id)[0].by == f"ana (admin), like job {old}"  # type: ignore[union-attr]
    act = told(database, old)[-1]
    assert isinstance(act, Acted)
    assert (act.act.verb, act.act.ids) == ("run again", (new.id,))

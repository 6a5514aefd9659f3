"""Builds of workers: when they came, which failures they brought, and retries that wait for one."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from jobq import observe, operate
from jobq.errors import UsageError
from jobq.filters import Moment, parse
from jobq.records import Report
from jobq.store import history, workers
from jobq.store.database import Database

GROUP = "f00f00f00f00"


@pytest.fixture
def database(settings: Any) -> Iterator[Database]:
    opened = Database(settings)
    yield opened
    opened.close()


@pytest.fixture
def start(store: Any) -> Callable[..., int]:
    """Registers a worker of a build."""
    number = iter(range(1, 10_000))

    def started(build: str | None) -> int:
        return workers.register(
            store.connection, store.schema, host="here", pid=next(number), version="1", processes=1, queues=[],
            classes=[], build=build,
        )  # fmt: skip

    return started


@pytest.fixture
def fail(store: Any, report: Callable[..., Report]) -> Callable[..., int]:
    """Runs a job on a worker that fails, or with another outcome."""

    def failed(worker: int, outcome: str = "errored", group: str | None = GROUP) -> int:
        job_id: int = store.add()
        (claimed,) = store.claim(worker)
        told = {"error_type": "KeyError", "fingerprint": group} if outcome == "errored" else {}
        store.finish(worker, report(claimed, outcome, **told))
        return job_id

    return failed


def came(store: Any) -> list[str]:
    return [row.build for row in store.rows("SELECT build FROM jobq.deploys ORDER BY id")]


def stop(store: Any, *ids: int) -> None:
    for worker_id in ids:
        workers.stop(store.connection, store.schema, worker_id=worker_id)


def test_a_rolling_deploy_counts_once_and_going_back_is_a_deploy(store: Any, start: Any) -> None:
    old, second = start("a"), start("a")
    new = start("b")
    stop(store, old)
    again = start("a")  # while another of its build still lives
    stop(store, second, again)
    start("b")
    assert came(store) == ["a", "b"]
    stop(store, new)
    start(None)
    start("a")
    assert came(store) == ["a", "b", "a"]


def test_builds_are_listed_by_their_last_coming(store: Any, start: Any, database: Database) -> None:
    stop(store, start("a"))
    start("b")
    start("a")
    start("a")
    assert [(one.name, one.workers) for one in observe.builds(database)] == [("a", 2), ("b", 1)]


def test_a_group_of_failures_knows_the_build_that_brought_it(
    store: Any, start: Any, fail: Any, database: Database
) -> None:
    old, new = start("a"), start("b")
    fail(old, "successful")
    store.execute(
        "INSERT INTO jobq.metrics (minute, queue, job_class, successful) "
        "VALUES (date_trunc('minute', now()) - interval '9 minutes', 'default', 'sample_jobs.Work', 41200)"
    )
    fail(new)
    (group,) = observe.failures(database, Moment(3600))
    assert group.origin is not None
    job_class = store.results()[0].job_class
    assert (group.origin.build, group.origin.builds, group.origin.back_in) == ("b", ("b",), None)
    assert group.origin.attempts_before == (41200 if job_class == "sample_jobs.Work" else 0)


def test_a_group_that_comes_back_after_a_quiet_build_is_named_a_regression(
    store: Any, start: Any, fail: Any, database: Database
) -> None:
    first = start("a")
    fail(first)
    stop(store, first)
    second = start("b")
    fail(second, "successful")
    stop(store, second)
    fail(start("c"))
    job_class = store.results()[0].job_class
    store.execute("UPDATE jobq.deploys SET at = now() - (10 - 3 * id) * interval '1 hour'")
    store.execute(
        "INSERT INTO jobq.metrics (minute, queue, job_class, successful) "
        "SELECT date_trunc('minute', at) + interval '5 minutes', 'default', %s, 1 FROM jobq.deploys",
        job_class,
    )
    (group,) = observe.failures(database, Moment(3600))
    assert group.origin is not None
    assert (group.origin.build, group.origin.back_in, group.origin.quiet_in) == ("a", "c", ("b",))
    (need,) = [one for one in observe.needs_now(database) if one.kind is observe.Kind.FAILED]
    assert ", back in c" in need.text


def test_failures_of_workers_without_a_build_have_an_unknown_origin(start: Any, fail: Any, database: Database) -> None:
    fail(start(None))
    (group,) = observe.failures(database, Moment(3600))
    assert group.origin is not None
    assert (group.origin.build, group.origin.builds, group.origin.back_in) == (None, (), None)


def test_among_a_thousand_builds_the_last_ten_are_compared(
    store: Any, start: Any, fail: Any, database: Database
) -> None:
    store.execute(
        "INSERT INTO jobq.deploys (build, at) SELECT 'old-' || n, now() - (2000 - n) * interval '1 minute' "
        "FROM generate_series(1, 1000) AS series (n)"
    )
    fail(start("new"))
    (group,) = observe.failures(database, Moment(3600))
    assert group.origin is not None
    assert group.origin.builds == ("new",)
    assert len(observe.builds(database, limit=1000)) == 1000


def test_filters_find_attempts_by_build_and_since_the_last_deploy(
    store: Any, start: Any, fail: Any, database: Database
) -> None:
    assert observe.list_jobs(database, parse("state:finished since:deploy")).jobs == ()
    before = fail(start("a"))
    store.execute("UPDATE jobq.results SET ended_at = ended_at - interval '1 hour'")
    after = fail(start("b"))

    def found(text: str) -> list[int]:
        return [job.id for job in observe.list_jobs(database, parse(f"state:finished {text}")).jobs]

    assert (found("build:a"), found("build:b"), found("build:a,b")) == ([before], [after], [after, before])
    assert (found("-build:b"), found("since:deploy"), found("until:deploy")) == ([before], [after], [before])
    assert [group.attempts for group in observe.failures(database, Moment(is_deploy=True))] == [1]


def test_a_period_since_a_deploy_needs_one(database: Database) -> None:
    with pytest.raises(UsageError, match="No deploy is known"):
        observe.failures(database, Moment(is_deploy=True))


def test_figures_have_the_deploys_of_their_period(start: Any, database: Database) -> None:
    start("a")
    (deploy,) = observe.figures(database, Moment(3600)).deploys
    assert deploy.build == "a"


def test_the_last_deploy_is_never_forgotten(store: Any, start: Any) -> None:
    start("a")
    start("b")
    store.execute("UPDATE jobq.deploys SET at = at - interval '1 year'")
    history.forget_deploys(store.connection, store.schema, keep_days=30)
    assert came(store) == ["b"]


# Retries that wait


def test_a_retry_waits_until_a_younger_build_lives(store: Any, start: Any, fail: Any, database: Database) -> None:
    old = start("a")
    job = fail(old)
    other = fail(old, group="another")
    act = operate.retry_on_build(database, parse(f"group:{GROUP}"), operate.awaited_of(database, ">a"))
    operate.do_waiting_retries(database)
    start("a")
    operate.do_waiting_retries(database)
    assert store.unfinished() == []
    (waiting,) = observe.waiting_retries(database)
    assert (waiting.act, waiting.build, waiting.is_younger) == (act, "a", True)
    start("b")
    operate.do_waiting_retries(database)
    assert [row.id for row in store.unfinished()] == [job]
    assert other not in [row.id for row in store.unfinished()]
    assert observe.waiting_retries(database) == ()
    retried, left = observe.audit(database)
    assert (left.verb, retried.verb, retried.who, retried.ids) == ("retry on build", "retry", left.who, (job,))
    operate.undo(database, retried.id)
    assert store.unfinished() == []


def test_a_retry_that_waits_is_called_off_by_an_undo_however_old_it_is(
    store: Any, start: Any, fail: Any, database: Database
) -> None:
    fail(start("a"))
    act = operate.retry_on_build(database, parse("outcome:errored"), operate.awaited_of(database, "next"))
    store.execute("UPDATE jobq.audit SET at = at - interval '2 days', ended_at = ended_at - interval '2 days'")
    undone, acted = operate.undo(database, act)
    assert (undone.id, acted.act is None) == (act, False)
    start("next")
    operate.do_waiting_retries(database)
    assert store.unfinished() == []


def test_two_workers_do_a_waiting_retry_once(store: Any, start: Any, fail: Any, database: Database) -> None:
    fail(start("a"))
    operate.retry_on_build(database, parse("outcome:errored"), operate.awaited_of(database, "b"))
    start("b")
    operate.do_waiting_retries(database)
    operate.do_waiting_retries(database)
    assert [act.verb for act in observe.audit(database)] == ["retry", "retry on build"]


def test_a_retry_whose_worker_died_over_it_leaves_what_ended_since(
    store: Any, start: Any, fail: Any, database: Database
) -> None:
    old = start("a")
    first = fail(old)
    operate.retry_on_build(database, parse("outcome:errored"), operate.awaited_of(database, "b"))
    new = start("b")
    from jobq.store import waiting_retries

    waiting_retries.take_up(store.connection, store.schema)  # and died
    fail(new)
    operate.do_waiting_retries(database)
    assert store.unfinished() == []
    store.execute("UPDATE jobq.waiting_retries SET begun_at = begun_at - interval '5 minutes'")
    operate.do_waiting_retries(database)
    assert [row.id for row in store.unfinished()] == [first]


def test_times_of_a_waiting_retry_are_those_of_the_command(store: Any, start: Any, database: Database) -> None:
    start("a")
    operate.retry_on_build(database, parse("outcome:errored since:1h"), operate.awaited_of(database, "b"))
    (waiting,) = observe.waiting_retries(database)
    since = datetime.fromisoformat(waiting.selection.split("since:")[1])
    assert abs(datetime.now(UTC) - timedelta(hours=1) - since) < timedelta(minutes=1)


def test_what_is_younger_than_a_build_that_never_was_is_refused(start: Any, database: Database) -> None:
    start("a")
    with pytest.raises(UsageError, match=r"No worker ever had build zz\. The youngest are: a"):
        operate.awaited_of(database, ">zz")
    with pytest.raises(UsageError, match="names a build"):
        operate.awaited_of(database, ">")

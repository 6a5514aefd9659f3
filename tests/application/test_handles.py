"""A job from Python: looked up, found, waited for, cancelled and retried."""

import asyncio
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
import sqlalchemy as sa
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy.orm import Session

import jobq
from jobq import AttemptRecord, Job, JobNotFinished, JobNotFound, Secret, enqueue_many, observe, register_job
from jobq.errors import DatabaseError, FilterError
from jobq.records import ClassRecord
from jobq.settings import Settings
from jobq.store.database import Database
from jobq.testing import run_due_jobs, used
from jobq.watch import Wait, watch
from tests.chaos.proxy import Proxy, through, upstream_of

if TYPE_CHECKING:
    from conftest import Store

pytestmark = pytest.mark.usefixtures("database")


@register_job
class Give(Job):
    """Returns what it was given, once it has failed for long enough."""

    def __init__(self, value: Any = None, failures: int = 0) -> None:
        self.value, self.failures = value, failures

    def run(self) -> Any:
        if self.job.attempt <= self.failures:
            raise ValueError(f"failure {self.job.attempt}")
        return self.value

    def get_retries(self) -> int:
        return self.failures


@register_job
class Break(Job):
    def run(self) -> None:
        raise RuntimeError("it broke")


def enqueued(job: Job, **options: Any) -> jobq.JobRecord:
    record = job.run_in_worker(**options)
    assert record is not None
    return record


def in_thread(call: Callable[[], Any]) -> "threading.Thread":
    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    return thread


def waits(database: Database) -> list[Wait]:
    """The waits that there are in this process."""
    watched = watch(database)
    with watched._changed:
        return [wait for wait in watched._waits if not wait.ending.done()]


# Looking


def test_a_job_is_looked_up_before_and_after_its_end(database: Database) -> None:
    record = enqueued(Give(Decimal("1.50"), failures=1), queue="mail", priority=3)
    found = jobq.get(record.id)
    assert (found.state, found.outcome, found.attempts, found.value, found.error) == ("pending", None, (), None, None)
    assert (found.queue, found.priority, found.enqueued_at) == ("mail", 3, record.enqueued_at)
    assert not found.is_finished

    run_due_jobs(raise_errors=False)
    found = record.refresh()
    assert (found.state, found.outcome, found.attempt) == ("finished", "successful", 2)
    assert [(one.outcome, one.retried) for one in found.attempts] == [("errored", True), ("successful", False)]
    assert found.value == Decimal("1.50")
    assert found.attempts[0].error_message == "failure 1"
    assert found.hidden == found.attempts[0].hidden == ()


def test_the_error_of_a_job_that_failed_is_told(database: Database) -> None:
    record = enqueued(Break())
    run_due_jobs(raise_errors=False)
    found = jobq.get(record)
    assert (found.outcome, found.error, found.value) == ("errored", "RuntimeError: it broke", None)
    assert "it broke" in (found.attempts[0].traceback or "")


def test_a_look_from_python_and_one_at_the_shell_see_the_same(database: Database) -> None:
    record = enqueued(Give({"at": datetime(2026, 1, 2, tzinfo=UTC), "key": Secret("open-sesame")}, failures=1))
    run_due_jobs(raise_errors=False)
    shown, found = observe.show(database, record.id), jobq.get(record.id)
    for name in (field for field in jobq.JobRecord.__dataclass_fields__):
        assert getattr(found, name) == getattr(shown.job, name), name
    assert [replace(one, value=None) for one in found.attempts] == [replace(one, value=None) for one in shown.attempts]
    assert "open-sesame" not in repr(found)
    assert found.value["at"] == datetime(2026, 1, 2, tzinfo=UTC)


def test_progress_is_seen_while_a_job_runs(database: Database, store: "Store") -> None:
    job_id, worker = store.add(), store.worker()
    store.claim(worker)
    store.execute(
        "UPDATE jobq.jobs SET progress = jsonb_build_object('attempt', 1, 'done', 3, 'total', 4, 'message', 'sorting', "
        "'at', '2026-01-02T03:04:05Z')"
    )
    assert job_id is not None
    found = jobq.get(job_id)
    assert found.state == "running"
    assert found.progress is not None
    assert (found.progress.done, found.progress.total, found.progress.message) == (3, 4, "sorting")


def test_what_is_no_job_is_refused(database: Database) -> None:
    for number in (4711, 0, -1, 2**63):
        with pytest.raises(JobNotFound, match=f"There is no job {number}"):
            jobq.get(number)
    for wrong in ("17", True, None):
        with pytest.raises(TypeError, match="job's record or its id"):
            jobq.get(wrong)  # type: ignore[arg-type]


def test_a_value_nested_too_deep_to_be_read_hides_nothing_else(database: Database, store: "Store") -> None:
    record = enqueued(Give())
    run_due_jobs()
    store.execute("UPDATE jobq.results SET value = (repeat('[', 2000) || repeat(']', 2000))::jsonb")
    found = jobq.get(record.id)
    assert found.outcome == "successful"
    assert "characters" in str(found.value)


def test_progress_that_no_worker_would_have_written_is_none(database: Database, store: "Store") -> None:
    record = enqueued(Give())
    store.claim(store.worker(), classes=[record.job_class])
    store.execute("UPDATE jobq.jobs SET progress = (repeat('[', 3000) || repeat(']', 3000))::jsonb")
    found = record.refresh()
    assert (found.state, found.progress) == ("running", None)


def test_a_value_whose_type_nobody_knows_here_comes_as_it_is_stored(database: Database, store: "Store") -> None:
    record = enqueued(Give())
    run_due_jobs()
    store.execute("""UPDATE jobq.results SET value = '{"$": "shop.Money", "v": 5}'""")
    assert jobq.get(record.id).value == {"$": "shop.Money", "v": 5}


def libpq(url: str, driver: str) -> sa.URL:
    parts = {name: str(value) for name, value in conninfo_to_dict(url).items()}
    query = {name: parts[name] for name in ("host", "port") if name in parts}
    return sa.URL.create(driver, parts.get("user"), parts.get("password"), database=parts["dbname"], query=query)


def test_a_transaction_of_the_callers_sees_what_it_has_enqueued(database: Database, database_url: str) -> None:
    engine = sa.create_engine(libpq(database_url, "postgresql+psycopg"))
    with Session(engine) as session:
        record = enqueued(Give(1), connection=session)
        assert jobq.get(record.id, connection=session).state == "pending"
        assert [one.id for one in jobq.find("class:*Give", connection=session)] == [record.id]
        with pytest.raises(JobNotFound):
            jobq.get(record.id)
        assert session.execute(sa.text("SELECT 1")).scalar() == 1  # the transaction is whole
    engine.dispose()


def test_an_event_loop_looks_on_a_connection_of_its_own(database: Database, database_url: str) -> None:
    done = enqueued(Give("done"))
    run_due_jobs()

    async def look() -> None:
        async with await psycopg.AsyncConnection.connect(database_url) as connection:
            record = await Give(1).run_in_worker_async(connection=connection)
            assert record is not None
            assert (await jobq.get_async(record, connection=connection)).state == "pending"
            found = [one.id async for one in jobq.find_async(connection=connection)]
            assert found == [record.id]
            with pytest.raises(JobNotFound):
                await jobq.get_async(record)
            assert (await jobq.get_async(done.id, connection=connection)).value == "done"
        assert (await record.refresh_async()).state == "pending"
        assert [one.id async for one in jobq.find_async("state:finished")] == [done.id]

    asyncio.run(look())


def test_jobs_are_found_by_the_filters_of_the_shell_page_by_page(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobq.handles.PAGE", 3)
    records = enqueue_many([Give(number) for number in range(8)])
    ids = [record.id for record in records if record is not None]
    enqueued(Break(), queue="mail")
    assert [one.id for one in jobq.find("queue:default")] == ids[::-1]
    assert [one.id for one in jobq.find("queue:default", limit=4)] == ids[:-5:-1]
    assert list(jobq.find("queue:none")) == list(jobq.find(limit=0)) == []
    run_due_jobs(raise_errors=False)
    assert {one.outcome for one in jobq.find("state:finished")} == {"successful", "errored"}
    assert [one.job_class for one in jobq.find("outcome:errored")] == [f"{__name__}.Break"]
    with pytest.raises(FilterError, match="queu"):
        jobq.find("queu:mail")


# Waiting


def test_a_job_that_has_ended_is_not_waited_for(database: Database) -> None:
    record = enqueued(Give({1, 2}))
    run_due_jobs()
    attempt = record.wait(timeout=0)
    assert isinstance(attempt, AttemptRecord)
    assert (attempt.outcome, attempt.attempt, attempt.value) == ("successful", 1, {1, 2})
    assert jobq.get(record.id).wait() == attempt


def test_the_end_of_a_job_ends_the_wait_also_in_an_event_loop(database: Database) -> None:
    records = [enqueued(Give(number)) for number in range(2)]

    async def waited() -> AttemptRecord:
        return await records[1].wait_async(timeout=30)

    ended: list[AttemptRecord] = []
    threads = [
        in_thread(lambda: ended.append(records[0].wait(30))),
        in_thread(lambda: ended.append(asyncio.run(waited()))),
    ]
    eventually_true(lambda: len(waits(database)) == 2)
    assert ended == []
    run_due_jobs()
    for thread in threads:
        thread.join(30)
    assert sorted(attempt.value for attempt in ended) == [0, 1]


def eventually_true(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("outcome", ["errored", "cancelled", "lost"])
def test_every_end_of_a_job_is_an_answer(outcome: str, database: Database, store: "Store", report: Any) -> None:
    record, worker = enqueued(Break()), store.worker()
    (claimed,) = store.claim(worker, classes=[record.job_class])
    assert store.finish(worker, report(claimed, outcome, error_type="E")) == 1
    assert (record.wait(timeout=0).outcome, record.wait(timeout=0).error_type) == (outcome, "E")


def test_a_job_that_is_retried_has_not_ended(database: Database) -> None:
    record = enqueued(Give("at last", failures=1))
    run_due_jobs(limit=1, raise_errors=False)
    with pytest.raises(JobNotFinished):
        record.wait(timeout=0)
    run_due_jobs()
    assert record.wait(timeout=0).value == "at last"


def test_a_wait_that_is_over_says_what_the_job_waits_for(database: Database, store: "Store") -> None:
    record = enqueued(Give(), queue="mail")
    with pytest.raises(JobNotFinished, match=r"Job \d+ is pending: no worker runs \(jobq run\)\. Waited for 0 s\."):
        record.wait(timeout=0)
    store.worker(classes=[ClassRecord(record.job_class, (), (), None)])
    store.execute("UPDATE jobq.workers SET queues = '{other}'")
    with pytest.raises(TimeoutError, match="none works queue 'mail'") as late:
        record.wait(timedelta(milliseconds=60))
    assert isinstance(late.value, JobNotFinished)
    assert list(late.value.unfinished) == [record.id]
    with pytest.raises(JobNotFinished, match="none works queue 'mail'"):
        asyncio.run(record.wait_async(0))


def test_a_wait_for_a_job_that_runs_says_where_and_since_when(database: Database, store: "Store") -> None:
    record = enqueued(Give())
    (claimed,) = store.claim(store.worker(host="web", pid=7), classes=[record.job_class])
    started = store.job(claimed.id).started_at
    since = f"Job {record.id} is running: attempt 1 runs on web/7 since {started:%Y-%m-%d %H:%M:%S} "
    with pytest.raises(JobNotFinished, match=since):
        record.wait(timeout=0)


@pytest.mark.parametrize("is_async", [False, True])
def test_a_job_of_an_open_transaction_is_not_waited_for(
    is_async: bool, database: Database, connection: psycopg.Connection[Any]
) -> None:
    with connection.transaction():
        record = enqueued(Give(), connection=connection)
        with pytest.raises(JobNotFound, match="commit that first"):
            asyncio.run(record.wait_async()) if is_async else record.wait()
    run_due_jobs()
    assert record.wait(timeout=0).outcome == "successful"


def test_a_job_that_is_purged_is_not_waited_for_any_more(database: Database, store: "Store") -> None:
    record = enqueued(Give())
    errors: list[BaseException] = []

    def waiting() -> None:
        try:
            record.wait()
        except JobNotFound as error:
            errors.append(error)

    thread = in_thread(waiting)
    eventually_true(lambda: any(wait.state == "pending" for wait in waits(database)))
    store.execute("DELETE FROM jobq.jobs")
    thread.join(30)
    assert "was purged while it was waited for" in str(errors[0])


def test_many_jobs_are_waited_for_all_or_the_first(database: Database) -> None:
    first, held = enqueued(Give(1, failures=1)), enqueued(Give(2), unique_key="one")
    records = [first, held, Give(3).run_in_worker(unique_key="one")]
    assert records[2] is None
    run_due_jobs(limit=1, raise_errors=False)
    run_due_jobs(limit=1)
    attempts = jobq.wait(records, first=True, timeout=5)
    assert attempts
    assert set(attempts) <= {first.id, held.id}
    run_due_jobs()
    assert {job: one.value for job, one in jobq.wait(records, timeout=5).items()} == {first.id: 1, held.id: 2}
    late = enqueued(Give())
    with pytest.raises(JobNotFinished, match="1 of 2 jobs have not ended") as over:
        jobq.wait([late, first], timeout=0)
    assert {job: one.value for job, one in over.value.finished.items()} == {first.id: 1}
    assert jobq.wait([]) == asyncio.run(jobq.wait_async([None])) == {}
    with pytest.raises(JobNotFound, match="no job 4711"):
        jobq.wait([late, 4711])
    with pytest.raises(TypeError, match="must be seconds"):
        late.wait(timeout="5")  # type: ignore[arg-type]


def test_records_of_many_jobs_can_be_waited_for(database: Database) -> None:
    records = enqueue_many([Give(number) for number in range(3)])
    run_due_jobs()
    assert [record.wait(0).value for record in records if record is not None] == [0, 1, 2]
    assert {attempt.value for attempt in jobq.wait(records, timeout=0).values()} == {0, 1, 2}


def test_a_hundred_waiters_share_their_looks(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[int] = []
    follow = observe.following

    def counted(schema: str, ids: Any) -> Any:
        looks.append(len(ids))
        return follow(schema, ids)

    monkeypatch.setattr("jobq.observe.following", counted)
    records = [record for record in enqueue_many([Give(number) for number in range(100)]) if record is not None]
    ended: list[Any] = []
    threads = [in_thread(lambda record=record: ended.append(record.wait(60).value)) for record in records]
    eventually_true(lambda: len(waits(database)) == 100)
    # They look ever more seldom, and all look together.
    eventually_true(lambda: all(wait.every > 0.2 for wait in waits(database)))
    before = len(looks)
    eventually_true(lambda: len(looks) >= before + 2)
    assert max(looks[before:]) > 50
    run_due_jobs()
    for thread in threads:
        thread.join(30)
    assert sorted(ended) == list(range(100))
    eventually_true(lambda: watch(database)._thread is None)


def test_a_wait_that_is_cancelled_leaves_nothing_behind(database: Database, caplog: pytest.LogCaptureFixture) -> None:
    record = enqueued(Give())

    async def give_up() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await record.wait_async()
        task = asyncio.create_task(record.wait_async())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(give_up())
    assert waits(database) == []
    eventually_true(lambda: watch(database)._thread is None)
    assert caplog.records == []


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_process_that_was_forked_waits_by_itself(database: Database) -> None:
    done, late = enqueued(Give("done")), enqueued(Give(), delay=60)
    run_due_jobs()
    thread = in_thread(late.wait)
    eventually_true(lambda: len(waits(database)) == 1)
    if (pid := os.fork()) == 0:
        try:
            os._exit(0 if done.wait(10).value == "done" else 1)
        except BaseException:  # noqa: BLE001 - the fork must not go on as the test
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    late.cancel()
    thread.join(30)
    assert not thread.is_alive()


@pytest.fixture
def proxy(database_url: str) -> Iterator[Proxy]:
    """The network between the test and its database."""
    proxy = Proxy(upstream_of(database_url))
    yield proxy
    proxy.close()


@pytest.fixture
def behind(settings: Settings, database_url: str, proxy: Proxy) -> Iterator[Database]:
    """The test's own database, by way of that network."""
    with used(replace(settings, database_url=through(proxy, database_url))) as database:
        database.patience = 0.2
        yield database


def test_a_database_that_is_away_for_a_while_does_not_end_the_wait(
    behind: Database, proxy: Proxy, store: "Store", report: Any
) -> None:
    record = enqueued(Give())
    ended: list[AttemptRecord] = []
    thread = in_thread(lambda: ended.append(record.wait(60)))
    eventually_true(lambda: any(wait.state == "pending" for wait in waits(behind)))
    proxy.cut()
    eventually_true(lambda: any(wait.trouble is not None for wait in waits(behind)))
    with pytest.raises(JobNotFinished, match=r"has not been seen to end\. .* cannot be reached"):
        record.wait(timeout=0)
    worker = store.worker()
    (claimed,) = store.claim(worker, classes=[record.job_class])
    store.finish(worker, report(claimed))
    proxy.heal()
    thread.join(30)
    assert [attempt.outcome for attempt in ended] == ["successful"]


def test_what_does_not_pass_by_itself_is_raised_at_once(database: Database, store: "Store") -> None:
    record = enqueued(Give())
    store.execute("DROP TABLE jobq.results CASCADE")
    with pytest.raises(DatabaseError, match="jobq migrate"):
        record.wait()


# Acting


def test_a_job_is_cancelled_and_retried_in_the_name_of_the_application(database: Database, store: "Store") -> None:
    record = enqueued(Give("again"), delay=3600)
    act = record.cancel(by="ada@shop.example")
    assert act
    assert (act.done, act.asked, act.why_not) == (True, False, None)
    attempt = record.wait(timeout=0)
    assert (attempt.outcome, attempt.error_message) == ("cancelled", "cancelled by ada@shop.example")

    again = record.cancel()
    assert not again
    assert again.why_not == "it has ended already"

    assert record.retry(by="ada@shop.example").done
    assert record.retry().why_not == "it is pending: only finished jobs can be retried"
    run_due_jobs()
    assert record.wait(timeout=0).value == "again"
    audit = observe.audit(database)
    assert [(one.verb, one.who, one.ids) for one in audit] == [
        ("retry", "ada@shop.example", (record.id,)),
        ("cancel", "ada@shop.example", (record.id,)),
    ]
    assert act.act == audit[1].id


def test_a_running_job_is_asked_to_stop(database: Database, store: "Store") -> None:
    record, worker = enqueued(Give()), store.worker()
    store.claim(worker, classes=[record.job_class])
    act = asyncio.run(record.cancel_async(by="ada"))
    assert (bool(act), act.done, act.asked) == (True, False, True)
    assert jobq.get(record).cancel_requested_by == "ada"


def test_what_is_not_there_is_neither_cancelled_nor_retried(database: Database, store: "Store") -> None:
    record = enqueued(Give())
    store.execute("DELETE FROM jobq.jobs")
    with pytest.raises(JobNotFound):
        record.cancel()
    with pytest.raises(JobNotFound):
        asyncio.run(record.retry_async())
    assert observe.audit(database) == ()

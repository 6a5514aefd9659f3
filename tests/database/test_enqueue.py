"""Jobs on their way in: what is stored, who holds a unique key, whose transaction it is, who is woken."""

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from jobq import Job, enqueue_many, register_job
from jobq.errors import ArgumentsError, DatabaseReadOnly, DatabaseUnreachable, EnqueueError, SchemaMissing
from jobq.records import NewJob
from jobq.settings import Settings
from jobq.store import enqueueing, workers
from jobq.store.database import Database, use_database
from jobq.store.statements import channel


@register_job
class Greet(Job):
    def __init__(self, name: str = "world", *, times: int = 1) -> None:
        self.name = name
        self.times = times

    def run(self) -> None:
        pass


@register_job
class Report(Job):
    def __init__(self, team: str) -> None:
        self.team = team

    def run(self) -> None:
        pass

    def get_queue(self) -> str:
        return "reports"

    def get_priority(self) -> int:
        return 10

    def get_retries(self) -> int:
        return 3

    def get_unique_key(self) -> str | None:
        return self.team


def test_a_job_waits_as_its_methods_say(database: Database, store: Any) -> None:
    record = Report("ops").run_in_worker()
    assert record is not None
    job = store.job(record.id)
    assert (job.queue, job.priority, job.retries, job.unique_key) == ("reports", 10, 3, "ops")
    assert (job.state, job.attempt, job.worker_id, job.started_at) == ("pending", 0, None, None)
    assert job.arguments == {"team": "ops"}
    assert job.job_class == f"{__name__}.Report"


def test_what_is_passed_wins_over_the_methods(database: Database, store: Any) -> None:
    record = Report("ops").run_in_worker(queue="slow", priority=-5, retries=0, unique_key="other")
    assert record is not None
    job = store.job(record.id)
    assert (job.queue, job.priority, job.retries, job.unique_key) == ("slow", -5, 0, "other")


def test_the_record_says_what_the_database_holds(database: Database, store: Any) -> None:
    record = Greet("ada", times=2).run_in_worker(delay=60)
    assert record is not None
    job = store.job(record.id)
    for name in ("queue", "priority", "state", "attempt", "retries", "unique_key", "enqueued_at", "run_at"):
        assert getattr(record, name) == getattr(job, name), name
    assert (record.arguments, record.source) == (job.arguments, job.source)
    assert record.outcome is None


def test_the_source_is_the_line_that_enqueued(database: Database, store: Any) -> None:
    record = Greet().run_in_worker()
    assert record is not None
    assert record.source is not None
    file, _, line = record.source.rpartition(":")
    assert file == __file__
    assert "record = Greet().run_in_worker()" in Path(file).read_text().splitlines()[int(line) - 1]


@pytest.mark.parametrize("delay", [60, 60.0, timedelta(minutes=1)])
def test_a_delayed_job_is_scheduled_by_the_database_clock(delay: Any, database: Database, store: Any) -> None:
    record = Greet().run_in_worker(delay=delay)
    assert record is not None
    job = store.job(record.id)
    assert job.state == "scheduled"
    assert job.run_at - job.enqueued_at == timedelta(minutes=1)


def test_a_job_is_scheduled_for_an_aware_datetime_in_any_zone(database: Database, store: Any) -> None:
    from zoneinfo import ZoneInfo

    when = datetime(2999, 7, 1, 9, tzinfo=ZoneInfo("Europe/Berlin"))
    record = Greet().run_in_worker(delay=when)
    assert record is not None
    assert store.job(record.id).run_at == datetime(2999, 7, 1, 7, tzinfo=UTC)
    assert store.job(record.id).state == "scheduled"


def test_a_time_that_has_passed_is_due_at_once(database: Database, store: Any) -> None:
    record = Greet().run_in_worker(delay=datetime(2001, 1, 1, tzinfo=UTC))
    assert record is not None
    assert store.job(record.id).state == "pending"


def test_a_second_job_with_a_held_unique_key_is_not_enqueued(database: Database, store: Any) -> None:
    assert Report("ops").run_in_worker() is not None
    assert Report("ops").run_in_worker() is None
    assert Report("sales").run_in_worker() is not None
    assert len(store.unfinished()) == 2


def test_a_unique_key_is_its_class_s_own(database: Database, store: Any) -> None:
    assert Report("ops").run_in_worker() is not None
    assert Greet().run_in_worker(unique_key="ops") is not None


@pytest.mark.parametrize("state", ["scheduled", "running"])
def test_a_unique_key_is_held_until_the_job_has_ended(state: str, store: Any, report: Any) -> None:
    worker = store.worker()
    held = store.add(unique_key="k", delay=60 if state == "scheduled" else 0)
    claimed = store.claim(worker)
    assert store.job(held).state == state
    assert store.add(unique_key="k") is None
    if state == "running":
        store.finish(worker, report(claimed[0]))
    else:
        store.cancel(held)
    assert store.add(unique_key="k") is not None


def test_of_sixteen_threads_that_race_for_a_key_one_gets_it(store: Any) -> None:
    for round_number in range(8):
        start = threading.Barrier(16)

        def race(_: int, key: str = f"key {round_number}", start: threading.Barrier = start) -> int | None:
            with store.another() as own:
                start.wait(30)
                added: int | None = own.add(unique_key=key)
                return added

        with ThreadPoolExecutor(16) as threads:
            winners = [added for added in threads.map(race, range(16)) if added is not None]
        assert [
            job.id for job in store.rows("SELECT id FROM jobq.jobs WHERE unique_key = %s", f"key {round_number}")
        ] == winners


def test_batches_that_race_for_the_same_keys_in_opposite_orders_lose_rows_and_no_batch(store: Any) -> None:
    keys = [f"key {number}" for number in range(200)]
    start = threading.Barrier(4)

    def race(number: int) -> list[int | None]:
        with store.another() as own:
            order = keys if number % 2 else keys[::-1]
            start.wait(30)
            added: list[int | None] = own.add_many(*({"unique_key": key} for key in order))
            return added

    with ThreadPoolExecutor(4) as threads:
        answers = [job for answer in threads.map(race, range(4)) for job in answer if job is not None]
    assert sorted(answers) == [job.id for job in store.unfinished()]
    assert sorted(job.unique_key for job in store.unfinished()) == sorted(keys)


def test_many_jobs_are_answered_in_the_order_given(database: Database, store: Any) -> None:
    store.add()
    Report("held").run_in_worker()
    given = [Greet("a"), Report("held"), Report("new"), Report("new"), Greet("b")]
    records = enqueue_many(given)
    assert [record and record.arguments for record in records] == [
        {"name": "a"},
        None,
        {"team": "new"},
        None,
        {"name": "b"},
    ]
    ids = [record.id for record in records if record]
    assert ids == sorted(ids)
    assert [store.job(job_id).arguments for job_id in ids] == [record.arguments for record in records if record]


def test_many_jobs_keep_their_order_over_the_chunks_in_which_they_are_sent(store: Any) -> None:
    count = 2 * enqueueing.CHUNK + 1
    added = store.add_many(
        *({"arguments": f'{{"n": {number}}}', "unique_key": f"{number % 2100}"} for number in range(count))
    )
    assert [job is None for job in added] == [number >= 2100 for number in range(count)]
    stored = {job.id: job.arguments["n"] for job in store.unfinished()}
    assert [stored[job] for job in added if job] == list(range(2100))
    assert sorted(stored) == [job for job in added if job]


ODD = 'tab\t newline\n return\r backslash\\ \\N \\. quote" \x7f \u2028 ünï 🎉 \\t'


def test_many_jobs_are_stored_alike_by_whichever_way_they_come(
    connection: psycopg.Connection[Any], store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By COPY, or by a statement: what is in the row, and what the caller is told."""
    moment = datetime.now(UTC)
    given = [
        NewJob("shop.jobs.Work", "{}"),
        NewJob("shop.jobs.Wörk\\", json.dumps({"text": ODD}), queue="q\\ü", priority=-7, retries=3, source=ODD),
        NewJob("shop.jobs.Work", json.dumps({"text": ODD}, ensure_ascii=False), trace_context=json.dumps({"t": ODD})),
        NewJob("shop.jobs.Work", "{}", delay=3600.5, expires_in=7200.25, timeout=1.5, has_abort_hook=True),
        NewJob("shop.jobs.Work", "{}", run_at=moment + timedelta(days=1), expires_at=moment + timedelta(days=2)),
        NewJob("shop.jobs.Work", "{}", run_at=moment - timedelta(days=1)),
    ]

    def add(least: int) -> tuple[list[dict[str, Any]], list[Any]]:
        monkeypatch.setattr(enqueueing, "LEAST_TO_COPY", least)
        added = enqueueing.enqueue_many(connection, store.schema, given)
        with connection.cursor(row_factory=dict_row) as cursor:
            rows = cursor.execute("SELECT * FROM jobq.jobs ORDER BY id").fetchall()
        connection.execute("TRUNCATE jobq.jobs")
        assert [job and job.id for job in added] == [row["id"] for row in rows]
        assert [job and job[1:5] for job in added] == [
            (row["state"], row["enqueued_at"], row["run_at"], row["expires_at"]) for row in rows
        ]
        return [relative(row, moment) for row in rows], added

    copied, _ = add(1)
    inserted, _ = add(1000)
    assert copied == inserted


def relative(row: dict[str, Any], moment: datetime) -> dict[str, Any]:
    """A row without what differs from one way to the other: its number, and the time of the statement."""
    now = row.pop("enqueued_at")
    del row["id"]
    for name in ("run_at", "expires_at"):
        if row[name] is not None and row[name] - moment not in (timedelta(1), timedelta(2), timedelta(-1)):
            row[name] -= now
    return row


def test_many_jobs_of_which_some_have_keys_lose_only_those_that_are_held(
    database: Database, store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(enqueueing, "LEAST_TO_COPY", 2)
    Report("held").run_in_worker()
    records = enqueue_many([Greet("a"), Report("held"), Report("new"), Greet("b")])
    assert [record and record.arguments for record in records] == [{"name": "a"}, None, {"team": "new"}, {"name": "b"}]
    assert records == list(records)
    assert len(records[1:3]) == 2
    ids = [record.id for record in records if record]
    assert ids == sorted(ids)
    assert [store.job(job_id).arguments for job_id in ids] == [record.arguments for record in records if record]


def test_no_jobs_are_enqueued_without_asking_the_database() -> None:
    use_database(Database(Settings(database_url="host=/nowhere connect_timeout=1")))
    try:
        assert enqueue_many([]) == []
    finally:
        use_database(None)


def test_one_job_that_cannot_be_enqueued_keeps_out_all_of_its_batch(database: Database, store: Any) -> None:
    class Odd(Greet):
        def get_priority(self) -> int:
            return 10**9

    register_job(Odd)
    with pytest.raises(EnqueueError, match="priority"):
        enqueue_many([Greet(), Odd()])
    assert store.unfinished() == []


def test_a_job_enqueued_on_the_callers_connection_commits_with_the_callers_data(
    database: Database, database_url: str, connection: psycopg.Connection[Any], store: Any
) -> None:
    connection.execute("CREATE TABLE orders (id integer)")
    with psycopg.connect(database_url) as own:
        own.execute("INSERT INTO orders VALUES (1)")
        assert Greet().run_in_worker(connection=own) is not None
        assert len(enqueue_many([Greet(), Greet()], connection=own)) == 2
        assert store.unfinished() == []
        own.commit()
    assert len(store.unfinished()) == 3


def test_a_job_enqueued_on_the_callers_connection_is_rolled_back_with_the_callers_data(
    database: Database, database_url: str, connection: psycopg.Connection[Any], store: Any
) -> None:
    connection.execute("CREATE TABLE orders (id integer)")
    with psycopg.connect(database_url) as own:
        own.execute("INSERT INTO orders VALUES (1)")
        assert Report("ops").run_in_worker(connection=own) is not None
        assert len(enqueue_many([Greet(), Greet()], connection=own)) == 2
        own.rollback()
    assert store.unfinished() == []
    assert connection.execute("SELECT count(*) FROM orders").fetchone() == (0,)
    assert Report("ops").run_in_worker() is not None, "the key that was rolled back is free"


def test_a_refused_job_leaves_the_callers_transaction_alive(database: Database, database_url: str, store: Any) -> None:
    with psycopg.connect(database_url) as own:
        assert Greet("first").run_in_worker(connection=own) is not None
        with pytest.raises(ArgumentsError):
            Greet("nul \0").run_in_worker(connection=own)
        with pytest.raises(EnqueueError):
            Greet().run_in_worker(connection=own, priority=10**6)
        assert Greet("second").run_in_worker(connection=own) is not None
    assert [job.arguments["name"] for job in store.unfinished()] == ["first", "second"]


def test_a_row_factory_of_the_callers_connection_changes_nothing(database: Database, database_url: str) -> None:
    with psycopg.connect(database_url, row_factory=dict_row) as own:
        one = Greet().run_in_worker(connection=own)
        many = enqueue_many([Greet()], connection=own)
    assert one is not None
    assert many[0] is not None
    assert many[0].id > one.id


def test_a_job_on_the_callers_connection_waits_for_the_unique_key_of_an_open_transaction(
    database: Database, database_url: str, store: Any
) -> None:
    """Whoever commits first has it; a rollback leaves it to the one who waited."""
    with psycopg.connect(database_url) as own, ThreadPoolExecutor(1) as threads, store.another() as other:
        assert Report("ops").run_in_worker(connection=own) is not None
        waiting = threads.submit(other.add, job_class=f"{__name__}.Report", unique_key="ops")
        store.wait_until_another_waits()
        own.rollback()
        assert waiting.result(30) is not None


def listening(url: str, schema: str) -> "psycopg.Connection[Any]":
    connection = psycopg.connect(url, autocommit=True)
    connection.execute(f'LISTEN "{channel(schema)}"')
    return connection


def heard(connection: "psycopg.Connection[Any]") -> list[str]:
    """The queues of which it was notified so far: a round trip, and what arrived with the answer."""
    connection.execute("SELECT 1")
    return sorted(notification.payload for notification in connection.notifies(timeout=0))


Enqueue = Callable[[Any], object]


@pytest.mark.parametrize(
    "enqueue",
    [
        pytest.param(lambda store: store.add(queue="mail"), id="one"),
        pytest.param(lambda store: store.add_many({"queue": "mail"}, {"queue": "mail"}), id="many"),
        pytest.param(lambda store: store.add_many(*[{"queue": "mail"}] * enqueueing.LEAST_TO_COPY), id="by COPY"),
    ],
)
def test_a_worker_is_notified_only_while_one_waits(enqueue: Enqueue, store: Any, database_url: str) -> None:
    worker = store.worker()
    with listening(database_url, store.schema) as listener:
        enqueue(store)
        assert heard(listener) == []
        store.set_waiting(worker, waiting=True)
        enqueue(store)
        assert heard(listener) == ["mail"]
        store.set_waiting(worker, waiting=False)
        enqueue(store)
        assert heard(listener) == []


def test_a_waiting_worker_that_was_declared_dead_costs_no_notification(store: Any, database_url: str) -> None:
    worker = store.worker()
    store.set_waiting(worker, waiting=True)
    workers.stop(store.connection, store.schema, worker_id=worker)
    store.set_waiting(worker, waiting=True)
    with listening(database_url, store.schema) as listener:
        store.add()
        assert heard(listener) == []


def test_a_job_whose_key_is_held_notifies_nobody(store: Any, database_url: str) -> None:
    worker = store.worker()
    store.add(unique_key="k")
    store.set_waiting(worker, waiting=True)
    with listening(database_url, store.schema) as listener:
        assert store.add(unique_key="k") is None
        assert heard(listener) == []


def test_the_largest_values_allowed_are_stored(database: Database, store: Any) -> None:
    queue, key = "\U0001f600" * 100, "\U0001f600" * 250
    record = Greet().run_in_worker(queue=queue, unique_key=key, priority=32767, retries=1_000_000)
    assert record is not None
    job = store.job(record.id)
    assert (job.queue, job.unique_key, job.priority) == (queue, key, 32767)
    assert Greet().run_in_worker(priority=-32767) is not None
    assert Greet().run_in_worker(delay=datetime(9998, 12, 31, 23, 59, tzinfo=UTC)) is not None
    assert Greet().run_in_worker(delay=100 * 365 * 86400) is not None


def test_arguments_larger_than_the_limit_are_refused_and_nothing_is_stored(database: Database, store: Any) -> None:
    with pytest.raises(ArgumentsError, match="Greet"):
        Greet("x" * 1_000_000).run_in_worker()
    assert store.unfinished() == []


def test_an_unreachable_database_is_named_without_its_password() -> None:
    database = Database(Settings(database_url="postgresql://ada:secret@127.0.0.1:1/shop"))
    use_database(database)
    try:
        with pytest.raises(DatabaseUnreachable, match=r"127\.0\.0\.1:1/shop") as caught:
            Greet().run_in_worker()
        assert "secret" not in str(caught.value)
    finally:
        use_database(None)
        database.close()


def test_a_database_without_the_tables_says_what_to_run(
    database: Database, connection: psycopg.Connection[Any]
) -> None:
    connection.execute("DROP SCHEMA jobq CASCADE")
    with pytest.raises(SchemaMissing, match="jobq migrate"):
        Greet().run_in_worker()


def test_a_read_only_database_says_so(database: Database, connection: psycopg.Connection[Any]) -> None:
    connection.execute(f'ALTER DATABASE "{connection.info.dbname}" SET default_transaction_read_only = on')
    with pytest.raises(DatabaseReadOnly, match="read-only"):
        Greet().run_in_worker()

"""The history by the day: it takes every record, whether or not anybody made a partition in time."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from typing import Any

import pytest
from psycopg import errors as pg

from jobq.store import history
from jobq.store.history import partition_days, today


def tables_of(store: Any) -> dict[str, int]:
    """How many records each table of the history holds."""
    rows = store.rows("SELECT tableoid::regclass::text AS name, count(*) AS n FROM jobq.results GROUP BY 1")
    return {row.name.rpartition(".")[2]: row.n for row in rows}


def name_of(day: date) -> str:
    return f"results_{day:%Y%m%d}"


def end_job(store: Any, report: Callable[..., Any], *, days_ago: float = 0) -> int:
    """A job that ended; `days_ago` moves its end, as if the worker had reported it so late."""
    worker = store.worker()
    job: int = store.add()
    (assignment,) = store.claim(worker)
    ended = report(assignment)
    age = days_ago * 86400
    assert store.finish(worker, ended._replace(started=ended.started - age, ended=ended.ended - age)) == 1
    return job


def add_result(store: Any, when: str, job_id: int = 1) -> None:
    store.execute(
        "INSERT INTO jobq.results (id, attempt, ended_at, enqueued_at, run_at, retries, priority, retried, outcome,"
        " queue, job_class, arguments) VALUES (%s, 1, %s, now(), now(), 0, 0, false, 'successful', 'q', 'c', '{}')",
        job_id,
        when,
    )


def drop_all_partitions(store: Any) -> None:
    for day in partition_days(store.connection, store.schema):
        history.drop_partition(store.connection, store.schema, day)


def test_a_new_database_has_the_partitions_of_today_and_the_days_ahead(store: Any) -> None:
    first = today(store.connection)
    assert partition_days(store.connection, store.schema) == {
        first + timedelta(days=offset) for offset in range(history.DAYS_AHEAD + 1)
    }


def test_the_first_job_of_a_new_database_is_recorded_in_its_days_partition(store: Any, report: Any) -> None:
    day = today(store.connection)
    end_job(store, report)
    assert tables_of(store) == {name_of(day): 1}


@pytest.mark.parametrize("zone", ["UTC", "Pacific/Kiritimati", "America/Los_Angeles"])
def test_records_on_both_sides_of_midnight_go_to_their_own_days(zone: str, store: Any) -> None:
    """Days are days of UTC, whatever zone the session that records is in."""
    day = today(store.connection)
    store.execute(f"SET timezone = '{zone}'")
    add_result(store, f"{day + timedelta(days=1)} 00:00:00+00", 1)
    add_result(store, f"{day} 23:59:59.999999+00", 2)
    assert tables_of(store) == {name_of(day): 1, name_of(day + timedelta(days=1)): 1}


@pytest.mark.parametrize("zone", ["UTC", "Pacific/Kiritimati", "America/Los_Angeles"])
def test_partitions_begin_at_midnight_of_utc_in_whatever_zone_they_are_made(zone: str, store: Any) -> None:
    drop_all_partitions(store)
    store.execute(f"SET timezone = '{zone}'")
    day = today(store.connection)
    assert history.make_partition(store.connection, store.schema, day)
    add_result(store, f"{day} 00:00:00+00", 1)
    add_result(store, f"{day} 23:59:59.999999+00", 2)
    add_result(store, f"{day + timedelta(days=1)} 00:00:00+00", 3)
    assert tables_of(store) == {name_of(day): 2, "results_default": 1}
    assert store.rows("SHOW timezone")[0].TimeZone == zone


def test_jobs_are_recorded_though_no_partition_was_made_for_a_week(store: Any, report: Any) -> None:
    drop_all_partitions(store)
    job = end_job(store, report)
    assert tables_of(store) == {"results_default": 1}
    day = store.results(job)[0].ended_at.date()
    made = history.make_partitions(store.connection, store.schema)
    assert day in made
    assert tables_of(store) == {name_of(day): 1}
    assert [result.outcome for result in store.results(job)] == ["successful"]


def test_making_a_partition_moves_only_its_own_day_out_of_the_default_one(store: Any) -> None:
    drop_all_partitions(store)
    day = today(store.connection)
    for offset in (-1, 0, 1):
        add_result(store, f"{day + timedelta(days=offset)} 12:00+00", offset + 2)
    assert history.make_partition(store.connection, store.schema, day)
    assert tables_of(store) == {name_of(day): 1, "results_default": 2}
    assert [result.id for result in store.results()] == [1, 2, 3]


def test_a_record_that_comes_days_late_is_kept(store: Any, report: Any) -> None:
    job = end_job(store, report, days_ago=3)
    assert tables_of(store) == {"results_default": 1}
    assert [result.id for result in store.results()] == [job]


def test_a_partition_that_is_there_is_not_made_again(store: Any) -> None:
    assert history.make_partitions(store.connection, store.schema) == []
    assert not history.make_partition(store.connection, store.schema, today(store.connection))


def test_of_many_that_make_partitions_at_once_each_is_made_by_one(store: Any) -> None:
    drop_all_partitions(store)

    def make(_: int) -> list[date]:
        with store.another() as own:
            return history.make_partitions(own.connection, own.schema)

    with ThreadPoolExecutor(6) as threads:
        made = [day for days in threads.map(make, range(6)) for day in days]
    assert len(made) == len(set(made))
    assert set(made) == partition_days(store.connection, store.schema)
    assert len(made) == history.DAYS_AHEAD + 1


def test_workers_record_while_partitions_are_made(store: Any, report: Any) -> None:
    drop_all_partitions(store)
    worker = store.worker()
    added = store.add_many(*({} for _ in range(300)))
    claimed = store.claim(worker, most=300)

    def finish() -> int:
        with store.another() as own:
            return sum(own.finish(worker, report(assignment)) for assignment in claimed)

    with ThreadPoolExecutor(1) as threads:
        finishing = threads.submit(finish)
        while not finishing.done():
            history.make_partitions(store.connection, store.schema)
        assert finishing.result(60) == 300
    assert [result.id for result in store.results()] == added


def test_a_partition_has_the_indexes_of_the_whole_and_no_copies_beside_them(store: Any) -> None:
    def indexes(table: str) -> list[str]:
        rows = store.rows(
            "SELECT regexp_replace(indexdef, '^.* USING ', '') AS shape FROM pg_indexes "
            "WHERE schemaname = 'jobq' AND tablename = %s",
            table,
        )
        return sorted(row.shape for row in rows)

    assert indexes(name_of(today(store.connection))) == indexes("results")


def test_days_older_than_kept_are_dropped_and_the_others_stay(store: Any) -> None:
    day = today(store.connection)
    for age in (40, 31, 30, 29):
        history.make_partition(store.connection, store.schema, day - timedelta(days=age))
        add_result(store, f"{day - timedelta(days=age)} 12:00+00", age)
    dropped = history.drop_old_partitions(store.connection, store.schema, keep_days=30)
    assert dropped == [day - timedelta(days=40), day - timedelta(days=31)]
    assert [result.id for result in store.results()] == [29, 30]
    assert history.drop_old_partitions(store.connection, store.schema, keep_days=30) == []


def test_what_the_default_partition_holds_of_dropped_days_goes_with_them(store: Any) -> None:
    day = today(store.connection)
    add_result(store, f"{day - timedelta(days=31)} 23:59:59+00", 31)
    add_result(store, f"{day - timedelta(days=30)} 00:00:00+00", 30)
    history.drop_old_partitions(store.connection, store.schema, keep_days=30)
    assert tables_of(store) == {"results_default": 1}
    assert [result.id for result in store.results()] == [30]


def test_with_zero_days_to_keep_everything_is_kept(store: Any) -> None:
    add_result(store, "2001-01-01 12:00+00")
    history.make_partition(store.connection, store.schema, date(2001, 1, 1))
    assert history.drop_old_partitions(store.connection, store.schema, keep_days=0) == []
    assert tables_of(store) == {"results_20010101": 1}


def test_a_history_that_somebody_reads_is_dropped_another_time(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Waiting for the reader would make every writer behind wait, too."""
    monkeypatch.setattr(history, "LOCK_TIMEOUT_MS", 10)
    old = date(2001, 1, 1)
    history.make_partition(store.connection, store.schema, old)
    with store.another() as reader:
        with reader.connection.transaction():
            reader.results()
            assert history.drop_old_partitions(store.connection, store.schema, keep_days=1) == []
        assert history.drop_old_partitions(store.connection, store.schema, keep_days=1) == [old]


def test_a_partition_that_cannot_be_made_now_is_made_another_time(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "LOCK_TIMEOUT_MS", 10)
    day = today(store.connection) + timedelta(days=100)
    with store.another() as reader:
        with reader.connection.transaction():
            reader.results()
            assert not history.make_partition(store.connection, store.schema, day)
        assert history.make_partition(store.connection, store.schema, day)


def test_workers_that_are_long_gone_are_forgotten_and_others_are_not(store: Any) -> None:
    gone, recent, alive = store.worker(), store.worker(), store.worker()
    store.execute("UPDATE jobq.workers SET stopped_at = now() - interval '40 days' WHERE id = %s", gone)
    store.execute("UPDATE jobq.workers SET stopped_at = now() - interval '20 days' WHERE id = %s", recent)
    store.execute("UPDATE jobq.workers SET started_at = now() - interval '80 days' WHERE id = %s", alive)
    history.forget_workers(store.connection, store.schema, keep_days=1)
    assert [worker.id for worker in store.rows("SELECT id FROM jobq.workers ORDER BY id")] == [recent, alive]


def test_a_result_with_an_outcome_that_is_none_is_refused(store: Any) -> None:
    add_result(store, "2001-01-01 12:00+00")
    with pytest.raises(pg.CheckViolation):
        store.execute("UPDATE jobq.results SET outcome = 'sucessful'")

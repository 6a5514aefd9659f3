"""The roll-up: what ended by the minute, each attempt once, whatever is sent twice or comes too late."""

import random
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from jobq import observe
from jobq.filters import Moment
from jobq.histograms import bucket, unpacked
from jobq.records import Count
from jobq.runtime import rollup
from jobq.runtime.locks import Locks
from jobq.runtime.ownership import Ownership
from jobq.states import Outcome
from jobq.store import jobs, metrics
from jobq.store.database import Database

AN_HOUR = Moment(3600.0)


def claimed(store: Any, count: int = 1, **fields: Any) -> tuple[int, list[Any]]:
    worker = store.worker()
    store.add_many(*[fields] * count)
    return worker, store.claim(worker, [fields.get("queue", "default")])


def record(store: Any, worker: int, *reports: Any, retried: bool = False) -> jobs.Recorded:
    make = jobs.retry if retried else jobs.finish
    return make(store.connection, store.schema, worker_id=worker, reports=reports, now=time.monotonic())


def add(store: Any, recorded: jobs.Recorded, **sender: Any) -> None:
    metrics.add(store.connection, store.schema, metrics.figures_of(recorded.counts), **sender)


def rows(store: Any) -> list[Any]:
    return store.rows("SELECT * FROM jobq.metrics ORDER BY minute, queue, job_class")


def test_attempts_are_counted_by_their_outcome_with_how_long_they_waited_and_ran(store: Any, report: Any) -> None:
    worker, (first, second, third) = claimed(store, 3, queue="mail")
    store.execute("UPDATE jobq.jobs SET run_at = run_at - interval '40 s'")
    now = time.monotonic()
    ended = record(
        store,
        worker,
        report(first, started=now - 3, ended=now),
        report(second, Outcome.ERRORED, started=now - 3, ended=now),
    )
    again = record(store, worker, report(third, Outcome.ERRORED, retry_delay=5.0), retried=True)
    add(store, ended)
    add(store, again)

    (row,) = rows(store)
    assert (row.queue, row.successful, row.errored, row.retried) == ("mail", 1, 2, 1)
    waits = unpacked(int(row.waits))
    assert waits[bucket(37.1)] == 2
    assert sum(waits) == 3
    runs = unpacked(int(row.runs))
    assert runs[bucket(3)] == 2
    assert sum(runs) == 3
    assert row.longest_run == pytest.approx(3.0, abs=0.001)
    assert row.longest_wait >= 37
    assert row.minute.second == row.minute.microsecond == 0


def test_queues_and_classes_have_rows_of_their_own(store: Any, report: Any) -> None:
    worker = store.worker()
    for queue, job_class in (("a", "x.A"), ("a", "x.B"), ("b", "x.A"), ("b", "x.A")):
        store.add(queue=queue, job_class=job_class)
    assignments = store.claim(worker, ["a", "b"], classes=["x.A", "x.B"])
    add(store, record(store, worker, *map(report, assignments)))
    assert [(row.queue, row.job_class, row.successful) for row in rows(store)] == [
        ("a", "x.A", 1),
        ("a", "x.B", 1),
        ("b", "x.A", 2),
    ]


def test_a_batch_that_is_recorded_twice_counts_once(store: Any, report: Any) -> None:
    worker, assignments = claimed(store, 5)
    reports = [report(assignment) for assignment in assignments]
    first, second = record(store, worker, *reports), record(store, worker, *reports)
    assert (first.attempts, second.attempts) == (5, 0)
    assert second.counts == ()


def test_a_report_that_comes_too_late_does_not_count(store: Any, report: Any) -> None:
    worker, (assignment,) = claimed(store)
    store.declare_dead(worker)
    store.rescue()
    assert record(store, worker, report(assignment)).counts == ()
    (row,) = rows(store)
    assert (row.successful, row.lost) == (0, 1)


def test_figures_that_are_sent_twice_count_once(store: Any, report: Any) -> None:
    worker, assignments = claimed(store, 5)
    recorded = record(store, worker, *map(report, assignments))
    for _ in range(2):
        add(store, recorded, worker_id=worker, number=1)
    assert rows(store)[0].successful == 5
    add(store, recorded, worker_id=worker, number=2)
    assert rows(store)[0].successful == 10


def test_workers_add_to_the_same_minute(store: Any) -> None:
    (now,) = store.rows("SELECT date_trunc('minute', now()) AS at")
    for wait, run in ((0, 1), (0, 2), (3, 2)):
        count = Count(now.at, "mail", "x.A", Outcome.SUCCESSFUL, False, wait, run, 2)
        metrics.add(store.connection, store.schema, metrics.figures_of([count]))
    (row,) = rows(store)
    assert row.successful == 6
    assert unpacked(int(row.waits))[:4] == (4, 0, 0, 2)
    assert unpacked(int(row.runs))[:3] == (0, 2, 4)


def test_an_answer_that_was_lost_does_not_make_the_figures_count_twice(
    store: Any, report: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker, assignments = claimed(store, 5)
    gathered = rollup.Rollup(store.schema, Ownership(worker), Locks("finish", Database(store.settings), 1.0))
    gathered.add(record(store, worker, *map(report, assignments)).counts)
    really = metrics.add

    def add_and_lose_the_answer(*args: Any, **kwargs: Any) -> None:
        really(*args, **kwargs)
        monkeypatch.setattr(metrics, "add", really)
        raise psycopg.OperationalError("the connection is lost")

    monkeypatch.setattr(metrics, "add", add_and_lose_the_answer)
    with pytest.raises(psycopg.OperationalError):
        gathered.send(store.connection)
    gathered.send(store.connection)
    assert rows(store)[0].successful == 5


def test_figures_that_cannot_be_stored_do_not_stop_the_worker(
    store: Any, report: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker, assignments = claimed(store)
    gathered = rollup.Rollup(store.schema, Ownership(worker), Locks("finish", Database(store.settings), 1.0))
    gathered.add(record(store, worker, *map(report, assignments)).counts)
    store.execute("ALTER TABLE jobq.metrics RENAME TO gone")
    gathered.send(store.connection)
    assert gathered.send_when_due(store.connection) is None, "they are dropped"


def test_a_rescued_attempt_counts_as_lost_and_its_run_is_not_known(store: Any) -> None:
    worker, assignments = claimed(store, 2)
    store.declare_dead(worker, *assignments)
    assert len(store.rescue(max_losses=1)) == 2  # together, so both run again
    (row,) = rows(store)
    assert (row.lost, row.retried, sum(unpacked(int(row.waits))), row.runs) == (2, 2, 2, 0)


def test_a_cancelled_job_counts_and_neither_waited_nor_ran(store: Any) -> None:
    first, second = store.add(), store.add(delay=60)
    store.cancel(first, second)
    (row,) = rows(store)
    assert (row.cancelled, row.waits, row.runs) == (2, 0, 0)


def test_a_period_is_read_from_the_rows_of_its_minutes(store: Any, database: Database) -> None:
    (now,) = store.rows("SELECT date_trunc('minute', now()) AS at")
    for minutes, outcome, attempts in ((5, Outcome.SUCCESSFUL, 30), (5, Outcome.ERRORED, 10), (90, Outcome.LOST, 7)):
        (at,) = store.rows("SELECT %s - %s * interval '1 minute' AS at", now.at, minutes)
        count = Count(at.at, "mail", "x.A", outcome, outcome is Outcome.ERRORED, 6, 9, attempts)
        metrics.add(store.connection, store.schema, metrics.figures_of([count]))

    hour = observe.figures(database, AN_HOUR)
    day = observe.figures(database, Moment(86400.0))
    none = observe.figures(database, AN_HOUR, queue="other")

    total = hour.total
    assert (total.attempts, total.ended, total.failed_attempts, total.failed_jobs) == (40, 30, 10, 0)
    assert [step.ended for step in hour.steps if step.ended] == [30]
    assert [step.run(0.95) for step in hour.steps if step.ended] == [hour.total.run(0.95)]
    assert (day.total.attempts, day.total.failed_attempts, day.total.failed_jobs) == (47, 17, 7)
    assert len(day.steps) <= 73
    assert [(queue.name, queue.attempts) for queue in day.queues] == [("mail", 47)]
    assert (none.total.attempts, none.total.wait(0.5)) == (0, None)
    median = hour.total.run(0.5)
    assert median is not None
    assert bucket(median) == 9


def test_folded_figures_tell_what_a_naive_count_does_whatever_comes_late(store: Any, database: Database) -> None:
    (now,) = store.rows("SELECT date_trunc('minute', now()) AS at")
    draw = random.Random(5)
    counts: list[Count] = []

    def add_some(most_hours: float) -> None:
        for _ in range(60):
            minute = now.at - timedelta(minutes=draw.randrange(round(most_hours * 60)))
            outcome, kind = draw.choice(list(Outcome)), (draw.choice("ab"), draw.choice("xy"))
            buckets = draw.choice([None, 0, 7]), draw.choice([None, 0, 23])
            some = draw.randrange(1, 9), draw.random()
            counts.append(Count(minute, *kind, outcome, draw.random() < 0.3, *buckets, *some))
            metrics.add(store.connection, store.schema, metrics.figures_of(counts[-1:]))

    def compare(hours: float, until_hours: float = 0) -> None:
        period = observe.figures(database, Moment(hours * 3600), Moment(until_hours * 3600) if until_hours else None)
        assert now.at - timedelta(hours=hours + 1) <= period.since <= now.at - timedelta(hours=hours - 0.1)
        total = period.total
        within = [count for count in counts if period.since <= count.minute < period.until]
        naive = metrics.figures_of(count._replace(minute=now.at, queue="", job_class="") for count in within)
        waits, runs = Counter(dict(enumerate(total.waits))), Counter(dict(enumerate(total.runs)))
        longest = total.longest_wait, total.longest_run
        told = [metrics.Figures(now.at, "", "", dict(total.outcomes), total.retried, +waits, +runs, *longest)]
        assert naive == (told if within else [])
        assert sum(queue.attempts for queue in period.queues) == sum(count.attempts for count in within)
        assert sum(step.ended for step in period.steps) == sum(one.attempts for one in within if not one.retried)
        assert sum(sum(step.runs) for step in period.steps) == sum(one.runs.total() for one in naive)

    def compare_all() -> None:
        for hours in (1.9, 25, 71):
            compare(hours)
        compare(71, until_hours=30)

    add_some(72)
    compare_all()
    while metrics.fold(store.connection, store.schema, limit=40):
        compare_all()
    add_some(40)  # too late: their minutes have been folded
    compare_all()
    while metrics.fold(store.connection, store.schema):
        compare_all()
    assert {row.minutes for row in store.rows("SELECT minutes FROM jobq.all_metrics")} == {1, 5, 60}
    assert not store.rows("SELECT FROM jobq.metrics WHERE minute < now() - interval '125 minutes'")
    assert not store.rows("SELECT FROM jobq.all_metrics WHERE minutes < 60 AND at < now() - interval '27 hours'")


def test_many_fold_at_once_and_nothing_is_counted_twice(store: Any, database: Database) -> None:
    (now,) = store.rows("SELECT date_trunc('minute', now()) AS at")
    for minutes in range(0, 4000, 20):
        at = now.at - timedelta(minutes=minutes)
        count = Count(at, "q", "c", Outcome.SUCCESSFUL, False, 3, 4, 1 + minutes)
        metrics.add(store.connection, store.schema, metrics.figures_of([count]))

    def fold(_: int) -> None:
        with database.connect("test") as connection:
            while metrics.fold(connection, store.schema, limit=5):
                pass

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(fold, range(4)))
    (told,) = store.rows("SELECT sum(successful) AS ended, sum(waits) AS waits FROM jobq.all_metrics")
    assert (told.ended, unpacked(int(told.waits))[3]) == (sum(range(1, 4000, 20)),) * 2


def take_levels(store: Any, minutes_ago: int) -> None:
    """As a worker did so long ago."""
    assert metrics.take_levels(store.connection, store.schema) > 0
    store.execute(
        "UPDATE jobq.levels SET minute = minute - %s * interval '1 minute', "
        "taken_at = taken_at - %s * interval '1 minute' WHERE minute = date_trunc('minute', now())",
        minutes_ago,
        minutes_ago,
    )


def test_what_came_in_is_what_ended_and_what_the_queue_holds_more(store: Any, report: Any, database: Database) -> None:
    worker, assignments = claimed(store, 4, queue="mail")
    take_levels(store, 10)
    add(store, record(store, worker, *map(report, assignments)))
    store.execute("UPDATE jobq.metrics SET minute = minute - interval '5 minutes'")
    store.add_many(*[{"queue": "mail"}] * 7)
    take_levels(store, 1)

    (flow,) = observe.figures(database, AN_HOUR).flows

    assert (flow.name, flow.came_in, flow.went_out, flow.growth) == ("mail", 7, 4, 3)
    assert flow.seconds in (540, 600), "a minute may have begun between the counts"


def test_levels_are_taken_once_a_minute(store: Any) -> None:
    store.add(queue="a")
    store.add(queue="b", delay=60)
    (before,) = store.rows("SELECT date_trunc('minute', now()) AS minute")
    assert metrics.take_levels(store.connection, store.schema) == 2
    again = metrics.take_levels(store.connection, store.schema)
    (after,) = store.rows("SELECT date_trunc('minute', now()) AS minute")
    assert again == 0 or before != after
    assert [(row.queue, row.unfinished) for row in store.rows("SELECT * FROM jobq.levels ORDER BY 1, 2 LIMIT 2")] == [
        ("a", 1),
        ("b", 1),
    ]


def test_a_queue_too_long_to_count_has_a_level_that_is_not_known(store: Any) -> None:
    store.add_many(*[{"queue": "long"}] * 12)
    store.add(queue="short")
    metrics.take_levels(store.connection, store.schema, limit=10)
    assert {row.queue: row.unfinished for row in store.rows("SELECT * FROM jobq.levels")} == {"long": None, "short": 1}


def test_figures_are_kept_as_long_as_the_history(store: Any) -> None:
    store.add()
    for days in (3, 40):
        count = Count(store.rows("SELECT now() AS at")[0].at, "q", "c", Outcome.LOST, False, None, None, days)
        metrics.add(store.connection, store.schema, metrics.figures_of([count]))
        store.execute(
            "UPDATE jobq.metrics SET minute = minute - lost * interval '1 day' WHERE minute > now() - interval '1 day'"
        )
    while metrics.fold(store.connection, store.schema, limit=1):
        pass
    metrics.forget(store.connection, store.schema, keep_days=0)
    assert [row.lost for row in store.rows("SELECT lost FROM jobq.all_metrics ORDER BY lost")] == [3, 40]
    metrics.forget(store.connection, store.schema, keep_days=30)
    assert [row.lost for row in store.rows("SELECT lost FROM jobq.all_metrics")] == [3]

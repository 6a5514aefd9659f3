"""The number on a row of the console is the number of the jobs that the row leads to."""

import time
from typing import Any

import pytest
from jobq.tui.live import LiveSource
from jobq.tui.samples import Samples
from jobq.tui.screens.figures_text import ended_filter
from jobq.tui.source import VIEW_BY_NAME, Snapshot, Target
from jobq.tui.troubles import Trouble, troubles

from jobq import observe
from jobq.filters import parse
from jobq.records import ClassRecord, JobRecord
from jobq.states import Outcome
from jobq.store import jobs, metrics, workers
from jobq.store.database import Database

PERIOD, SECONDS = "1h", 3600.0


@pytest.fixture
def source(database: Database) -> LiveSource:
    return LiveSource(database, Target("test", "jobq", "development", is_read_only=True), lambda: None)


@pytest.fixture
def planted(store: Any, report: Any) -> Any:
    """Jobs of two classes: some failed in the last hour and some before, some again and again; others wait."""
    worker = store.worker(classes=[ClassRecord(name, (), (), None) for name in ("shop.jobs.Work", "shop.jobs.Pay")])

    def end(count: int, outcome: Outcome, *, job_class: str, retried: bool = False, hours: float = 0.0) -> None:
        store.add_many(*[{"queue": "ending", "job_class": job_class, "retries": int(retried)}] * count)
        group = {"error_type": "KeyError", "fingerprint": f"{job_class[-3:]}0"} if outcome is Outcome.ERRORED else {}
        delay = {"retry_delay": 600.0} if retried else {}
        claimed = store.claim(worker, ["ending"], classes=["shop.jobs.Work", "shop.jobs.Pay"], most=count)
        reports = [report(one, outcome, **group, **delay) for one in claimed]
        record = jobs.retry if retried else jobs.finish
        ended = record(store.connection, store.schema, worker_id=worker, reports=reports, now=time.monotonic())
        if hours:
            ids = [one.id for one in claimed]
            shift = "UPDATE jobq.results SET ended_at = ended_at - %s * interval '1 hour' WHERE id = ANY (%s)"
            store.execute(shift, hours, ids)
        else:
            metrics.add(store.connection, store.schema, metrics.figures_of(ended.counts))

    end(9, Outcome.ERRORED, job_class="shop.jobs.Work", hours=3)
    end(4, Outcome.ERRORED, job_class="shop.jobs.Work")
    end(6, Outcome.ERRORED, job_class="shop.jobs.Work", retried=True)
    end(7, Outcome.SUCCESSFUL, job_class="shop.jobs.Pay")
    end(2, Outcome.ERRORED, job_class="shop.jobs.Pay")
    store.add_many(*[{"queue": "mail", "job_class": "shop.jobs.Pay"}] * 5, *[{"queue": "mail", "delay": 60}] * 3)
    store.add_many(*[{"queue": "mail", "job_class": "crm.jobs.Merge"}] * 3)
    store.add_many(*[{"queue": "reports", "job_class": "shop.jobs.Pay"}] * 8)
    store.execute("INSERT INTO jobq.queues (name, paused_at, paused_by) VALUES ('reports', now(), 'ana@ops')")
    return store


def led_to(source: LiveSource, view: str, text: str) -> int:
    """How many jobs a filter selects in one of the console's lists: in the list, and for an act."""
    query = source.query(VIEW_BY_NAME[view], text)
    listed: tuple[JobRecord, ...] = source.jobs(query, limit=1000, after=None).jobs
    assert len(source.select(query, lambda _: None).ids) == len(listed)
    return len(listed)


def needs_of(snapshot: Snapshot) -> list[Trouble]:
    return list(troubles(snapshot, Samples(), PERIOD))


def test_a_row_of_failures_counts_only_the_jobs_that_it_leads_to(planted: Any, source: LiveSource) -> None:
    groups = {group.job_class: group for group in source.failures(SECONDS)}
    assert {name: (group.at_rest, group.attempts) for name, group in groups.items()} == {
        "shop.jobs.Work": (4, 10),
        "shop.jobs.Pay": (2, 2),
    }
    for group in groups.values():
        assert led_to(source, "finished", observe.at_rest_filter(group.group, PERIOD)) == group.at_rest
    day = {group.job_class: group for group in source.failures(86400.0)}["shop.jobs.Work"]
    assert led_to(source, "finished", observe.at_rest_filter(day.group, "1d")) == day.at_rest == 13


def test_each_line_of_needs_you_counts_the_jobs_that_its_filter_selects(planted: Any, source: LiveSource) -> None:
    found = needs_of(source.look(SECONDS))
    told = {trouble.need.text.partition(":")[0].split()[0]: trouble.need for trouble in found}
    assert {name: need.jobs for name, need in told.items()} == {
        "crm.jobs.Merge": 3,
        "shop.jobs.Work": 4,
        "shop.jobs.Pay": 2,
        "reports": 8,
    }
    for need in told.values():
        view = "finished" if need.filter.startswith("group:") else "pending"
        assert led_to(source, view, need.filter) == need.jobs
        assert f"{need.jobs} " in need.text


def test_a_row_of_a_queue_counts_the_pending_jobs_that_it_leads_to(planted: Any, source: LiveSource) -> None:
    queues = {queue.name: queue for queue in source.look(SECONDS).stats.queues}
    assert {name: queue.pending for name, queue in queues.items() if queue.pending} == {"mail": 8, "reports": 8}
    for name, queue in queues.items():
        assert led_to(source, "pending", f"queue:{name}") == queue.pending
        assert led_to(source, "scheduled", f"queue:{name}") == queue.scheduled


def test_a_row_of_a_class_counts_the_jobs_that_ended_and_leads_to_them(planted: Any, source: LiveSource) -> None:
    period = source.look(SECONDS).period
    assert {one.name: (one.ended, one.attempts, one.failed_jobs) for one in period.classes} == {
        "shop.jobs.Work": (4, 10, 4),
        "shop.jobs.Pay": (9, 9, 2),
    }
    for one in period.classes:
        assert led_to(source, "finished", ended_filter(one.name, period.since)) == one.ended


def test_a_command_that_helps_selects_as_many_jobs_as_its_need_counts(planted: Any, database: Database) -> None:
    (need,) = [need for need in observe.needs_now(database, PERIOD) if need.name == "shop.jobs.Work"]
    assert need.remedy == f"jobq retry '{need.filter}'"
    assert len(observe.select(database, parse(need.filter)).ids) == need.jobs == 4


def test_jobs_and_attempts_are_counted_apart(planted: Any, database: Database) -> None:
    stats = observe.stats(database)
    assert (stats.outcomes["errored"], stats.finished["errored"]) == (21, 15)
    assert (stats.outcomes["successful"], stats.finished["successful"]) == (7, 7)
    many = observe.stats(database, outcome_limit=20)
    assert (many.outcomes["errored"], many.finished["errored"]) == (20, many.finished["errored"])
    assert many.finished["errored"] <= 15
    assert "errored" in many.estimated


def test_the_longest_running_jobs_are_found_among_many_younger_ones(source: LiveSource, store: Any) -> None:
    worker = store.worker()
    store.execute(
        "INSERT INTO jobq.jobs (job_class, attempt, worker_id, started_at) SELECT 'x', 1, %s, "
        "now() - CASE n WHEN 1 THEN 3600 ELSE 1 END * interval '1 s' FROM generate_series(1, 300) AS n",
        worker,
    )
    workers.note_claims(store.connection, store.schema)
    (oldest,) = store.rows("SELECT min(id) AS id FROM jobq.jobs WHERE state = 'running'")
    snapshot = source.look(SECONDS)
    assert snapshot.stats.running == 300
    assert snapshot.running[0].id == oldest.id
    assert len(snapshot.running) == 100


def test_running_jobs_of_a_worker_that_is_gone_are_stranded(store: Any, database: Database) -> None:
    worker = store.worker(host="web", pid=9)
    store.add_many({}, {})
    store.claim(worker, most=2)
    store.declare_dead(worker)
    assert observe.stuck(database).stranded == (), "others take them over within seconds"
    store.execute("UPDATE jobq.workers SET stopped_at = stopped_at - interval '61 s'")
    (need,) = observe.needs_now(database)
    assert need.text == "web/9 is gone: 2 running jobs, and no worker takes over"

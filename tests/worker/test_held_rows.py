"""Open transactions elsewhere that hold rows and tables: what a worker does meanwhile, and what operators are told."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from psycopg.errors import LockNotAvailable

from jobq import operate
from jobq.errors import DatabaseBusy
from jobq.operate import contended
from jobq.queue_choice import QueueChoice
from jobq.runtime.heartbeat import Heartbeat
from jobq.runtime.ownership import Ownership
from jobq.runtime.registration import Registration
from jobq.runtime.turns import Turns

if TYPE_CHECKING:
    from conftest import Application, Store
    from jobq.store.database import Database

Eventually = Callable[..., Any]

JOBS = """
    import time
    from pathlib import Path

    from jobq import Job, register_job


    @register_job
    class Quick(Job):
        def run(self):
            return 1


    @register_job
    class Works(Job):
        def run(self):
            done = 0
            while not Path("go").exists():
                done += 1
                self.progress(done)
                time.sleep(0.02)

"""

BEATS = {"JOBQ_HEARTBEAT_EVERY": "0.2", "JOBQ_HEARTBEAT_TIMEOUT": "3", "JOBQ_POLL_EVERY": "0.2"}


def add(store: "Store", job_class: str, **fields: Any) -> int:
    job_id = store.add(job_class=f"jobs.{job_class}", **fields)
    assert job_id is not None
    return job_id


def outcomes(store: "Store", job: int) -> list[tuple[str, bool]]:
    return [(result.outcome, result.retried) for result in store.results(job)]


@contextmanager
def held(store: "Store", *statements: str) -> "Iterator[None]":
    """An open transaction of somebody else, which has done this."""
    with store.another() as other, other.connection.transaction(force_rollback=True):
        for statement in statements:
            other.execute(statement)
        yield


@pytest.fixture
def app(application: "Application") -> "Application":
    application.write(
        "pyproject.toml",
        f"""
        [tool.jobq]
        database_url = {json.dumps(database_url_of(application))}

        [tool.jobq.schedules]
        often = {{job = "jobs.Quick", cron = "* * * * *"}}
        """,
    )
    application.write("jobs.py", JOBS)
    return application


def database_url_of(application: "Application") -> str:
    _, _, url = (application.path / "pyproject.toml").read_text().partition("database_url = ")
    return str(json.loads(url.splitlines()[0]))


def test_a_worker_works_on_while_a_row_of_each_kind_is_held(
    app: "Application", store: "Store", database: "Database", eventually: Eventually
) -> None:
    """Its own row, a running job, one with a unique key, a queue's row, a schedule, a result, its figures."""
    finished = add(store, "Quick")
    with app.start("run", "-p", "3", environment=BEATS) as worker:
        eventually(lambda: outcomes(store, finished) == [("successful", False)])
        works, unwanted = add(store, "Works"), add(store, "Works")
        eventually(lambda: store.job(works).progress and store.job(unwanted).progress)
        (row,) = store.rows("SELECT id FROM jobq.workers WHERE stopped_at IS NULL")
        with held(
            store,
            f"SELECT FROM jobq.jobs WHERE id = {works} FOR UPDATE",
            "INSERT INTO jobq.jobs (job_class, unique_key) VALUES ('jobs.Quick', 'held')",
            "INSERT INTO jobq.queues (name) VALUES ('default') ON CONFLICT DO NOTHING",
            "SELECT FROM jobq.schedules FOR UPDATE",
            f"SELECT FROM jobq.results WHERE id = {finished} FOR UPDATE",
            f"SELECT FROM jobq.workers WHERE id = {row.id} FOR UPDATE",
            "SELECT FROM jobq.metrics FOR UPDATE",
        ):
            eventually(lambda: "service=heartbeat leaves out its work" in worker.stderr)
            later = [add(store, "Quick", queue=queue) for queue in ("default", "other")]
            eventually(lambda: all(outcomes(store, job) == [("successful", False)] for job in later))
            eventually(lambda: "the progress of a job" in worker.stderr)
            operate.cancel(database, [unwanted])
            eventually(lambda: outcomes(store, unwanted) == [("cancelled", False)])
        eventually(lambda: store.rows("SELECT FROM jobq.workers WHERE heartbeat_at > now() - interval '1 second'"))
        (app.path / "go").touch()
        eventually(lambda: outcomes(store, works) == [("successful", False)])
        assert store.rows("SELECT FROM jobq.workers WHERE stop_reason = 'silent'") == []


def test_a_heartbeat_whose_row_is_held_stands_in_line_for_it_again_at_once(database: "Database") -> None:
    """Any pause is a time in which the row may be let go of, and another worker find its heartbeat old."""
    beats = Heartbeat(
        database,
        Ownership(0),
        Turns(),
        Registration(database, Ownership(0), QueueChoice(), 1),
        dict,
        on_declared_dead=pytest.fail,
        on_registered=pytest.fail,
        on_stop_requested=pytest.fail,
        on_classes_known=lambda: None,
    )
    assert beats._seconds_after(LockNotAvailable("canceling statement due to lock timeout")) == 0.0


def test_neither_a_held_row_nor_ddl_that_takes_longer_than_the_timeout_has_a_worker_declared_dead(
    app: "Application", store: "Store", eventually: Eventually
) -> None:
    beats = {**BEATS, "JOBQ_HEARTBEAT_TIMEOUT": "2"}
    with app.start("run", "-p", "1", environment=beats) as one, app.start("run", "-p", "1", environment=beats) as other:
        eventually(lambda: "application loaded" in one.stderr and "application loaded" in other.stderr)
        (row,) = store.rows("SELECT id FROM jobq.workers WHERE pid = %s", one.pid)
        with held(store, f"SELECT FROM jobq.workers WHERE id = {row.id} FOR UPDATE"):
            eventually(lambda: "their rows are locked" in one.stderr + other.stderr)
        released = store.rows("SELECT now() AS at")[0].at
        eventually(lambda: store.rows("SELECT FROM jobq.workers WHERE id = %s AND heartbeat_at > %s", row.id, released))

        with held(store, "LOCK TABLE jobq.jobs IN ACCESS EXCLUSIVE MODE"), store.another() as watcher:
            began = watcher.rows("SELECT now() AS at")[0].at
            passed = "SELECT FROM jobq.workers HAVING min(heartbeat_at) > %s + interval '2.5 s' AND count(*) = 2"
            eventually(lambda: watcher.rows(passed, began))
        job = add(store, "Quick")
        eventually(lambda: outcomes(store, job) == [("successful", False)])
        assert store.rows("SELECT FROM jobq.workers WHERE stopped_at IS NOT NULL") == []
        assert "leaves out" in one.stderr + other.stderr


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (contended, sys.modules["jobq.operate.acting"]):
        monkeypatch.setattr(module, "LOCK_SECONDS", 0.2)
    monkeypatch.setattr(contended, "EACH_SECONDS", 0.02)


@pytest.mark.usefixtures("impatient")
def test_acts_on_many_jobs_leave_out_those_that_are_held_and_do_the_others(
    store: "Store", database: "Database", report: Any
) -> None:
    waiting = [add(store, "Quick") for _ in range(20)]
    with held(store, f"SELECT FROM jobq.jobs WHERE id = ANY ('{{{waiting[3]}, {waiting[9]}}}') FOR UPDATE"):
        acted = operate.cancel(database, waiting)
    assert acted.skipped == dict.fromkeys([waiting[3], waiting[9]], contended.HELD)
    assert acted.done == [job for job in waiting if job not in acted.skipped]

    ended = acted.done
    with held(store, f"SELECT FROM jobq.results WHERE id = {ended[0]} FOR UPDATE"):
        acted = operate.retry(database, ended)
        assert (acted.skipped, acted.done) == ({ended[0]: contended.HELD}, ended[1:])
        acted = operate.purge(database, ended[:1])
        assert (acted.skipped, acted.done, acted.act) == ({ended[0]: contended.HELD}, [], None)


@pytest.mark.usefixtures("impatient")
def test_where_everything_is_held_an_act_ends_soon(store: "Store", database: "Database") -> None:
    waiting = [add(store, "Quick") for _ in range(200)]
    with held(store, "SELECT FROM jobq.jobs FOR UPDATE"):
        acted = operate.cancel(database, waiting)
    assert acted.skipped == dict.fromkeys(waiting, contended.HELD)
    assert acted.act is None


@pytest.mark.usefixtures("impatient")
def test_a_queue_whose_row_is_held_is_not_paused_and_the_operator_is_told_why(
    store: "Store", database: "Database"
) -> None:
    operate.pause_queues(database, ["mail"])
    with held(store, "SELECT FROM jobq.queues FOR UPDATE"), pytest.raises(DatabaseBusy, match="open transaction"):
        operate.resume_queues(database, ["mail"])
    assert operate.resume_queues(database, ["mail"]) == ["mail"]

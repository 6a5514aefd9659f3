"""Classes that say what becomes of a held key: enqueued by every way there is, and run by a real worker."""

import asyncio
import os
import signal
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from jobq import Job, enqueue_many, enqueue_many_async, observe, register_job
from jobq.store.database import Database

if TYPE_CHECKING:
    from conftest import Application, Store

Eventually = Callable[..., Any]

QUICK = {"JOBQ_HEARTBEAT_EVERY": "0.2", "JOBQ_HEARTBEAT_TIMEOUT": "1.5", "JOBQ_POLL_EVERY": "0.5"}

JOBS = """
import os
import time
from pathlib import Path

import psycopg

from jobq import Job, register_job

class Sync(Job):
    def __init__(self, version: int, until: str = "", how: str = ""):
        self.version, self.until, self.how = version, until, how

    def get_unique_key(self):
        return "sync"

    def get_retries(self):
        return 1

    def run(self):
        if self.until:
            Path(self.until + ".began").touch()
            while not Path(self.until).exists():
                time.sleep(0.01)
        if self.how == "raise":
            raise ValueError
        if self.how == "complete":
            with psycopg.connect(os.environ["APP_DATABASE_URL"]) as connection:
                self.complete(connection, self.version)
        return self.version

@register_job
class Rerun(Sync):
    on_held = "rerun"

@register_job
class Newest(Sync):
    on_held = "newest"
"""


@register_job
class Note(Job):
    on_held = "rerun"

    def __init__(self, version: int = 0) -> None:
        self.version = version

    def run(self) -> None:
        pass

    def get_unique_key(self) -> str:
        return "note"


def enqueued(application: "Application", job: str) -> str:
    return application.python(f"from jobs import *\nprint({job}.run_in_worker().on_held)").stdout.strip()


@pytest.mark.parametrize("how", ["", "raise", "complete"])
def test_a_running_job_is_followed_by_one_with_the_latest_arguments(
    application: "Application", store: "Store", database_url: str, eventually: Eventually, how: str
) -> None:
    application.write("jobs.py", JOBS)
    until = application.path / "go"
    enqueued(application, f"Rerun(1, {str(until)!r}, {how!r})")
    with application.start("run", environment={**QUICK, "APP_DATABASE_URL": database_url}):
        eventually((application.path / "go.began").exists)
        for version in (2, 3):
            assert enqueued(application, f"Rerun({version})") == "followed"
        assert "another run follows" in application.jobq("show", "1").stdout
        assert "another run follows with newer arguments" in application.jobq("why", "1").stdout
        until.touch()
        eventually(lambda: not store.unfinished())
    assert [(result.outcome, result.value) for result in store.results()] == (
        [("errored", None), ("successful", 3)] if how == "raise" else [("successful", 1), ("successful", 3)]
    )


def test_a_worker_that_is_killed_leaves_the_latest_arguments_to_another(
    application: "Application", store: "Store", eventually: Eventually
) -> None:
    application.write("jobs.py", JOBS)
    enqueued(application, f"Rerun(1, {str(application.path / 'never')!r})")
    with application.start("run", environment=QUICK) as worker:
        eventually((application.path / "never.began").exists)
        assert enqueued(application, "Rerun(2)") == "followed"
        os.kill(worker.pid, signal.SIGKILL)
    with application.start("run", environment=QUICK):
        eventually(lambda: not store.unfinished())
    assert [(result.outcome, result.value) for result in store.results()] == [("lost", None), ("successful", 2)]


def test_the_newest_takes_the_place_of_a_job_that_runs(
    application: "Application", store: "Store", eventually: Eventually
) -> None:
    application.write("jobs.py", JOBS)
    enqueued(application, f"Newest(1, {str(application.path / 'never')!r})")
    with application.start("run", environment=QUICK):
        eventually((application.path / "never.began").exists)
        assert enqueued(application, "Newest(2)") == "followed"
        eventually(lambda: not store.unfinished())
    first, second = store.results()
    assert (first.outcome, second.outcome, second.value) == ("cancelled", "successful", 2)
    assert "a newer job with its key" in first.error_message
    assert second.started_at >= first.ended_at


def test_every_way_to_enqueue_obeys_the_class(database: Database, store: "Store", database_url: str) -> None:
    first = Note(1).run_in_worker()
    assert first is not None
    with psycopg.connect(database_url) as connection:
        replaced = Note(2).run_in_worker(connection=connection)
        assert [job.arguments for job in store.unfinished()] == [{"version": 1}]
    assert replaced is not None
    assert (replaced.id, replaced.on_held, replaced.arguments) == (first.id, "replaced", {"version": 2})

    async def enqueue() -> list[Any]:
        async with await psycopg.AsyncConnection.connect(database_url) as connection:
            return [
                await Note(3).run_in_worker_async(),
                await Note(4).run_in_worker_async(connection=connection),
                *await enqueue_many_async([Note(5), Note(6)], connection=connection),
            ]

    assert {record.id for record in asyncio.run(enqueue())} == {first.id}
    assert {record.id for record in enqueue_many([Note(7), Note(8)]) if record} == {first.id}
    (other,) = enqueue_many([Note(9)])
    assert other is not None
    assert [job.arguments for job in store.unfinished()] == [{"version": 9}]
    assert Note(10).run_in_worker(unique_key="another").id != first.id  # type: ignore[union-attr]


def test_the_record_of_a_running_holder_is_as_the_job_is(database: Database, store: "Store") -> None:
    Note(1).run_in_worker(queue="slow", priority=3, retries=2, timeout=60)
    store.claim(store.worker(), ["slow"], classes=[f"{__name__}.Note"])
    record = Note(2).run_in_worker(delay=60)
    assert record is not None
    seen = observe.show(database, record.id).job
    assert (record.on_held, record.is_followed, seen.is_followed) == ("followed", True, True)
    for name in ("queue", "priority", "state", "attempt", "retries", "arguments", "run_at", "started_at", "timeout"):
        assert getattr(record, name) == getattr(seen, name), name


def test_the_shell_says_what_became_of_the_job(application: "Application", store: "Store") -> None:
    application.write("jobs.py", JOBS)
    assert "as job 1" in application.jobq("enqueue", "jobs.Rerun", "1").stderr
    finished = application.jobq("enqueue", "jobs.Rerun", "2")
    assert (finished.stdout.strip(), finished.returncode) == ("1", 0)
    assert "job 1 held the unique key, and has these arguments now: pending" in finished.stderr
    store.claim(store.worker(), classes=["jobs.Rerun"])
    assert "another run with these arguments follows" in application.jobq("enqueue", "jobs.Rerun", "3").stderr

"""The server's queue of notifications is full, since somebody who listens sits in an open transaction."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from conftest import Store, new_job
from jobq import embedded
from jobq.settings import Settings
from jobq.store import acts, control, enqueueing, jobs, migrations
from jobq.store.database import Database

Connection = psycopg.Connection[tuple[Any, ...]]


@pytest.fixture
def full() -> Iterator[Settings]:
    """A server of its own, with the smallest queue, which is full while the test runs."""
    folder = Path(tempfile.mkdtemp(prefix="jobq-notify-"))
    folder.chmod(0o711)
    home = folder / "home"
    with embedded.attach(home, linger=0) as server, psycopg.connect(server.url, autocommit=True) as connection:
        if connection.info.server_version < 170000:
            pytest.skip("the size of the queue is fixed at 8 GB before PostgreSQL 17")
        for setting in ("max_notify_queue_pages = 64", "fsync = off"):
            connection.execute(f"ALTER SYSTEM SET {setting}".encode())
    embedded.stop(home)
    with embedded.attach(home, linger=0) as server, psycopg.connect(server.url, autocommit=True) as listener:
        settings = Settings(database_url=server.url)
        migrations.migrate(Database(settings))
        listener.execute("LISTEN other")
        listener.execute("BEGIN; SELECT 1")
        with psycopg.connect(server.url, autocommit=True) as notifier:
            fill(notifier)
        yield settings
    embedded.stop(home)
    shutil.rmtree(folder)


def fill(notifier: Connection) -> None:
    with suppress(psycopg.errors.ProgramLimitExceeded):
        while True:
            notifier.execute("SELECT pg_notify('other', repeat('x', 7000) || n) FROM generate_series(1, 5) AS n")


def test_all_that_would_notify_does_its_work_without(full: Settings) -> None:
    settings = replace(full)
    with closing(Database(settings)) as database, Store.on(settings) as store:
        store.execute("UPDATE jobq.workers SET waiting = true WHERE id = %s", worker := store.worker())

        def enqueue_by_sql(connection: Connection) -> object:
            return connection.execute("SELECT jobq.enqueue('shop.jobs.Work')").fetchone()

        schema = database.schema
        first, *_ = store.add_many({}, {}, {"delay": 3600})
        assert first is not None
        (assignment,) = store.claim(worker, most=1)
        calls: list[Callable[[Connection], object]] = [
            lambda connection: enqueueing.enqueue(connection, schema, new_job()),
            lambda connection: enqueueing.enqueue_many(connection, schema, [new_job(), new_job()]),
            enqueue_by_sql,
            lambda connection: jobs.promote(connection, schema, worker_id=0),
            lambda connection: control.pause_queues(connection, schema, ["q"], paused_by="ada", reason=None),
            lambda connection: control.resume_queues(connection, schema, ["q"], act=1),
            lambda connection: control.request_stack(connection, schema, assignment.id),
            lambda connection: acts.request_cancel(connection, schema, [assignment.id], cancelled_by="ada"),
        ]
        with database.connect("test") as connection:
            with pytest.raises(psycopg.errors.ProgramLimitExceeded):  # it is as full as before
                connection.execute("SELECT pg_notify('other', repeat('x', 7999)) FROM generate_series(1, 9)")
            assert all(call(connection) for call in calls)
        assert len(store.unfinished()) == 7

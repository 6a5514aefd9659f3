"""A pytest plugin for applications that use jobq: a database for each test, what was enqueued, and its run.

    from jobq.testing import assert_enqueued, run_due_jobs

    def test_a_new_user_is_welcomed(jobq_database):
        sign_up("ada")
        assert_enqueued(WelcomeUser, arguments={"name": "ada"})
        run_due_jobs(raise_errors=True)

Loaded by pytest wherever jobq is installed, so it loads no database driver until a fixture is asked for.
"""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from jobq.base import Job
    from jobq.functions import JobFunction
    from jobq.records import Assignment, Report
    from jobq.settings import Settings
    from jobq.store.database import Connection, Database

PREFIX = "jobq_test_"

MAX_JOBS = 10_000
"""So many jobs in one call of `run_due_jobs` are a job that enqueues itself."""

MAX_SHOWN = 20


@pytest.fixture(scope="session")
def jobq_databases() -> "Iterator[Databases]":
    """Where the databases of this session come from: JOBQ_TEST_DATABASE_URL, else the embedded PostgreSQL."""
    from jobq.settings import load

    settings = load()
    with server_url(settings) as url, Databases.on(url, settings) as databases:
        yield databases


@pytest.fixture
def jobq_database(jobq_databases: "Databases") -> "Iterator[Database]":
    """A database of the test's own, with jobq's tables in it: `run_in_worker()` enqueues there."""
    with jobq_databases.new() as settings, used(settings) as database:
        yield database


@contextmanager
def used(settings: "Settings") -> "Iterator[Database]":
    """Opens a database and makes it the one that `run_in_worker()` enqueues into."""
    from jobq.store.database import Database, use_database

    database = Database(settings)
    use_database(database)
    try:
        yield database
    finally:
        use_database(None)
        database.close()


@contextmanager
def server_url(settings: "Settings") -> Iterator[str]:
    """The address of the server for tests, kept running meanwhile where it is the embedded one."""
    if url := os.environ.get("JOBQ_TEST_DATABASE_URL"):
        yield url
        return
    from jobq import embedded

    server = embedded.attach(embedded.default_home(settings.root))
    try:
        yield server.url
    finally:
        server.close()


# What was enqueued


@dataclass(frozen=True, slots=True)
class EnqueuedJob:
    """An unfinished job, its arguments as the constructor was called with them."""

    id: int
    job_class: str
    queue: str
    priority: int
    state: str
    unique_key: str | None
    arguments: dict[str, Any]
    delay_seconds: float  # from when it was enqueued to when it is due

    def __str__(self) -> str:
        options = [f"queue={self.queue!r}", f"priority={self.priority}", f"arguments={self.arguments!r}"]
        if self.unique_key is not None:
            options.append(f"unique_key={self.unique_key!r}")
        if self.delay_seconds:
            options.append(f"delay={self.delay_seconds:g} s")
        return f"{self.id}: {self.job_class} {self.state} {' '.join(options)}"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a job must be like; None is anything."""

    job_class: "type[Job] | JobFunction[..., Any] | str"
    queue: str | None
    priority: int | None
    arguments: Mapping[str, Any] | None
    unique_key: str | None
    delay_between: tuple[float | timedelta, float | timedelta] | None

    def fits(self, job: EnqueuedJob) -> bool:
        least, most = (as_seconds(bound) for bound in self.delay_between or (float("-inf"), float("inf")))
        return (
            self._is_class_of(job)
            and self.queue in (None, job.queue)
            and self.priority in (None, job.priority)
            and self.unique_key in (None, job.unique_key)
            and least <= job.delay_seconds <= most
            and all(
                name in job.arguments and job.arguments[name] == value for name, value in (self.arguments or {}).items()
            )
        )

    def _is_class_of(self, job: EnqueuedJob) -> bool:
        from jobq.names import name_of
        from jobq.registry import registry

        found = registry.find(job.job_class)
        return job.job_class == self._name or (found is not None and name_of(found) == self._name)

    @property
    def _name(self) -> str:
        from jobq.names import name_of

        if isinstance(self.job_class, str):
            return self.job_class
        return name_of(self.job_class if isinstance(self.job_class, type) else self.job_class.job_class)

    def __str__(self) -> str:
        options = {
            "queue": self.queue,
            "priority": self.priority,
            "arguments": self.arguments,
            "unique_key": self.unique_key,
            "delay_between": self.delay_between,
        }
        said = ", ".join(f"{name}={value!r}" for name, value in options.items() if value is not None)
        return f"{self._name} with {said}" if said else self._name


def assert_enqueued(
    job_class: "type[Job] | JobFunction[..., Any] | str",
    *,
    queue: str | None = None,
    priority: int | None = None,
    arguments: Mapping[str, Any] | None = None,
    unique_key: str | None = None,
    delay_between: tuple[float | timedelta, float | timedelta] | None = None,
    count: int | None = None,
) -> list[EnqueuedJob]:
    """Asserts that an unfinished job is as described (`count`: that exactly so many are), and returns those that are.

    `arguments` names those that matter; a job may have others. `delay_between` is the least and the most, in seconds
    or as timedeltas, from when a job was enqueued to when it is due. What is not committed is not seen.
    """
    __tracebackhide__ = True
    wanted = Wanted(job_class, queue, priority, arguments, unique_key, delay_between)
    jobs = enqueued_jobs()
    fitting = [job for job in jobs if wanted.fits(job)]
    if (not fitting) if count is None else (len(fitting) != count):
        found = f"{len(fitting)} of {count} jobs are" if count is not None else "No job is"
        raise AssertionError(f"{found} enqueued as {wanted}. {listed(jobs)}")
    return fitting


def refute_enqueued(
    job_class: "type[Job] | JobFunction[..., Any] | str",
    *,
    queue: str | None = None,
    priority: int | None = None,
    arguments: Mapping[str, Any] | None = None,
    unique_key: str | None = None,
    delay_between: tuple[float | timedelta, float | timedelta] | None = None,
) -> None:
    """Asserts that no unfinished job is as described; see `assert_enqueued`."""
    __tracebackhide__ = True
    wanted = Wanted(job_class, queue, priority, arguments, unique_key, delay_between)
    if fitting := [job for job in enqueued_jobs() if wanted.fits(job)]:
        raise AssertionError(f"Nothing should be enqueued as {wanted}. {listed(fitting)}")


def enqueued_jobs() -> list[EnqueuedJob]:
    """Every unfinished job, in the order in which they were enqueued."""
    from jobq.arguments import decode
    from jobq.store.database import default_database
    from jobq.store.statements import quote_identifier

    database = default_database()
    with database.connection() as connection:
        rows = connection.execute(
            "SELECT id, job_class, queue, priority, state, unique_key, arguments::text, "
            "extract(epoch FROM greatest(run_at - enqueued_at, interval '0'))::float8 "
            f"FROM {quote_identifier(database.schema)}.jobs ORDER BY id".encode()
        ).fetchall()
    return [
        EnqueuedJob(job_id, name, queue, priority, state, key, decode(stored), delay)
        for job_id, name, queue, priority, state, key, stored, delay in rows
    ]


def listed(jobs: list[EnqueuedJob]) -> str:
    if not jobs:
        return "Nothing is enqueued."
    lines = [f"  {job}" for job in jobs[:MAX_SHOWN]]
    if len(jobs) > MAX_SHOWN:
        lines.append(f"  … and {len(jobs) - MAX_SHOWN} more")
    return "\n".join(["Enqueued are:", *lines])


def as_seconds(duration: float | timedelta) -> float:
    return duration.total_seconds() if isinstance(duration, timedelta) else float(duration)


# The run of what is due


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt that `run_due_jobs` ran, as it is in the history."""

    id: int
    job_class: str
    attempt: int
    outcome: str
    retried: bool  # another attempt follows, or followed
    value: Any  # what run() returned, where that is kept
    error_type: str | None
    error_message: str | None
    traceback: str | None
    value_note: str | None = None  # why what run() returned was not kept


def run_due_jobs(
    *,
    until: float | timedelta | datetime | None = None,
    limit: int | None = None,
    raise_errors: bool = False,
) -> list[Attempt]:
    """Runs what is due in this process, in the order of service, until nothing is; returns every attempt.

    What the jobs enqueue runs too, and so do retries once their delay is over.

    `until` lets time pass: seconds or a timedelta from now, or an aware datetime; jobs that are scheduled up to then
    run in the order of their times, without waiting (`until=math.inf`: all of them). `limit` is how many attempts
    there are at most. With `raise_errors` the first exception of a job is raised as it is, once recorded.
    """
    from jobq.store.database import default_database

    database = default_database()
    database.prepare()
    with database.explained(), database.connect("test") as connection:
        runner = Runner(connection, database.schema, seconds_from_now(connection, until))
        try:
            return runner.run(limit, raise_errors=raise_errors)
        finally:
            runner.leave()


class Runner:
    """A worker of one call: it claims and records as any worker does, and runs the jobs where it stands."""

    def __init__(self, connection: "Connection", schema: str, seconds_ahead: float) -> None:
        import socket

        from jobq import __version__
        from jobq.store import workers

        self._connection = connection
        self._schema = schema
        self._seconds_ahead = seconds_ahead
        self._held: list[Assignment] = []
        self._error: BaseException | None = None
        self._worker_id = workers.register(
            connection,
            schema,
            host=socket.gethostname() or "localhost",
            pid=os.getpid(),
            version=__version__,
            processes=1,
            queues=[],
            classes=[],
        )

    def run(self, limit: int | None, *, raise_errors: bool) -> list[Attempt]:
        from jobq.runtime import middleware
        from jobq.store.database import default_database

        middleware.use(default_database().settings.middleware)
        attempts: list[Attempt] = []
        while limit is None or len(attempts) < limit:
            if len(attempts) >= MAX_JOBS:
                raise AssertionError(
                    f"{MAX_JOBS:,} jobs were run, the last of {attempts[-1].job_class}, and more are due. "
                    "Does one enqueue itself? Give a limit."
                )
            if not self._claim():
                return attempts
            attempts.append(self._run_one())
            if raise_errors and self._error is not None:
                raise self._error
        return attempts

    def leave(self) -> None:
        """Puts back what was claimed and did not run, and signs off."""
        from jobq.store import jobs, workers

        if self._held:
            jobs.give_back(self._connection, self._schema, worker_id=self._worker_id, assignments=self._held)
        workers.stop(self._connection, self._schema, worker_id=self._worker_id)

    def _claim(self) -> bool:
        """Claims the next job; where none is due, lets time pass to the next that is scheduled."""
        from jobq.registry import registry
        from jobq.store import jobs

        names = [name for name, _ in registry]
        known = [*names, *(alias for name in names for alias in registry.aliases_of(name))]
        while True:
            promotion = jobs.promote(self._connection, self._schema, worker_id=self._worker_id)
            if queues := sorted({*promotion.queues, *promotion.others}):
                self._held = jobs.claim(
                    self._connection,
                    self._schema,
                    worker_id=self._worker_id,
                    positions=[jobs.QueuePosition(queue) for queue in queues],
                    classes=known,
                    most=1,
                )
            if self._held:
                return True
            wait = promotion.next_due_seconds
            if wait is None or wait > self._seconds_ahead:
                return False
            self._let_time_pass(wait)

    def _let_time_pass(self, seconds: float) -> None:
        """The clock is the database's and cannot be moved; what is scheduled moves towards it instead."""
        from jobq.store.statements import quote_identifier

        self._seconds_ahead -= seconds
        table = f"{quote_identifier(self._schema)}.jobs".replace("%", "%%")
        self._connection.execute(
            f"UPDATE {table} SET run_at = run_at - %s * interval '1 second' WHERE state = 'scheduled'".encode(),
            [seconds],
        )

    def _run_one(self) -> Attempt:
        from jobq.registry import registry
        from jobq.runtime.executor import execute

        (assignment,) = self._held
        report = execute(assignment, registry, on_error=self._keep)
        self._record(report)
        self._held = []
        return attempt_of(assignment, report)

    def _keep(self, error: BaseException) -> None:
        if isinstance(error, KeyboardInterrupt):  # meant for the test, not for the job
            raise error
        self._error = self._error or error

    def _record(self, report: "Report") -> None:
        from time import monotonic

        from jobq.store import jobs

        record = jobs.finish if report.retry_delay is None else jobs.retry
        record(self._connection, self._schema, worker_id=self._worker_id, reports=[report], now=monotonic())


def attempt_of(assignment: "Assignment", report: "Report") -> Attempt:
    from jobq.arguments import decoded, value_and_note

    stored, note = value_and_note(None if report.value is None else json.loads(report.value))
    return Attempt(
        id=report.id,
        job_class=assignment.job_class,
        attempt=report.attempt,
        outcome=report.outcome,
        retried=report.retry_delay is not None,
        value=decoded(stored),
        value_note=note,
        error_type=report.error_type,
        error_message=report.error_message,
        traceback=report.traceback,
    )


def seconds_from_now(connection: "Connection", until: float | timedelta | datetime | None) -> float:
    if until is None:
        return 0.0
    if not isinstance(until, datetime):
        return as_seconds(until)
    if until.utcoffset() is None:
        raise ValueError(f"until is the naive datetime {until.isoformat()}: give it a time zone.")
    row = connection.execute("SELECT extract(epoch FROM %s - now())::float8", [until]).fetchone()
    assert row is not None
    return float(row[0])


# Where the databases come from


class Databases:
    """Databases for the tests of one session, each a copy of a template that was migrated once.

    Where the role may not create databases, each test gets a schema of its own instead.
    """

    def __init__(self, connection: Any, url: str, settings: "Settings") -> None:
        from secrets import token_hex

        self._connection = connection
        self._url = url
        self._settings = settings
        self._session = token_hex(4)
        # Advisory locks are a database's own: only what was made from the same one can be told dead or alive.
        (origin,) = self._execute("SELECT oid FROM pg_database WHERE datname = current_database()").fetchone()
        self._prefix = f"{PREFIX}{origin}_"
        self._names = (f"{self._prefix}{self._session}_{number}" for number in count())
        self._template: str | None = None
        # To copy the files takes a checkpoint, which is cheap only where nothing waits for the disk.
        is_durable = self._execute("SHOW fsync").fetchone() == ("on",)
        self._strategy = "WAL_LOG" if is_durable else "FILE_COPY"

    @classmethod
    @contextmanager
    def on(cls, url: str, settings: "Settings") -> "Iterator[Databases]":
        """Makes databases on the server at `url`, and leaves nothing behind."""
        import psycopg

        with psycopg.connect(url, autocommit=True) as connection:
            databases = cls(connection, url, settings)
            databases._sweep()
            try:
                if databases._may_create_databases():
                    databases._make_template()
                yield databases
            finally:
                if databases._template is not None:
                    databases._drop("DATABASE", databases._template)

    @contextmanager
    def new(self) -> "Iterator[Settings]":
        """A database for one test, as the settings that lead to it; dropped afterwards."""
        if self._template is not None:
            with self._clone(self._template) as settings:
                yield settings
        else:
            with self._schema() as settings:
                yield settings

    @contextmanager
    def _clone(self, template: str) -> "Iterator[Settings]":
        name = next(self._names)
        self._execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY {self._strategy}")
        try:
            yield self._settings_for(name)
        finally:
            self._drop("DATABASE", name)

    @contextmanager
    def _schema(self) -> "Iterator[Settings]":
        name = next(self._names)
        settings = replace(self._settings, database_url=self._url, schema=name)
        try:
            migrate(settings)
            yield settings
        finally:
            self._drop("SCHEMA", name)

    def _make_template(self) -> None:
        self._template = next(self._names)
        self._execute(f"CREATE DATABASE {self._template}")
        migrate(self._settings_for(self._template))

    def _settings_for(self, name: str) -> "Settings":
        from psycopg.conninfo import make_conninfo

        return replace(self._settings, database_url=make_conninfo(self._url, dbname=name))

    def _may_create_databases(self) -> bool:
        (may,) = self._execute("SELECT rolcreatedb OR rolsuper FROM pg_roles WHERE rolname = current_user").fetchone()
        return bool(may)

    def _sweep(self) -> None:
        """Drops what sessions left behind that were killed: a session that lives holds a lock on its name."""
        self._execute("SELECT pg_advisory_lock(hashtext(%s))", [self._session])
        for kind, catalog, column in (
            ("DATABASE", "pg_database", "datname"),
            ("SCHEMA", "pg_namespace", "nspname"),
        ):
            found = self._execute(f"SELECT {column} FROM {catalog} WHERE starts_with({column}, %s)", [self._prefix])
            for (name,) in found.fetchall():
                session = name.removeprefix(self._prefix).split("_")[0]
                if session == self._session:
                    continue
                (dead,) = self._execute("SELECT pg_try_advisory_lock(hashtext(%s))", [session]).fetchone()
                if dead:
                    self._drop(kind, name)
                    self._execute("SELECT pg_advisory_unlock(hashtext(%s))", [session])

    def _drop(self, kind: str, name: str) -> None:
        # FORCE: a connection that a test forgot is that test's failure, not the next one's.
        self._execute(f"DROP {kind} IF EXISTS {name} {'WITH (FORCE)' if kind == 'DATABASE' else 'CASCADE'}")

    def _execute(self, statement: str, parameters: list[str] | None = None) -> Any:
        return self._connection.execute(statement, parameters)


def migrate(settings: "Settings") -> None:
    from jobq.store import migrations
    from jobq.store.database import Database

    database = Database(settings)
    try:
        migrations.migrate(database)
    finally:
        database.close()

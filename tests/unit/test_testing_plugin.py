"""What users have for their tests: databases of their own, what was enqueued, and its run in the same process."""

import math
import os
import subprocess
import sys
import traceback
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from jobq import Job, embedded, register_job, testing
from jobq.registry import registry
from jobq.settings import Settings
from jobq.store.database import Database, default_database
from jobq.testing import Databases, assert_enqueued, assertions, databases, refute_enqueued, run_due_jobs, running, used
from jobq.testing.databases import server_url

pytestmark = pytest.mark.usefixtures("database")

RAN: list[str] = []


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    RAN.clear()
    yield
    RAN.clear()


@register_job
class Note(Job):
    """Notes that it ran."""

    def __init__(self, text: str, when: datetime | None = None) -> None:
        self.text = text

    def run(self) -> str:
        RAN.append(self.text)
        return self.text.upper()


@register_job
class Fails(Job):
    def __init__(self, times: int = 1, delay: float = 0) -> None:
        self.times = times
        self.delay = delay

    def run(self) -> None:
        RAN.append("failed")
        if len(RAN) <= self.times:
            raise LookupError(f"no paint, {self.times} times")

    def get_retries(self) -> int:
        return 3

    def get_retry_delay(self, attempt: int) -> float:
        return self.delay


@register_job
class Again(Job):
    def __init__(self, delay: float = 0) -> None:
        self.delay = delay

    def run(self) -> None:
        RAN.append("again")
        Again(self.delay).run_in_worker(delay=self.delay)


def enqueue_some() -> None:
    Note("a").run_in_worker(queue="mail", priority=5)
    Note("b", when=datetime(2030, 1, 1, tzinfo=UTC)).run_in_worker(delay=90, unique_key="k")
    Note("c").run_in_worker()


# What was enqueued


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"count": 3},
        {"queue": "mail"},
        {"queue": "mail", "count": 1},
        {"queue": "mail", "priority": 5, "arguments": {"text": "a"}},
        {"priority": 0, "count": 2},
        {"unique_key": "k"},
        {"arguments": {"when": datetime(2030, 1, 1, tzinfo=UTC)}},
        {"arguments": {"text": "b"}, "delay_between": (80, 100)},
        {"delay_between": (timedelta(minutes=1), timedelta(minutes=2)), "count": 1},
        {"delay_between": (0, 0), "count": 2},
    ],
)
def test_a_job_that_was_enqueued_so_is_found(options: dict[str, Any]) -> None:
    enqueue_some()
    found = assert_enqueued(Note, **options)
    assert len(found) == options.get("count", len(found)) > 0
    assert assert_enqueued(f"{__name__}.Note", **options) == found
    if "count" not in options:
        with pytest.raises(AssertionError, match="Nothing should be enqueued as"):
            refute_enqueued(Note, **options)


@pytest.mark.parametrize(
    "options",
    [
        {"queue": "post"},
        {"queue": "default", "priority": 5},
        {"arguments": {"text": "d"}},
        {"arguments": {"colour": None}},
        {"unique_key": "other"},
        {"delay_between": (100, 200)},
        {"delay_between": (1, timedelta(seconds=80))},
    ],
)
def test_a_job_that_was_not_enqueued_so_is_missed(options: dict[str, Any]) -> None:
    enqueue_some()
    refute_enqueued(Note, **options)
    with pytest.raises(AssertionError, match=r"^No job is enqueued as .*Note with "):
        assert_enqueued(Note, **options)
    assert assert_enqueued(Note, **options, count=0) == []


def test_another_class_is_no_match() -> None:
    enqueue_some()
    refute_enqueued(Again)
    with pytest.raises(AssertionError, match="No job is enqueued as"):
        assert_enqueued(Again)


def test_a_wrong_count_says_how_many_there_are() -> None:
    enqueue_some()
    with pytest.raises(AssertionError, match=r"^3 of 2 jobs are enqueued as"):
        assert_enqueued(Note, count=2)


def test_a_failure_lists_what_is_enqueued_instead() -> None:
    enqueue_some()
    with pytest.raises(AssertionError) as caught:
        assert_enqueued(Note, queue="post", arguments={"text": "a"})
    message = str(caught.value)
    assert "Note with queue='post', arguments={'text': 'a'}" in message
    first, second, _ = message.splitlines()[1:]
    assert "Note pending queue='mail' priority=5 arguments={'text': 'a'}" in first
    assert "scheduled" in second
    assert "unique_key='k' delay=90 s" in second


def test_a_failure_with_nothing_enqueued_says_so() -> None:
    with pytest.raises(AssertionError, match=r"Nothing is enqueued\.$"):
        assert_enqueued(Note)


def test_a_failure_does_not_list_hundreds_of_jobs() -> None:
    for _ in range(assertions.MAX_SHOWN + 5):
        Note("a").run_in_worker()
    with pytest.raises(AssertionError, match=r"… and 5 more$"):
        assert_enqueued(Again)


def test_a_job_under_an_alias_is_of_its_class(connection: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_aliases", {"shop.Old": f"{__name__}.Note"})
    Note("a").run_in_worker()
    connection.execute("UPDATE jobq.jobs SET job_class = 'shop.Old'")
    assert_enqueued(Note, count=1)


def test_a_job_that_ran_is_not_enqueued_any_more() -> None:
    Note("a").run_in_worker()
    run_due_jobs()
    refute_enqueued(Note)


# The run of what is due


def test_due_jobs_run_in_the_order_of_service() -> None:
    for text, priority in (("third", 0), ("first", 9), ("fourth", 0), ("second", 5)):
        Note(text).run_in_worker(priority=priority, queue=f"queue of {text}")
    attempts = run_due_jobs()
    assert RAN == ["first", "second", "third", "fourth"]
    assert [(attempt.outcome, attempt.attempt, attempt.retried, attempt.value) for attempt in attempts] == [
        ("successful", 1, False, text.upper()) for text in RAN
    ]


def test_what_ran_is_in_the_history_as_a_worker_would_have_it(store: Any) -> None:
    Note("a").run_in_worker()
    run_due_jobs()
    assert store.unfinished() == []
    (result,) = store.results()
    assert (result.outcome, result.value, result.worker_id) == ("successful", "A", 1)
    assert store.rows("SELECT stop_reason FROM jobq.workers")[0].stop_reason == "stopped"


def test_what_jobs_enqueue_runs_too() -> None:
    Again().run_in_worker()
    assert len(run_due_jobs(limit=3)) == 3
    assert_enqueued(Again, count=1)


def test_a_job_that_enqueues_itself_without_end_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "MAX_JOBS", 7)
    Again().run_in_worker()
    with pytest.raises(AssertionError, match=r"7 jobs were run, the last of .*Again.*Give a limit"):
        run_due_jobs()
    assert len(RAN) == 7


def test_scheduled_jobs_wait_unless_time_passes() -> None:
    Note("soon").run_in_worker(delay=60)
    Note("later").run_in_worker(delay=7200)
    Note("now").run_in_worker()
    assert [attempt.value for attempt in run_due_jobs()] == ["NOW"]
    assert [attempt.value for attempt in run_due_jobs(until=3600)] == ["SOON"]
    refute_enqueued(Note, arguments={"text": "soon"})
    assert [attempt.value for attempt in run_due_jobs(until=math.inf)] == ["LATER"]


@pytest.mark.parametrize(
    "until", [3600, timedelta(hours=1), datetime.now(UTC) + timedelta(hours=1)], ids=["seconds", "delta", "time"]
)
def test_time_passes_until_then_and_no_further(until: Any) -> None:
    Note("in time").run_in_worker(delay=1800)
    Note("too late").run_in_worker(delay=5400)
    run_due_jobs(until=until)
    assert RAN == ["in time"]


def test_a_naive_time_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        run_due_jobs(until=datetime(2030, 1, 1))  # noqa: DTZ001 - the naive one is the point


def test_time_passes_from_one_scheduled_job_to_the_next_whatever_their_priorities() -> None:
    for seconds, priority in ((300, 9), (100, 0), (200, 5)):
        Note(f"{seconds}").run_in_worker(delay=seconds, priority=priority)
    run_due_jobs(until=1000)
    assert RAN == ["100", "200", "300"]


def test_a_job_that_schedules_itself_runs_as_often_as_the_time_allows() -> None:
    Again(delay=60).run_in_worker(delay=60)
    run_due_jobs(until=300.5)
    assert 4 <= len(RAN) <= 5, "the statements take their own time"
    assert_enqueued(Again, count=1)


def test_a_retry_that_is_due_runs_too() -> None:
    Fails(times=2).run_in_worker()
    attempts = run_due_jobs(raise_errors=False)
    assert [(attempt.attempt, attempt.outcome, attempt.retried) for attempt in attempts] == [
        (1, "errored", True),
        (2, "errored", True),
        (3, "successful", False),
    ]
    assert (attempts[0].error_type, attempts[0].error_message) == ("LookupError", "no paint, 2 times")
    assert "raise LookupError" in (attempts[0].traceback or "")


def test_a_retry_waits_for_its_delay_as_any_scheduled_job() -> None:
    Fails(times=1, delay=600).run_in_worker()
    assert [attempt.outcome for attempt in run_due_jobs(raise_errors=False)] == ["errored"]
    assert_enqueued(Fails, delay_between=(600, 700))
    assert [attempt.outcome for attempt in run_due_jobs(until=601)] == ["successful"]


def test_where_errors_are_not_raised_they_are_in_the_history(store: Any) -> None:
    Fails(times=9).run_in_worker(retries=0)
    Note("after").run_in_worker()
    assert [attempt.outcome for attempt in run_due_jobs(raise_errors=False)] == ["errored", "successful"]
    assert [result.outcome for result in store.results()] == ["errored", "successful"]


def test_the_first_error_is_raised_as_it_is(store: Any) -> None:
    Fails(times=9).run_in_worker(retries=0)
    Note("after").run_in_worker()
    with pytest.raises(LookupError, match="no paint, 9 times") as caught:
        run_due_jobs()
    last = traceback.extract_tb(caught.value.__traceback__)[-1]
    assert (last.filename, last.name) == (__file__, "run")
    assert [result.outcome for result in store.results()] == ["errored"], "recorded all the same"
    assert [job.state for job in store.unfinished()] == ["pending"]


def test_an_interrupt_ends_the_test_and_gives_the_job_back(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(self: Note) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Note, "run", interrupt)
    Note("a").run_in_worker()
    with pytest.raises(KeyboardInterrupt):
        run_due_jobs()
    assert [(job.state, job.attempt) for job in store.unfinished()] == [("pending", 0)]
    assert store.results() == []


def test_jobs_of_unknown_classes_and_paused_queues_stay(store: Any) -> None:
    store.add(job_class="shop.jobs.Gone")
    Note("paused").run_in_worker(queue="mail")
    store.execute("INSERT INTO jobq.queues (name, paused_at) VALUES ('mail', now())")
    assert run_due_jobs() == []
    assert len(store.unfinished()) == 2


# Databases of their own


def names_in(url: str) -> set[str]:
    with psycopg.connect(url, autocommit=True) as connection:
        rows = connection.execute("SELECT datname FROM pg_database UNION SELECT nspname FROM pg_namespace").fetchall()
    return {name for (name,) in rows if name.startswith(databases.PREFIX)}


def test_each_test_has_a_database_that_nobody_else_sees(server: str) -> None:
    with Databases.on(server, Settings()) as found, found.new() as one, found.new() as two:
        assert one.database_url != two.database_url
        with used(one):
            Note("a").run_in_worker()
            assert_enqueued(Note)
        with used(two):
            refute_enqueued(Note)


def test_nothing_is_left_behind(server: str) -> None:
    with Databases.on(server, Settings()) as found, found.new() as settings:
        name = psycopg.conninfo.conninfo_to_dict(settings.database_url or "")["dbname"]
        session = str(name).rpartition("_")[0]
        assert name in names_in(server)
    assert not any(left.startswith(session) for left in names_in(server))


def test_what_a_killed_session_left_is_swept_up_and_a_living_ones_is_not(server: str) -> None:
    with Databases.on(server, Settings()) as living, living.new() as kept:
        alive = str(psycopg.conninfo.conninfo_to_dict(kept.database_url or "")["dbname"])
        dead = "_".join([*alive.split("_")[:-2], "dead", "0"])
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {dead}")
        with Databases.on(server, Settings()):
            assert dead not in names_in(server)
            assert alive in names_in(server)


def test_a_session_of_tests_leaves_no_lock_with_a_session_of_the_server(server: str) -> None:
    """A pooler would hand it to somebody else, and nobody could let go of it."""
    with Databases.on(server, Settings()) as living, psycopg.connect(server, autocommit=True) as connection:
        pids = (living._connection.info.backend_pid, living._alive.info.backend_pid)
        held = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND pid = ANY (%s)"
        assert connection.execute(held, [list(pids)]).fetchall() == [(pids[1],)]
        living._alive.rollback()  # the end of its transaction
        assert connection.execute(held, [list(pids)]).fetchall() == []


def test_a_session_on_another_database_of_the_server_sweeps_up_nothing_here(server: str, database_url: str) -> None:
    with Databases.on(server, Settings()) as living, living.new() as kept, Databases.on(database_url, Settings()):
        assert psycopg.conninfo.conninfo_to_dict(kept.database_url or "")["dbname"] in names_in(server)


@pytest.fixture
def poor_url(server: str, database_url: str) -> Iterator[str]:
    """A database whose role may make schemas in it, and no databases."""
    role = str(psycopg.conninfo.conninfo_to_dict(database_url)["dbname"]).replace("jobq_test", "poor")
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("DROP SCHEMA jobq CASCADE")
        connection.execute(f"CREATE ROLE {role} LOGIN")
        connection.execute(f"GRANT CREATE ON DATABASE {connection.info.dbname} TO {role}")
        yield make_conninfo(database_url, user=role)
        connection.execute(f"DROP OWNED BY {role}")
        connection.execute(f"DROP ROLE {role}")


def test_a_role_that_may_not_create_databases_gets_a_schema_for_each_test(poor_url: str) -> None:
    with Databases.on(poor_url, Settings()) as found:
        with found.new() as one, found.new() as two:
            assert one.database_url == two.database_url
            assert one.schema != two.schema
            with used(one):
                Note("a").run_in_worker(delay=60)
                assert_enqueued(Note)
                assert len(run_due_jobs(until=61)) == 1
            with used(two):
                refute_enqueued(Note)
        assert names_in(poor_url) & {one.schema, two.schema} == set()


def test_without_an_address_the_databases_are_on_the_embedded_server(monkeypatch: pytest.MonkeyPatch) -> None:
    home = Path(os.environ["JOBQ_TEST_HOME"]) / "server"
    monkeypatch.delenv("JOBQ_TEST_DATABASE_URL", raising=False)
    monkeypatch.setattr(embedded, "default_home", lambda root: home)
    with server_url(Settings()) as url, psycopg.connect(url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_outside_of_a_test_with_a_database_the_configured_one_is_used_again(server: str) -> None:
    with Databases.on(server, Settings()) as found, found.new() as settings:
        with used(settings) as database:
            assert default_database() is database
        assert default_database() is not database


TESTS = """
    from jobq import Job, register_job
    from jobq.testing import assert_enqueued, refute_enqueued, run_due_jobs

    @register_job
    class Hello(Job):
        def __init__(self, name):
            self.name = name

        def run(self):
            if self.name == "nobody":
                raise ValueError("nobody is there")
            return f"hello {self.name}"

    def test_first(jobq_database):
        refute_enqueued(Hello)
        Hello("ada").run_in_worker()
        assert_enqueued(Hello, arguments={"name": "ada"}, count=1)
        assert [attempt.value for attempt in run_due_jobs()] == ["hello ada"]

    def test_second(jobq_database):
        refute_enqueued(Hello)
        Hello("ada").run_in_worker(delay=60)

    def test_that_fails(jobq_database):
        Hello("nobody").run_in_worker()
        run_due_jobs()

    def test_without_a_database():
        pass
"""


def test_the_plugin_works_in_an_application_of_its_own(application: Any, server: str) -> None:
    application.write("pyproject.toml", "[tool.jobq]\nschema = 'Their \"own\"'\n")
    application.write("test_hello.py", TESTS)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-W", "error", "-q", "-n2"],
        cwd=application.path,
        env={**os.environ, "JOBQ_TEST_DATABASE_URL": server, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert "1 failed, 3 passed" in done.stdout, done.stdout + done.stderr
    assert "ValueError: nobody is there" in done.stdout
    assert 'raise ValueError("nobody is there")' in done.stdout, "the line of the user's own job"
    assert done.stderr == ""


def test_without_pytest_everything_but_the_fixtures_is_there() -> None:
    program = (
        "import sys; sys.modules['pytest'] = None; import jobq.testing as testing; "
        "print(*(getattr(testing, name).__name__ for name in testing.__all__))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == testing.__all__


def test_a_database_keeps_the_other_settings_of_the_application(server: str) -> None:
    own = replace(Settings(), max_losses=9, schema="their own")
    with Databases.on(server, own) as found, found.new() as settings:
        assert (settings.max_losses, settings.schema) == (9, "their own")
        with Database(settings).connect("test") as connection:
            assert connection.execute('SELECT count(*) FROM "their own".jobs').fetchone() == (0,)

"""One pool of sessions for jobq and another application: nothing of jobq's is ever left on them."""

import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from conftest import new_job
from jobq import filters, observe
from jobq.errors import DatabaseUnreachable
from jobq.observe.reading import reading
from jobq.settings import Settings
from jobq.store import enqueueing
from jobq.store.database import Database
from tests.chaos.proxy import Proxy, through, upstream_of
from tests.faults.poolers import PROGRAM, pooler

if TYPE_CHECKING:
    from conftest import Application

Connection = psycopg.Connection[tuple[Any, ...]]

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="needs pgbouncer")

SIZES = {"transaction": 3, "session": 20}
"""Sessions of the server in the pool. By session, each connection of a worker holds one."""

NEIGHBOURS_OWN = '"_pg3_0"'
"""The name that the neighbour's statement is prepared under: psycopg's first one, so jobq's would be the same."""

CUSTOMERS = "CREATE TABLE public.customers AS SELECT generate_series(1, 3) AS id"

SETTINGS = "SELECT name, setting FROM pg_settings WHERE name NOT IN ('application_name', 'client_encoding')"

LEFT_BEHIND = """
    SELECT 'LISTEN ' || channel FROM pg_listening_channels() AS channel
    UNION ALL
    SELECT statement FROM pg_prepared_statements WHERE name <> '_pg3_0'
    UNION ALL
    SELECT 'a lock' FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()
"""

JOBS = """
    from jobq import Job, register_job


    @register_job
    class Greet(Job):
        def run(self):
            return "hello"
"""


@dataclass(slots=True)
class Neighbour:
    """Another application on the same pool, which looks at every session of it."""

    address: str
    sessions: int
    settings: dict[str, str] = field(default_factory=dict)
    rounds: int = 0

    @contextmanager
    def looking(self) -> Iterator[None]:
        """Looks again and again, all the while; what it finds fails the test."""
        stop = threading.Event()

        def look() -> None:
            while not stop.is_set():
                self.look()

        with ThreadPoolExecutor(1) as executor:
            running = executor.submit(look)
            try:
                yield
            finally:
                stop.set()
                running.result()

    def look(self) -> None:
        """Holds as many sessions as there may be, each in a transaction, so that none is seen twice."""
        with ExitStack() as stack:
            held = [self._enter(stack) for _ in range(self.sessions)]
            for connection in held:
                self._look_at(connection)
        self.rounds += 1

    def _enter(self, stack: ExitStack) -> Connection:
        connection = psycopg.connect(self.address, prepare_threshold=None, application_name="neighbour")
        stack.callback(connection.close)
        connection.execute("SELECT")
        return connection

    def _look_at(self, connection: Connection) -> None:
        assert connection.execute("SELECT count(*) FROM customers").fetchall() == [(3,)]
        settings = dict(connection.execute(SETTINGS).fetchall())
        self.settings = self.settings or settings
        # Settings of PL/pgSQL appear in a session that has called a function of jobq's.
        changed = {name: value for name, value in settings.items() if self.settings.get(name, value) != value}
        assert changed == {}
        assert connection.execute(LEFT_BEHIND).fetchall() == []
        if not connection.execute("SELECT FROM pg_prepared_statements WHERE name = '_pg3_0'").fetchall():
            connection.execute(f"PREPARE {NEIGHBOURS_OWN} AS SELECT 'the neighbour''s'".encode())
        assert connection.execute(f"EXECUTE {NEIGHBOURS_OWN}".encode()).fetchall() == [("the neighbour's",)]
        connection.commit()


@pytest.fixture
def pool_folder() -> Iterator[Path]:
    """Short enough for a socket's name, and open to the account that the server runs as."""
    folder = Path(tempfile.mkdtemp(prefix="jobq-pool-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(params=["transaction", "session"])
def mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=["extra_float_digits", "extra_float_digits, options"], ids=["refuses", "ignores"])
def address(
    request: pytest.FixtureRequest, mode: str, pool_folder: Path, database_url: str, connection: Connection
) -> Iterator[str]:
    """That of the pooler, which refuses a connection that begins with settings, or leaves them out silently."""
    connection.execute(CUSTOMERS.encode())
    with pooler(pool_folder, database_url, mode=mode, size=SIZES[mode], ignored=request.param) as address:
        yield address


@pytest.fixture
def neighbour(address: str, mode: str) -> Neighbour:
    neighbour = Neighbour(address, SIZES[mode] if mode == "transaction" else 6)
    neighbour.look()
    return neighbour


def test_no_command_leaves_anything_on_a_shared_session(
    address: str, neighbour: Neighbour, application: "Application"
) -> None:
    application.write("jobs.py", JOBS)
    at = {"JOBQ_DATABASE_URL": address}
    for command in ("doctor", "migrate", "enqueue jobs.Greet", "list", "pause default", "stats"):
        finished = application.jobq(*command.split(), environment=at)
        assert finished.returncode == (1 if command == "doctor" else 0), finished.stderr  # no worker runs
        assert "could not be checked" not in finished.stdout
        assert finished.stderr.count("is a pooler") == 1
        neighbour.look()


def test_a_worker_leaves_nothing_on_a_shared_session_while_it_runs(
    address: str, neighbour: Neighbour, application: "Application", store: Any, eventually: Callable[..., Any]
) -> None:
    application.write("jobs.py", JOBS)
    at = {"JOBQ_DATABASE_URL": address}
    with application.start("run", "--max-processes", "1", environment=at) as worker, neighbour.looking():
        ids = [store.add(job_class="jobs.Greet") for _ in range(30)]
        eventually(lambda: len(store.results()) == len(ids))
        worker.process.terminate()
        assert worker.wait() == 0
    neighbour.look()
    assert {result.outcome for result in store.results()} == {"successful"}
    assert worker.stderr.count("is a pooler") == 1


def test_a_program_that_enqueues_leaves_nothing_on_a_shared_session(
    address: str, neighbour: Neighbour, settings: Settings
) -> None:
    with closing(Database(replace(settings, database_url=address))) as database:
        for _ in range(6):  # past the number of uses after which a statement would be prepared
            with database.connection() as own:
                enqueueing.enqueue(own, "jobq", new_job())
                enqueueing.enqueue_many(own, "jobq", [new_job()] * 200)
            observe.list_jobs(database, filters.parse(""))
            neighbour.look()
        assert database.is_pooled


def test_a_connection_of_the_caller_keeps_its_settings(address: str, neighbour: Neighbour, settings: Settings) -> None:
    with psycopg.connect(address, autocommit=True, prepare_threshold=None) as own:
        for _ in range(6):
            enqueueing.enqueue(own, "jobq", new_job())
    neighbour.look()


def test_threads_that_find_the_pooler_at_once_leave_nothing(
    address: str, neighbour: Neighbour, settings: Settings
) -> None:
    database = Database(replace(settings, database_url=address))
    threads = [threading.Thread(target=lambda: database.connect("test").close()) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert database.is_pooled
    neighbour.look()


def test_a_pooler_by_statement_is_refused_in_a_sentence(
    pool_folder: Path, database_url: str, settings: Settings
) -> None:
    with (
        pooler(pool_folder, database_url, mode="statement", size=3) as address,
        closing(Database(replace(settings, database_url=address))) as database,
        pytest.raises(DatabaseUnreachable, match="pool_mode to transaction"),
        reading(database),
    ):
        pytest.fail("a transaction began in statement mode")


def test_settings_of_the_user_that_the_pooler_refuses_are_named(
    pool_folder: Path, database_url: str, settings: Settings
) -> None:
    with pooler(pool_folder, database_url, mode="transaction", size=3) as address:
        given = make_conninfo(address, options="-c work_mem=7MB")
        database = Database(replace(settings, database_url=given))
        with pytest.raises(DatabaseUnreachable, match="ignore_startup_parameters"), database.explained():
            database.connect("test")


def test_whoever_runs_goes_on_when_the_address_comes_to_lead_to_a_pooler(
    pool_folder: Path,
    database_url: str,
    settings: Settings,
    application: "Application",
    connection: Connection,
    store: Any,
    eventually: Callable[..., Any],
) -> None:
    """As when a pooler is put in between: a worker, and the pool of a program that enqueues."""
    connection.execute(CUSTOMERS.encode())
    application.write("jobs.py", JOBS)
    with (
        pooler(pool_folder, database_url, mode="transaction", size=3) as address,
        closing(Proxy(upstream_of(database_url))) as proxy,
        closing(Database(replace(settings, database_url=through(proxy, database_url)))) as database,
        application.start("run", "--max-processes", "1", environment={"JOBQ_DATABASE_URL": database.url}) as worker,
    ):
        eventually(lambda: store.rows("SELECT FROM jobq.workers WHERE waiting"))
        with database.connection() as own:
            assert own.execute("SHOW search_path").fetchone() == ("pg_catalog, pg_temp",)
        proxy.cut()
        proxy.upstream = upstream_of(address)
        proxy.heal()
        added = eventually(lambda: enqueued(database))
        eventually(lambda: store.results(added.id))
        eventually(lambda: "is a pooler" in worker.stderr)
        Neighbour(address, SIZES["transaction"]).look()
    assert database.is_pooled


def enqueued(database: Database) -> Any:
    """None where the pool still had a connection that was cut a moment ago."""
    with suppress(DatabaseUnreachable), database.connection() as own:
        return enqueueing.enqueue(own, "jobq", new_job(job_class="jobs.Greet"))
    return None

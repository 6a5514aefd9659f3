"""What every such run has: an application in a folder, those who enqueue and operate, workers, ledger and checker."""

import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from textwrap import dedent
from typing import Any

import psycopg

from tests.chaos.application import ENQUEUER, EXACTLY_ONCE, GATE_LIMITS, JOBS, MAY_ERROR, NEIGHBOUR, OPERATOR
from tests.chaos.hosts import Host
from tests.chaos.workers import Worker, orphans_of
from tests.faults import ledger
from tests.faults.ledger import Evidence, Fault, Violation

SCHEMA = "jobq_chaos"
HEARTBEAT_TIMEOUT = 3.0
MAX_LOSSES = 8
MEMORY_LIMIT = 250
MOST_WAITING = 600
"""With so many unfinished jobs enqueuers wait, so that nothing is far behind when the faults end."""

DRAIN_SECONDS = 150.0

ROLES = ("worker", "enqueuer", "operator")

TABLES_OF = {"worker": "effects", "enqueuer": "orders"}
"""What a role writes in the application's own tables."""

ALLOWED_EXITS = {0, 1, 3, 143, -9, -15}
"""After one signal; after one with the database away, which is 3 at the start; after two; killed; told to stop before
it had come to its senses."""


class Scene:
    """The processes of one run and their folder. `url` leads to the server past every fault of the network."""

    def __init__(self, folder: Path, url: str, seed: int, stack: ExitStack) -> None:
        self.folder, self.url, self.seed = folder, url, seed
        self.ledger = folder / "ledger"
        self.ledger.touch()
        self.problems: list[Violation] = []
        self.workers: list[Worker] = []
        self._clients: list[subprocess.Popen[bytes]] = []
        self.environment = {
            **os.environ,
            "LEDGER": str(self.ledger),
            "JOBQ_SCHEMA": SCHEMA,
            "JOBQ_HEARTBEAT_EVERY": "0.5",
            "JOBQ_HEARTBEAT_TIMEOUT": f"{HEARTBEAT_TIMEOUT:g}",
            "JOBQ_POLL_EVERY": "1",
            "JOBQ_SHUTDOWN_GRACE": "2",
            "JOBQ_CANCEL_GRACE": "2",
            "JOBQ_MAX_LOSSES": str(MAX_LOSSES),
            "JOBQ_MAX_MEMORY_PER_JOB": str(MEMORY_LIMIT),
            "JOBQ_STATS_EVERY": "0",
        }
        stack.callback(self._kill_all)
        self._write_application()

    def _write_application(self) -> None:
        for name, text in (
            ("jobs.py", JOBS),
            ("enqueuer.py", ENQUEUER),
            ("operator_.py", OPERATOR),
            ("neighbour.py", NEIGHBOUR),
            ("ledger_file.py", ledger.MODULE),
            ("pyproject.toml", ""),
        ):
            (self.folder / name).write_text(dedent(text))
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE".encode())
            connection.execute("DROP TABLE IF EXISTS public.orders, public.effects")
            connection.execute("CREATE TABLE public.orders (token text)")
            connection.execute("CREATE TABLE public.effects (token text)")
        self._jobq("migrate")

    def migrate(self, release: Mapping[str, str]) -> None:
        """With the code of that release."""
        self._jobq("migrate", **release)

    def _jobq(self, *arguments: str, **environment: str) -> str:
        return subprocess.run(
            [sys.executable, "-m", "jobq", *arguments],
            cwd=self.folder,
            env={**self.environment, "JOBQ_DATABASE_URL": self.url, **environment},
            check=True,
            capture_output=True,
            text=True,
        ).stdout

    def make_roles(self) -> None:
        """One for each kind of actor, with what `jobq migrate --grants` gives it, and no more."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            for kind in ROLES:
                role = role_of(kind)
                connection.execute(f"CREATE ROLE {role} LOGIN".encode())
                connection.execute(self._jobq("migrate", "--grants", kind, "--to", role).encode())
                if kind in TABLES_OF:
                    connection.execute(f"GRANT INSERT ON public.{TABLES_OF[kind]} TO {role}".encode())
            connection.execute("CREATE TABLE public.customers AS SELECT generate_series(1, 3) AS id")
            connection.execute(f"GRANT SELECT ON public.customers TO {role_of('worker')}".encode())

    # While it goes on

    def add_client(self, program: str, number: int, url: str, *, host: Host | None = None, **environment: str) -> None:
        """An enqueuer, an operator, or a neighbour on the pooler."""
        inside, of_host = (host.inside(), host.environment) if host is not None else ([], {})
        with (self.folder / f"{program}-{number}.log").open("wb") as log:
            self._clients.append(
                subprocess.Popen(
                    [*inside, sys.executable, f"{program}.py", str(number), str(self.seed)],
                    cwd=self.folder,
                    env={**self.environment, "JOBQ_DATABASE_URL": url, **of_host, **environment},
                    stdout=log,
                    stderr=log,
                )
            )

    def keep_up(self) -> None:
        """Starts workers that have ended, and holds enqueuers back where they are too far ahead."""
        for worker in self.workers:
            if not worker.is_hit:
                worker.keep_up()
        waiting = self.unfinished()
        if waiting is None:
            return
        if waiting > MOST_WAITING:
            (self.folder / "backlog").touch()
        else:
            (self.folder / "backlog").unlink(missing_ok=True)

    def await_workers(self) -> None:
        """Until all are known to the database: who is cut off before is not missed."""
        deadline = time.monotonic() + 60
        alive = f"SELECT FROM {SCHEMA}.workers WHERE stopped_at IS NULL".encode()
        with psycopg.connect(self.url, autocommit=True) as connection:
            while connection.execute(alive).rowcount < len(self.workers):
                if time.monotonic() > deadline:
                    raise RuntimeError(f"workers do not start; see their logs in {self.folder}")
                time.sleep(0.1)

    def unfinished(self) -> int | None:
        """How many jobs are not done; None: the server does not answer at the moment."""
        try:
            with psycopg.connect(self.url, autocommit=True, connect_timeout=5) as connection:
                row = connection.execute(f"SELECT count(*) FROM {SCHEMA}.jobs".encode()).fetchone()
        except psycopg.OperationalError:
            return None
        assert row is not None
        return int(row[0])

    # Its end

    def finish(self) -> None:
        """Ends those who enqueue and operate, has what is left worked, and ends the workers."""
        self._end_clients()
        for worker in self.workers:
            worker.settle()
        ends = time.monotonic() + DRAIN_SECONDS
        while self.unfinished() != 0 and time.monotonic() < ends:
            time.sleep(0.2)
            for worker in self.workers:
                worker.keep_up()
        self._end_workers()

    def _end_clients(self) -> None:
        for name in ("stop-enqueuers", "stop-operators"):
            (self.folder / name).touch()
        for process in self._clients:
            try:
                if process.wait(90) != 0:
                    self.accuse("an enqueuer or operator failed", f"{process.args}: exit code {process.returncode}")
            except subprocess.TimeoutExpired:
                self.accuse("an enqueuer or operator hangs", str(process.args))
                process.kill()

    def _end_workers(self) -> None:
        for worker in self.workers:
            if not worker.end(timeout=60):
                self.accuse("a worker does not end", f"worker {worker.number}, pid {worker.pid}")
            for code in set(worker.exits) - ALLOWED_EXITS:
                self.accuse("a worker ended by itself", f"worker {worker.number}: exit code {code}")
        for pid in orphans_of(self.ledger, timeout=5):
            self.accuse("a process was left behind", f"pid {pid}")

    def accuse(self, rule: str, subject: str) -> None:
        self.problems.append(Violation(rule, subject))

    def _kill_all(self) -> None:
        for process in self._clients:
            process.kill()
            process.wait()
        for worker in self.workers:
            if worker.process is not None:
                worker.process.kill()
                worker.process.wait()

    # The verdict

    def evidence(self, faults: list[Fault]) -> Evidence:
        with psycopg.connect(self.url, autocommit=True) as connection:
            return ledger.collect(
                connection,
                SCHEMA,
                self.ledger,
                faults=faults,
                heartbeat_timeout=HEARTBEAT_TIMEOUT,
                max_losses=MAX_LOSSES,
                may_error=MAY_ERROR,
                exactly_once=EXACTLY_ONCE,
                gate_limits=GATE_LIMITS,
                orders=set(tokens(connection, "orders")),
                effects=Counter(tokens(connection, "effects")),
            )

    def verdict(self, evidence: Evidence, figures: dict[str, Any], *, most: int = 20) -> int:
        """Prints it; returns the exit code."""
        for name, figure in figures.items():
            print(f"{name}: {figure}")
        print("\n".join(ledger.report(evidence, self.problems, most=most)))
        if not self.problems and not ledger.check(evidence):
            return 0
        print(f"seed: {self.seed}")
        for log in sorted(self.folder.glob("*.log")):
            print(f"--- {log.name}")
            print(log.read_text(errors="replace")[-3000:])
        return 1


def role_of(kind: str) -> str:
    return f"chaos_{kind}"


def tokens(connection: "psycopg.Connection[Any]", table: str) -> list[str]:
    return [token for (token,) in connection.execute(f"SELECT token FROM public.{table}".encode())]

"""Everything that can fail does, while jobs are enqueued, worked and operated on; then the checker has the word.

    python -m tests.chaos [--minutes 5] [--seed 1] [--workers 3] [--enqueuers 3] [--operators 2] [--keep]
                          [--database-url URL]

Without an address a PostgreSQL of the run's own is started, on a small disk in memory where one can be mounted: only
then can the server be stopped, killed, and run out of room. Exit code 1 where a promise was not kept, with the seed and
the story of each offender.
"""

import argparse
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from textwrap import dedent
from typing import Any

import psycopg

from tests.chaos.application import ENQUEUER, EXACTLY_ONCE, JOBS, MAY_DIE, MAY_ERROR, OPERATOR
from tests.chaos.injector import Injector, Pooler
from tests.chaos.proxy import Proxy
from tests.chaos.workers import Worker, orphans_of
from tests.faults import ledger
from tests.faults.ledger import Evidence, Violation
from tests.faults.servers import Server

SCHEMA = "jobq_chaos"
HEARTBEAT_TIMEOUT = 3.0
MAX_LOSSES = 8
MEMORY_LIMIT = 250
MOST_WAITING = 600
"""With so many unfinished jobs enqueuers wait, so that nothing is far behind when the faults end."""

DISK_MEGABYTES = 512
DRAIN_SECONDS = 150.0

ALLOWED_EXITS = {0, 1, 3, 143, -9, -15}
"""After one signal; after one with the database away, which is 3 at the start; after two; killed; told to stop before
it had come to its senses."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--enqueuers", type=int, default=3)
    parser.add_argument("--operators", type=int, default=2)
    parser.add_argument("--database-url", help="default: a server of its own")
    parser.add_argument("--most", type=int, default=20, help="so many offenders are shown with their stories")
    parser.add_argument("--keep", action="store_true", help="leave the folder with the ledger and the logs behind")
    chosen = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="jobq-chaos-"))
        folder.chmod(0o755)  # as root, the server is another user
        if not chosen.keep:
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
        return Storm(folder, chosen, stack).run()


class Storm:
    """One run."""

    def __init__(self, folder: Path, chosen: argparse.Namespace, stack: ExitStack) -> None:
        self.folder, self.chosen, self.stack = folder, chosen, stack
        self.random = random.Random(chosen.seed)
        self.left_out: list[str] = []
        self.problems: list[Violation] = []
        self.ledger = folder / "ledger"
        self.ledger.touch()
        self.server: Server | None = None
        self.disk: Path | None = None
        self.url: str = chosen.database_url or self._start_server()
        self.upstream = upstream_of(self.url)
        self.pooler = self._start_pooler()
        self.clients = self._proxy(self.upstream)
        self.clients_processes: list[subprocess.Popen[bytes]] = []
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
        self._write_application()
        self.workers = [self._worker(number) for number in range(chosen.workers)]
        self.injector = Injector(
            chosen.seed,
            self.workers,
            self.clients,
            server=self.server,
            url=self.url,
            pooler=self.pooler,
            disk=self.disk,
            heartbeat_timeout=HEARTBEAT_TIMEOUT,
        )

    # Setting up

    def _start_server(self) -> str:
        self.server = Server(self.folder)
        self.disk = self._mount(self.server.data)
        self.stack.callback(self.server.close)
        return self.server.create().start().url

    def _mount(self, place: Path) -> Path | None:
        """A small disk, in memory; None where this user may not mount one."""
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={DISK_MEGABYTES}m,mode=0700", "jobq-chaos", place],
            capture_output=True,
            text=True,
            check=False,
        )
        if mounted.returncode != 0:
            self.left_out.append(f"disk full: no disk can be mounted here ({mounted.stderr.strip()})")
            return None
        self.stack.callback(subprocess.run, ["umount", "--lazy", place], check=True)
        assert self.server is not None
        if self.server.account.is_other:
            os.chown(place, self.server.account.uid, self.server.account.gid)
        return place

    def _start_pooler(self) -> Pooler | None:
        if self.server is None or shutil.which("pgbouncer") is None:
            self.left_out.append("a pooler in transaction mode: there is no pgbouncer, or no server of the run's own")
            return None
        pooler = Pooler(self.folder, self.server)
        pooler.start()
        self.stack.callback(pooler.kill)
        return pooler

    def _proxy(self, upstream: "Path | tuple[str, int]") -> Proxy:
        proxy = Proxy(upstream)
        self.stack.callback(proxy.close)
        return proxy

    def _worker(self, number: int) -> Worker:
        """The first is ordinary, the second has a clock of its own and coroutines, the third is behind a pooler."""
        is_pooled = self.pooler is not None and number == 2
        proxy = self._proxy(self.pooler.socket if is_pooled and self.pooler else self.upstream)
        environment = {**self.environment, "JOBQ_DATABASE_URL": self._through(proxy)}
        if number == 0:
            environment["JOBQ_MAX_JOBS_PER_PROCESS"] = "300"
        if number == 1:
            environment["JOBQ_CONCURRENCY"] = "5"
        if is_pooled and self.pooler is not None:
            environment["JOBQ_TRANSACTION_POOLER"] = "true"
            self.pooler.proxy = proxy
        return Worker(number, self.folder, proxy, environment, has_clock=number == 1)

    def _through(self, proxy: Proxy) -> str:
        known = psycopg.conninfo.conninfo_to_dict(self.url)
        known |= {"host": "127.0.0.1", "port": str(proxy.port), "connect_timeout": "5"}
        return psycopg.conninfo.make_conninfo(**known)

    def _write_application(self) -> None:
        for name, text in (
            ("jobs.py", JOBS),
            ("enqueuer.py", ENQUEUER),
            ("operator_.py", OPERATOR),
            ("ledger_file.py", ledger.MODULE),
            ("pyproject.toml", ""),
        ):
            (self.folder / name).write_text(dedent(text))
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE".encode())
            connection.execute("DROP TABLE IF EXISTS public.orders, public.effects")
            connection.execute("CREATE TABLE public.orders (token text)")
            connection.execute("CREATE TABLE public.effects (token text)")
        subprocess.run(
            [sys.executable, "-m", "jobq", "migrate"],
            cwd=self.folder,
            env={**self.environment, "JOBQ_DATABASE_URL": self.url},
            check=True,
            capture_output=True,
        )

    # The run

    def run(self) -> int:
        self.stack.callback(self._end_all)
        for worker in self.workers:
            worker.start()
        for program, count in (("enqueuer", self.chosen.enqueuers), ("operator_", self.chosen.operators)):
            for number in range(count):
                self.clients_processes.append(self._client(program, number))
        self._storm()
        self.injector.finish()
        self._end_clients()
        self._drain()
        self._end_workers()
        return self._report()

    def _client(self, program: str, number: int) -> "subprocess.Popen[bytes]":
        with (self.folder / f"{program}-{number}.log").open("wb") as log:
            return subprocess.Popen(
                [sys.executable, f"{program}.py", str(number), str(self.chosen.seed)],
                cwd=self.folder,
                env={**self.environment, "JOBQ_DATABASE_URL": self._through(self.clients)},
                stdout=log,
                stderr=log,
            )

    def _storm(self) -> None:
        ends = time.monotonic() + self.chosen.minutes * 60
        while time.monotonic() < ends:
            # The storm's own rhythm; nothing waits for it.
            time.sleep(self.random.uniform(0.3, 1.2))
            self.injector.draw()
            self._hold_enqueuers_back()
            for worker in self.workers:
                if not worker.is_hit:
                    worker.keep_up()

    def _hold_enqueuers_back(self) -> None:
        waiting = self._unfinished()
        if waiting is None:
            return
        if waiting > MOST_WAITING:
            (self.folder / "backlog").touch()
        else:
            (self.folder / "backlog").unlink(missing_ok=True)

    def _unfinished(self) -> int | None:
        """None: the server does not answer at the moment."""
        try:
            with psycopg.connect(self.url, autocommit=True, connect_timeout=5) as connection:
                row = connection.execute(f"SELECT count(*) FROM {SCHEMA}.jobs".encode()).fetchone()
        except psycopg.OperationalError:
            return None
        assert row is not None
        return int(row[0])

    def _end_clients(self) -> None:
        for name in ("stop-enqueuers", "stop-operators"):
            (self.folder / name).touch()
        for process in self.clients_processes:
            try:
                if process.wait(90) != 0:
                    self._accuse("an enqueuer or operator failed", f"{process.args}: exit code {process.returncode}")
            except subprocess.TimeoutExpired:
                self._accuse("an enqueuer or operator hangs", str(process.args))
                process.kill()

    def _drain(self) -> None:
        ends = time.monotonic() + DRAIN_SECONDS
        while self._unfinished() != 0 and time.monotonic() < ends:
            time.sleep(0.2)
            for worker in self.workers:
                worker.keep_up()

    def _end_workers(self) -> None:
        for worker in self.workers:
            if not worker.end(timeout=60):
                self._accuse("a worker does not end", f"worker {worker.number}, pid {worker.pid}")
            for code in set(worker.exits) - ALLOWED_EXITS:
                self._accuse("a worker ended by itself", f"worker {worker.number}: exit code {code}")
        for pid in orphans_of(self.ledger, timeout=5):
            self._accuse("a process was left behind", f"pid {pid}")

    def _accuse(self, rule: str, subject: str) -> None:
        self.problems.append(Violation(rule, subject))

    def _end_all(self) -> None:
        for process in self.clients_processes:
            process.kill()
            process.wait()
        for worker in self.workers:
            if worker.process is not None:
                worker.process.kill()
                worker.process.wait()

    # The verdict

    def _report(self) -> int:
        with psycopg.connect(self.url, autocommit=True) as connection:
            evidence = ledger.collect(
                connection,
                SCHEMA,
                self.ledger,
                faults=self.injector.faults,
                heartbeat_timeout=HEARTBEAT_TIMEOUT,
                max_losses=MAX_LOSSES,
                may_error=MAY_ERROR,
                may_die=MAY_DIE,
                exactly_once=EXACTLY_ONCE,
                memory_limit=MEMORY_LIMIT,
                orders=set(tokens(connection, "orders")),
                effects=Counter(tokens(connection, "effects")),
            )
        for name, figure in self._figures(evidence).items():
            print(f"{name}: {figure}")
        for what in self.left_out:
            print(f"left out: {what}")
        print("\n".join(ledger.report(evidence, self.problems, most=self.chosen.most)))
        is_right = not self.problems and not ledger.check(evidence)
        if not is_right:
            print(f"seed: {self.chosen.seed}")
            self._print_logs()
        if self.chosen.keep:
            print(f"folder: {self.folder}")
        return 0 if is_right else 1

    def _figures(self, evidence: Evidence) -> dict[str, Any]:
        faults = self.injector.faults
        recoveries = self._recoveries(evidence)
        kills = sum("killed" in fault.kind for fault in faults)
        return {
            "seed": self.chosen.seed,
            "minutes": self.chosen.minutes,
            "faults": len(faults),
            **{f"  {kind}": count for kind, count in sorted(Counter(fault.kind for fault in faults).items())},
            "kills": kills,
            **ledger.figures(evidence),
            "recoveries seen": len(recoveries),
            "seconds to recover, median": round(statistics.median(recoveries), 2) if recoveries else None,
            "seconds to recover, worst": round(max(recoveries), 2) if recoveries else None,
        }

    def _recoveries(self, evidence: Evidence) -> list[float]:
        """How long after the end of a fault every worker that was hit began its next job, or an enqueuer had its next
        answer; left out where another fault came in between."""
        began = [(entry.at, int(entry.words[3])) for entry in evidence.of("began")]
        answered = [entry.at for entry in evidence.of("acknowledged")]
        found = []
        for place, fault in enumerate(self.injector.faults):
            if fault.ended is None:
                continue
            workers = self.injector.hit[place]
            times = [
                next((at for at, pid in began if at > fault.ended and pid in worker.pids), None) for worker in workers
            ] or [next((at for at in answered if at > fault.ended), None)]
            if None in times:
                continue
            fault.recovered = max(at for at in times if at is not None)
            others = [other for other in self.injector.faults if other is not fault and overlaps(other, fault)]
            if not others:
                found.append(fault.recovered - fault.ended)
        return found

    def _print_logs(self) -> None:
        for log in sorted(self.folder.glob("*.log")):
            print(f"--- {log.name}")
            print(log.read_text(errors="replace")[-3000:])


def overlaps(other: Any, fault: Any) -> bool:
    return bool(other.began < fault.recovered and (other.ended is None or other.ended > fault.ended))


def upstream_of(url: str) -> "Path | tuple[str, int]":
    """Where a server listens: a socket's path, or a host and a port."""
    known = psycopg.conninfo.conninfo_to_dict(url)
    host, port = str(known.get("host", "localhost")), int(known.get("port", 5432))
    return Path(host) / f".s.PGSQL.{port}" if host.startswith("/") else (host, port)


def tokens(connection: "psycopg.Connection[Any]", table: str) -> list[str]:
    return [token for (token,) in connection.execute(f"SELECT token FROM public.{table}".encode())]


if __name__ == "__main__":
    sys.exit(main())

"""A million jobs through a few processes: what they hold of memory, files, connections and disk has to stay as it is.

    python -m tests.faults.soak [--jobs 1000000] [--workers 2] [--hold] [--every 5] [--database-url URL]

With `--hold` a transaction with a snapshot stays open all the while, so that nothing can be vacuumed: the figures then
say what that costs. At the end every job must have ended once. Exit code 1 where it has not, or something grew.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import Any

import psycopg

from tests.faults.servers import Server, children_of, clean_up_when_terminated

SCHEMA = "jobq_soak"
MOST_WAITING = 20_000

JOBS = """
    from jobq import Job, register_job

    @register_job
    class Nothing(Job):
        def __init__(self, number: int):
            self.number = number

        def run(self):
            return None
"""

ENQUEUER = """
    import sys
    import time
    from pathlib import Path

    from jobq import enqueue_many
    from jobs import Nothing

    for start in range(0, int(sys.argv[1]), 1000):
        while Path("backlog").exists():
            time.sleep(0.02)
        enqueue_many([Nothing(number) for number in range(start, min(start + 1000, int(sys.argv[1])))])
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=1_000_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--hold", action="store_true", help="keep a transaction open all the while")
    parser.add_argument("--every", type=float, default=5.0, help="seconds between two samples")
    parser.add_argument("--database-url", help="default: a server of its own")
    chosen = parser.parse_args()
    clean_up_when_terminated()
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="jobq-soak-"))
        folder.chmod(0o755)  # as root, the server is another user
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        url = chosen.database_url
        if url is None:
            server = Server(folder)
            stack.callback(server.close)
            url = server.create().start().url
        return Soak(folder, url, chosen, stack).run()


@dataclass(frozen=True, slots=True)
class Sample:
    """What is held at one moment."""

    seconds: float
    done: int
    supervisors_mb: float
    children_mb: float
    open_files: int
    connections: int
    jobs_mb: float
    indexes_mb: float
    results_bytes_per_job: float


class Soak:
    def __init__(self, folder: Path, url: str, chosen: argparse.Namespace, stack: ExitStack) -> None:
        self.folder, self.url, self.chosen, self.stack = folder, url, chosen, stack
        self.environment = {
            **os.environ,
            "JOBQ_DATABASE_URL": url,
            "JOBQ_SCHEMA": SCHEMA,
            "JOBQ_STATS_EVERY": "0",
            "JOBQ_LOG_LEVEL": "warning",
        }
        self.samples: list[Sample] = []

    def run(self) -> int:
        for name, text in (("jobs.py", JOBS), ("enqueuer.py", ENQUEUER), ("pyproject.toml", "")):
            (self.folder / name).write_text(dedent(text))
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE".encode())
        self._start("-m", "jobq", "migrate").wait()
        if self.chosen.hold:
            self._hold()
        workers = [self._start("-m", "jobq", "run", "--max-processes", "1") for _ in range(self.chosen.workers)]
        enqueuer = self._start("enqueuer.py", str(self.chosen.jobs))
        with psycopg.connect(self.url, autocommit=True) as connection:
            self._watch(connection, workers, enqueuer)
            for worker in workers:
                worker.terminate()
                worker.wait(60)
            return self._verdict(connection)

    def _start(self, *arguments: str) -> "subprocess.Popen[bytes]":
        process = subprocess.Popen([sys.executable, *arguments], cwd=self.folder, env=self.environment)
        self.stack.callback(process.kill)
        return process

    def _hold(self) -> None:
        held = self.stack.enter_context(psycopg.connect(self.url))
        held.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        held.execute("SELECT count(*) FROM pg_class")

    def _watch(
        self,
        connection: "psycopg.Connection[Any]",
        workers: "list[subprocess.Popen[bytes]]",
        enqueuer: "subprocess.Popen[bytes]",
    ) -> None:
        began, due, backlog = time.monotonic(), 0.0, self.folder / "backlog"
        first = 0  # of the jobs that are left: to look below it would wade through all that were done
        while True:
            left = f"(SELECT id FROM {SCHEMA}.jobs WHERE id >= {first} ORDER BY id LIMIT {2 * MOST_WAITING})"
            waiting, first = row(connection, f"SELECT count(*), coalesce(min(id), {first}) FROM {left} AS j")
            if waiting > MOST_WAITING:
                backlog.touch()
            else:
                backlog.unlink(missing_ok=True)
            elapsed = time.monotonic() - began
            is_done = enqueuer.poll() is not None and waiting == 0
            if elapsed >= due or is_done:
                due = elapsed + self.chosen.every
                self.samples.append(self._sample(connection, workers, elapsed, waiting))
                print(self.samples[-1], flush=True)
            if is_done:
                return
            if any(worker.poll() is not None for worker in workers):
                raise SystemExit("a worker has ended")
            time.sleep(0.1)

    def _sample(
        self,
        connection: "psycopg.Connection[Any]",
        workers: "list[subprocess.Popen[bytes]]",
        elapsed: float,
        waiting: int,
    ) -> Sample:
        supervisors = [worker.pid for worker in workers]
        children = [child for pid in supervisors for child in children_of(pid)]
        enqueued = one(
            connection,
            f"SELECT coalesce(last_value, 0) FROM pg_sequences WHERE schemaname = '{SCHEMA}' "
            "AND sequencename = 'jobs_id_seq'",
        )
        done = enqueued - waiting
        results = one(
            connection,
            "SELECT coalesce(sum(pg_total_relation_size(relid)), 0)::bigint "
            f"FROM pg_partition_tree('{SCHEMA}.results') WHERE isleaf",
        )
        return Sample(
            seconds=round(elapsed, 1),
            done=done,
            supervisors_mb=round(sum(map(resident_mb, supervisors)), 1),
            children_mb=round(sum(map(resident_mb, children)), 1),
            open_files=sum(map(open_files, supervisors)),
            connections=one(connection, "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"),
            jobs_mb=round(one(connection, f"SELECT pg_table_size('{SCHEMA}.jobs')") / 2**20, 1),
            indexes_mb=round(one(connection, f"SELECT pg_indexes_size('{SCHEMA}.jobs')") / 2**20, 1),
            results_bytes_per_job=round(results / max(done, 1), 1),
        )

    # The verdict

    def _verdict(self, connection: "psycopg.Connection[Any]") -> int:
        ended = f"SELECT count(*) FROM {SCHEMA}.results WHERE outcome = 'successful' AND NOT retried"
        distinct = f"SELECT count(DISTINCT id) FROM {SCHEMA}.results"
        left = f"SELECT count(*) FROM {SCHEMA}.jobs"
        counts = [one(connection, statement) for statement in (ended, distinct, left)]
        problems = []
        if counts != [self.chosen.jobs, self.chosen.jobs, 0]:
            problems.append("{} jobs: {} ended, {} different ones, {} are left".format(self.chosen.jobs, *counts))
        early, late = self._parts()
        rates = [rate(part) for part in (early, late)]
        print(f"jobs per second: {rates[0]:.0f} in the second quarter, {rates[1]:.0f} in the last")
        for name, most in self._limits().items():
            before, after = (statistics.median(getattr(sample, name) for sample in part) for part in (early, late))
            print(f"{name}: {before:g} in the second quarter, {after:g} in the last")
            if after > most(before):
                problems.append(f"{name} grew from {before:g} to {after:g}")
        if rates[1] < 0.5 * rates[0]:
            problems.append(f"jobs per second fell from {rates[0]:.0f} to {rates[1]:.0f}")
        for problem in problems:
            print(f"WRONG: {problem}")
        print("every job has ended once, and nothing grew" if not problems else f"{len(problems)} things are wrong")
        return 1 if problems else 0

    def _parts(self) -> tuple[list[Sample], list[Sample]]:
        """The second quarter, when all has warmed up, and the last."""
        quarter = max(2, len(self.samples) // 4)
        return self.samples[quarter : 2 * quarter], self.samples[-quarter:]

    def _limits(self) -> "dict[str, Callable[[float], float]]":
        """What may be the most in the end, by what it was. Under a held transaction dead rows stay, and tables grow."""
        limits: dict[str, Callable[[float], float]] = {
            "supervisors_mb": lambda before: before * 1.1 + 4,
            "children_mb": lambda before: before * 1.1 + 4,
            "open_files": lambda before: before + 4,
            "connections": lambda before: before + 3,
            "results_bytes_per_job": lambda before: before * 1.1,
        }
        if not self.chosen.hold:
            limits |= {name: lambda before: before * 1.5 + 8 for name in ("jobs_mb", "indexes_mb")}
        return limits


def rate(samples: list[Sample]) -> float:
    first, last = samples[0], samples[-1]
    return (last.done - first.done) / max(last.seconds - first.seconds, 0.1)


def resident_mb(pid: int) -> float:
    """What is this process's alone: what it shares with its like does not grow with them."""
    try:
        resident, shared = Path(f"/proc/{pid}/statm").read_text().split()[1:3]
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return (int(resident) - int(shared)) * os.sysconf("SC_PAGE_SIZE") / 2**20


def open_files(pid: int) -> int:
    try:
        return len(os.listdir(f"/proc/{pid}/fd"))
    except (FileNotFoundError, ProcessLookupError):
        return 0


def one(connection: "psycopg.Connection[Any]", statement: str) -> int:
    return int(row(connection, statement)[0])


def row(connection: "psycopg.Connection[Any]", statement: str) -> tuple[Any, ...]:
    found = connection.execute(statement.encode()).fetchone()
    assert found is not None
    return found


if __name__ == "__main__":
    sys.exit(main())

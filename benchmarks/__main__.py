"""Measures jobq on this machine: `python -m benchmarks [drain|latency|enqueue|all] [--jobs N] [--database-url URL]`.

On the embedded PostgreSQL unless told otherwise, with its default configuration: fsync and synchronous_commit are on,
and history is kept. Every figure is printed for each round; machines swing, so look at the spread.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psycopg

SCHEMA = "jobq_benchmark"

JOBS = '''
from time import monotonic

from jobq import Job, register_job


@register_job
class Nothing(Job):
    def run(self):
        pass


@register_job
class Clock(Job):
    """Returns when it began, by the clock that all processes of a machine share."""

    def run(self):
        return monotonic()
'''


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("measure", nargs="?", default="all", choices=["all", *MEASURES])
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--database-url")
    chosen = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="jobq-benchmark-")))
        folder.chmod(0o755)  # as root, the embedded server is another user
        url = chosen.database_url
        if url is None:
            from jobq import embedded

            url = stack.enter_context(embedded.attach(folder / "server", linger=0)).url
        bench = Bench(folder, url, chosen)
        for name, measure in MEASURES.items():
            if chosen.measure in ("all", name):
                measure(bench)


class Bench:
    """A scratch application on a scratch schema."""

    def __init__(self, folder: Path, url: str, chosen: argparse.Namespace) -> None:
        self.folder, self.jobs, self.rounds, self.processes = folder, chosen.jobs, chosen.rounds, chosen.processes
        (folder / "jobs.py").write_text(JOBS)
        (folder / "pyproject.toml").write_text("")
        os.environ |= {"JOBQ_DATABASE_URL": url, "JOBQ_SCHEMA": SCHEMA}
        os.chdir(folder)
        sys.path.insert(0, str(folder))
        self.connection = psycopg.connect(url, autocommit=True)

    def begin(self) -> None:
        """A schema as on the first day."""
        self.connection.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE".encode())
        subprocess.run([sys.executable, "-m", "jobq", "migrate"], check=True, capture_output=True)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        return self.connection.execute(query.encode()).fetchall()

    @contextmanager
    def worker(self, *arguments: str) -> "Iterator[subprocess.Popen[bytes]]":
        with (self.folder / "worker.log").open("wb") as log:
            worker = subprocess.Popen(
                [sys.executable, "-m", "jobq", "run", "--max-processes", str(self.processes), *arguments], stderr=log
            )
        try:
            yield worker
        finally:
            worker.send_signal(signal.SIGTERM)
            worker.wait()

    def wait_for(self, query: str) -> None:
        while not self.rows(query)[0][0]:
            time.sleep(0.05)


def enqueue(bench: Bench) -> None:
    from jobs import Nothing  # type: ignore[import-not-found]  # written at run time

    from jobq import enqueue_many

    for _ in range(bench.rounds):
        bench.begin()
        began = time.monotonic()
        for _ in range(2000):
            Nothing().run_in_worker()
        print(f"enqueue one by one     {2000 / (time.monotonic() - began):10,.0f} jobs a second")
        began = time.monotonic()
        enqueue_many([Nothing() for _ in range(bench.jobs)])
        print(f"enqueue_many           {bench.jobs / (time.monotonic() - began):10,.0f} jobs a second")


def drain(bench: Bench) -> None:
    """From the first start of a job to the last end, by the database's clock."""
    from jobs import Nothing

    from jobq import enqueue_many

    for _ in range(bench.rounds):
        bench.begin()
        enqueue_many([Nothing() for _ in range(bench.jobs)])
        bench.rows(f"SELECT count(*) FROM {SCHEMA}.jobs")
        with bench.worker("--drain") as worker:
            worker.wait()
        ((done, ended, seconds),) = bench.rows(
            f"SELECT count(*), count(DISTINCT id), extract(epoch FROM max(ended_at) - min(started_at))::float8 "
            f"FROM {SCHEMA}.results WHERE outcome = 'successful'"
        )
        if (done, ended) != (bench.jobs, bench.jobs):
            raise SystemExit(f"{bench.jobs} jobs were enqueued, {ended} ended, in {done} attempts: no figure")
        print(f"drain, {bench.processes} children      {done / seconds:10,.0f} jobs a second")


def latency(bench: Bench) -> None:
    """From the return of run_in_worker(), so after the commit, to run() in a child of an idle worker."""
    from jobs import Clock

    for _ in range(bench.rounds):
        bench.begin()
        committed = {}
        with bench.worker():
            bench.wait_for(f"SELECT count(*) FROM {SCHEMA}.workers WHERE waiting")
            for number in range(300):
                time.sleep(0.02 + 0.0001 * number)
                record = Clock().run_in_worker()
                committed[record.id] = time.monotonic()
            bench.wait_for(f"SELECT count(*) = 300 FROM {SCHEMA}.results")
        began = dict(bench.rows(f"SELECT id, value::float8 FROM {SCHEMA}.results"))
        waits = sorted((began[job] - at) * 1000 for job, at in committed.items())
        print(
            f"commit to run()        p50 {waits[150]:.2f} ms   p90 {waits[270]:.2f} ms   p99 {waits[297]:.2f} ms"
            f"   worst {waits[-1]:.2f} ms"
        )


MEASURES = {"enqueue": enqueue, "drain": drain, "latency": latency}

if __name__ == "__main__":
    main()

"""Measures how long two workers take over the ticks of 10,000 minutely schedules, and whether each came once.

    python -m tests.faults.schedules [--schedules 10000] [--workers 2] [--minutes 3] [--database-url URL]

The workers know the class and never run a job: they work another queue, so the figures are those of schedules alone.
For each full minute it prints how many seconds after it the first and the last tick was served.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from textwrap import dedent
from typing import Any

import psycopg

JOBS = """
    from jobq import Job, Schedule, register_job

    @register_job
    class Many(Job):
        schedules = [
            Schedule.from_cron("* * * * *", name=f"s{{number}}", missed="all", arguments={{"number": number}})
            for number in range({schedules})
        ]

        def __init__(self, number):
            self.number = number

        def run(self):
            return self.number
"""

WITHIN_SECONDS = 5.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--schedules", type=int, default=10_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--minutes", type=int, default=3)
    parser.add_argument("--database-url", help="default: an embedded server of its own")
    chosen = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="jobq-schedules-")))
        folder.chmod(0o755)  # as root, the embedded server is another user
        url = chosen.database_url
        if url is None:
            from jobq import embedded

            url = stack.enter_context(embedded.attach(folder / "server", linger=0)).url
        connection = stack.enter_context(psycopg.connect(url, autocommit=True))
        return Crowd(folder, url, connection, chosen).run()


class Crowd:
    """One run: the workers, the time they take to adopt all schedules, and the ticks of some minutes."""

    def __init__(
        self, folder: Path, url: str, connection: "psycopg.Connection[Any]", chosen: argparse.Namespace
    ) -> None:
        self.folder, self.connection, self.chosen = folder, connection, chosen
        self.environment = {**os.environ, "JOBQ_DATABASE_URL": url, "JOBQ_SCHEMA": "jobq_schedules"}

    def run(self) -> int:
        (self.folder / "jobs.py").write_text(dedent(JOBS.format(schedules=self.chosen.schedules)))
        (self.folder / "pyproject.toml").write_text("")
        self.connection.execute("DROP SCHEMA IF EXISTS jobq_schedules CASCADE")
        self.jobq("migrate").wait()
        began = time.monotonic()
        options = ("--queue", "other", "--max-processes", "1")
        workers = [self.jobq("run", *options) for _ in range(self.chosen.workers)]
        try:
            return self.watch(began)
        finally:
            for worker in workers:
                worker.kill()
                worker.wait()

    def jobq(self, *arguments: str) -> "subprocess.Popen[bytes]":
        with (self.folder / "workers.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "jobq", *arguments], cwd=self.folder, env=self.environment, stderr=log
            )

    def watch(self, began: float) -> int:
        count = self.chosen.schedules
        kept = "SELECT count(*) FROM jobq_schedules.schedules"
        self.wait_until(lambda: self.figure(kept) == count, 120)
        print(f"{self.figure(kept):,} schedules were kept {time.monotonic() - began:.1f} s after the start", flush=True)
        is_right = True
        for _ in range(self.chosen.minutes):
            is_right &= self.watch_minute()
        print(f"every tick came once, within {WITHIN_SECONDS:g} s" if is_right else "WRONG: ticks are late or missing")
        return 0 if is_right else 1

    def watch_minute(self) -> bool:
        count = self.chosen.schedules
        (minute,) = self.row("SELECT date_trunc('minute', clock_timestamp()) + interval '1 minute'")
        ticks = "FROM jobq_schedules.ticks WHERE tick_at = %s AND job_id IS NOT NULL"
        self.wait_until(lambda: self.figure(f"SELECT count(*) {ticks}", minute) == count, 120)
        span = "extract(epoch FROM %s(fired_at) - tick_at)"
        served, jobs, first, last = self.row(
            f"SELECT count(*), count(DISTINCT job_id), {span % 'min'}, {span % 'max'} {ticks} GROUP BY tick_at", minute
        )
        print(f"{minute:%H:%M}: {served:,} ticks, {jobs:,} jobs, {first:.2f} to {last:.2f} s after it", flush=True)
        return served == jobs == count and last <= WITHIN_SECONDS

    def wait_until(self, condition: Callable[[], bool], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not condition() and time.monotonic() < deadline:
            time.sleep(0.2)  # the run's own look; what is measured are the rows' times

    def row(self, query: str, *parameters: Any) -> Any:
        row = self.connection.execute(query.encode(), parameters or None).fetchone()
        return row if row is not None else (0, 0, 0.0, float("inf"))

    def figure(self, query: str, *parameters: Any) -> int:
        return int(self.row(query, *parameters)[0])


if __name__ == "__main__":
    sys.exit(main())

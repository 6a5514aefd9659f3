"""Kills workers around real minutes, and holds what the ticks of those minutes enqueued against what ran.

    python -m tests.faults.minutes [--minutes 3] [--workers 4] [--schedules 20] [--seed 1] [--database-url URL]

Every schedule has a tick a minute. The kills (SIGKILL, at a supervisor) fall within the seconds around a full minute,
when the ticks are served. At the end each schedule must have had each minute's tick once, with one job that ran.
"""

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
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


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=int, default=3)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--schedules", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--database-url", help="default: an embedded server of its own")
    chosen = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="jobq-minutes-")))
        folder.chmod(0o755)  # as root, the embedded server is another user
        url = chosen.database_url
        if url is None:
            from jobq import embedded

            url = stack.enter_context(embedded.attach(folder / "server", linger=0)).url
        return Minutes(folder, url, chosen).run()


class Minutes:
    """One run: the workers, the kills around each full minute, and the account at the end."""

    def __init__(self, folder: Path, url: str, chosen: argparse.Namespace) -> None:
        self.folder, self.url, self.chosen = folder, url, chosen
        self.random = random.Random(chosen.seed)
        self.kills = 0
        self.environment = {
            **os.environ,
            "JOBQ_DATABASE_URL": url,
            "JOBQ_SCHEMA": "jobq_minutes",
            "JOBQ_HEARTBEAT_EVERY": "1",
            "JOBQ_HEARTBEAT_TIMEOUT": "4",
            "JOBQ_MAX_LOSSES": "50",
            "JOBQ_STATS_EVERY": "0",
        }

    def run(self) -> int:
        (self.folder / "jobs.py").write_text(dedent(JOBS.format(schedules=self.chosen.schedules)))
        (self.folder / "pyproject.toml").write_text("")
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute("DROP SCHEMA IF EXISTS jobq_minutes CASCADE")
            self.jobq("migrate").wait()
            workers = [self.jobq("run", "--max-processes", "1") for _ in range(self.chosen.workers)]
            try:
                self.kill_around_minutes(connection, workers)
                self.wait_until_done(connection)
            finally:
                for worker in workers:
                    worker.kill()
                    worker.wait()
            return self.report(connection)

    def jobq(self, *arguments: str) -> subprocess.Popen[bytes]:
        with (self.folder / "workers.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "jobq", *arguments], cwd=self.folder, env=self.environment, stderr=log
            )

    def kill_around_minutes(self, connection: psycopg.Connection[Any], workers: list[subprocess.Popen[bytes]]) -> None:
        until = time.monotonic() + 60 * self.chosen.minutes + 5
        while time.monotonic() < until:
            second = time.time() % 60
            # This is the run's own rhythm; nothing waits for it.
            is_near = second > 58 or second < 2
            time.sleep(self.random.uniform(0.01, 0.2) if is_near else min(5.0, 58.5 - second + 0.01))
            if is_near:
                victim = self.random.randrange(len(workers))
                workers[victim].kill()
                workers[victim].wait()
                self.kills += 1
                workers[victim] = self.jobq("run", "--max-processes", "1")

    def wait_until_done(self, connection: psycopg.Connection[Any]) -> None:
        deadline = time.monotonic() + 90
        while figure(connection, "SELECT count(*) FROM jobq_minutes.jobs"):
            if time.monotonic() > deadline:
                return  # the account says what is left
            time.sleep(0.1)

    def report(self, connection: psycopg.Connection[Any]) -> int:
        ticks = figure(connection, "SELECT count(*) FROM jobq_minutes.ticks")
        minutes = figure(connection, "SELECT count(DISTINCT tick_at) FROM jobq_minutes.ticks")
        span = figure(
            connection,
            "SELECT 1 + extract(epoch FROM max(tick_at) - min(tick_at))::int / 60 FROM jobq_minutes.ticks",
        )
        ended = figure(
            connection,
            "SELECT count(*) FROM jobq_minutes.ticks JOIN jobq_minutes.results ON results.id = ticks.job_id "
            "WHERE NOT results.retried AND results.outcome = 'successful'",
        )
        jobs = figure(connection, "SELECT count(DISTINCT id) FROM jobq_minutes.results")
        wanted = minutes * self.chosen.schedules
        print(f"kills: {self.kills}\nminutes: {minutes}\nticks: {ticks}\njobs: {jobs}\nsuccessful: {ended}")
        is_right = minutes >= self.chosen.minutes and minutes == span and ticks == jobs == ended == wanted
        print("every tick was served once" if is_right else f"WRONG: {wanted} ticks were due, over {span} minutes")
        return 0 if is_right else 1


def figure(connection: psycopg.Connection[Any], query: str) -> int:
    row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return int(row[0] or 0)


if __name__ == "__main__":
    sys.exit(main())

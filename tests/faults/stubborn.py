"""Has six kinds of stubborn job cancelled, timed out, expired and shut down, and prints what was recorded, and when.

    python -m tests.faults.stubborn [--grace 1.0] [--database-url URL]

A job that runs beside them all must not notice. Seconds are counted from the request (the cancel, the end of the
timeout or of the time to expire, the signal) to the end of the job as the database has it.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import Any

import psycopg
from psycopg.rows import namedtuple_row

from jobq import operate
from jobq.records import NewJob
from jobq.settings import Settings
from jobq.store import enqueueing, migrations
from jobq.store.database import Database

JOBS = '''
    import asyncio
    import socket
    import time
    from collections import deque
    from itertools import repeat
    from pathlib import Path

    from jobq import Job, register_job


    class Stubborn(Job):
        """Says that it has begun, is stubborn, and says whether its finally block ran."""

        def __init__(self, notes: str):
            self.notes = Path(notes)

        def note(self, word):
            with open(self.notes, "a") as file:
                file.write(f"{word}\\\\n")

        def run(self):
            self.note("begun")
            try:
                self.resist()
            finally:
                self.note("finally")

        def on_aborted(self, result):
            self.note("aborted")


    @register_job
    class BusyLoop(Stubborn):
        def resist(self):
            number = 0
            while True:
                number += 1


    @register_job
    class Sleep(Stubborn):
        def resist(self):
            time.sleep(3600)


    @register_job
    class BlockedSocket(Stubborn):
        def resist(self):
            mine, other = socket.socketpair()
            mine.recv(1)


    @register_job
    class HoldsTheGil(Stubborn):
        def resist(self):
            deque(repeat(None), maxlen=0)  # a loop in C without end, which never looks for signals


    @register_job
    class Swallows(Stubborn):
        def resist(self):
            while True:
                try:
                    time.sleep(3600)
                except BaseException:
                    pass


    @register_job
    class Coroutine(Stubborn):
        async def run(self):
            self.note("begun")
            try:
                await asyncio.sleep(3600)
            finally:
                self.note("finally")


    @register_job
    class Sibling(Stubborn):
        """Goes on beside the others until it is let go."""

        def run(self):
            self.note("begun")
            while not self.notes.with_suffix(".go").exists():
                time.sleep(0.01)
            return "undisturbed"
'''

KINDS = ("BusyLoop", "Sleep", "BlockedSocket", "HoldsTheGil", "Swallows", "Coroutine")
KILLED = ("HoldsTheGil", "Swallows")
"""What no exception ends."""

SCHEMA = "jobq_stubborn"
MOST_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Row:
    """One job and what became of it."""

    kind: str
    way: str
    outcome: str
    error_type: str
    message: str
    seconds: float
    has_run_finally: bool
    has_traceback: bool
    hooks: int

    def __str__(self) -> str:
        ended = "finally ran" if self.has_run_finally else "killed" if self.way != "expiry" else "never began"
        return (
            f"{self.kind:<14} {self.way:<9} {self.outcome:<10} {self.error_type:<10} {self.seconds:6.2f} s  "
            f"{ended:<12} {'on_aborted ' if self.hooks else '':<11} {self.message}"
        )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--grace", type=float, default=1.0, help="cancel_grace and shutdown_grace, in seconds")
    parser.add_argument("--database-url", help="default: an embedded server of its own")
    chosen = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="jobq-stubborn-")))
        folder.chmod(0o755)  # as root, the embedded server is another user
        url = chosen.database_url
        if url is None:
            from jobq import embedded

            url = stack.enter_context(embedded.attach(folder / "server", linger=0)).url
        return Matrix(folder, url, chosen.grace, stack).run()


class Matrix:
    """One application, one worker at a time, and every kind of job in it at once."""

    def __init__(self, folder: Path, url: str, grace: float, stack: ExitStack) -> None:
        self.folder = folder
        self.environment = {
            **os.environ,
            "JOBQ_DATABASE_URL": url,
            "JOBQ_SCHEMA": SCHEMA,
            "JOBQ_CANCEL_GRACE": str(grace),
            "JOBQ_SHUTDOWN_GRACE": str(grace),
            "JOBQ_STATS_EVERY": "0",
        }
        (folder / "jobs.py").write_text(dedent(JOBS).replace("\\\\n", "\\n"))
        (folder / "pyproject.toml").write_text("")
        self.connection = stack.enter_context(psycopg.connect(url, autocommit=True, row_factory=namedtuple_row))
        self.connection.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE".encode())
        self.database = stack.enter_context(closing(Database(Settings(database_url=url, schema=SCHEMA))))
        migrations.migrate(self.database)
        self.stack = stack

    def run(self) -> int:
        worker = self.start_worker()
        sibling = self.enqueue("Sibling", "sibling")
        self.wait_for(lambda: "begun" in self.notes("sibling"))
        rows = [*self.cancel(), *self.time_out(), *self.expire()]
        self.path("sibling").with_suffix(".go").touch()
        (undisturbed,) = self.wait_for(lambda: self.results(sibling))
        rows += self.shut_down(worker)
        print("\n".join(map(str, rows)))
        problems = [problem for row in rows for problem in self.judge(row)]
        if (undisturbed.outcome, undisturbed.value, undisturbed.attempt) != ("successful", "undisturbed", 1):
            problems.append(f"the sibling noticed: {undisturbed}")
        for problem in problems:
            print(f"WRONG: {problem}")
        print(f"{len(rows)} jobs ended as they should" if not problems else f"{len(problems)} things are wrong")
        return 1 if problems else 0

    # The ways to end a job

    def cancel(self) -> list[Row]:
        begun = self.enqueue_all("cancel")
        self.wait_until_begun("cancel")
        asked = time.monotonic()
        operate.cancel(self.database, begun.values())
        return [self.row(kind, "cancel", job, lambda _: asked) for kind, job in self.as_they_end(begun)]

    def time_out(self) -> list[Row]:
        begun = self.enqueue_all("timeout", timeout=1.0)
        return [
            self.row(kind, "timeout", job, lambda result: self.moment(result.started_at) + 1.0)
            for kind, job in self.as_they_end(begun)
        ]

    def expire(self) -> list[Row]:
        """Nobody works their queue: it is paused."""
        operate.pause_queues(self.database, ["paused"])
        begun = self.enqueue_all("expiry", expires_in=1.0, queue="paused")
        return [
            self.row(kind, "expiry", job, lambda result: self.moment(result.enqueued_at) + 1.0)
            for kind, job in self.as_they_end(begun)
        ]

    def shut_down(self, worker: "subprocess.Popen[bytes]") -> list[Row]:
        begun = self.enqueue_all("shutdown")
        self.wait_until_begun("shutdown")
        asked = time.monotonic()
        worker.send_signal(signal.SIGTERM)
        worker.wait(MOST_SECONDS)
        return [self.row(kind, "shutdown", job, lambda _: asked) for kind, job in self.as_they_end(begun)]

    def judge(self, row: Row) -> list[str]:
        """What is wrong with what became of a job."""
        expected = {
            "cancel": ("cancelled", "Cancelled"),
            "timeout": ("errored", "TimedOut"),
            "expiry": ("cancelled", "Expired"),
            "shutdown": ("lost", "CutOff"),
        }
        was_killed = row.way in ("expiry", "shutdown") or row.kind in KILLED
        problems = []
        if (row.outcome, row.error_type) != expected[row.way]:
            problems.append(f"{row.kind} {row.way}: {row.outcome} {row.error_type}")
        if row.has_run_finally == was_killed:
            problems.append(f"{row.kind} {row.way}: finally {'ran' if row.has_run_finally else 'did not run'}")
        if row.hooks != (was_killed and row.way != "shutdown"):
            problems.append(f"{row.kind} {row.way}: on_aborted was called {row.hooks} times")
        if row.way == "timeout" and not row.has_traceback:
            problems.append(f"{row.kind} {row.way}: nothing says what it was doing")
        return problems

    # Steps

    def start_worker(self) -> "subprocess.Popen[bytes]":
        with (self.folder / "worker.log").open("wb") as log:
            worker = subprocess.Popen(
                [sys.executable, "-m", "jobq", "run", "--max-processes", str(len(KINDS) + 1)],
                cwd=self.folder,
                env=self.environment,
                stderr=log,
            )
        self.stack.callback(worker.wait)
        self.stack.callback(worker.kill)
        return worker

    def enqueue_all(self, way: str, **options: Any) -> dict[str, int]:
        return {kind: self.enqueue(kind, f"{kind}-{way}", **options) for kind in KINDS}

    def enqueue(self, kind: str, name: str, **options: Any) -> int:
        arguments = json.dumps({"notes": str(self.path(name))})
        new = NewJob(job_class=f"jobs.{kind}", arguments=arguments, has_abort_hook=True, **options)
        with self.database.connection() as connection:
            added = enqueueing.enqueue(connection, SCHEMA, new)
        assert added is not None
        return added.id

    def path(self, name: str) -> Path:
        return self.folder / f"{name}.notes"

    def notes(self, name: str) -> list[str]:
        return self.path(name).read_text().split() if self.path(name).exists() else []

    def wait_until_begun(self, way: str) -> None:
        self.wait_for(lambda: all("begun" in self.notes(f"{kind}-{way}") for kind in KINDS))

    def wait_for(self, condition: Callable[[], Any]) -> Any:
        deadline = time.monotonic() + MOST_SECONDS
        while not (found := condition()):
            if time.monotonic() > deadline:
                raise SystemExit(f"it did not come to pass; {(self.folder / 'worker.log').read_text()[-5000:]}")
            time.sleep(0.02)
        return found

    def results(self, job: int) -> list[Any]:
        query = f"SELECT *, clock_timestamp() AS now FROM {SCHEMA}.results WHERE id = %s"
        return self.connection.execute(query.encode(), [job]).fetchall()

    def as_they_end(self, begun: dict[str, int]) -> list[tuple[str, int]]:
        self.wait_for(lambda: all(self.results(job) for job in begun.values()))
        return list(begun.items())

    def moment(self, stored: Any) -> float:
        """A time of the database's clock, by this machine's monotonic one."""
        (row,) = self.connection.execute("SELECT extract(epoch FROM clock_timestamp() - %s)::float8 AS age", [stored])
        return time.monotonic() - float(row.age)

    def row(self, kind: str, way: str, job: int, requested: Callable[[Any], float]) -> Row:
        (result,) = self.results(job)
        name = f"{kind}-{way}"
        owed = f"SELECT count(*) AS n FROM {SCHEMA}.aborts WHERE job_id = %s".encode()
        if way != "shutdown":  # then the worker has gone, and another will make the call
            self.wait_for(lambda: self.connection.execute(owed, [job]).fetchone().n == 0)  # type: ignore[union-attr]
        return Row(
            kind=kind,
            way=way,
            outcome=result.outcome,
            error_type=result.error_type or "",
            message=result.error_message or "",
            seconds=self.moment(result.ended_at) - requested(result),
            has_run_finally="finally" in self.notes(name),
            has_traceback=bool(result.traceback),
            hooks=self.notes(name).count("aborted"),
        )


if __name__ == "__main__":
    sys.exit(main())

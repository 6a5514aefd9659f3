"""Measures enqueueing, draining and latency, each as an application and its worker would see it."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any

from jobq import enqueue_many
from jobq.bench.jobs import Clock, Nothing
from jobq.errors import JobqError
from jobq.settings import environment_of
from jobq.store import scratch
from jobq.store.database import Database, use_database

START_SECONDS = 60.0
ONE_BY_ONE = 2000
LATENCIES = 200


class BenchFailed(JobqError):
    """The measurement has no valid result."""


@dataclass(frozen=True, slots=True)
class Figure:
    measure: str
    value: float
    unit: str


def measure(database: Database, wanted: str, jobs: int, processes: int | None) -> Iterator[Figure]:
    """The figures of one measure, or of all, as they come.

    Raises BenchFailed if a job was lost or ran twice, or if the worker ended; DatabaseError if the database cannot be
    used.
    """
    for name, measured in MEASURES.items():
        if wanted in (name, "all"):
            with scratch.scratch(database) as own, used(own):
                yield from measured(own, jobs, processes)


@contextmanager
def used(database: Database) -> Iterator[None]:
    use_database(database)
    try:
        yield
    finally:
        use_database(None)


def enqueueing(_database: Database, jobs: int, _processes: int | None) -> Iterator[Figure]:
    Nothing().run_in_worker()
    number = min(jobs, ONE_BY_ONE)
    began = time.monotonic()
    for _ in range(number):
        Nothing().run_in_worker()
    yield Figure("enqueue, one by one", number / (time.monotonic() - began), "jobs/s")
    began = time.monotonic()
    enqueue_many([Nothing() for _ in range(jobs)])
    yield Figure("enqueue_many", jobs / (time.monotonic() - began), "jobs/s")


def draining(database: Database, jobs: int, processes: int | None) -> Iterator[Figure]:
    enqueue_many([Nothing() for _ in range(jobs)])
    with worker(database, processes, "--drain") as (running, log):
        if running.wait() != 0:
            raise ended_early(running, log)
    attempts, ended, seconds = scratch.ended(database)
    if not jobs == ended == attempts:
        raise BenchFailed(f"Of {jobs:,} jobs {ended:,} ended well, in {attempts:,} attempts: that is no figure.")
    yield Figure("drain, from the first start to the last end", jobs / seconds, "jobs/s")


def latency(database: Database, jobs: int, processes: int | None) -> Iterator[Figure]:
    """From the return of run_in_worker(), so after the commit, to run() in a child of an idle worker."""
    number = min(jobs, LATENCIES)
    with worker(database, processes) as (running, log):

        def wait(is_done: Callable[[], bool]) -> None:
            deadline = time.monotonic() + START_SECONDS
            while not is_done():
                if running.poll() is not None or time.monotonic() > deadline:
                    raise ended_early(running, log)
                time.sleep(0.02)

        first = committed()
        wait(lambda: first[0] in scratch.values(database))
        enqueued = [first]
        for place in range(number):
            time.sleep(0.02 + 0.0001 * place)
            enqueued.append(committed())
        wait(lambda: len(scratch.values(database)) == number + 1)
    began = scratch.values(database)
    # A job can begin before its enqueuer, back from the commit, gets a core to read the clock: then the wait is zero.
    waits = sorted(max(began[job] - at, 0.0) * 1000 for job, at in enqueued[1:])
    for words, share in (("p50", 0.5), ("p99", 0.99)):
        yield Figure(f"commit to run(), {words}", waits[min(number - 1, int(number * share))], "ms")


def committed() -> tuple[int, float]:
    record = Clock().run_in_worker()
    assert record is not None  # it has no unique key
    return record.id, time.monotonic()


MEASURES: dict[str, Callable[[Database, int, int | None], Iterator[Figure]]] = {
    "enqueue": enqueueing,
    "drain": draining,
    "latency": latency,
}


@contextmanager
def worker(
    database: Database, processes: int | None, *options: str
) -> Iterator[tuple["subprocess.Popen[bytes]", IO[bytes]]]:
    """A real worker on the scratch schema. It is always stopped at the end."""
    command = [sys.executable, "-m", "jobq", "run", "--app", "jobq.bench.jobs", "--stats-every", "0", *options]
    if processes is not None:
        command += ["--max-processes", str(processes)]
    environment = {**os.environ, **environment_of(database.settings)}
    with tempfile.TemporaryFile("w+b") as log:
        running = subprocess.Popen(command, stderr=log, env=environment, start_new_session=True)
        try:
            yield running, log
        finally:
            if running.poll() is None:
                running.send_signal(signal.SIGTERM)
            try:
                running.wait(30)
            except subprocess.TimeoutExpired:
                running.kill()
                running.wait()


def ended_early(running: "subprocess.Popen[Any]", log: IO[bytes]) -> BenchFailed:
    log.seek(0)
    end = log.read()[-2000:].decode(errors="replace")
    return BenchFailed(f"The worker did not do its work (exit code {running.poll()}). The end of its log:\n{end}")

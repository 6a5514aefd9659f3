"""What every measure stands on: a scratch application, a scratch schema, workers, and the ways to count and time."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import psycopg

from benchmarks.peers import LostOrDoubled
from jobq import operate
from jobq.store import migrations
from jobq.store.database import default_database

SCHEMA = "jobq_benchmark"

JOBS = '''
from time import monotonic, sleep

from jobq import Gate, Job, register_job


@register_job
class Nothing(Job):
    def __init__(self, text: str = ""):
        self.text = text

    def run(self):
        pass


@register_job
class Clock(Job):
    """Returns when it began, by the clock that all processes of a machine share."""

    def run(self):
        return monotonic()


@register_job
class Sleep(Job):
    def __init__(self, seconds: float):
        self.seconds = seconds

    def run(self):
        sleep(self.seconds)


class Gated(Job):
    def __init__(self, lane: str, seconds: float):
        self.lane, self.seconds = lane, seconds

    def get_lane(self):
        return self.lane

    def run(self):
        if self.seconds:
            sleep(self.seconds)


@register_job
class One(Gated):
    gate = Gate("one", limit=1)


@register_job
class Forty(Gated):
    gate = Gate("forty", limit=40)


@register_job
class Fifty(Gated):
    gate = Gate("fifty", limit=50)


@register_job
class Lanes(Gated):
    gate = Gate("lanes", lane_limit=1)


@register_job
class Turns(Gated):
    gate = Gate("turns")
'''

STARTED_WITHIN_SECONDS = 60.0
DONE_WITHIN_SECONDS = 1800.0


class LeftOut(Exception):
    """A contestant that has no figure, for a reason of its own: the others go on."""


@dataclass(frozen=True)
class Figure:
    """What one thing reached in each round."""

    measure: str
    name: str
    unit: str
    rounds: tuple[float, ...]
    note: str = ""

    @property
    def median(self) -> float:
        return median(self.rounds)


@dataclass
class Bench:
    """A scratch application on a scratch schema of one database."""

    folder: Path
    url: str
    jobs: int = 100_000
    rounds: int = 3
    processes: int = 2
    scale: float = 1.0  # of the measures that take millions of rows
    figures: list[Figure] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        (self.folder / "jobs.py").write_text(JOBS)
        (self.folder / "pyproject.toml").write_text("")
        os.environ |= {"JOBQ_DATABASE_URL": self.url, "JOBQ_SCHEMA": SCHEMA, "JOBQ_LOG_LEVEL": "warning"}
        os.chdir(self.folder)
        sys.path.insert(0, str(self.folder))
        self.connection = psycopg.connect(self.url, autocommit=True)
        self.database = default_database()

    def close(self) -> None:
        """Leaves nothing behind in the database."""
        self.connection.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE".encode())
        self.connection.close()

    # The schema

    def begin(self) -> None:
        """A schema as on the first day."""
        self.connection.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE".encode())
        migrations.migrate(self.database)
        self.connection.execute(b"CHECKPOINT")  # what came before is not paid for by what comes now

    def rows(self, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
        return self.connection.execute(query.format(schema=SCHEMA).encode(), parameters or None).fetchall()

    def value(self, query: str, *parameters: Any) -> Any:
        return self.rows(query, *parameters)[0][0]

    def wait_until(self, query: str, *, within: float = STARTED_WITHIN_SECONDS, every: float = 0.05) -> None:
        """Raises TimeoutError where the query has not said true in so many seconds."""
        deadline = time.monotonic() + within
        while not self.value(query):
            if time.monotonic() > deadline:
                raise TimeoutError(f"in {within:g} s this did not become true: {query.format(schema=SCHEMA)}")
            time.sleep(every)

    # Workers

    @contextmanager
    def workers(self, number: int = 1, processes: int | None = None) -> Iterator[list["subprocess.Popen[bytes]"]]:
        """Workers that have imported the application and wait. At the end they are stopped like any service."""
        with ExitStack() as stack:
            started = []
            for place in range(number):
                log = stack.enter_context((self.folder / f"worker-{place}.log").open("wb"))
                command = ["-m", "jobq", "run", "--max-processes", str(processes or self.processes)]
                started.append(subprocess.Popen([sys.executable, *command], stderr=log))
                stack.callback(stop, started[-1])
            self.wait_until(
                f"SELECT count(*) = {number} FROM {{schema}}.workers "
                "WHERE classes <> '[]' AND waiting AND stopped_at IS NULL"
            )
            yield started

    def drain(self, jobs: int, *, workers: int = 1) -> float:
        """Jobs a second from the first start to the last end, by the database's clock, of what is pending now.

        The workers are there before: the queue is paused until they are. Raises LostOrDoubled.
        """
        before = self.value("SELECT count(*) FROM {schema}.results")
        self.connection.execute(
            f"INSERT INTO {SCHEMA}.queues (name, paused_at) VALUES ('default', now()) "
            "ON CONFLICT (name) DO UPDATE SET paused_at = now()".encode()
        )
        with self.workers(workers):
            began = self.value("SELECT clock_timestamp()")
            operate.resume_queues(self.database, ["default"])
            self.wait_until(
                "SELECT NOT EXISTS (SELECT FROM {schema}.jobs WHERE state <> 'scheduled')",
                within=DONE_WITHIN_SECONDS,
                every=0.1,
            )
        ((attempts, ended, seconds),) = self.rows(
            "SELECT count(*), count(DISTINCT id), extract(epoch FROM max(ended_at) - min(started_at))::float8 "
            "FROM {schema}.results WHERE outcome = 'successful' AND started_at >= %s",
            began,
        )
        after = self.value("SELECT count(*) FROM {schema}.results")
        if not jobs == attempts == ended == after - before:
            raise LostOrDoubled(
                f"of {jobs:,} jobs {ended:,} ended well, in {attempts:,} attempts of {after - before:,}: no figure"
            )
        return float(jobs / seconds)

    # Measuring

    def compare(
        self,
        measure: str,
        unit: str,
        contestants: Mapping[str, Callable[[], float]],
        *,
        rounds: int | None = None,
        note: str = "",
    ) -> None:
        """Runs each contestant once a round, one after the other: the machine swings, and swings for all of them."""
        reached: dict[str, list[float]] = {name: [] for name in contestants}
        for _ in range(rounds or self.rounds):
            for name in list(reached):
                try:
                    reached[name].append(contestants[name]())
                except LeftOut as error:
                    del reached[name]
                    self.left_out.append(f"{measure}, {name}: {error}")
                    print(f"  {self.left_out[-1]}", file=sys.stderr, flush=True)
                else:
                    print(f"  {measure}: {name} {reached[name][-1]:,.2f} {unit}", file=sys.stderr, flush=True)
        for name, values in reached.items():
            self.note(measure, name, unit, *values, note=note)

    def note(self, measure: str, name: str, unit: str, *rounds: float, note: str = "") -> None:
        self.figures.append(Figure(measure, name, unit, rounds, note))


def stop(worker: "subprocess.Popen[bytes]") -> None:
    worker.send_signal(signal.SIGTERM)
    try:
        worker.wait(timeout=60)
    except subprocess.TimeoutExpired:
        worker.kill()
        worker.wait()


def cpu_seconds(pid: int) -> float:
    """CPU time of a process and of all below it, from the kernel's accounts."""
    ticks = os.sysconf("SC_CLK_TCK")
    total = 0.0
    for one in (pid, *below(pid)):
        try:
            fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
        except OSError:  # it has just ended
            continue
        total += (int(fields[11]) + int(fields[12])) / ticks
    return total


def below(pid: int) -> list[int]:
    found: list[int] = []
    try:
        threads = list(Path(f"/proc/{pid}/task").iterdir())
    except OSError:
        return found
    for thread in threads:
        for child in (thread / "children").read_text().split():
            found += [int(child), *below(int(child))]
    return found


def memory_megabytes(pid: int) -> float:
    """What a process holds, its share of what it shares included."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    raise ValueError(f"the kernel does not say what process {pid} holds")

"""What every peer can be asked, and how its runs are counted."""

import itertools
import json
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, ClassVar

import psycopg

from benchmarks.peers.environment import Environment, PythonEnvironment
from benchmarks.peers.errors import LostOrDoubled, PeerFailed, PeerUnavailable
from benchmarks.peers.process import Process

__all__ = ["LostOrDoubled", "Peer", "PeerFailed", "PeerUnavailable"]

DRIVERS = Path(__file__).parent / "drivers"

# Jobs of a latency run that are not reported: the worker is still coming up, and its code is cold.
WARM_UP = 20
PAUSE = 0.02  # seconds between two jobs of a latency run: the worker is idle again long before


class Peer:
    """A job system, driven by a script in its own environment.

    Every job carries a number, and every process that runs jobs keeps the numbers it ran and when, by the clock that
    all processes of a machine share: so nothing is added to the database's work, and each run can be counted.
    """

    name: ClassVar[str]
    schema: ClassVar[str]
    packages: ClassVar[tuple[str, ...]]
    driver: ClassVar[str]
    options: ClassVar[dict[str, Any]]  # the settings that its driver is given
    remark: ClassVar[str] = ""  # what a reader of the figures has to know besides
    environment_kind: ClassVar[type[Environment]] = PythonEnvironment
    settings: ClassVar[str]  # one line: its best documented settings, as used here
    version: ClassVar[str]
    seconds: float = 300.0  # what any one measure may take

    def __init_subclass__(cls) -> None:
        if "options" in vars(cls):
            words = [f"{name} {json.dumps(value)}" for name, value in cls.options.items()]
            cls.settings = ", ".join([*words, cls.remark] if cls.remark else words)
        if "packages" in vars(cls):
            cls.version = cls.packages[0].rpartition("==")[2].rpartition("@")[2]

    def __init__(self, url: str, environments: Path) -> None:
        """`url`: of a database that the peer may use; `schema` in it is the peer's own, and dropped by `begin()`."""
        self.url = url
        self.environment = self.environment_kind(environments / self.name, self.packages)
        self._numbers: set[int] = set()  # of the jobs that were enqueued and have not been drained
        self._next = 0

    def prepare(self) -> None:
        """Installs the peer below `environments`, once. Raises PeerUnavailable."""
        self.environment.prepare()

    def begin(self) -> None:
        """Its schema as on the first day."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f'DROP SCHEMA IF EXISTS "{self.schema}" CASCADE'.encode())
            connection.execute(f'CREATE SCHEMA "{self.schema}"'.encode())
            connection.execute(b"CHECKPOINT")  # what came before is not paid for by what comes now
        self._numbers.clear()
        self._ask("install")

    def enqueue(self, jobs: int) -> float:
        """One by one, each in a transaction of its own, by one client. Returns jobs a second."""
        return jobs / float(self._ask("enqueue", *self._take(jobs), 0)["seconds"])

    def enqueue_many(self, jobs: int) -> float:
        """By its call for many. Returns jobs a second."""
        return jobs / float(self._ask("enqueue_many", *self._take(jobs))["seconds"])

    def drain(self, jobs: int, workers: int) -> float:
        """Runs the no-op jobs enqueued before, all of them. Returns jobs a second, from the first start to the last
        end (to its recording, where the peer puts that off), in worker processes that were up before. Raises
        LostOrDoubled."""
        if jobs != len(self._numbers):
            raise ValueError(f"{len(self._numbers)} jobs are enqueued, not {jobs}")
        with self._workers(workers) as processes:
            runs, recorded = self._run_out(processes)
        self._count(runs)
        times = [at for _, at in runs]
        return jobs / (max(max(times), recorded) - min(times))

    def latency(self, samples: int) -> list[float]:
        """Milliseconds from the return of the enqueuing call, so after the commit, to the first line of the job, for
        each of `samples` jobs on one idle worker process; as they came. Raises LostOrDoubled."""
        if self._numbers:
            raise ValueError(f"{len(self._numbers)} jobs are enqueued: the worker would not be idle")
        with self._workers(1) as processes:
            committed = self._ask("enqueue", *self._take(WARM_UP + samples), PAUSE)["committed"]
            runs, _ = self._run_out(processes)
        self._count(runs)
        began = dict(runs)
        return [(began[number] - at) * 1000 for number, at in committed][WARM_UP:]

    def _take(self, jobs: int) -> tuple[int, int]:
        """The numbers of the next jobs: the first and how many."""
        first, self._next = self._next, self._next + jobs
        self._numbers.update(range(first, self._next))
        return first, jobs

    def _start(self, *words: object) -> Process:
        given = {"PEER_URL": self.url, "PEER_SCHEMA": self.schema, "PEER_OPTIONS": json.dumps(self.options)}
        given["PEER_ENVIRONMENT"] = str(self.environment.folder)
        command = [*self.environment.command(DRIVERS / self.driver), *map(str, words)]
        return Process(self.name, command, given, self.environment.folder)

    def _ask(self, *words: object) -> dict[str, Any]:
        """The one answer of a driver's command."""
        with self._start(*words) as process:
            return process.next(time.monotonic() + self.seconds)

    @contextmanager
    def _workers(self, count: int) -> Iterator[list[Process]]:
        """Worker processes that begin together, each with its connections open."""
        deadline = time.monotonic() + self.seconds
        with ExitStack() as stack:
            processes = [stack.enter_context(self._start("work")) for _ in range(count)]
            for process in processes:
                process.next(deadline)  # "ready"
            for process in processes:
                process.tell("go")
            yield processes

    def _run_out(self, processes: list[Process]) -> tuple[list[tuple[int, float]], float]:
        """Waits until as many jobs have run as were enqueued, has the workers stop in their own orderly way, and
        returns each run with its time, and when a peer that puts that off had recorded the last (0: none does)."""
        deadline, expected = time.monotonic() + self.seconds, len(self._numbers)
        ran = dict.fromkeys(processes, 0)
        while sum(ran.values()) < expected:
            if time.monotonic() > deadline:
                raise PeerFailed(f"{self.name} ran {sum(ran.values())} of {expected} jobs in {self.seconds:g} s.")
            for process in processes:
                while (told := process.poll()) is not None:
                    ran[process] = told["ran"]
            time.sleep(0.01)
        for process in processes:
            process.tell("stop")
        deadline = time.monotonic() + self.seconds
        runs: list[tuple[int, float]] = []
        recorded = 0.0
        for process in processes:
            while "runs" not in (told := process.next(deadline)):
                pass  # a last word of how many ran
            runs += [(number, at) for number, at in told["runs"]]
            recorded = max(recorded, told.get("recorded", 0.0))
        return runs, recorded

    def _count(self, runs: list[tuple[int, float]]) -> None:
        """Holds the runs against what was enqueued, and against what the peer itself has left."""
        times = Counter(number for number, _ in runs)
        lost = sorted(self._numbers - times.keys())
        doubled = sorted(number for number, count in times.items() if count > 1)
        foreign = sorted(times.keys() - self._numbers)
        left = self._ask("left")["left"]
        self._numbers.clear()
        for numbers, what in ((lost, "never ran"), (doubled, "ran more than once"), (foreign, "ran unasked")):
            if numbers:
                some = ", ".join(map(str, itertools.islice(numbers, 5)))
                raise LostOrDoubled(f"{self.name}: {len(numbers)} jobs {what} (such as {some}): no figure.")
        if left:
            raise LostOrDoubled(f"{self.name}: {left} jobs ran but are not recorded as finished: no figure.")

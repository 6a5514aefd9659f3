"""The steps of the demonstration: enqueues jobs, runs a worker, and reports the results."""

import os
import random
import signal
import subprocess
import sys
import sysconfig
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import IO, TYPE_CHECKING

from jobq import enqueue_many
from jobq.demo.jobs import AnalyseFile, ReportLibrary, SummarisePackage
from jobq.errors import JobqError
from jobq.observe import Ended, ended
from jobq.records import JobRecord

if TYPE_CHECKING:
    from jobq.settings import Settings

PACKAGE_WITH_FILES = 10
"""Packages with this number of files get a summary of their own."""

MOST_SUMMARIES = 25


class DemoFailed(JobqError):
    pass


@dataclass(frozen=True, slots=True)
class Work:
    """The jobs of one run of the demonstration, by id."""

    files: dict[int, str]
    summaries: dict[int, str]
    report: int

    @property
    def ids(self) -> list[int]:
        return [*self.files, *self.summaries, self.report]


@dataclass(frozen=True, slots=True)
class Summary:
    """The results of the jobs."""

    seconds: float
    ended: dict[int, Ended]
    failures: dict[str, list[Ended]]  # by the type of the error
    retried: list[Ended]  # successful after errors
    report: Ended

    @property
    def outcomes(self) -> dict[str, int]:
        return dict(Counter(job.outcome for job in self.ended.values()))


def source_files(most: int | None = None) -> list[Path]:
    """The source files of the running Python's standard library. Raises DemoFailed if there are none."""
    folder = Path(sysconfig.get_path("stdlib"))
    found = sorted(
        path for path in folder.rglob("*.py") if "site-packages" not in path.parts and "dist-packages" not in path.parts
    )
    if not found:
        raise DemoFailed(f"There are no source files of the standard library in {folder}: this Python ships none.")
    if most is None or most >= len(found):
        return found
    # A few from everywhere, and some that do not parse, if this Python ships its tests.
    broken = [path for path in found if is_broken(path)][: most // 20]
    return sorted({*broken, *random.Random(most).sample(found, most - len(broken))})  # noqa: S311 - the same for all


def is_broken(path: Path) -> bool:
    """By their names: the tests of the library's tokenizer need files that do not parse."""
    return path.parent.name == "tokenizedata" and path.name.startswith("bad")


def enqueue(files: list[Path]) -> Work:
    """One job per file; a summary for each large package; a report on everything."""
    analyses = {record.id: record.arguments["path"] for record in enqueued([AnalyseFile(str(path)) for path in files])}
    packages: dict[str, list[int]] = {}
    for job, path in analyses.items():
        packages.setdefault(Path(path).parent.name, []).append(job)
    large = sorted(packages, key=lambda name: -len(packages[name]))[:MOST_SUMMARIES]
    summaries = enqueued(
        [SummarisePackage(name, packages[name]) for name in large if len(packages[name]) >= PACKAGE_WITH_FILES]
    )
    (report,) = enqueued([ReportLibrary(list(analyses))])
    return Work(analyses, {record.id: record.arguments["package"] for record in summaries}, report.id)


def enqueued(jobs: list[AnalyseFile] | list[SummarisePackage] | list[ReportLibrary]) -> list[JobRecord]:
    return [record for record in enqueue_many(jobs) if record is not None]


@contextmanager
def worker(settings: "Settings", processes: int | None) -> "Iterator[Worker]":
    """A real worker, as `jobq run` starts it. At the end it is asked to stop, and waited for."""
    with tempfile.TemporaryFile("w+b") as log:
        started = Worker(start_worker(settings, processes, log), log)
        try:
            yield started
        finally:
            started.stop()


class Worker:
    def __init__(self, process: subprocess.Popen[bytes], log: IO[bytes]) -> None:
        self.process = process
        self._log = log

    def require_alive(self) -> None:
        """Raises DemoFailed with the end of its log if it has ended."""
        if (exit_code := self.process.poll()) is not None:
            self._log.seek(0)
            end = self._log.read()[-2000:].decode(errors="replace")
            raise DemoFailed(f"The worker ended with exit code {exit_code}. The end of its log:\n{end}")

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def start_worker(settings: "Settings", processes: int | None, log: IO[bytes]) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "jobq", "run", "--app", "jobq.demo.jobs", "--stats-every", "0"]
    if processes is not None:
        command += ["--max-processes", str(processes)]
    from jobq.settings import environment_of

    environment = {**os.environ, **environment_of(settings)}
    # In a session of its own: Ctrl-C goes to us, and we stop the worker in the ordinary way. Its standard input ends
    # with us, and the worker with that.
    command = [sys.executable, "-m", "jobq.demo.leash", *command]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stderr=log, env=environment, start_new_session=True)


def follow(work: Work, running: Worker, on_progress: Callable[[int, int], None], pause: Callable[[], None]) -> Summary:
    """Waits until every job has ended, and returns the results."""
    began = monotonic()
    while len(found := ended(work.ids)) < len(work.ids):
        running.require_alive()
        on_progress(len(found), len(work.ids))
        pause()
    on_progress(len(found), len(work.ids))
    return summarise(work, found, monotonic() - began)


def summarise(work: Work, found: dict[int, Ended], seconds: float) -> Summary:
    failures: dict[str, list[Ended]] = {}
    for job in found.values():
        if job.outcome != "successful":
            failures.setdefault(job.error_type or job.outcome, []).append(job)
    retried = [job for job in found.values() if job.outcome == "successful" and job.attempt > 1]
    return Summary(seconds, found, failures, retried, found[work.report])


def trickle(files: list[Path]) -> Iterable[int]:
    """Enqueues a few jobs at each step, and yields their number. Endless."""
    chosen = random.Random()  # noqa: S311 - which files come next is nobody's secret
    broken = [path for path in files if is_broken(path)]
    while True:
        some = chosen.sample(files, min(4, len(files)))
        if broken and chosen.random() < 0.3:
            some.append(chosen.choice(broken))
        later = AnalyseFile(str(some.pop()))
        later.run_in_worker(delay=chosen.uniform(5, 30))
        records = enqueued([AnalyseFile(str(path)) for path in some])
        SummarisePackage("a few files", [record.id for record in records]).run_in_worker()
        yield len(records) + 2

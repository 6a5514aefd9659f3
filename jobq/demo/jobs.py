"""The jobs of the demonstration: they read the source files of Python's own standard library, one job per file."""

import ast
import hashlib
from collections import Counter
from pathlib import Path

from jobq import Job, register_job
from jobq.observe import Ended, ended


@register_job
class AnalyseFile(Job):
    """Parses one source file, and counts what is in it."""

    def __init__(self, path: str):
        self.path = Path(path)

    def run(self) -> dict[str, int | str]:
        source = self.path.read_bytes()
        kinds = Counter(type(node) for node in ast.walk(ast.parse(source, filename=str(self.path))))
        return {
            "lines": source.count(b"\n"),
            "functions": kinds[ast.FunctionDef] + kinds[ast.AsyncFunctionDef],
            "classes": kinds[ast.ClassDef],
            "sha256": hashlib.sha256(source).hexdigest(),
        }

    def get_queue(self) -> str:
        return "tests" if {"test", "tests", "idle_test"} & set(self.path.parts) else "library"

    def get_priority(self) -> int:
        return -1 if self.get_queue() == "tests" else 0


class NotYet(Exception):
    """The results that a job needs are not there yet."""


@register_job
class SummarisePackage(Job):
    """Adds up one package, as soon as all of its files have been analysed.

    It is enqueued with them and runs before most of them, so it comes too early, and is retried.
    """

    def __init__(self, package: str, jobs: list[int]):
        self.package = package
        self.jobs = jobs

    def run(self) -> dict[str, int | str]:
        return {"package": self.package, **totals(all_ended(self.jobs))}

    def get_queue(self) -> str:
        return "summaries"

    def get_priority(self) -> int:
        return 10

    def get_retries(self) -> int:
        return 1000

    def get_retry_delay(self, attempt: int) -> float:
        return min(0.5 * attempt, 5)


@register_job
class ReportLibrary(SummarisePackage):
    """Adds up everything, when no other job is left."""

    def __init__(self, jobs: list[int]):
        super().__init__("the standard library", jobs)

    def run(self) -> dict[str, int | str]:
        analysed = all_ended(self.jobs)
        copies = Counter(job.value["sha256"] for job in analysed if job.value)
        return {**totals(analysed), "duplicates": sum(count - 1 for count in copies.values())}

    def get_priority(self) -> int:
        return -10


def all_ended(jobs: list[int]) -> list[Ended]:
    found = ended(jobs)
    if missing := len(jobs) - len(found):
        raise NotYet(f"{missing} of {len(jobs)} files have not been analysed yet")
    return [found[job] for job in jobs]


def totals(analysed: list[Ended]) -> dict[str, int]:
    """The totals of the files. Those that do not parse have no value to add."""
    values = [job.value for job in analysed if job.value]
    return {
        "files": len(analysed),
        "unreadable": len(analysed) - len(values),
        **{kind: sum(value[kind] for value in values) for kind in ("lines", "functions", "classes")},
    }

"""Completions for a filter: names and values that the console has seen, by the key of the filter. Pure."""

from collections.abc import Iterable
from typing import Any

from jobq.clean import line
from jobq.filters import quoted
from jobq.observe import FailureGroup
from jobq.records import ClassRecord, JobRecord, WorkerRecord

MOST = 1000
"""Number of values kept for one key."""

LONGEST = 60
"""Maximum length of a value worth completing."""


class KnownValues:
    def __init__(self) -> None:
        self._values: dict[str, dict[str, None]] = {}  # by key; the last one seen comes last

    def of(self, key: str) -> list[str]:
        """The values of a key in order, in the notation of filters."""
        return [quoted(value, is_free=False) for value in sorted(self._values.get(key, ()))]

    @property
    def arguments(self) -> list[str]:
        return sorted(self._values.get("args", ()))

    def add(self, key: str, values: Iterable[str | None]) -> None:
        known = self._values.setdefault(key, {})
        for value in values:
            if value and len(value) <= LONGEST and value == line(value):
                known.pop(value, None)
                known[value] = None
        for old in tuple(known)[: max(0, len(known) - MOST)]:
            known.pop(old, None)  # several questions are answered at the same time

    def add_classes(self, records: Iterable[ClassRecord]) -> None:
        for record in records:
            self.add("class", [record.name])
            self.add("args", [parameter.name for parameter in record.parameters])

    def add_groups(self, groups: Iterable[FailureGroup]) -> None:
        for group in groups:
            self.add("error", [group.error_type])

    def add_workers(self, workers: Iterable[WorkerRecord]) -> None:
        self.add("worker", (name for worker in workers for name in (worker.name, worker.host)))

    def add_jobs(self, jobs: Iterable[JobRecord]) -> None:
        for job in jobs:
            seen = {"class": job.job_class, "queue": job.queue, "key": job.unique_key, "worker": job.worker}
            seen |= {"gate": job.gate, "lane": job.lane}
            for key, value in (seen | {"error": job.error_type}).items():
                self.add(key, [value])
            for name, value in texts_of(job.arguments):
                self.add("args", [name])
                self.add(f"args.{name}", [value])
                self.add("=", [value])


def texts_of(arguments: dict[str, Any], depth: int = 2) -> Iterable[tuple[str, str]]:
    """Arguments and the values within them, by path; only values that a filter can compare with."""
    for name, value in arguments.items():
        if isinstance(value, dict):
            within = texts_of(value, depth - 1) if depth > 1 else ()
            yield from ((f"{name}.{rest}", text) for rest, text in within)
        elif isinstance(value, bool):
            yield name, str(value).lower()
        elif isinstance(value, str | int | float):
            yield name, str(value)

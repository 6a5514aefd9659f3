"""Assertions on the unfinished jobs."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from jobq.arguments import encode_value
from jobq.base import Job
from jobq.errors import ArgumentsError
from jobq.functions import JobFunction
from jobq.names import name_of
from jobq.registry import registry
from jobq.store.database import default_database
from jobq.store.statements import statement
from jobq.testing.connections import connected
from jobq.testing.here import arguments_here
from jobq.testing.rows import rows_of_test

MAX_SHOWN = 20


@dataclass(frozen=True, slots=True)
class EnqueuedJob:
    """An unfinished job, with its arguments as in the call of the constructor."""

    id: int
    job_class: str
    queue: str
    priority: int
    state: str
    unique_key: str | None
    arguments: dict[str, Any]
    delay_seconds: float  # from its enqueue to its due time

    def __str__(self) -> str:
        options = [f"queue={self.queue!r}", f"priority={self.priority}", f"arguments={self.arguments!r}"]
        if self.unique_key is not None:
            options.append(f"unique_key={self.unique_key!r}")
        if self.delay_seconds:
            options.append(f"delay={self.delay_seconds:g} s")
        return f"{self.id}: {self.job_class} {self.state} {' '.join(options)}"


@dataclass(frozen=True, slots=True)
class Wanted:
    """The expected properties of a job; None matches anything."""

    job_class: type[Job] | JobFunction[..., Any] | str
    queue: str | None
    priority: int | None
    arguments: Mapping[str, Any] | None
    unique_key: str | None
    delay_between: tuple[float | timedelta, float | timedelta] | None

    def fits(self, job: EnqueuedJob) -> bool:
        least, most = (as_seconds(bound) for bound in self.delay_between or (float("-inf"), float("inf")))
        return (
            self._is_class_of(job)
            and self.queue in (None, job.queue)
            and self.priority in (None, job.priority)
            and self.unique_key in (None, job.unique_key)
            and least <= job.delay_seconds <= most
            and all(
                name in job.arguments and is_same(job.arguments[name], value)
                for name, value in (self.arguments or {}).items()
            )
        )

    def _is_class_of(self, job: EnqueuedJob) -> bool:
        found = registry.find(job.job_class)
        return job.job_class == self._name or (found is not None and name_of(found) == self._name)

    @property
    def _name(self) -> str:
        if isinstance(self.job_class, str):
            return self.job_class
        return name_of(self.job_class if isinstance(self.job_class, type) else self.job_class.job_class)

    def __str__(self) -> str:
        options = {
            "queue": self.queue,
            "priority": self.priority,
            "arguments": self.arguments,
            "unique_key": self.unique_key,
            "delay_between": self.delay_between,
        }
        said = ", ".join(f"{name}={value!r}" for name, value in options.items() if value is not None)
        return f"{self._name} with {said}" if said else self._name


def assert_enqueued(
    job_class: type[Job] | JobFunction[..., Any] | str,
    *,
    queue: str | None = None,
    priority: int | None = None,
    arguments: Mapping[str, Any] | None = None,
    unique_key: str | None = None,
    delay_between: tuple[float | timedelta, float | timedelta] | None = None,
    count: int | None = None,
    connection: Any = None,
) -> list[EnqueuedJob]:
    """Asserts that an unfinished job matches (with `count`: exactly this number of jobs), and returns the matching
    jobs.

    `arguments` names those that matter; a job may have others. `delay_between` is the minimum and the maximum, in
    seconds or as timedeltas, from when a job was enqueued to when it is due. Uncommitted jobs are not seen.
    """
    __tracebackhide__ = True
    wanted = Wanted(job_class, queue, priority, arguments, unique_key, delay_between)
    jobs = enqueued_jobs(connection=connection)
    fitting = [job for job in jobs if wanted.fits(job)]
    if (not fitting) if count is None else (len(fitting) != count):
        found = f"{len(fitting)} of {count} jobs are" if count is not None else "No job is"
        raise AssertionError(f"{found} enqueued as {wanted}. {listed(jobs)}")
    return fitting


def refute_enqueued(
    job_class: type[Job] | JobFunction[..., Any] | str,
    *,
    queue: str | None = None,
    priority: int | None = None,
    arguments: Mapping[str, Any] | None = None,
    unique_key: str | None = None,
    delay_between: tuple[float | timedelta, float | timedelta] | None = None,
    connection: Any = None,
) -> None:
    """Asserts that no unfinished job matches; see `assert_enqueued`."""
    __tracebackhide__ = True
    wanted = Wanted(job_class, queue, priority, arguments, unique_key, delay_between)
    if fitting := [job for job in enqueued_jobs(connection=connection) if wanted.fits(job)]:
        raise AssertionError(f"Nothing should be enqueued as {wanted}. {listed(fitting)}")


def enqueued_jobs(*, connection: Any = None) -> list[EnqueuedJob]:
    """Every unfinished job, in the order of enqueueing. `connection` is as in `assert_enqueued`."""
    with connected(connection) as found:
        rows = found.execute(statement("enqueued", default_database().schema), {}).fetchall()
        with rows_of_test(found, is_for_all=True):
            return [
                EnqueuedJob(job_id, name, queue, priority, state, key, arguments_here(name, stored), delay)
                for job_id, name, queue, priority, state, key, stored, delay in rows
            ]


def is_same(found: Any, wanted: Any) -> bool:
    """Whether an argument has the expected value. A row matches if it is the same row of the database."""
    return bool(found == wanted) or (type(found) is type(wanted) and as_stored(found) == as_stored(wanted))


def as_stored(value: Any) -> str | None:
    try:
        return encode_value(value)
    except ArgumentsError:
        return None


def listed(jobs: list[EnqueuedJob]) -> str:
    if not jobs:
        return "Nothing is enqueued."
    lines = [f"  {job}" for job in jobs[:MAX_SHOWN]]
    if len(jobs) > MAX_SHOWN:
        lines.append(f"  … and {len(jobs) - MAX_SHOWN} more")
    return "\n".join(["Enqueued are:", *lines])


def as_seconds(duration: float | timedelta) -> float:
    return duration.total_seconds() if isinstance(duration, timedelta) else float(duration)

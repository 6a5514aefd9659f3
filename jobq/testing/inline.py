"""Runs jobs at once, where they are enqueued: for tests of a job's effects, without a database."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from itertools import count
from time import monotonic

from jobq import arguments, stand_ins
from jobq.records import Assignment, AttemptRecord, FoundJob, JobRecord, NewJob, Report
from jobq.states import Outcome
from jobq.testing.here import run_here

MAX_DEPTH = 50
"""Jobs that enqueue jobs run inside each other. This depth means a job that enqueues itself endlessly."""


@contextmanager
def immediately() -> "Iterator[Inline]":
    """Runs each job at once, in this process, when it is enqueued; no database is needed.

    The arguments go through JSON, as always. `run_in_worker()` raises the job's exception; there are no retries. A
    delay has no effect. A unique key holds while its job runs, by the rules of its class: a job that follows the holder
    runs right after it. With a `connection`, the job does not wait for the commit. The returned record says how the job
    ended; `wait()` and `refresh()` find it at once.
    """
    before = stand_ins.run_inline, stand_ins.find_inline
    inline = Inline()
    stand_ins.run_inline, stand_ins.find_inline = inline.run_all, inline.find
    try:
        yield inline
    finally:
        stand_ins.run_inline, stand_ins.find_inline = before


@dataclass(slots=True)
class Running:
    """A job that runs here and now, and the one that follows it under the same key."""

    new: NewJob
    record: JobRecord
    follow_up: NewJob | None = None

    @property
    def holds_key(self) -> bool:
        rules = self.new.key_rules
        return self.new.unique_key is not None and (rules is None or rules.unique_until != "started")


class Inline:
    """The records of the jobs that ran at once, in the order in which they ended."""

    def __init__(self) -> None:
        self.records: list[JobRecord] = []
        self._found: dict[int, FoundJob] = {}
        self._throttled: dict[tuple[str, str | None], float] = {}
        self._ids = count(1)

    def run_all(self, jobs: Sequence[NewJob]) -> list[JobRecord | None]:
        return [self._run(job) for job in jobs]

    def find(self, job_id: int) -> FoundJob | None:
        return self._found.get(job_id)

    def _run(self, new: NewJob) -> JobRecord | None:
        running = RUNNING.get()
        holder = next((job for job in running if is_held_by(job, new)), None)
        if holder is not None:
            return self._held(holder, new)
        if self._is_throttled(new):
            return None
        if len(running) >= MAX_DEPTH:
            raise AssertionError(
                f"{MAX_DEPTH} jobs run inside each other, the last of {new.job_class}. Does one enqueue itself? "
                "Use run_due_jobs(limit=…) in this test."
            )
        job = Running(new, record_of(next(self._ids), new, datetime.now(UTC)))
        token = RUNNING.set((*running, job))
        try:
            return self._end_of(job)
        finally:
            RUNNING.reset(token)
            if job.follow_up is not None:  # however it ended
                self._run(job.follow_up)

    def _held(self, holder: Running, new: NewJob) -> JobRecord | None:
        """The rules of a class, applied to a job whose key a running one holds."""
        on_held = "skip" if new.key_rules is None else new.key_rules.on_held
        if on_held == "return":
            return replace(holder.record, on_held="returned")
        if on_held in ("debounce", "rerun", "newest"):
            holder.follow_up = new
            return replace(holder.record, on_held="followed", is_followed=True)
        return None

    def _is_throttled(self, new: NewJob) -> bool:
        """Whether the time span of an earlier job with its key is still running. If not, a new one begins."""
        if new.unique_key is None or new.key_rules is None or new.key_rules.unique_for is None:
            return False
        key, now = (new.job_class, new.unique_key), monotonic()
        if self._throttled.get(key, now) > now:
            return True
        self._throttled[key] = now + new.key_rules.unique_for
        return False

    def _end_of(self, job: Running) -> JobRecord:
        report, error = run_here(assignment_of(job.record.id, job.new, job.record.enqueued_at))
        record = ended_record(job.record, report)
        self.records.append(record)
        self._found[record.id] = found_of(record, report)
        if report.outcome == Outcome.ERRORED and error is not None:
            raise error
        return record


RUNNING: ContextVar[tuple[Running, ...]] = ContextVar("jobq_running_inline", default=())


def is_held_by(job: Running, new: NewJob) -> bool:
    return job.holds_key and (job.new.job_class, job.new.unique_key) == (new.job_class, new.unique_key)


def assignment_of(job_id: int, new: NewJob, began_at: datetime) -> Assignment:
    return Assignment(
        id=job_id,
        attempt=1,
        excused=0,
        losses=0,
        retries=new.retries,
        priority=new.priority,
        enqueued_microseconds=int(began_at.timestamp() * 1e6),
        queue=new.queue,
        job_class=new.job_class,
        arguments=new.arguments,
        timeout=new.timeout,
        trace_context=new.trace_context,
    )


def record_of(job_id: int, new: NewJob, began_at: datetime) -> JobRecord:
    return JobRecord(
        id=job_id,
        job_class=new.job_class,
        queue=new.queue,
        priority=new.priority,
        state="running",
        outcome=None,
        attempt=1,
        retries=new.retries,
        unique_key=new.unique_key,
        arguments=arguments.without_secrets(json.loads(new.arguments)),
        enqueued_at=began_at,
        run_at=began_at,
        started_at=began_at,
        source=new.source,
        timeout=new.timeout,
    )


def ended_record(record: JobRecord, report: Report) -> JobRecord:
    return replace(
        record,
        state="finished",
        outcome=report.outcome,
        ended_at=datetime.now(UTC),
        error_type=report.error_type,
        error_message=report.error_message,
    )


def found_of(record: JobRecord, report: Report) -> FoundJob:
    """The job as `jobq.get` finds it."""
    value, note = arguments.value_and_note(None if report.value is None else json.loads(report.value))
    attempt = AttemptRecord(
        attempt=1,
        outcome=report.outcome,
        retried=False,
        started_at=record.started_at,
        ended_at=record.ended_at or record.enqueued_at,
        worker=None,
        error_type=report.error_type,
        error_message=report.error_message,
        traceback=report.traceback,
        value=value,
        value_note=note,
    )
    return FoundJob(**{field.name: getattr(record, field.name) for field in fields(JobRecord)}, attempts=(attempt,))

"""Jobs that run at once, where they are enqueued: for tests that want what a job does, and no database."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import fields
from datetime import UTC, datetime
from itertools import count

from jobq import arguments, stand_ins
from jobq.records import Assignment, AttemptRecord, FoundJob, JobRecord, NewJob, Report
from jobq.states import Outcome
from jobq.testing.here import run_here

MAX_DEPTH = 50
"""Jobs that enqueue jobs run inside each other. This many are a job that enqueues itself without end."""


@contextmanager
def immediately() -> "Iterator[Inline]":
    """Runs each job at once, in this process, when it is enqueued; no database is needed.

    The arguments go through JSON, as always. What a job raises, `run_in_worker()` raises; there are no retries. A delay
    counts for nothing. A unique key holds while its job runs. With a `connection`, the job does not wait for the
    commit. The record that comes back says how the job ended; `wait()` and `refresh()` find it at once.
    """
    before = stand_ins.run_inline, stand_ins.find_inline
    inline = Inline()
    stand_ins.run_inline, stand_ins.find_inline = inline.run_all, inline.find
    try:
        yield inline
    finally:
        stand_ins.run_inline, stand_ins.find_inline = before


class Inline:
    """What ran at once: the records of the jobs, in the order in which they ended."""

    def __init__(self) -> None:
        self.records: list[JobRecord] = []
        self._found: dict[int, FoundJob] = {}
        self._ids = count(1)

    def run_all(self, jobs: Sequence[NewJob]) -> list[JobRecord | None]:
        return [self._run(job) for job in jobs]

    def find(self, job_id: int) -> FoundJob | None:
        return self._found.get(job_id)

    def _run(self, new: NewJob) -> JobRecord | None:
        running = RUNNING.get()
        if new.unique_key is not None and (new.job_class, new.unique_key) in running:
            return None
        if len(running) >= MAX_DEPTH:
            raise AssertionError(
                f"{MAX_DEPTH} jobs run inside each other, the last of {new.job_class}. Does one enqueue itself? "
                "Use run_due_jobs(limit=…) in this test."
            )
        token = RUNNING.set((*running, (new.job_class, new.unique_key)))
        try:
            return self._end_of(new)
        finally:
            RUNNING.reset(token)

    def _end_of(self, new: NewJob) -> JobRecord:
        job_id, began_at = next(self._ids), datetime.now(UTC)
        report, error = run_here(assignment_of(job_id, new, began_at))
        record = record_of(job_id, new, report, began_at)
        self.records.append(record)
        self._found[job_id] = found_of(record, report)
        if report.outcome == Outcome.ERRORED and error is not None:
            raise error
        return record


RUNNING: ContextVar[tuple[tuple[str, str | None], ...]] = ContextVar("jobq_running_inline", default=())
"""The jobs that run inside each other here, the outermost first: their classes and unique keys."""


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


def record_of(job_id: int, new: NewJob, report: Report, began_at: datetime) -> JobRecord:
    return JobRecord(
        id=job_id,
        job_class=new.job_class,
        queue=new.queue,
        priority=new.priority,
        state="finished",
        outcome=report.outcome,
        attempt=1,
        retries=new.retries,
        unique_key=new.unique_key,
        arguments=arguments.without_secrets(json.loads(new.arguments)),
        enqueued_at=began_at,
        run_at=began_at,
        started_at=began_at,
        ended_at=datetime.now(UTC),
        error_type=report.error_type,
        error_message=report.error_message,
        source=new.source,
        timeout=new.timeout,
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

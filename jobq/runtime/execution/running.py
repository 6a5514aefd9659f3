"""A running attempt: what the job knows about itself, and the measurement."""

import json
from datetime import UTC, datetime
from time import monotonic
from typing import Any

from jobq.base import Job
from jobq.records import Assignment, Completion, Report, RunningJob
from jobq.runtime.execution.classify import not_committed, succeeded
from jobq.runtime.execution.measure import usage
from jobq.runtime.execution.redact import storable
from jobq.runtime.guard import Guard


class Running:
    """An attempt while it runs, and how it ended: what a job knows of itself."""

    __slots__ = ("_assignment", "_guard", "_is_completed", "_started", "lines", "made")

    def __init__(self, assignment: Assignment, guard: Guard) -> None:
        self._assignment = assignment
        self._guard = guard
        self._is_completed = False
        self.made: Job | None = None  # from its arguments, where something surrounds the attempt
        self.lines: Any = None
        self._started = monotonic()
        usage.begin(self._started)

    @property
    def job(self) -> RunningJob:
        assignment = self._assignment
        return RunningJob(
            id=assignment.id if assignment.hook is None else json.loads(assignment.hook)["job_id"],
            attempt=assignment.attempt,
            tries=assignment.tries,
            retries=assignment.retries,
            job_class=assignment.job_class,
            queue=assignment.queue,
            priority=assignment.priority,
            enqueued_at=datetime.fromtimestamp(assignment.enqueued_microseconds / 1e6, UTC),
        )

    @property
    def assigned(self) -> tuple[Assignment, float]:
        return self._assignment, self._started

    @property
    def cancel_requested(self) -> bool:
        return self._guard.delivered is not None

    def progress(self, done: float, total: float | None, message: str | None) -> None:
        said = {"done": done, "total": total, "message": None if message is None else storable(message, len(message))}
        self._guard.tell(self._assignment.id, self._assignment.attempt, said)

    def completion(self, value: Any) -> Completion | None:
        """The success report of this attempt, which the job can record itself. None outside a worker."""
        worker_id = self._guard.worker_id
        if worker_id is None or self._assignment.id <= 0:
            return None
        return Completion(worker_id, self._measured(succeeded(self._assignment, value, self._started)))

    def completed(self) -> None:
        self._is_completed = True

    def successful(self, value: Any) -> Report:
        if self._is_completed:
            return self.unsuccessful(not_committed(self._assignment))
        return self._measured(succeeded(self._assignment, value, self._started))

    def _measured(self, report: Report) -> Report:
        """The usage of a process that ran several jobs at once is not that of one job."""
        return report._replace(cpu_microseconds=None) if self._guard.is_shared else report

    def unsuccessful(self, report: Report) -> Report:
        cpu, memory = usage.end(self._started, report.ended)
        return self._measured(
            report._replace(
                started=None if report.aborted else self._started,
                cpu_microseconds=cpu,
                peak_memory_kilobytes=memory,
                completed=self._is_completed,
            )
        )

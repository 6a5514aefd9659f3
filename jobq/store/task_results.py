"""A job with its attempts, read on the caller's own connection: in its transaction, including uncommitted changes."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from jobq.store.callers.steps import Steps
from jobq.store.statements import statement


@dataclass(frozen=True, slots=True)
class TaskAttempt:
    """One attempt that ended."""

    attempt: int
    outcome: str
    run_at: datetime
    started_at: datetime | None
    ended_at: datetime
    worker: str | None  # None: it ended before a worker had it
    error_type: str | None
    error_message: str | None
    traceback: str | None
    value: Any  # as stored: tags not decoded


@dataclass(frozen=True, slots=True)
class TaskRow:
    """The current state of a job. `started_at` and `worker` belong to the running attempt."""

    id: int
    job_class: str
    queue: str
    priority: int
    state: str
    outcome: str | None
    attempt: int
    arguments: str  # JSON text with its secrets: never for display
    enqueued_at: datetime
    run_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    worker: str | None
    attempts: tuple[TaskAttempt, ...]


def reading(schema: str, job_id: int) -> Steps[TaskRow | None]:
    """Reads one job. None if there is none."""
    rows = yield statement("task_result", schema), {"id": job_id}
    if not rows:
        return None
    found = json.loads(rows[0][0])
    attempts = tuple(TaskAttempt(**with_times(attempt)) for attempt in found["attempts"])
    return TaskRow(**with_times(found["job"]), attempts=attempts)


def holder(schema: str, job_class: str, unique_key: str) -> Steps[int | None]:
    """Reads which unfinished job holds a unique key."""
    parameters = {"job_class": job_class, "unique_key": unique_key}
    rows = yield statement("observe_key_holder", schema), parameters
    return rows[0][0] if rows else None


def with_times(row: dict[str, Any]) -> dict[str, Any]:
    return {
        name: datetime.fromisoformat(value) if name.endswith("_at") and value is not None else value
        for name, value in row.items()
    }

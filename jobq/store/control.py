"""What passes between operators and running jobs: requests to stop, progress, stacks, hooks that are owed, pauses."""

from collections.abc import Sequence
from dataclasses import dataclass

from jobq.records import MAX_ARGUMENTS_BYTES, Assignment
from jobq.store.database import Connection
from jobq.store.statements import channel, control_channel, statement

MAX_HOOK_TRIES = 3
"""A call of on_aborted() that takes its worker down so often is dropped."""

HOOK_SECONDS = 30.0
"""A call of on_aborted() may take so long: a child is kept from jobs meanwhile."""


@dataclass(frozen=True, slots=True)
class CancelRequest:
    job_id: int
    attempt: int
    requested_by: str


@dataclass(frozen=True, slots=True)
class StackRequest:
    id: int
    job_id: int
    attempt: int


@dataclass(frozen=True, slots=True)
class Wanted:
    to_stop: list[CancelRequest]
    stacks: list[StackRequest]
    beats: dict[int, float]  # of each live worker: when it said last that it is alive, by the database's clock
    has_left: bool  # a worker has stopped or was declared dead of late: there may be jobs of its to rescue


@dataclass(frozen=True, slots=True)
class AskedStack:
    """A question that was put to a worker."""

    id: int
    attempt: int
    worker: str | None


@dataclass(frozen=True, slots=True)
class ProgressReport:
    job_id: int
    attempt: int
    progress: str  # JSON text


def wanted(connection: Connection, schema: str, *, worker_id: int) -> Wanted:
    """What somebody wants of this worker, and what the others say of themselves."""
    rows = connection.execute(statement("wanted", schema), {"worker_id": worker_id}).fetchall()
    return Wanted(
        [CancelRequest(job_id, attempt, by) for what, _, job_id, attempt, by, _ in rows if what == "stop"],
        [StackRequest(number, job_id, attempt) for what, number, job_id, attempt, *_ in rows if what == "stack"],
        {number: beat for what, number, *_, beat in rows if what == "live"},
        any(row[0] == "left" for row in rows),
    )


def store_progress(connection: Connection, schema: str, *, worker_id: int, reports: Sequence[ProgressReport]) -> None:
    connection.execute(
        statement("store_progress", schema),
        {
            "worker_id": worker_id,
            "ids": [report.job_id for report in reports],
            "attempts": [report.attempt for report in reports],
            "progress": [report.progress for report in reports],
        },
    )


def take_aborts(
    connection: Connection, schema: str, *, worker_id: int, classes: Sequence[str], limit: int
) -> list[Assignment]:
    """Takes up to `limit` calls of on_aborted() that are owed, as assignments for a child; their ids are negative."""
    parameters = {"worker_id": worker_id, "classes": list(classes), "limit": limit}
    bounds = {"max_tries": MAX_HOOK_TRIES, "longest": MAX_ARGUMENTS_BYTES}
    rows = connection.execute(statement("take_aborts", schema), parameters | bounds).fetchall()
    return [hook_of(*row) for row in rows]


def hook_of(
    abort_id: int,
    job_id: int,
    attempt: int,
    priority: int,
    enqueued_microseconds: int,
    queue: str,
    job_class: str,
    arguments: str,
    result: str,
) -> Assignment:
    return Assignment(
        id=-abort_id,
        attempt=attempt,
        excused=0,
        losses=0,
        retries=0,
        priority=priority,
        enqueued_microseconds=enqueued_microseconds,
        queue=queue,
        job_class=job_class,
        arguments=arguments,
        timeout=HOOK_SECONDS,
        hook=f'{{"job_id":{job_id},"result":{result}}}',
    )


def leave_aborts(connection: Connection, schema: str, *, worker_id: int, ids: Sequence[int]) -> None:
    """Lets calls go that were taken up and not begun."""
    connection.execute(statement("leave_aborts", schema), {"worker_id": worker_id, "ids": list(ids)})


def made_aborts(connection: Connection, schema: str, *, worker_id: int, ids: Sequence[int]) -> None:
    """Strikes off calls that have been made."""
    connection.execute(statement("made_aborts", schema), {"worker_id": worker_id, "ids": list(ids)})


def request_stack(connection: Connection, schema: str, job_id: int, *, attempt: int | None = None) -> AskedStack | None:
    """Asks what a job is doing, or one attempt of it; None where that is not running."""
    parameters = {"job_id": job_id, "attempt": attempt, "channel": control_channel(schema)}
    row = connection.execute(statement("request_stack", schema), parameters).fetchone()
    return AskedStack(*row[:3]) if row else None


def answer_stack(connection: Connection, schema: str, *, request_id: int, stack: str) -> None:
    connection.execute(statement("answer_stack", schema), {"id": request_id, "stack": stack})


def read_stack(connection: Connection, schema: str, request_id: int) -> str | None:
    """The answer, once; None while there is none."""
    row = connection.execute(statement("read_stack", schema), {"id": request_id}).fetchone()
    return row[0] if row else None


def forget_stacks(connection: Connection, schema: str) -> None:
    connection.execute(statement("forget_stacks", schema), {})


def pause_queues(
    connection: Connection, schema: str, queues: Sequence[str], *, paused_by: str, reason: str | None
) -> list[str]:
    """Has nothing claimed from these queues; returns those that were not paused already."""
    parameters = {
        "queues": list(queues),
        "paused_by": paused_by,
        "reason": reason,
        "channel": control_channel(schema),
    }
    return [row[0] for row in connection.execute(statement("pause_queues", schema), parameters).fetchall()]


def resume_queues(connection: Connection, schema: str, queues: Sequence[str], *, act: int) -> list[str]:
    """Has these queues worked again; returns those that were paused. How they were is kept for the act's undo."""
    parameters = {"queues": list(queues), "act": act, "channel": channel(schema)}
    return [row[0] for row in connection.execute(statement("resume_queues", schema), parameters).fetchall()]

"""Messages between operators and running jobs: stop requests, progress, stacks, owed hooks, pauses."""

from collections.abc import Sequence
from dataclasses import dataclass

from jobq.records import MAX_ARGUMENTS_BYTES, Assignment
from jobq.store.database import Connection
from jobq.store.logs import Follow, follow_of
from jobq.store.statements import channel, control_channel, statement

MAX_HOOK_TRIES = 3
"""A call of on_aborted() that killed its worker this many times is dropped."""

HOOK_SECONDS = 30.0
"""Timeout of a call of on_aborted(): its child gets no jobs meanwhile."""


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
    follows: list[Follow]
    beats: dict[int, float]  # last heartbeat of each live worker, by the database's clock
    has_left: bool  # a worker has stopped or was declared dead lately: its jobs may need a rescue


@dataclass(frozen=True, slots=True)
class AskedStack:
    """A question to a worker about a job."""

    id: int
    attempt: int
    worker: str | None


@dataclass(frozen=True, slots=True)
class ProgressReport:
    job_id: int
    attempt: int
    progress: str  # JSON text


def wanted(connection: Connection, schema: str, *, worker_id: int) -> Wanted:
    """Requests to this worker, and the state of the others."""
    rows = connection.execute(statement("wanted", schema), {"worker_id": worker_id}).fetchall()
    return Wanted(
        [CancelRequest(job_id, attempt, by) for what, _, job_id, attempt, by, _ in rows if what == "stop"],
        [StackRequest(number, job_id, attempt) for what, number, job_id, attempt, *_ in rows if what == "stack"],
        [
            follow_of(number, job_id, level, patterns, seconds)
            for what, number, job_id, level, patterns, seconds in rows
            if what == "follow"
        ],
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
    """Takes up to `limit` owed calls of on_aborted(), as assignments for a child. Their ids are negative."""
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
    """Gives back calls that were taken and not begun."""
    connection.execute(statement("leave_aborts", schema), {"worker_id": worker_id, "ids": list(ids)})


def made_aborts(connection: Connection, schema: str, *, worker_id: int, ids: Sequence[int]) -> None:
    """Removes calls that were made."""
    connection.execute(statement("made_aborts", schema), {"worker_id": worker_id, "ids": list(ids)})


def request_stack(connection: Connection, schema: str, job_id: int, *, attempt: int | None = None) -> AskedStack | None:
    """Asks what a job is doing, or one attempt of it. None if it is not running."""
    parameters = {"job_id": job_id, "attempt": attempt, "channel": control_channel(schema)}
    row = connection.execute(statement("request_stack", schema), parameters).fetchone()
    return AskedStack(*row[:3]) if row else None


def answer_stack(connection: Connection, schema: str, *, request_id: int, stack: str) -> None:
    connection.execute(statement("answer_stack", schema), {"id": request_id, "stack": stack})


def read_stack(connection: Connection, schema: str, request_id: int) -> str | None:
    """Returns the answer, once. None while there is none."""
    row = connection.execute(statement("read_stack", schema), {"id": request_id}).fetchone()
    return row[0] if row else None


def forget_stacks(connection: Connection, schema: str) -> None:
    connection.execute(statement("forget_stacks", schema), {})


def pause_queues(
    connection: Connection, schema: str, queues: Sequence[str], *, paused_by: str, reason: str | None
) -> list[str]:
    """Stops claims from these queues; returns those that were not paused already."""
    parameters = {
        "queues": list(queues),
        "paused_by": paused_by,
        "reason": reason,
        "channel": control_channel(schema),
    }
    return [row[0] for row in connection.execute(statement("pause_queues", schema), parameters).fetchall()]


def resume_queues(connection: Connection, schema: str, queues: Sequence[str], *, act: int) -> list[str]:
    """Resumes these queues; returns those that were paused. Their settings are kept for the act's undo."""
    parameters = {"queues": list(queues), "act": act, "channel": channel(schema)}
    return [row[0] for row in connection.execute(statement("resume_queues", schema), parameters).fetchall()]

"""Lines that jobs have logged and printed, and who follows them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from jobq.records import LogPart
from jobq.store.database import Connection
from jobq.store.statements import control_channel, statement


@dataclass(frozen=True, slots=True)
class Follow:
    """Whose lines somebody follows, as a worker hears of it: those of a job, or of classes and queues by pattern."""

    id: int
    job_id: int | None
    level: int
    classes: tuple[str, ...]
    queues: tuple[str, ...]
    seconds_left: float


def follow_of(number: int, job_id: int | None, level: int, patterns: str, seconds_left: float) -> Follow:
    of = json.loads(patterns)
    return Follow(number, job_id, level, tuple(of["classes"]), tuple(of["queues"]), seconds_left)


def add(connection: Connection, schema: str, *, worker_id: int, parts: Sequence[LogPart], now: float) -> None:
    """`now`: by the clock of `LogPart.started`."""
    parameters = {
        "worker_id": worker_id,
        "agos": [max(0.0, now - part.started) for part in parts],
        "job_ids": [part.job_id for part in parts],
        "attempts": [part.attempt for part in parts],
        "saids": [part.said for part in parts],
        "levels": [part.level for part in parts],
        "job_classes": [part.job_class for part in parts],
        "queues": [part.queue for part in parts],
        "lines": [part.lines for part in parts],
    }
    connection.execute(statement("add_logs", schema), parameters)


def drop(connection: Connection, schema: str, attempts: Sequence[tuple[int, int]]) -> None:
    """Drops the lines of these attempts."""
    parameters = {"job_ids": [job_id for job_id, _ in attempts], "attempts": [attempt for _, attempt in attempts]}
    connection.execute(statement("drop_logs", schema), parameters)


def bytes_of_today(connection: Connection, schema: str) -> int:
    """How much of the disk the lines of today take."""
    row = connection.execute(statement("size_of_logs", schema), {"schema": schema}).fetchone()
    assert row is not None
    return int(row[0])


def follow(
    connection: Connection,
    schema: str,
    *,
    job_id: int | None,
    classes: Sequence[str],
    queues: Sequence[str],
    level: int,
    seconds: float,
    by: str,
) -> int:
    """Has workers send these lines for so long; returns the number of the follower."""
    parameters = {
        "job_id": job_id,
        "classes": list(classes),
        "queues": list(queues),
        "level": level,
        "seconds": seconds,
        "followed_by": by,
        "channel": control_channel(schema),
    }
    row = connection.execute(statement("follow", schema), parameters).fetchone()
    assert row is not None
    return int(row[0])


def renew_follow(connection: Connection, schema: str, follow_id: int, *, seconds: float) -> bool:
    """False: it was forgotten meanwhile."""
    parameters = {"id": follow_id, "seconds": seconds}
    return connection.execute(statement("renew_follow", schema), parameters).fetchone() is not None


def unfollow(connection: Connection, schema: str, follow_id: int) -> None:
    connection.execute(statement("unfollow", schema), {"id": follow_id})


def forget_follows(connection: Connection, schema: str) -> None:
    connection.execute(statement("forget_follows", schema), {})

"""What workers do to rows of `jobs`: each function makes one transition of `states.py`, for one job or for many."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from time import monotonic
from typing import Any

import psycopg
from psycopg import errors as pg

from jobq.records import Assignment, Count, Report
from jobq.states import Outcome
from jobq.store import metrics
from jobq.store.callers.steps import Steps
from jobq.store.database import Connection
from jobq.store.keys import moment
from jobq.store.statements import channel, statement


@dataclass(frozen=True, slots=True)
class QueuePosition:
    """Where in a queue's order of service a claim begins: at the front, unless a claim left off further on.

    Of queues with equal claims, the one whose `last_turn` is lowest comes first.
    """

    queue: str
    priority: int = 32767
    id: int = 0
    last_turn: int = 0

    @property
    def is_front(self) -> bool:
        return self.id == 0


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a statement recorded of the reports it was given: how many were still ours, and the same by kind."""

    attempts: int
    counts: tuple[Count, ...]


@dataclass(frozen=True, slots=True)
class Promotion:
    queues: tuple[str, ...]  # of the jobs that were made pending
    promoted: int
    next_due_seconds: float | None
    next_expiry_seconds: float | None  # not above 0: there are jobs to be ended by `expire`
    others: tuple[str, ...]  # in which something was pending before, but for those that were known


@dataclass(frozen=True, slots=True)
class Expiry:
    expired: int
    owed: int  # calls of on_aborted() that are owed for them
    next_expiry_seconds: float | None


def claim(
    connection: Connection,
    schema: str,
    *,
    worker_id: int,
    positions: Sequence[QueuePosition],
    classes: Sequence[str],
    most: int,
    over: Sequence[int] = (),
) -> list[Assignment]:
    """Claims up to `most` jobs in the order of service: by priority; within one, the queues take turns.

    Of the claims that are `over`, this worker holds no job any more.
    """
    rows = connection.execute(
        statement("claim", schema),
        {
            "worker_id": worker_id,
            "queues": [position.queue for position in positions],
            "from_priorities": [position.priority for position in positions],
            "from_ids": [position.id for position in positions],
            "last_turns": [position.last_turn for position in positions],
            "classes": list(classes),
            "most": most,
            "share": -(-most // len(positions)),
            "over": list(over),
        },
    ).fetchall()
    return in_order_of_service([Assignment(*row) for row in rows])


def in_order_of_service(assignments: list[Assignment]) -> list[Assignment]:
    """Higher priority first; within a priority the queues take turns, each in the order of arrival."""
    assignments.sort(key=itemgetter(0))
    turns: dict[tuple[str, int], int] = {}
    keyed = []
    for assignment in assignments:
        place = (assignment.queue, assignment.priority)
        turn = turns[place] = turns.get(place, 0) + 1
        keyed.append((-assignment.priority, turn, assignment.id, assignment))
    keyed.sort(key=itemgetter(0, 1, 2))
    return [assignment for *_, assignment in keyed]


def drop_claims(connection: Connection, schema: str, *, worker_id: int, over: Sequence[int]) -> None:
    """Removes claims of which this worker holds no job any more."""
    connection.execute(statement("drop_claims", schema), {"worker_id": worker_id, "over": list(over)})


def claimed(connection: Connection, schema: str, *, worker_id: int) -> list[Assignment]:
    """Every job that the database says this worker holds."""
    rows = connection.execute(statement("claimed", schema), {"worker_id": worker_id}).fetchall()
    return in_order_of_service([Assignment(*row) for row in rows])


def give_back(
    connection: Connection, schema: str, *, worker_id: int, assignments: Sequence[Assignment]
) -> list[str]:
    """Puts claimed jobs back that have not started, and wakes workers for their queues. Returns the queues."""
    rows = connection.execute(
        statement("give_back", schema),
        {
            "worker_id": worker_id,
            "ids": [assignment.id for assignment in assignments],
            "attempts": [assignment.attempt for assignment in assignments],
            "waits": [assignment.waited_microseconds for assignment in assignments],
        },
    ).fetchall()
    queues = sorted({queue for _, queue, _ in rows})
    if queues:
        notify(connection, schema, queues)
    return queues


def notify(connection: Connection, schema: str, queues: Sequence[str]) -> None:
    """Tells every listening worker that there is something to do in these queues."""
    connection.execute(
        "SELECT pg_notify(%(channel)s, queue) FROM unnest(%(queues)s::text[]) AS queue "
        "WHERE pg_notification_queue_usage() < 0.9",
        {"channel": channel(schema), "queues": list(queues)},
    )


def finish(
    connection: Connection, schema: str, *, worker_id: int, reports: Sequence[Report], now: float
) -> Recorded:
    """Ends attempts that end their jobs; `now` is this machine's monotonic clock."""
    reports = sorted(reports, key=itemgetter(0))
    if all(is_plain_success(report) for report in reports):
        parameters = {"worker_id": worker_id, **measures_of(reports, now)}
        return recorded_by(connection.execute(statement("finish_plain", schema), parameters))
    return recorded_by(connection.execute(statement("finish", schema), finish_parameters(worker_id, reports, now)))


def finish_parameters(worker_id: int, reports: Sequence[Report], now: float) -> dict[str, Any]:
    values = texts([report.value for report in reports])
    return {"worker_id": worker_id, "values": values, **columns_of_reports(reports, now)}


def is_plain_success(report: Report) -> bool:
    """Whether nothing is to be said of a success but when it was, and what it took."""
    rest = (report.value, report.error_type, report.error_message)
    return report.outcome == Outcome.SUCCESSFUL.value and rest == (None, None, None)


def completing(schema: str, worker_id: int, report: Report) -> Steps[bool]:
    """Ends a successful attempt on the connection of its own job. False: the attempt is not the job's any more."""
    ended = yield statement("finish", schema), finish_parameters(worker_id, [report], monotonic())
    return bool(ended)


def retry(
    connection: Connection, schema: str, *, worker_id: int, reports: Sequence[Report], now: float
) -> Recorded:
    """Ends attempts that another follows, `retry_delay` seconds from now."""
    reports = sorted(reports, key=itemgetter(0))
    cursor = connection.execute(
        statement("retry", schema),
        {
            "worker_id": worker_id,
            "channel": channel(schema),
            "delays": [report.retry_delay for report in reports],
            "excuses": [int(report.excused) for report in reports],
            "losses": [int(report.loss) for report in reports],
            **columns_of_reports(reports, now),
        },
    )
    return recorded_by(cursor)


def recorded_by(cursor: psycopg.Cursor[tuple[Any, ...]]) -> Recorded:
    counts = tuple([Count(moment(row[0] * 1_000_000), *row[1:10]) for row in cursor.fetchall()])
    return Recorded(sum([count.attempts for count in counts]), counts)


def columns_of_reports(reports: Sequence[Report], now: float) -> dict[str, Any]:
    return {
        **measures_of(reports, now),
        "outcomes": [report.outcome for report in reports],
        "error_types": texts([report.error_type for report in reports]),
        "error_messages": texts([report.error_message for report in reports]),
        "tracebacks": texts([report.traceback for report in reports]),
        "aborted": aborted if True in (aborted := [report.aborted for report in reports]) else None,
        "fingerprints": texts([report.fingerprint for report in reports]),
        "frames": texts([report.frame for report in reports]),
    }


def measures_of(reports: Sequence[Report], now: float) -> dict[str, Any]:
    """Which attempts, when they began and ended, and what they took."""
    return {
        "ids": numbers([report.id for report in reports]),
        "attempts": numbers([report.attempt for report in reports]),
        "start_ages": numbers(["NULL" if report.started is None else now - report.started for report in reports]),
        "end_ages": numbers([now - report.ended for report in reports]),
        "cpu_microseconds": numbers_or_null([report.cpu_microseconds for report in reports]),
        "peak_memories": numbers_or_null([report.peak_memory_kilobytes for report in reports]),
    }


def numbers(values: Iterable[object]) -> str:
    """An array of numbers as PostgreSQL reads it; psycopg takes ten times as long over a list."""
    return "{" + ",".join(map(str, values)) + "}"


def numbers_or_null(values: list[int | None]) -> str:
    return numbers(values) if None not in values else numbers("NULL" if value is None else value for value in values)


def texts(values: list[str | None]) -> list[str | None] | None:
    """A column of texts; None where there is none: unnest() fills the shorter columns up with NULL."""
    return None if values.count(None) == len(values) else values


def promote(
    connection: Connection, schema: str, *, worker_id: int, known: Collection[str] = (), limit: int = 1000
) -> Promotion:
    """Makes up to `limit` due jobs pending, and finds queues in which something is, but for those that are known."""
    row = connection.execute(
        statement("promote", schema),
        {"worker_id": worker_id, "channel": channel(schema), "limit": limit, "known": list(known)},
    ).fetchone()
    assert row is not None
    queues, promoted, next_due_seconds, next_expiry_seconds, others, _ = row
    return Promotion(tuple(queues), promoted, next_due_seconds, next_expiry_seconds, tuple(others))


def expire(connection: Connection, schema: str, *, limit: int = 1000) -> Expiry:
    """Ends up to `limit` jobs that have not started within their time."""
    with connection.transaction():
        row = connection.execute(statement("expire", schema), {"limit": limit}).fetchone()
        assert row is not None
        *expiry, minute, counted = row
        if counted:
            counts = [
                Count(minute, queue, job_class, Outcome.CANCELLED, False, None, None, int(jobs))
                for queue, job_class, jobs in counted
            ]
            metrics.add(connection, schema, metrics.figures_of(counts))
    return Expiry(*expiry)


def count_pending(
    connection: Connection, schema: str, *, queues: Sequence[str] = (), limit: int = 100_000
) -> tuple[int, bool]:
    """How many jobs are pending, and whether there are more than were counted."""
    row = connection.execute(
        statement("count_pending", schema), {"queues": list(queues), "limit": limit}
    ).fetchone()
    assert row is not None
    return row[0], row[0] == limit


def unknown_classes(connection: Connection, schema: str, *, limit: int = 10_000) -> list[
    tuple[str, int, list[str], list[int]]
]:
    """Classes that no live worker knows, among the first `limit` pending jobs of each queue: the number of jobs, their
    queues, and the number in each."""
    return connection.execute(statement("unknown_classes", schema), {"limit": limit}).fetchall()


def is_refusal_of_data(error: BaseException) -> bool:
    """Whether PostgreSQL refused a value of ours, so that trying again would be refused again."""
    return isinstance(error, psycopg.DataError | pg.CheckViolation | pg.ProgramLimitExceeded)


def is_lock_timeout(error: BaseException) -> bool:
    """Whether a row stayed locked for longer than `limit_lock_waits` allows."""
    return isinstance(error, pg.LockNotAvailable)


def limit_lock_waits(connection: Connection, seconds: float) -> None:
    """Until this transaction ends, no statement waits longer than that for a row that somebody holds."""
    connection.execute(f"SET LOCAL lock_timeout = {round(seconds * 1000)}".encode())


def count_successful(
    connection: Connection, schema: str, *, worker_id: int, attempts: Sequence[tuple[int, int]]
) -> Recorded:
    """Those of these attempts that the history has as successful, and as this worker's."""
    cursor = connection.execute(
        statement("count_successful", schema),
        {
            "worker_id": worker_id,
            "ids": [job_id for job_id, _ in attempts],
            "attempts": [number for _, number in attempts],
        },
    )
    return recorded_by(cursor)

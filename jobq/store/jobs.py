"""Changes of rows in `jobs` by workers: each function makes one transition of `states.py`, for one job or for many."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from time import monotonic
from typing import Any, cast

import psycopg
from psycopg import errors as pg

from jobq.records import Assignment, Count, Report
from jobq.states import Outcome
from jobq.store import claiming
from jobq.store.callers.steps import Result, Steps, take
from jobq.store.claiming import Expiry, LanePosition, Passed, Promotion, QueuePosition
from jobq.store.database import Connection
from jobq.store.keys import moment
from jobq.store.statements import channel, statement


@dataclass(frozen=True, slots=True)
class Recorded:
    """How a statement recorded its reports: how many were still ours, and the same by kind."""

    attempts: int
    counts: tuple[Count, ...]


def carried_out(connection: Connection, steps: Steps[Result]) -> Result:
    """Executes the steps, also on a connection of any driver that a test lends."""
    return take(steps, lambda statement, parameters: connection.execute(statement, cast(Any, parameters)).fetchall())


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
    """See `claiming.claim`."""
    steps = claiming.claim(schema, worker_id=worker_id, positions=positions, classes=classes, most=most, over=over)
    return carried_out(connection, steps)


def give_back(connection: Connection, schema: str, *, worker_id: int, assignments: Sequence[Assignment]) -> list[str]:
    """See `claiming.give_back`."""
    return carried_out(connection, claiming.give_back(schema, worker_id=worker_id, assignments=assignments))


def finish(connection: Connection, schema: str, *, worker_id: int, reports: Sequence[Report], now: float) -> Recorded:
    """Ends attempts that end their jobs. `now` is this machine's monotonic clock."""
    reports = sorted(reports, key=itemgetter(0))
    if all(is_plain_success(report) for report in reports):
        parameters = {"worker_id": worker_id, **measures_of(reports, now)}
        return recorded_by(connection.execute(statement("finish_plain", schema), parameters))
    return recorded_by(connection.execute(statement("finish", schema), finish_parameters(worker_id, reports, now)))


def finish_parameters(worker_id: int, reports: Sequence[Report], now: float) -> dict[str, Any]:
    values = texts([report.value for report in reports])
    return {"worker_id": worker_id, "values": values, **columns_of_reports(reports, now)}


def is_plain_success(report: Report) -> bool:
    """Whether a success has nothing but its times and its usage."""
    rest = (report.value, report.error_type, report.error_message)
    return report.outcome == Outcome.SUCCESSFUL.value and rest == (None, None, None)


def completing(schema: str, worker_id: int, report: Report) -> Steps[bool]:
    """Ends a successful attempt on the connection of its own job. False: the attempt is not the job's any more."""
    ended = yield statement("finish", schema), finish_parameters(worker_id, [report], monotonic())
    return bool(ended)


def retry(connection: Connection, schema: str, *, worker_id: int, reports: Sequence[Report], now: float) -> Recorded:
    """Ends attempts that are followed by another, `retry_delay` seconds from now."""
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
    """The attempts with their begin, end and usage."""
    return {
        "ids": numbers([report.id for report in reports]),
        "attempts": numbers([report.attempt for report in reports]),
        "start_ages": numbers(["NULL" if report.started is None else now - report.started for report in reports]),
        "end_ages": numbers([now - report.ended for report in reports]),
        "cpu_microseconds": numbers_or_null([report.cpu_microseconds for report in reports]),
        "peak_memories": numbers_or_null([report.peak_memory_kilobytes for report in reports]),
    }


def numbers(values: Iterable[object]) -> str:
    """An array of numbers in PostgreSQL's format; psycopg takes ten times as long for a list."""
    return "{" + ",".join(map(str, values)) + "}"


def numbers_or_null(values: list[int | None]) -> str:
    return numbers(values) if None not in values else numbers("NULL" if value is None else value for value in values)


def texts(values: list[str | None]) -> list[str | None] | None:
    """A column of texts. None if all are empty: unnest() fills the shorter columns up with NULL."""
    return None if values.count(None) == len(values) else values


def find_gates(connection: Connection, schema: str) -> dict[str, list[str]]:
    """As `claiming.find_gates` says."""
    return carried_out(connection, claiming.find_gates(schema))


def claim_through(
    connection: Connection,
    schema: str,
    gate: str,
    *,
    worker_id: int,
    positions: Sequence[LanePosition],
    classes: Sequence[str],
    most: int,
) -> Passed | None:
    """As `claiming.claim_through` says, in a transaction of its own or in the one at hand."""
    with connection.transaction():
        return carried_out(
            connection,
            claiming.claim_through(schema, gate, worker_id=worker_id, positions=positions, classes=classes, most=most),
        )


def promote(
    connection: Connection, schema: str, *, worker_id: int, known: Collection[str] = (), limit: int = 1000
) -> Promotion:
    """See `claiming.promote`."""
    return carried_out(connection, claiming.promote(schema, worker_id=worker_id, known=known, limit=limit))


def expire(connection: Connection, schema: str, *, limit: int = 1000) -> Expiry:
    """See `claiming.expire`."""
    with connection.transaction():
        return carried_out(connection, claiming.expire(schema, limit=limit))


def count_pending(
    connection: Connection, schema: str, *, queues: Sequence[str] = (), limit: int = 100_000
) -> tuple[int, bool]:
    """The number of pending jobs, and whether there are more than were counted."""
    row = connection.execute(statement("count_pending", schema), {"queues": list(queues), "limit": limit}).fetchone()
    assert row is not None
    return row[0], row[0] == limit


def unknown_classes(
    connection: Connection, schema: str, *, limit: int = 10_000
) -> list[tuple[str, int, list[str], list[int]]]:
    """Classes that no live worker knows, among the first `limit` pending jobs of each queue: the number of jobs, their
    queues, and the number in each."""
    return connection.execute(statement("unknown_classes", schema), {"limit": limit}).fetchall()


def is_refusal_of_data(error: BaseException) -> bool:
    """Whether PostgreSQL refused a value, so that it would refuse it again."""
    return isinstance(error, psycopg.DataError | pg.CheckViolation | pg.ProgramLimitExceeded)


def is_lock_timeout(error: BaseException) -> bool:
    """Whether a row stayed locked for longer than `limit_lock_waits` allows."""
    return isinstance(error, pg.LockNotAvailable)


def limit_lock_waits(connection: Connection, seconds: float) -> None:
    """Until this transaction ends, no statement waits longer than that for a locked row."""
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

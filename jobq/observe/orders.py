"""Pages of a list in the order of a column, sorted by the database: along an index, or for the newest jobs only."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from jobq.filters import Filter
from jobq.observe.jobs import Page, Position, above, record_of
from jobq.observe.looks import floor_of
from jobq.observe.reading import read, reading
from jobq.observe.selection import condition_of, slow_terms, with_schema
from jobq.records import JobRecord
from jobq.states import State
from jobq.store.database import Connection, Database
from jobq.store.statements import filtered

MAX_SORTED = 10_000
"""Number of jobs that are sorted by a column without an index."""

COLUMNS = {
    "id": "id",
    "class": "job_class",
    "queue": "queue",
    "priority": "priority",
    "attempt": "attempt",
    "run_at": "run_at",
    "started_at": "started_at",
    "ended_at": "ended_at",
    "ran": "ended_at - started_at",
    "outcome": "outcome",
    "worker": "(SELECT host || '/' || pid FROM SCHEMA.workers WHERE workers.id = worker_id)",
}
"""A sort order of a list."""


@dataclass(frozen=True, slots=True)
class Order:
    column: str  # one of COLUMNS
    is_falling: bool


def sorted_page(
    database: Database, selection: Filter, order: Order, *, limit: int, after: Position | None = None
) -> Page:
    """A page of the selected jobs in this order. `sorted` is the number of the newest jobs that are sorted; None:
    all."""
    with reading(database, slow=slow_terms(selection)) as connection:
        if has_index(selection, order):
            rows, number = along_index(connection, database.schema, selection, order, limit + 1, after), None
        else:
            rows = newest_sorted(connection, database.schema, selection, order, limit + 1, after)
            number = rows[0]["number"] if rows else None
        shown = rows[:limit]
        found = {job.id: job for job in read_again(connection, database.schema, selection, places_of(shown))}
    jobs = tuple(found[row["id"]] for row in shown if row["id"] in found)
    place = (after.place or 0 if after else 0) + limit
    following = Position(shown[-1]["id"], shown[-1]["moment"], place) if len(rows) > limit else None
    return Page(jobs, following, slow_terms(selection), sorted=number if number == MAX_SORTED else None)


def places_of(rows: Iterable[dict[str, Any]]) -> list[tuple[int, datetime | None]]:
    return [(row["id"], row["moment"]) for row in rows]


def among(database: Database, selection: Filter, places: list[tuple[int, datetime | None]]) -> tuple[JobRecord, ...]:
    """Those of the given jobs that are still selected, each with the time at which it ended, if it has."""
    with reading(database) as connection:
        return tuple(read_again(connection, database.schema, selection, places))


def read_again(
    connection: Connection, schema: str, selection: Filter, places: list[tuple[int, datetime | None]]
) -> list[JobRecord]:
    condition, parameters = condition_of(selection, schema)
    condition += " AND id = ANY (%(ids)s::bigint[])"
    parameters |= {"ids": [job_id for job_id, _ in places], "limit": len(places), "below": None, "below_time": None}
    name = "observe_unfinished"
    if selection.is_finished:
        name = "observe_finished"
        moments = [moment for _, moment in places if moment is not None]
        # Only by these PostgreSQL can skip the partitions of other days.
        condition += " AND ended_at >= %(first)s::timestamptz AND ended_at <= %(last)s::timestamptz"
        parameters |= {"first": min(moments, default=None), "last": max(moments, default=None)}
    return [record_of(row) for row in read(connection, filtered(name, schema, condition), parameters)]


def has_index(selection: Filter, order: Order) -> bool:
    keys = {term.key for term in selection.terms}
    if selection.is_finished:
        return order.column == "ended_at" and keys <= {"state", "outcome", "since", "until"}
    if order.column == "run_at":
        return selection.states == (State.SCHEDULED,) and keys <= {"state"}
    return order.column == "id" and keys <= {"state"}


def along_index(
    connection: Connection, schema: str, selection: Filter, order: Order, limit: int, after: Position | None
) -> list[dict[str, Any]]:
    condition, parameters = listed(selection, schema)
    column, direction = COLUMNS[order.column], "DESC" if order.is_falling else "ASC"
    by = "id" if column == "id" else f"{column}, id"
    if after is not None:
        beyond = "%(after)s::bigint" if column == "id" else "%(after_time)s::timestamptz, %(after)s::bigint"
        condition += f" AND ({by}) {'<' if order.is_falling else '>'} ({beyond})"
        parameters |= {"after": after.id, "after_time": after.ended_at}
    moment = "NULL::timestamptz" if column == "id" else column
    parts = {"moment": moment, "order": ", ".join(f"{part} {direction}" for part in by.split(", "))}
    return read(connection, put("observe_ordered", schema, selection, condition, parts), parameters | {"limit": limit})


def newest_sorted(
    connection: Connection, schema: str, selection: Filter, order: Order, limit: int, after: Position | None
) -> list[dict[str, Any]]:
    condition, parameters = listed(selection, schema)
    condition, more = above(condition, floor_of(connection, schema, selection, None))
    parameters |= more | {"most": MAX_SORTED, "place": after.place or 0 if after else 0, "limit": limit}
    parts = {
        "column": COLUMNS[order.column],
        "direction": "DESC" if order.is_falling else "ASC",
        "moment": "ended_at" if selection.is_finished else "NULL::timestamptz",
        "newest": "ended_at DESC, id DESC" if selection.is_finished else "id DESC",
    }
    return read(connection, put("observe_sorted", schema, selection, condition, parts), parameters)


def listed(selection: Filter, schema: str) -> tuple[str, dict[str, Any]]:
    """The condition on the rows of a list: in the history, the last attempt of each job."""
    condition, parameters = condition_of(selection, schema)
    return (f"NOT retried AND {condition}" if selection.is_finished else condition), parameters


def put(name: str, schema: str, selection: Filter, condition: str, parts: dict[str, str]) -> bytes:
    """A statement with all of its parts inserted."""
    text = filtered(name, schema, condition)
    for part, words in {**parts, "table": "results" if selection.is_finished else "jobs"}.items():
        text = text.replace(f"{{{part}}}".encode(), with_schema(words, schema).encode())
    return text

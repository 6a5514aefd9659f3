"""Cheap looks at lists of any length: if no index serves a filter, they read only the newest jobs."""

from dataclasses import dataclass

from jobq.filters import Filter, of
from jobq.observe.jobs import Page, Position, above, page_from, record_of, statement_of
from jobq.observe.reading import read, reading
from jobq.observe.selection import condition_of, served, slow_terms
from jobq.states import FINISHED
from jobq.store.database import Connection, Database
from jobq.store.statements import filtered

LOOK = 10_000
"""Maximum number of jobs that one question reads: a few hundredths of a second."""


@dataclass(frozen=True, slots=True)
class Matches:
    """How many jobs a filter selects, counted up to a limit."""

    number: int
    looked: int | None = None  # only this number of the newest jobs was read; None: all


def matches(database: Database, selection: Filter, *, limit: int) -> Matches:
    """The number of matching jobs. Raises QueryTooSlow."""
    with reading(database, slow=slow_terms(selection)) as connection:
        floor = floor_of(connection, database.schema, selection, None)
        condition, parameters = condition_of(selection, database.schema)
        condition, more = above(condition, floor)
        name = "observe_matches_finished" if selection.is_finished else "observe_matches_unfinished"
        text = filtered(name, database.schema, condition)
        rows = read(connection, text, parameters | more | {"limit": limit})
    return Matches(rows[0]["number"], None if floor is None else LOOK)


def search(database: Database, selection: Filter, *, limit: int, after: Position | None = None) -> Page:
    """A page as in `list_jobs`, but from no more than the next LOOK jobs.

    If there were more jobs to read, `next` is where the look ended, however few matched.
    """
    slow = slow_terms(selection)
    with reading(database, slow=slow) as connection:
        floor = floor_of(connection, database.schema, selection, after)
        rows = read(connection, *statement_of(database.schema, "observe", selection, limit + 1, after, floor))
    page = page_from([record_of(row) for row in rows], limit, slow)
    if floor is None or page.next is not None:
        return page
    return Page(page.jobs, floor, slow, LOOK)


def floor_of(connection: Connection, schema: str, selection: Filter, after: Position | None) -> Position | None:
    """The last job that a look reads. None if an index serves the filter, or if fewer jobs are left."""
    chosen = served(selection)
    if chosen is None:
        return None
    parameters = {"look": LOOK, "below": after.id if after else None}
    if not selection.is_finished:
        rows = read(connection, filtered("observe_floor_unfinished", schema, "true"), parameters)
        return Position(rows[0]["id"]) if rows else None
    condition, more = condition_of(of("state", FINISHED) + chosen, schema)
    parameters |= more | {"below_time": after.ended_at if after else None}
    rows = read(connection, filtered("observe_floor_finished", schema, condition), parameters)
    return Position(rows[0]["id"], rows[0]["ended_at"]) if rows else None

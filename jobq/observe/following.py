"""Follows jobs by their ids: their states and their ends, as far as the database's role may see them.

Written as steps, which run on jobq's own connection or on the caller's, whatever its driver.
"""

import json
from collections.abc import Generator, Sequence
from dataclasses import fields, replace
from datetime import datetime
from typing import Any, TypeVar

from jobq.arguments import decoded
from jobq.errors import ArgumentsError, DatabaseForbidden
from jobq.filters import Filter
from jobq.observe.jobs import Page, Position, attempt_of, page_from, progress_of, statement_of
from jobq.observe.reading import reading, shown
from jobq.records import AttemptRecord, FoundJob, JobRecord
from jobq.states import FINISHED
from jobq.store import rights
from jobq.store.callers import psycopg3
from jobq.store.callers.steps import Call, Steps
from jobq.store.database import Database
from jobq.store.statements import quote_identifier, statement, with_rows

Result = TypeVar("Result")

Row = dict[str, Any]
"""A row as a dict by column name."""

Asking = Generator[Call, list[tuple[Any, ...]], Result]

EVERYTHING = ("jobs", "results", "workers")
"""The tables that a role must be able to read to see everything of a job."""

OF_A_JOB = tuple(field.name for field in fields(JobRecord))
OF_AN_ATTEMPT = tuple(field.name for field in fields(AttemptRecord) if field.name not in ("hidden", "value_note"))


def look(database: Database, steps: Steps[Result]) -> Result:
    """Executes these steps on a connection of jobq's own. DatabaseForbidden names the right to grant."""
    try:
        with reading(database) as connection:
            return psycopg3.carry_out(connection, steps)
    except DatabaseForbidden:
        rights.require(database, rights.WEB)
        raise


def finding(schema: str, job_id: int) -> Steps[FoundJob | None]:
    """One job with every ended attempt. None if there is no such job."""
    may_read = yield from may_read_all(schema)
    name = "observe_job" if may_read else "observe_job_state"
    found = yield from rows_of(statement(name, schema), {"id": job_id})
    if not found:
        return None
    attempts = yield from attempts_of(schema, [job_id], every=True, may_read=may_read)
    (row,) = found
    hidden = () if may_read else tuple(name for name in OF_A_JOB if name not in row)
    job = {**dict.fromkeys(hidden), **row, "arguments": row.get("arguments") or {}}
    return FoundJob(**job, attempts=tuple(attempts.get(job_id, ())), hidden=hidden)


def standing(schema: str, ids: Sequence[int]) -> Steps[dict[int, str]]:
    """The states of those jobs that exist; see `jobq.states`."""
    rows = yield statement("observe_states", schema), {"ids": list(ids)}
    return {job_id: state for job_id, state in rows if state is not None}


def following(schema: str, ids: Sequence[int]) -> Steps[tuple[dict[int, str], dict[int, AttemptRecord]]]:
    """The states of jobs, and the last attempts of those that have ended for good."""
    states = yield from standing(schema, ids)
    ended = [job_id for job_id, state in states.items() if state == FINISHED]
    if not ended:
        return states, {}
    may_read = yield from may_read_all(schema)
    attempts = yield from attempts_of(schema, ended, every=False, may_read=may_read)
    # A job that was queued again in between has none: it has not ended.
    return states, {job_id: of_one[-1] for job_id, of_one in attempts.items()}


def listing(schema: str, selection: Filter, *, limit: int, after: Position | None) -> Steps[Page]:
    """A page of the selected jobs, as in `list_jobs`."""
    text, parameters = statement_of(schema, "observe", selection, limit + 1, after)
    rows = yield from rows_of(text, parameters)
    return page_from([JobRecord(**row) for row in rows], limit)


def may_read_all(schema: str) -> Asking[bool]:
    tables = [f"{quote_identifier(schema)}.{table}" for table in EVERYTHING]
    ((may_read,),) = yield statement("observe_may_read", schema), {"tables": tables}
    return bool(may_read)


def attempts_of(
    schema: str, ids: Sequence[int], *, every: bool, may_read: bool
) -> Asking[dict[int, list[AttemptRecord]]]:
    """The attempts of jobs in order, by job: all of them, or the last one of each job that has ended for good."""
    name = "observe_attempts" if may_read else "observe_attempt_states"
    rows = yield from rows_of(statement(name, schema), {"ids": list(ids), "every": every})
    attempts: dict[int, list[AttemptRecord]] = {}
    for row in rows:
        hidden = () if may_read else tuple(name for name in OF_AN_ATTEMPT if name not in row)
        attempts.setdefault(row["id"], []).append(attempt_of(row, hidden=hidden))
    return attempts


def rows_of(text: bytes, parameters: dict[str, Any]) -> Asking[list[Row]]:
    """The rows of a statement as dicts, with secrets masked, on any driver."""
    rows = yield with_rows("observe_named", text), parameters
    return [row_of(*row) for row in rows]


def row_of(stored: str, arguments: str | None, value: str | None, progress: str | None) -> Row:
    row: Row = json.loads(stored)
    for name, text in row.items():
        if name.endswith("_at") and text is not None:
            row[name] = datetime.fromisoformat(text)
    for name, text in (("arguments", arguments), ("value", value), ("progress", progress)):
        if text is not None:
            row[name] = shown(text)
    if row.get("progress") is not None:
        row["progress"] = progress_of(row["progress"], row["attempt"])
    return row


def legible_value(attempt: AttemptRecord) -> AttemptRecord:
    """The attempt with its value as run() returned it, if that can be made here; else as it is stored.

    References to rows stay references: a look loads nothing from the user's own database.
    """
    try:
        return replace(attempt, value=decoded(attempt.value, lambda rows, stored: {"$": rows.name, "v": stored}))
    except ArgumentsError:
        return attempt

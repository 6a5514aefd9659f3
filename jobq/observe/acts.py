"""The audit: what operators did."""

from datetime import datetime
from typing import Any

from psycopg.rows import DictRow

from jobq.observe.reading import dicts, reading
from jobq.records import ActRecord, JobActs
from jobq.store.database import Database


def audit(
    database: Database,
    *,
    since: datetime | None = None,
    who: str | None = None,
    job_id: int | None = None,
    limit: int = 50,
    below: int | None = None,
) -> tuple[ActRecord, ...]:
    """Acts, the latest first. `below` is the id of the last one on the page before.

    With `job_id`: acts that name the job among their first jobs, and acts that made another job like it.
    """
    return records(database, {"since": since, "who": who, "job_id": job_id, "below": below, "limit": limit, "id": None})


def act(database: Database, act_id: int) -> ActRecord | None:
    """One act. None if there is none with that number."""
    found = records(database, {"since": None, "who": None, "job_id": None, "below": None, "limit": 1, "id": act_id})
    return found[0] if found else None


def acts_on(database: Database, job_id: int, *, since: datetime, limit: int = 20) -> JobActs:
    """What operators did to a job, the latest first. `since` is when the job was first known."""
    named = audit(database, job_id=job_id, limit=limit)
    asked = {"job_id": job_id, "since": since, "limit": limit}
    with reading(database) as connection:
        rows = dicts(connection, "observe_possible_acts", database.schema, asked)
    return JobActs(named, tuple(map(record_of, rows)))


def records(database: Database, parameters: dict[str, Any]) -> tuple[ActRecord, ...]:
    with reading(database) as connection:
        rows = dicts(connection, "observe_audit", database.schema, parameters)
    return tuple(map(record_of, rows))


def record_of(row: DictRow) -> ActRecord:
    return ActRecord(**{**row, "ids": tuple(row["ids"]), "names": tuple(row["names"])})

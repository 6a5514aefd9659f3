"""Adds jobs whose classes have rules for a held key. `enqueueing` adds all others, with one statement.

The rules themselves are functions of the database: they wait for locks and look again, which takes several statements,
and plain SQL obeys them too.
"""

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from jobq.records import NewJob
from jobq.store.callers.steps import Steps
from jobq.store.database import Connection
from jobq.store.statements import statement


class Holder(NamedTuple):
    """The job that held the key, and what was done with it. It is not the job that was to be added."""

    verdict: str  # held: left alone; replaced; followed: it runs, and the new one comes after it
    queue: str
    priority: int
    attempt: int
    retries: int
    started_at: datetime | None
    timeout: float | None
    arguments: str | None  # JSON text; None if the role may not read them


class Placed(NamedTuple):
    """Where a job is now: in a row of its own, or in that of the holder."""

    id: int
    state: str
    enqueued_at: datetime
    run_at: datetime
    expires_at: datetime | None
    holder: Holder | None


EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def moment(microseconds: int) -> datetime:
    """A time as statements on callers' connections return it: no setting and no codec changes a number."""
    return EPOCH + timedelta(microseconds=microseconds)


def placing(schema: str, jobs: Iterable[tuple[NewJob, str]]) -> Steps[list[Placed | None]]:
    """Adds jobs with their arguments, each by the rules of its class. None if it is not enqueued."""
    items = [item_of(place, *job) for place, job in enumerate(jobs)]
    rows = yield statement("enqueue_held", schema), {"jobs": f"[{','.join(items)}]"}
    placed: list[Placed | None] = [None] * len(items)
    for place, verdict, job_id, state, enqueued_at, run_at, expires_at, *rest in rows:
        if job_id is not None:
            holder = None if verdict == "enqueued" else holder_of(verdict, *rest)
            expiry = None if expires_at is None else moment(expires_at)
            placed[place] = Placed(job_id, state, moment(enqueued_at), moment(run_at), expiry, holder)
    return placed


def holder_of(
    verdict: str, queue: str, priority: int, attempt: int, retries: int, started_at: int | None, *rest: Any
) -> Holder:
    started = None if started_at is None else moment(started_at)
    return Holder(verdict, queue, priority, attempt, retries, started, *rest)


def item_of(place: int, job: NewJob, arguments: str) -> str:
    """A job and the rules of its class as `enqueue_by_rules()` takes them: JSON text, with the arguments unchanged."""
    assert job.key_rules is not None
    fields: dict[str, Any] = {
        "place": place,
        "job_class": job.job_class,
        "queue": job.queue,
        "priority": job.priority,
        "retries": job.retries,
        "unique_key": job.unique_key,
        "source": job.source,
        "timeout": job.timeout,
        "has_abort_hook": job.has_abort_hook,
        "delay": job.delay,
        "run_at": job.run_at and job.run_at.isoformat(),
        "expires_in": job.expires_in,
        "expires_at": job.expires_at and job.expires_at.isoformat(),
        "gate": job.gate,
        "lane": job.lane,
        **job.key_rules._asdict(),
    }
    return f'{json.dumps(fields)[:-1]}, "arguments": {arguments}, "trace_context": {job.trace_context or "null"}}}'


def forget_throttles(connection: Connection, schema: str) -> None:
    """Deletes the expired time spans of `unique_for`."""
    connection.execute(statement("forget_throttles", schema), {})

"""What operators may do: retry, cancel, purge. Each says truly what it did, and why it left the rest."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

from jobq import observe
from jobq.errors import JobNotFound
from jobq.observe import Selection
from jobq.states import CANCELLABLE, FINISHED, State
from jobq.store import jobs
from jobq.store.database import Database, who_am_i

CHUNK = 500

Progress = Callable[[int], None]
"""Called with the number of jobs seen to so far."""


@dataclass(slots=True)
class Acted:
    """What came of an act: the ids it was done to, and why not for each of the others."""

    done: list[int] = field(default_factory=list)
    skipped: dict[int, str] = field(default_factory=dict)


def retry(database: Database, ids: Iterable[int], *, progress: Progress | None = None) -> Acted:
    """Queues finished jobs again, under their own ids and with all they had; each gets one more attempt."""

    def act(chunk: Sequence[int]) -> list[int]:
        with database.connection() as connection:
            return jobs.retry_by_hand(connection, database.schema, chunk)

    return in_chunks(database, ids, act, why_not_retried, progress)


def cancel(database: Database, ids: Iterable[int], *, progress: Progress | None = None) -> Acted:
    """Calls off jobs that are not running."""
    cancelled_by = who_am_i()

    def act(chunk: Sequence[int]) -> list[int]:
        with database.connection() as connection:
            return jobs.cancel(connection, database.schema, chunk, cancelled_by=cancelled_by)

    return in_chunks(database, ids, act, why_not_cancelled, progress)


def purge(database: Database, ids: Iterable[int], *, progress: Progress | None = None) -> Acted:
    """Deletes finished jobs from the history, with all their attempts. That cannot be undone."""

    def act(chunk: Sequence[int]) -> list[int]:
        with database.connection() as connection:
            return jobs.purge(connection, database.schema, chunk)

    return in_chunks(database, ids, act, why_not_purged, progress)


def select(database: Database, selection: Selection) -> list[int]:
    """The ids of all jobs that are meant now: what was counted and shown is then what is acted on."""
    return [job.id for page in observe.pages(database, selection) for job in page]


def in_chunks(
    database: Database,
    ids: Iterable[int],
    act: Callable[[Sequence[int]], list[int]],
    why_not: Callable[[str], str],
    progress: Progress | None,
) -> Acted:
    """Acts on a few hundred at a time, so that no statement holds locks for long."""
    database.prepare()
    acted, seen = Acted(), 0
    for chunk in chunks(dict.fromkeys(ids)):
        done = act(chunk)
        acted.done += done
        for job_id in set(chunk) - set(done):
            acted.skipped[job_id] = reason(database, job_id, why_not)
        seen += len(chunk)
        if progress is not None:
            progress(seen)
    return acted


def chunks(ids: Iterable[int]) -> Iterator[list[int]]:
    remaining = iter(ids)
    while chunk := list(islice(remaining, CHUNK)):
        yield chunk


def reason(database: Database, job_id: int, why_not: Callable[[str], str]) -> str:
    try:
        job = observe.show(database, job_id).job
    except JobNotFound:
        return "there is no such job"
    return why_not(job.state)


def why_not_retried(state: str) -> str:
    if state == FINISHED:
        return "another unfinished job holds its unique key"
    return f"it is {state}: only finished jobs can be retried"


def why_not_cancelled(state: str) -> str:
    if state == State.RUNNING:
        return "it is running"
    if state == FINISHED:
        return "it has ended already"
    assert state in CANCELLABLE
    return "it was just taken by another"


def why_not_purged(state: str) -> str:
    return f"it is {state}: only finished jobs can be purged" if state != FINISHED else "it was just taken by another"


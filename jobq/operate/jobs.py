"""Acts on jobs: retry, cancel, purge. Each reports exactly what it did, and why it left the others alone."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from itertools import islice

from jobq import observe
from jobq.errors import JobNotFound
from jobq.operate.acting import Act, Part
from jobq.operate.contended import HELD, do_unless_held
from jobq.records import ActRecord, JobDetail
from jobq.states import FINISHED, WAITING, State
from jobq.store import acts
from jobq.store.acts import Seen
from jobq.store.database import Database

CHUNK = 500

CANCEL_ROUNDS = 3
"""A job may be claimed, or put back, while it is being cancelled: then it is looked up again in its new state."""

Progress = Callable[[int], None]
"""Called with the number of jobs handled so far."""


@dataclass(slots=True)
class Acted:
    """The result of an act: the ids that it changed, and for each of the others the reason.

    `asked` are running jobs that were asked to end, and have not ended. `act` is its row in the audit; None if nothing
    was done.
    """

    done: list[int] = field(default_factory=list)
    asked: list[int] = field(default_factory=list)
    skipped: dict[int, str] = field(default_factory=dict)
    act: int | None = None


def retry(
    database: Database,
    ids: Iterable[int],
    *,
    selection: str | None = None,
    progress: Progress | None = None,
    seen: Seen | None = None,
) -> Acted:
    """Queues finished jobs again, under their own ids and with all their values. Each gets one more attempt.

    `selection` is the filter that chose them, for the audit. `seen` has the last attempt of each job when it was
    chosen: a job that has run again since is left alone.
    """

    def do(part: Part, chunk: Sequence[int]) -> list[int]:
        return acts.retry_by_hand(part.connection, database.schema, chunk, act=part.act, seen=seen)

    return in_chunks(Act(database, "retry", selection=selection), ids, do, why_not_retried, progress, seen)


def cancel(
    database: Database,
    ids: Iterable[int],
    *,
    selection: str | None = None,
    progress: Progress | None = None,
    seen: Seen | None = None,
) -> Acted:
    """Cancels waiting jobs at once, and asks running ones to end."""
    act = Act(database, "cancel", selection=selection)
    asked: set[int] = set()

    def do(part: Part, chunk: Sequence[int]) -> list[int]:
        left = set(chunk)
        for _ in range(CANCEL_ROUNDS):
            left.difference_update(
                acts.cancel(
                    part.connection, database.schema, sorted(left), cancelled_by=act.who, act=part.act, seen=seen
                )
            )
            running = acts.request_cancel(
                part.connection, database.schema, sorted(left), cancelled_by=act.who, seen=seen
            )
            asked.update(running)
            left.difference_update(running)
            if not left:
                break
        return [job_id for job_id in chunk if job_id not in left]

    acted = in_chunks(act, ids, do, why_not_cancelled, progress, seen)
    acted.asked = sorted(asked.intersection(acted.done))
    acted.done = [job_id for job_id in acted.done if job_id not in asked]
    return acted


def purge(
    database: Database,
    ids: Iterable[int],
    *,
    selection: str | None = None,
    progress: Progress | None = None,
    seen: Seen | None = None,
) -> Acted:
    """Removes finished jobs from the history, with all their attempts. They are deleted some minutes later."""

    def do(part: Part, chunk: Sequence[int]) -> list[int]:
        return acts.purge(part.connection, database.schema, chunk, act=part.act, seen=seen)

    return in_chunks(Act(database, "purge", selection=selection), ids, do, why_not_purged, progress, seen)


def in_chunks(
    act: Act,
    ids: Iterable[int],
    do: Callable[[Part, Sequence[int]], list[int]],
    why_not: Callable[[str], str],
    progress: Progress | None,
    seen: Seen | None = None,
) -> Acted:
    """Acts on a few hundred at a time, so that no statement holds locks for long."""
    acted, number = Acted(), 0
    for chunk in chunks(dict.fromkeys(ids)):
        with act.part() as part:
            done, held = do_unless_held(part.connection, chunk, partial(do, part))
            part.did(done)
        acted.done += done
        acted.skipped |= dict.fromkeys(held, HELD)
        for job_id in sorted(set(chunk) - set(done) - set(held)):
            acted.skipped[job_id] = reason(act.database, job_id, why_not, (seen or {}).get(job_id))
        number += len(chunk)
        if progress is not None:
            progress(number)
    acted.act = act.id
    return acted


def chunks(ids: Iterable[int]) -> Iterator[list[int]]:
    remaining = iter(ids)
    while chunk := list(islice(remaining, CHUNK)):
        yield chunk


def reason(database: Database, job_id: int, why_not: Callable[[str], str], seen: int | None = None) -> str:
    try:
        detail = observe.show(database, job_id)
    except JobNotFound:
        return "there is no such job"
    has_ended = why_not is why_not_cancelled and detail.job.state == FINISHED  # in any attempt
    later = None if seen is None or has_ended else since_seen(database, detail, seen)
    return why_not(detail.job.state) if later is None else later


def since_seen(database: Database, detail: JobDetail, seen: int) -> str | None:
    """What happened to a job after the attempt that was seen. None if that is still the last one."""
    job = detail.job
    now = f"attempt {job.attempt} ended as {job.outcome}" if job.state == FINISHED else f"it is {job.state} now"
    if job.state == State.RUNNING:
        now = f"attempt {job.attempt} is running"
    ended_at = next((one.ended_at for one in detail.attempts if one.attempt == seen), None)
    if ended_at is not None and (act := retry_since(database, job.id, ended_at)) is not None:
        return f"{act.who} retried it at {act.at.astimezone(UTC):%H:%M:%S} UTC: {now}"
    return None if job.attempt == seen else f"attempt {seen} was shown, which is not the last one: {now}"


def retry_since(database: Database, job_id: int, since: datetime) -> ActRecord | None:
    """The last retry of a job by hand. None if there was none, or if the audit does not name it."""
    acts = observe.acts_on(database, job_id, since=since)
    named, possible = (
        [act for act in some if act.verb == "retry" and act.at >= since and act.undone_at is None]
        for some in (acts.named, acts.possible)
    )
    return named[0] if named else possible[0] if len(possible) == 1 else None


def why_not_retried(state: str) -> str:
    if state == FINISHED:
        return "another unfinished job holds its unique key"
    return f"it is {state}: only finished jobs can be retried"


def why_not_cancelled(state: str) -> str:
    if state == FINISHED:
        return "it has ended already"
    assert state in (*WAITING, State.RUNNING)
    return "its state changes too quickly; try again"


def why_not_purged(state: str) -> str:
    return f"it is {state}: only finished jobs can be purged" if state != FINISHED else "it was just taken by another"

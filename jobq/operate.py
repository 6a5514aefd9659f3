"""What operators may do with jobs and with schedules. Each act says truly what it did, and why it left the rest."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

from jobq import observe
from jobq.errors import JobNotFound
from jobq.observe import Selection
from jobq.schedules import Verdict, ticks_of
from jobq.states import CANCELLABLE, FINISHED, State
from jobq.store import jobs
from jobq.store import schedules as schedule_store
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


@dataclass(slots=True)
class ActedOnSchedules:
    """What came of an act on schedules: the names it was done to, and why not for each of the others."""

    done: list[str] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    jobs: dict[str, int] = field(default_factory=dict)  # what was enqueued


def run_schedule(database: Database, names: Iterable[str]) -> ActedOnSchedules:
    """Enqueues the jobs of schedules now, out of turn: their ticks go on as they would have. Also of paused ones.

    Raises ScheduleNotFound before anything is done.
    """
    acted = ActedOnSchedules()
    run_by = who_am_i()
    for schedule in standing(database, names):
        with database.connection() as connection:
            ran = schedule_store.run(connection, database.schema, name=schedule.name, run_by=run_by)
        if ran is not None and ran.job_id is not None:
            acted.done.append(schedule.name)
            acted.jobs[schedule.name] = ran.job_id
        else:
            acted.skipped[schedule.name] = WHY_NOT_RUN[ran.verdict] if ran else "no live worker declares it"
    return acted


WHY_NOT_RUN = {
    Verdict.OVERLAPPED.value: "its last job is not done, and its jobs may not overlap",
    Verdict.HELD.value: "an unfinished job holds its unique key",
}


def pause_schedule(database: Database, names: Iterable[str]) -> ActedOnSchedules:
    """Lets the ticks of schedules pass without a job. Raises ScheduleNotFound before anything is done."""
    wanted = [schedule.name for schedule in standing(database, names)]
    with database.connection() as connection:
        done = schedule_store.pause(connection, database.schema, wanted, paused_by=who_am_i())
    return ActedOnSchedules(done, {name: "it is paused already" for name in wanted if name not in done})


def resume_schedule(database: Database, names: Iterable[str]) -> ActedOnSchedules:
    """Lets schedules fire again, from their next tick on: what passed while they were paused was not missed.

    Raises ScheduleNotFound before anything is done.
    """
    acted = ActedOnSchedules()
    for name in [schedule.name for schedule in standing(database, names)]:
        if resume_one(database, name):
            acted.done.append(name)
        else:
            acted.skipped[name] = "it is not paused"
    return acted


def resume_one(database: Database, name: str) -> bool:
    """Again where a worker moved it on between the look and the act. False: it is not paused."""
    while True:
        (seen,) = standing(database, [name])
        if not seen.is_paused:
            return False
        next_at = seen.next_at
        if next_at is not None and next_at <= seen.now:
            next_at = ticks_of(seen.expression, seen.timezone).after(seen.now)
        with database.connection() as connection:
            if schedule_store.resume(connection, database.schema, seen, next_at=next_at):
                return True


def standing(database: Database, names: Iterable[str]) -> list[schedule_store.Standing]:
    """Where schedules stand, in the order of their names as given. Raises ScheduleNotFound."""
    wanted = list(dict.fromkeys(names))
    database.prepare()
    with database.connection() as connection:
        found = {one.name: one for one in schedule_store.standing(connection, database.schema, wanted)}
    observe.require_all(database, wanted, set(found))
    return [found[name] for name in wanted]


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


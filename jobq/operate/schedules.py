"""Acts on schedules: run now, pause, resume. Each reports exactly what it did, and why it left the others alone."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from jobq import observe
from jobq.operate.acting import Act, acting, who_acts
from jobq.schedules import Verdict
from jobq.store import schedules as store
from jobq.store.database import Database
from jobq.ticks import ticks_of


@dataclass(slots=True)
class ActedOnSchedules:
    """The result of an act on schedules: the names that it changed, and for each of the others the reason."""

    done: list[str] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    jobs: dict[str, int] = field(default_factory=dict)  # the enqueued jobs


def run_schedule(database: Database, names: Iterable[str]) -> ActedOnSchedules:
    """Enqueues the jobs of schedules now, out of turn; their ticks do not change. Works for paused ones too.

    Raises ScheduleNotFound before anything is done.
    """
    acted = ActedOnSchedules()
    act = Act(database, "run schedule")
    for schedule in standing(database, names):
        with act.part() as part:
            ran = store.run(part.connection, database.schema, name=schedule.name, run_by=act.who)
            if ran is not None and ran.job_id is not None:
                part.did(names=[schedule.name])
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
    with acting(database, "pause schedule") as act:
        done = store.pause(act.connection, database.schema, wanted, paused_by=who_acts())
        act.did(names=done)
    return ActedOnSchedules(done, {name: "it is paused already" for name in wanted if name not in done})


def resume_schedule(database: Database, names: Iterable[str]) -> ActedOnSchedules:
    """Lets schedules fire again, from their next tick on: ticks during the pause do not count as missed.

    Raises ScheduleNotFound before anything is done.
    """
    acted = ActedOnSchedules()
    act = Act(database, "resume schedule")
    for name in [schedule.name for schedule in standing(database, names)]:
        if resume_one(act, name):
            acted.done.append(name)
        else:
            acted.skipped[name] = "it is not paused"
    return acted


def resume_one(act: Act, name: str, *, paused_until: datetime | None = None) -> bool:
    """Tries again if a worker moved it on between the look and the act. False: it is not paused, or was paused
    later."""
    while True:
        (seen,) = standing(act.database, [name])
        if seen.paused_at is None or (paused_until is not None and seen.paused_at > paused_until):
            return False
        next_at = seen.next_at
        if next_at is not None and next_at <= seen.now:
            next_at = ticks_of(seen.expression, seen.timezone).after(seen.now)
        with act.part() as part:
            is_resumed = store.resume(part.connection, act.database.schema, seen, next_at=next_at)
            part.did(names=[name] if is_resumed else [])
        if is_resumed:
            return True


def standing(database: Database, names: Iterable[str]) -> list[store.Standing]:
    """The state of schedules, in the order of the given names. Raises ScheduleNotFound."""
    wanted = list(dict.fromkeys(names))
    database.prepare()
    with database.connection() as connection:
        found = {one.name: one for one in store.standing(connection, database.schema, wanted)}
    observe.require_all(database, wanted, set(found))
    return [found[name] for name in wanted]

"""Undoes an operator's act, for a minute, as far as nothing has happened to the jobs since."""

from collections.abc import Callable, Sequence

from jobq import observe
from jobq.commands import command
from jobq.errors import ActNotUndone
from jobq.operate import retrying_on_build
from jobq.operate.acting import Act, Part, acting, who_acts
from jobq.operate.jobs import Acted, in_chunks
from jobq.operate.rights import permitted
from jobq.operate.schedules import resume_one
from jobq.records import ActRecord
from jobq.states import FINISHED, State
from jobq.store import audit, gate_acts, mutes, waiting_retries
from jobq.store.database import Connection, Database

UNDO_SECONDS = 60.0
"""An act can be undone for this many seconds after its last part was done."""


def undo(database: Database, act_id: int | None = None) -> tuple[ActRecord, Acted]:
    """Undoes an act, by default the last one of this person that can be undone. Returns that act, and the result.

    Raises ActNotUndone, which says why.
    """
    found = chosen(database, act_id)
    with permitted(database, "undo"):
        acted = UNDONE_BY_NAME.get(found.verb, undo_jobs)(database, found)
        if acted.act is not None:
            with database.connection() as connection:
                audit.mark_undone(connection, database.schema, found.id)
    return found, acted


def chosen(database: Database, act_id: int | None) -> ActRecord:
    if act_id is not None:
        act = observe.act(database, act_id)
        if act is None:
            raise ActNotUndone(f"There is no act {act_id}: {command('audit')} lists them.")
        if (obstacle := why_not(act)) is not None:
            raise ActNotUndone(f"Act {act_id}, {act.verb}, cannot be undone: {obstacle}.")
        return act
    who = who_acts()
    for act in observe.audit(database, who=who, limit=20):
        if why_not(act) is None:
            return act
    raise ActNotUndone(
        f"There is nothing to undo: {who} did nothing in the last {UNDO_SECONDS:g} s that can be undone. "
        f"An act of somebody else is undone by its number: {command('audit')}"
    )


def why_not(act: ActRecord) -> str | None:
    """Why an act cannot be undone. None if it can."""
    if act.verb not in UNDONE_BY_JOB and act.verb not in UNDONE_BY_NAME:
        return "it cannot be undone"
    if act.undone_at is not None:
        return "it was undone already"
    if act.verb in WAITING:
        return None
    if act.seconds_ago > UNDO_SECONDS:
        return f"it was done {act.seconds_ago:.0f} s ago: an act can be undone for {UNDO_SECONDS:g} s"
    return None


def remaining(database: Database, *, is_mine: bool = False) -> dict[int, int]:
    """How many items of each act of the last minute can still be undone, by its number: the latest act first."""
    return {one.act: one.number for one in recent(database, is_mine=is_mine)}


def why_nothing(database: Database) -> str | None:
    """Why `undo` of the last act would change nothing now. None if it would."""
    last = next(iter(recent(database, is_mine=True)), None)
    if last is None:
        return f"you have no act of the last {UNDO_SECONDS:g} s that can be undone"
    return None if last.number else f"{last.verb}: {GONE[last.verb]}"


def recent(database: Database, *, is_mine: bool) -> list[audit.Remaining]:
    who = who_acts() if is_mine else None
    with permitted(database, "undo"), database.connection() as connection:
        return audit.undoable(connection, database.schema, verbs=sorted(UNDOABLE), seconds=UNDO_SECONDS, who=who)


def undo_jobs(database: Database, found: ActRecord) -> Acted:
    take_back, obstacle = UNDONE_BY_JOB[found.verb]

    def do(part: Part, chunk: Sequence[int]) -> list[int]:
        return take_back(part.connection, database.schema, found.id, chunk)

    with database.connection() as connection:
        ids = audit.kept_jobs(connection, database.schema, found.id)
    if not ids:
        raise ActNotUndone(f"Act {found.id}, {found.verb}, cannot be undone: {GONE[found.verb]}.")
    return in_chunks(Act(database, "undo", undoes=found.id), ids, do, obstacle, None)


def by_statement(
    take_back: Callable[[Connection, str, int], list[str]],
) -> Callable[[Database, ActRecord], Acted]:
    """An act that one statement undoes, by the names in its row of the audit."""

    def undo(database: Database, found: ActRecord) -> Acted:
        with acting(database, "undo", undoes=found.id) as act:
            names = take_back(act.connection, database.schema, found.id)
            act.did(names=names)
        return Acted(act=act.act if names else None)

    return undo


def undo_pause_of_schedules(database: Database, found: ActRecord) -> Acted:
    """A queue that was paused again since stays paused."""
    act = Act(database, "undo", undoes=found.id)
    for name in found.names:
        resume_one(act, name, paused_until=found.ended_at)
    return Acted(act=act.id)


def call_off(database: Database, found: ActRecord) -> Acted:
    """A retry that waits for a build: it is not done."""
    with acting(database, "undo", undoes=found.id) as act:
        is_called_off = waiting_retries.forget(act.connection, database.schema, found.id)
        act.did(names=found.names if is_called_off else ())
    return Acted(act=act.act if is_called_off else None)


def has_begun(state: str) -> str:
    if state == FINISHED:
        return "it has ended since"
    return "it has started since" if state == State.RUNNING else "it was tried since"


def is_taken(state: str) -> str:
    if state == FINISHED:
        return "its unique key is held by another job now, or its row was too large to be kept"
    return f"it is {state} again"


UNDONE_BY_JOB: dict[str, tuple[Callable[[Connection, str, int, Sequence[int]], list[int]], Callable[[str], str]]] = {
    "retry": (audit.undo_retry, has_begun),
    "cancel": (audit.undo_cancel, is_taken),
    "purge": (audit.undo_purge, lambda _state: "it was deleted"),
    "adopt": (gate_acts.undo_adopt, has_begun),
}
"""Acts on jobs: how they are undone, and why one was not, by its state."""

UNDONE_BY_NAME: dict[str, Callable[[Database, ActRecord], Acted]] = {
    "pause": by_statement(audit.undo_pause),
    "resume": by_statement(audit.undo_resume),
    "mute": by_statement(mutes.undo_mute),
    "pause gate": by_statement(gate_acts.undo),
    "resume gate": by_statement(gate_acts.undo),
    "limit gate": by_statement(gate_acts.undo),
    "pause schedule": undo_pause_of_schedules,
    retrying_on_build.VERB: call_off,
}
"""Acts on things with a name."""

WAITING = frozenset({retrying_on_build.VERB})
"""Acts that can be called off as long as they wait, however old they are."""

UNDOABLE = frozenset({*UNDONE_BY_JOB, *UNDONE_BY_NAME})

GONE = {
    "retry": "its jobs have started since",
    "cancel": "running jobs that were asked to end are not given back",
    "purge": "its jobs were deleted",
    "pause": "it was resumed since",
    "resume": "it was paused again since",
    "adopt": "its jobs have started since",
    "mute": "it was unmuted since",
    "pause gate": "it was resumed since",
    "resume gate": "it was paused again since",
    "limit gate": "another limit was set since",
    "pause schedule": "it was resumed since",
    retrying_on_build.VERB: "it was done, or called off",
}
"""Why nothing of an act can be undone any more, by its verb."""

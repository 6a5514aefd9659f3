"""Retries that wait for a build: somebody leaves one, and a worker does it once a worker of that build lives."""

import logging
from dataclasses import dataclass, replace

from jobq import filters, observe
from jobq.commands import command
from jobq.errors import JobqError, UsageError
from jobq.filters import Filter, Moment
from jobq.observe.reading import now, reading, time_of
from jobq.operate.acting import acting, acting_as, who_acts
from jobq.operate.jobs import retry
from jobq.store import waiting_retries
from jobq.store.database import Database
from jobq.store.waiting_retries import WaitingRetry

log = logging.getLogger("jobq.worker.maintenance")

VERB = "retry on build"

BUILDS_NAMED = 5


@dataclass(frozen=True, slots=True)
class Awaited:
    """Which build is waited for: this one, or any that came after it."""

    build: str
    is_younger: bool

    def __str__(self) -> str:
        return f"a build younger than {self.build}" if self.is_younger else f"build {self.build}"


def awaited_of(database: Database, text: str) -> Awaited:
    """`>a41c9e2`, or `a41c9e2`. Raises UsageError where no worker ever had the former: what is younger is not known."""
    awaited = Awaited(text.removeprefix(">").strip(), text.startswith(">"))
    if not awaited.build:
        raise UsageError("--on-build names a build: 'a41c9e2', or '>a41c9e2' for any that comes after it.")
    known = observe.builds(database, limit=1000)
    if awaited.is_younger and awaited.build not in [one.name for one in known]:
        names = ", ".join(one.name for one in known[:BUILDS_NAMED]) or "none"
        raise UsageError(f"No worker ever had build {awaited.build}. The youngest are: {names}. See: jobq builds")
    return awaited


def retry_on_build(database: Database, selection: Filter, awaited: Awaited) -> int:
    """Leaves a retry of what the filter selects then to the workers. Returns the number of the act."""
    fixed = str(with_fixed_times(database, selection))
    with acting(database, "retry on build", selection=fixed) as act:
        waiting_retries.leave(
            act.connection,
            database.schema,
            act.act,
            left_by=who_acts(),
            selection=fixed,
            build=awaited.build,
            is_younger=awaited.is_younger,
        )
        act.did(names=[str(awaited)])
    return act.act


def with_fixed_times(database: Database, selection: Filter) -> Filter:
    """An hour ago is an hour before now, not before the retry. It is written anew, so its terms have no places."""
    with reading(database) as connection:
        at = now(connection)

        def fixed(value: filters.Value) -> filters.Value:
            if not isinstance(value, Moment):
                return value
            return Moment(at=time_of(connection, database.schema, value, at))

        terms = tuple(replace(term, values=tuple(map(fixed, term.values))) for term in selection.terms)
    return Filter(terms)


def do_waiting_retries(database: Database) -> None:
    """Does those whose build lives, in the name of whoever left each. Called by workers."""
    with database.connection(changes=True) as connection:
        due = waiting_retries.take_up(connection, database.schema)
    for one in due:
        try:
            do(database, one)
        except JobqError as error:
            log.warning("a retry that waited for a build could not be done act=%s error=%s", one.act, error)


def do(database: Database, one: WaitingRetry) -> None:
    selected = observe.select(database, filters.parse(one.selection))
    with acting_as(one.left_by):
        acted = retry(database, selected.ids, selection=f"{one.selection} (act {one.act})", seen=selected.seen)
    with database.connection(changes=True) as connection:
        waiting_retries.forget(connection, database.schema, one.act)
    log.info("retried what waited for a build act=%s jobs=%s skipped=%s", one.act, len(acted.done), len(acted.skipped))


def called_off(act: int) -> str:
    return f"{command('undo', act)} calls it off as long as it waits"

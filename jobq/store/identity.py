"""Checks whether a caller's connection leads to jobq's own database: once for each target."""

import logging
from dataclasses import dataclass
from typing import Any

import psycopg

from jobq import embedded
from jobq.errors import JobqError
from jobq.found_database import CONFIGURE
from jobq.store import callers, notices
from jobq.store.callers.steps import Steps
from jobq.store.database import Database
from jobq.store.statements import statement

log = logging.getLogger("jobq")

LOOK_SECONDS = 2
"""Seconds for connecting to jobq's own database, while the caller's transaction is open."""

MAX_PLACES = 32
"""Maximum number of targets: an application with more makes a new one for each connection, and each check costs a round
trip."""


@dataclass(frozen=True, slots=True)
class Identity:
    """One database of one server, according to the server."""

    database: str
    started: str
    address: str | None
    port: str | None

    def is_that_of(self, other: "Identity") -> bool:
        """A server that was restarted between two looks keeps its address; one behind a pooler keeps its start time."""
        if self.database != other.database:
            return False
        place = (self.address, self.port)
        return self.started == other.started or (self.address is not None and place == (other.address, other.port))

    def __str__(self) -> str:
        return f"{self.database!r}" + (f" on {self.address}:{self.port}" if self.address else " on this machine")


def compare_once(database: Database, given: Any) -> None:
    """Warns if workers of the configured database would not see jobs that are enqueued on this connection."""
    if is_new(database, given):
        warn_of_other(database, callers.on(given, identifying()))


async def compare_once_async(database: Database, given: Any) -> None:
    """The same for a connection of an event loop."""
    if is_new(database, given):
        from asyncio import to_thread

        await to_thread(warn_of_other, database, await callers.on_async(given, identifying()))


def is_new(database: Database, given: Any) -> bool:
    """Whether this is the first connection to its target."""
    place = place_of(given)
    if place in database.compared or len(database.compared) >= MAX_PLACES:
        return False
    database.compared.add(place)
    found = database.settings.found
    return not (found is not None and found.alias and place == found.alias)


def place_of(given: Any) -> Any:
    """Properties that all connections to one database share, read without a query."""
    if isinstance(alias := getattr(given, "alias", None), str):  # Django's
        return alias
    if (engine := getattr(given, "engine", None) or getattr(given, "bind", None)) is not None:  # SQLAlchemy's
        return id(engine)
    try:
        return given.info.host, given.info.port, given.info.dbname  # psycopg's
    except (AttributeError, psycopg.Error):
        return type(given)


def identifying() -> Steps[Identity]:
    ((database, started, address, port),) = yield statement("identify", ""), {}
    return Identity(database, started, address, port)


def warn_of_other(database: Database, theirs: Identity) -> None:
    try:
        ours = own_identity(database)
    except (psycopg.Error, JobqError) as error:
        log.info("connection= cannot be compared with jobq's own database: %s", database.message_of(error))
        return
    if ours is None or not theirs.is_that_of(ours):
        log.warning("connection= leads to database %s, but %s", theirs, configured(database))


def own_identity(database: Database) -> Identity | None:
    """None if it is the embedded database, and that does not run."""
    url = database.settings.database_url
    if url is None:
        url = embedded.status(embedded.default_home(database.settings.root)).url
    if url is None:
        return None
    parameters = database.parameters("comparison", timeout=LOOK_SECONDS)
    with psycopg.connect(url, autocommit=True, prepare_threshold=None, **parameters) as connection:
        return callers.on(connection, identifying())


def configured(database: Database) -> str:
    if database.is_embedded:
        return (
            f"no database is configured for jobq{notices.reasons(database.settings)}: workers and commands here use "
            f"the embedded PostgreSQL, and do not see these jobs. To have them use yours, {CONFIGURE}."
        )
    return (
        f"jobq's own is {database.shown_url}: workers and commands that use that do not see these jobs. Give both the "
        f"same database: {CONFIGURE}."
    )

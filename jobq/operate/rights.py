"""The rights that acts need beyond reading, and the message if the database's role lacks one."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain

from jobq.errors import DatabaseForbidden
from jobq.store import rights
from jobq.store.database import Database
from jobq.store.rights import DRAW_IDS, ENQUEUE_BY_RULES, OPERATOR, Right, on

RECORD = (*on("begin_act", "EXECUTE"), *on("note_act", "EXECUTE"))

NEW_JOB = on("new_jobs", "INSERT", "SELECT")

JOB_AGAIN = on("numbered_jobs", "INSERT", "SELECT")

ON_GATES = (*on("gates", "UPDATE"), *on("lanes", "INSERT", "UPDATE"), *on("kept", "INSERT"))

NEEDS: dict[str, tuple[Right, ...]] = {
    "retry": (*JOB_AGAIN, *on("results", "UPDATE"), *on("kept", "INSERT"), *RECORD),
    "retry on build": (*on("waiting_retries", "INSERT"), *RECORD),
    "cancel": (
        *on("jobs", "UPDATE", "DELETE"), *on("results", "INSERT"), *on("aborts", "INSERT"), *on("kept", "INSERT"),
        *on("metrics", "INSERT", "UPDATE"), *on("workers", "UPDATE"), *RECORD,
    ),
    "purge": (*on("results", "DELETE", "UPDATE"), *on("kept", "INSERT"), *RECORD),
    "enqueue": (*NEW_JOB, *RECORD),
    "run again": (*NEW_JOB, *RECORD),
    "pause": (*on("queues", "INSERT", "UPDATE"), *RECORD),
    "resume": (*on("queues", "UPDATE"), *on("kept", "INSERT"), *RECORD),
    "run schedule": (
        *JOB_AGAIN, *on("ticks", "INSERT"), *on("schedules", "UPDATE"), *DRAW_IDS, *ENQUEUE_BY_RULES[:1], *RECORD,
    ),
    "pause schedule": (*on("schedules", "UPDATE"), *RECORD),
    "resume schedule": (*on("schedules", "UPDATE"), *RECORD),
    "pause gate": (*ON_GATES, *RECORD),
    "resume gate": (*on("gates", "UPDATE"), *on("lanes", "UPDATE"), *on("kept", "INSERT"), *RECORD),
    "limit gate": (*ON_GATES, *RECORD),
    "adopt": (*on("jobs", "UPDATE"), *on("kept", "INSERT"), *on("lane_of", "EXECUTE"), *RECORD),
    "mute": (*on("mutes", "INSERT", "UPDATE", "DELETE"), *RECORD),
    "unmute": (*on("mutes", "DELETE"), *RECORD),
    "stop worker": (*on("workers", "UPDATE"), *RECORD),
    "declare dead": (*on("workers", "UPDATE"), *RECORD),
    "follow": on("follows", "SELECT", "INSERT", "UPDATE"),
    "stack": on("stacks", "SELECT", "INSERT", "DELETE"),
    # Any act.
    "undo": (
        *JOB_AGAIN, *on("jobs", "DELETE"), *on("results", "INSERT", "UPDATE", "DELETE"), *on("queues", "UPDATE"),
        *on("mutes", "DELETE"), *on("aborts", "DELETE"), *on("waiting_retries", "DELETE"),
        *on("kept", "SELECT", "DELETE"), *on("schedules", "UPDATE"),
        *on("gates", "UPDATE"), *on("lanes", "UPDATE"), *on("jobs", "UPDATE"), *on("mark_undone", "EXECUTE"), *RECORD,
    ),
}  # fmt: skip
"""By the verbs of the audit."""


def refusals(database: Database) -> dict[str, str]:
    """The verbs that the database's role may not do, each with a short reason."""
    with database.connection() as connection:
        missing = rights.lacking(connection, database.schema, dict.fromkeys(chain.from_iterable(NEEDS.values())))
    return {
        verb: f"role {database.role} may not {rights.may_not(lacks[0], database.schema)}"
        for verb, needed in NEEDS.items()
        if (lacks := [right for right in needed if right in missing])
    }


@contextmanager
def permitted(database: Database, verb: str) -> Iterator[None]:
    """If the database forbids an act inside, says which right the role lacks, and how to grant it."""
    try:
        yield
    except DatabaseForbidden:
        with database.connection() as connection:
            missing = rights.lacking(connection, database.schema, NEEDS.get(verb, ()))
        if not missing:
            raise
        raise DatabaseForbidden(rights.forbidden(database, missing, OPERATOR.name)) from None

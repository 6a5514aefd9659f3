"""Errors of a caller's connection: those that no retry repairs are explained, as the shell explains them."""

from collections.abc import Iterator
from contextlib import contextmanager

from jobq.store.database import default_database
from jobq.store.explanations import explanation, redacted_line

WHERE = "The database of this connection"


@contextmanager
def explained() -> Iterator[None]:
    """Explains errors of jobq's own statements, with the driver's error as the cause.

    A lost connection, a deadlock, a serialization failure, a limit of the caller's and a transaction that had failed
    before are raised unchanged: the caller knows how to handle them.
    """
    try:
        yield
    except Exception as error:
        origin, state = origin_of(error)
        found = explanation(state, message_of(origin), where=WHERE, role="its role", schema=default_database().schema)
        if found is None:
            raise
        raise found from error


def origin_of(error: BaseException) -> tuple[BaseException, str | None]:
    """The driver's own error inside a framework's error, and PostgreSQL's SQLSTATE."""
    origin, state = error, None
    seen: BaseException | None = error
    while seen is not None:
        if found := sqlstate_of(seen):
            origin, state = seen, found
        seen = getattr(seen, "orig", None) or seen.__cause__
    return origin, state


def sqlstate_of(error: BaseException) -> str | None:
    """The attribute of each driver: psycopg and asyncpg, psycopg2, pg8000."""
    found = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None) or fields_of(error).get("C")
    return found if isinstance(found, str) else None


def fields_of(error: BaseException) -> dict[str, str]:
    """The parts of PostgreSQL's answer, which pg8000 raises as they are."""
    return error.args[0] if error.args and isinstance(error.args[0], dict) else {}


def message_of(error: BaseException) -> str:
    return redacted_line(fields_of(error).get("M") or error)

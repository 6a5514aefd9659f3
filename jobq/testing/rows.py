"""Rows as arguments of a job: SQLAlchemy's are loaded in the transaction of the test."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from jobq import references
from jobq.testing.connections import Lent, LentByLoop


@contextmanager
def rows_of_test(connection: Any, *, is_for_all: bool = False) -> Iterator[None]:
    """Loads the rows of the next job where the test has written them.

    A worker loads rows for ordinary jobs with an ordinary sessionmaker only. So does this, unless `is_for_all` is set,
    to show the arguments of any job.

    Closing the session leaves the transaction alone. Otherwise it would roll back to where it began, and undo what the
    job has done since.
    """
    sessions = references.SQLALCHEMY.get("sessions")
    if sessions is None and is_for_all and references.belong_to_loops:
        sessions = sys.modules["sqlalchemy.orm"].Session
    is_ordinary = isinstance(connection, Lent) and not isinstance(connection, LentByLoop)
    is_on_sqlalchemy = is_ordinary and hasattr(connection.given, "begin_nested")
    if sessions is None or not is_on_sqlalchemy or is_scope_on(sessions, connection_of(connection.given)):
        try:
            yield
        finally:
            references.close_opened()
        return
    factory = getattr(sessions, "session_factory", sessions)  # of a scoped_session
    with factory(bind=connection_of(connection.given), join_transaction_mode="rollback_only") as session:
        token = references.SESSION.set(session)
        try:
            yield
        finally:
            references.SESSION.reset(token)


def is_scope_on(sessions: Any, connection: Any) -> bool:
    """Whether a scoped_session works on the test's connection.

    The job then finds its row in that session, as under a worker: what it changes is stored by that session's commit.
    """
    if not hasattr(sessions, "registry"):
        return False
    unbound = sys.modules["sqlalchemy"].exc.UnboundExecutionError
    try:
        with sessions.session_factory() as session:
            return bool(session.get_bind() is connection)
    except (RuntimeError, unbound):  # Flask's sessions have no engine outside of an application context
        return False


def connection_of(given: Any) -> Any:
    return given.connection() if hasattr(given, "get_bind") else given

"""The conditions of the server: told apart by what it says where it gives no code, and how long one waits for each."""

import psycopg
import pytest

from jobq.errors import DatabaseBusy, DatabaseError, DatabaseReadOnly, DatabaseUnreachable
from jobq.runtime import trouble
from jobq.settings import Settings
from jobq.store.database import Database, explain
from jobq.store.explanations import condition_of


@pytest.fixture
def database() -> Database:
    """One that nobody connects to."""
    return Database(Settings(database_url="postgresql://one.invalid/shop"))


def test_one_success_does_not_shorten_the_wait(database: Database) -> None:
    troubled = trouble.Trouble("work", database)
    error = psycopg.OperationalError("connection refused")
    for _ in range(10):
        troubled.worked()
        wait = troubled.failed(error, 10.0)
    assert wait > 3.0


def test_the_wait_is_short_again_after_seconds_without_a_failure(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where two workers' transactions are in each other's way every so often."""
    now = 0.0
    monkeypatch.setattr(trouble, "monotonic", lambda: now)
    troubled = trouble.Trouble("work", database)
    waits = []
    for _ in range(20):
        waits.append(troubled.failed(psycopg.OperationalError("connection refused"), 10.0))
        troubled.worked()
        now += 5.0
    assert max(waits) <= 0.1


@pytest.mark.parametrize(
    ("words", "name", "kind"),
    [
        ("FATAL:  the database system is starting up", "starting up", DatabaseUnreachable),
        ("FATAL:  the database system is not yet accepting connections", "starting up", DatabaseUnreachable),
        ("FATAL:  the database system is shutting down", "shutting down", DatabaseUnreachable),
        ("FATAL:  the database system is in recovery mode", "crashed", DatabaseUnreachable),
        ("FATAL:  sorry, too many clients already", "out of connections", DatabaseUnreachable),
        ("FATAL:  remaining connection slots are reserved for roles", "out of connections", DatabaseUnreachable),
        ('FATAL:  too many connections for role "shop"', "out of connections", DatabaseUnreachable),
        ("FATAL:  no more connections allowed (max_client_conn)", "out of connections", DatabaseUnreachable),
        ("FATAL:  query_wait_timeout", "behind a full pooler", DatabaseUnreachable),
        ("FATAL:  server login has been failing, try again later", "behind a pooler alone", DatabaseUnreachable),
        ("could not write: No space left on device", "disk full", DatabaseBusy),
        ("session is read-only", "read-only", DatabaseReadOnly),
        ("Connection refused", "lost", DatabaseUnreachable),
    ],
)
def test_a_refused_connection_is_explained_by_what_the_server_says(
    words: str, name: str, kind: type[DatabaseError], database: Database
) -> None:
    error = psycopg.OperationalError(f"connection failed: {words}")
    assert condition_of(error.sqlstate, str(error)).name == name
    assert type(explain(error, database)) is kind
    assert ("the address (" in str(explain(error, database))) == (name == "lost")

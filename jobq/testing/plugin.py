"""The fixtures for pytest. pytest loads this module if jobq is installed, so its top imports nothing else."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from jobq.store.database import Database
    from jobq.testing.clock import Clock
    from jobq.testing.databases import Databases
    from jobq.testing.inline import Inline


@pytest.fixture(scope="session")
def jobq_databases() -> "Iterator[Databases]":
    """The databases of this session: from JOBQ_TEST_DATABASE_URL, else from the embedded PostgreSQL."""
    from jobq.settings import load
    from jobq.testing.databases import Databases, server_url

    settings = load()
    with server_url(settings) as url, Databases.on(url, settings) as databases:
        yield databases


@pytest.fixture
def jobq_database(jobq_databases: "Databases") -> "Iterator[Database]":
    """A database for this test, with jobq's tables in it: `run_in_worker()` enqueues there.

    `jobq_database.url` is its address, `postgresql://…`, for the engine of your application.
    """
    from jobq.testing.databases import used, with_url

    with jobq_databases.new() as settings, used(with_url(settings)) as database:
        yield database


@pytest.fixture(scope="session")
def jobq_django_tables(request: pytest.FixtureRequest) -> None:
    """jobq's tables in the test database that pytest-django has made."""
    from jobq.testing.connections import django_connection
    from jobq.testing.databases import create_tables

    request.getfixturevalue("django_db_setup")
    with request.getfixturevalue("django_db_blocker").unblock():
        create_tables(django_connection())


@pytest.fixture
def jobq_connection(request: pytest.FixtureRequest) -> Any:
    """The connection that `jobq_transaction` uses: Django's. Write a fixture with this name to give another one."""
    if not request.config.pluginmanager.has_plugin("django"):
        pytest.fail(
            "jobq_transaction needs a connection, and pytest-django is not here to give one. Write a fixture "
            "jobq_connection that returns yours: a SQLAlchemy Connection or Session, or a psycopg connection.",
            pytrace=False,
        )
    request.getfixturevalue("jobq_django_tables")
    if "transactional_db" not in request.fixturenames:
        request.getfixturevalue("db")
    from jobq.testing.connections import django_connection

    return django_connection()


@pytest.fixture
def jobq_transaction(jobq_connection: Any) -> Iterator[Any]:
    """The test's own connection, used by jobq: jobs are enqueued, seen and run in its transaction."""
    from jobq.testing.connections import on_connection
    from jobq.testing.databases import empty_tables

    with on_connection(jobq_connection) as connection:
        yield connection
        if getattr(connection, "in_atomic_block", True) is False:  # Django's flush knows its own tables only
            empty_tables(connection)


@pytest.fixture
def jobq_clock(request: pytest.FixtureRequest) -> "Iterator[Clock]":
    """A clock that the test moves forward. It belongs to the database or the connection that the test uses."""
    from jobq.testing.clock import Clock

    for name in ("jobq_database", "jobq_transaction"):
        if name in request.fixturenames:
            request.getfixturevalue(name)
    with Clock() as clock:
        yield clock


@pytest.fixture
def jobq_immediately() -> "Iterator[Inline]":
    """Jobs run at once, in this process, without a database."""
    from jobq.testing.inline import immediately

    with immediately() as inline:
        yield inline

"""What a service says while its database cannot serve it, and what a user is told of the server's conditions."""

import logging
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from itertools import count

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from jobq.errors import DatabaseError, DatabaseUnreachable
from jobq.runtime import trouble
from jobq.runtime.service import Service
from jobq.settings import Settings
from jobq.store.database import Connection, Database, explain, is_transient
from jobq.store.explanations import TRANSIENT_STATES

RAISE = "DO $$ BEGIN RAISE EXCEPTION 'as if' USING ERRCODE = '{}'; END $$"

DISK_FULL, OUT_OF_MEMORY = "53100", "53200"


class Work(Service):
    """Has the server raise what the next of `states` says; None: all is well."""

    name = "work"
    max_backoff_seconds = 0.02

    def __init__(self, database: Database, states: Iterator[str | None]) -> None:
        super().__init__(database)
        self.states = states
        self.ticks = 0

    def tick(self, connection: Connection) -> float | None:
        self.ticks += 1
        if state := next(self.states):
            connection.execute(RAISE.format(state).encode())
        return 0.0


@contextmanager
def working(service: Work) -> Iterator[Work]:
    service.start()
    try:
        yield service
    finally:
        service.stop()


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, "jobq.worker")
    return caplog


def alternating(*states: str | None) -> Iterator[str | None]:
    return (states[number % len(states)] for number in count())


def test_a_service_that_fails_every_other_time_says_so_once(
    database: Database, log: pytest.LogCaptureFixture, eventually: Callable[..., object]
) -> None:
    with working(Work(database, alternating(DISK_FULL, None))) as service:
        eventually(lambda: service.ticks >= 20)
    (message,) = log.messages
    assert message.startswith("database disk full service=work: ")
    assert "no space left on its disk (as if" in message


def test_each_condition_of_the_server_is_said_once(
    database: Database, log: pytest.LogCaptureFixture, eventually: Callable[..., object]
) -> None:
    with working(Work(database, alternating(DISK_FULL, OUT_OF_MEMORY, None, "22012"))) as service:
        eventually(lambda: service.ticks >= 20)
    assert [message.split(":")[0] for message in log.messages] == [
        "database disk full service=work",
        "database out of memory service=work",
        "service failed service=work",
    ]


def test_a_service_that_was_well_for_a_while_says_so_and_may_complain_anew(
    database: Database,
    log: pytest.LogCaptureFixture,
    eventually: Callable[..., object],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(trouble, "WELL_SECONDS", 0.1)
    is_full = True
    states = (DISK_FULL if is_full else None for _ in count())
    with working(Work(database, states)):
        for is_full, number in ((True, 1), (False, 2), (True, 3)):  # noqa: B007 - the generator reads it
            eventually(lambda number=number: len(log.messages) >= number)
    assert [message.split(" service")[0] for message in log.messages] == [
        "database disk full",
        "the database works again",
        "database disk full",
    ]


def test_new_work_does_not_cut_the_wait_short(
    database: Database, eventually: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trouble, "FIRST_BACKOFF_SECONDS", 3600.0)
    with working(Work(database, alternating(DISK_FULL))) as service:
        eventually(lambda: service._trouble._told)
        for _ in range(100):
            service.wake()
        assert service.stop(5), "but it can be stopped"
    assert service.ticks == 1


def test_each_condition_has_a_sentence_of_its_own_and_may_pass(database: Database) -> None:
    said = set()
    with database.connect("test") as connection:
        for state in sorted(TRANSIENT_STATES):
            with pytest.raises(psycopg.Error) as raised:
                connection.execute(RAISE.format(state).encode())
            explained = explain(raised.value, database)
            assert is_transient(raised.value)
            assert isinstance(explained, DatabaseError)
            assert "the address (" not in str(explained)
            said.add(str(explained))
    assert len(said) == len(TRANSIENT_STATES) - 2, "of lacking resources there are two, of conflicts too"


def test_a_pool_that_gets_no_connection_says_what_the_server_said(settings: Settings, connection: Connection) -> None:
    ((role,),) = connection.execute("SELECT current_database()").fetchall()
    connection.execute(f'CREATE ROLE "{role}" LOGIN'.encode())
    address = make_conninfo(settings.database_url or "", user=role)
    try:
        with closing(Database(replace(settings, database_url=address))) as limited:
            limited.patience = 0.3
            with limited.connection():
                connection.execute(f'ALTER ROLE "{role}" CONNECTION LIMIT 0'.encode())
                with pytest.raises(
                    DatabaseUnreachable, match=r"has no connection left .*too many connections for role"
                ):
                    limited.connection().__enter__()
    finally:
        connection.execute(f'DROP ROLE "{role}"'.encode())

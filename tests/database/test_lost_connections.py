"""What a connection that goes leaves behind: locks, answers that never came, a pool that has to find the server."""

import os
import selectors
import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

import psycopg
import psycopg_pool.base
import pytest
from psycopg_pool import ConnectionPool, PoolTimeout

from jobq.errors import AnswerLost, DatabaseUnreachable
from jobq.operate import acting
from jobq.records import NewJob
from jobq.runtime import listener as listening
from jobq.runtime.ownership import Ownership
from jobq.settings import Settings
from jobq.store import enqueueing
from jobq.store.database import Connection, Database, is_transient
from jobq.testing import used
from tests.chaos.proxy import Proxy, through, upstream_of
from tests.conftest import Store, new_job, wait_until


@pytest.fixture
def proxy(database_url: str) -> Iterator[Proxy]:
    """The network between the test and its database."""
    proxy = Proxy(upstream_of(database_url))
    yield proxy
    proxy.close()


@pytest.fixture
def behind(settings: Settings, database_url: str, proxy: Proxy) -> Iterator[Database]:
    """The test's own database, by way of that network: `run_in_worker()` enqueues there."""
    with used(replace(settings, database_url=through(proxy, database_url))) as database:
        yield database


def test_who_is_stopped_in_the_middle_of_a_transaction_does_not_keep_its_locks(
    settings: Settings, store: Store
) -> None:
    impatient = Database(replace(settings, heartbeat_every=0.05, heartbeat_timeout=0.3))
    job_id = store.add()
    with impatient.connect("worker", walk_indexes=True) as stopped:
        stopped.execute("BEGIN")
        stopped.execute("SELECT FROM jobq.jobs FOR UPDATE")

        # It says nothing from here on, as if it had been stopped. This waits for the lock.
        store.execute("SET lock_timeout = '20s'")
        store.execute("UPDATE jobq.jobs SET priority = 1 WHERE id = %s", job_id)

        with pytest.raises(psycopg.Error) as told:
            stopped.execute("SELECT 1")
        assert is_transient(told.value)  # a worker connects anew, and says so once


def test_a_limit_that_an_administrator_has_set_holds(settings: Settings, store: Store) -> None:
    store.execute(
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET idle_in_transaction_session_timeout = 7000', "
        "current_database()); END $$"
    )

    with Database(settings).connect("worker") as connection:
        assert connection.execute("SHOW idle_in_transaction_session_timeout").fetchone() == ("7s",)


@pytest.mark.parametrize("count", [1, 3])
def test_an_enqueuer_whose_answer_is_lost_is_told_that_nobody_knows(
    behind: Database, proxy: Proxy, store: Store, count: int
) -> None:
    def enqueue() -> None:
        with behind.connection(changes=True) as connection:
            made: list[NewJob] = [new_job() for _ in range(count)]
            if count == 1:
                enqueueing.enqueue(connection, "jobq", made[0])
            else:
                enqueueing.enqueue_many(connection, "jobq", made)

    enqueue()
    proxy.swallow = 1

    with pytest.raises(AnswerLost, match="whether that was done is not known"):
        enqueue()

    assert len(store.unfinished()) == 2 * count


def test_a_listener_proves_that_its_server_is_there_and_the_kernel_gives_up_on_one_that_is_not(
    behind: Database, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A peer that vanished says nothing, and a listener has nothing to ask."""
    monkeypatch.setattr(listening, "PROBE_EVERY_SECONDS", 0.0)
    selector = selectors.DefaultSelector()
    listener = listening.Listener(
        behind,
        selector,
        lambda: None,
        Ownership(1),
        on_announced=print,
        on_hint=print,
        on_gate=print,
        on_control=print,
        on_connected_again=lambda: None,
    )

    def asked() -> Any:
        """What it asked last, of its server."""
        listener.turn()
        for key, _ in selector.select(0.01):
            key.data.hear()
        return store.rows(
            "SELECT query FROM pg_stat_activity WHERE application_name = 'jobq worker listen' AND query = 'SELECT 1' "
            "AND datname = current_database()"
        )

    wait_until(asked)
    assert listener._line is not None
    with socket.socket(fileno=os.dup(listener._line.fileno())) as peer:
        assert peer.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 30_000
    listener.stop()
    selector.close()


def test_an_act_that_found_nothing_to_do_ends_well_though_its_connection_goes(database: Database, store: Store) -> None:
    with acting(database, "resume") as act:
        store.execute("SELECT pg_terminate_backend(%s, 10000)", act.connection.info.backend_pid)

    assert store.rows("SELECT FROM jobq.audit") == []


def test_whoever_enqueues_finds_a_server_that_is_back_however_long_it_was_away(
    behind: Database, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(psycopg_pool.base.AttemptWithBackoff, "INITIAL_DELAY", 0.1)
    monkeypatch.setattr(psycopg_pool.base.AttemptWithBackoff, "DELAY_BACKOFF", 10_000)  # as after a long time
    pool = behind._open_pool()
    proxy.cut()
    wait_until(lambda: has_none(pool))
    proxy.heal()

    with behind.connection() as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_who_has_little_patience_is_soon_told_that_the_server_is_away(behind: Database, proxy: Proxy) -> None:
    behind.patience = 0.3
    pool = behind._open_pool()
    proxy.cut()
    wait_until(lambda: has_none(pool))

    with pytest.raises(DatabaseUnreachable, match=r"no connection within 0\.3 s"), behind.connection():
        pass


def test_the_pool_of_jobq_writes_nothing_into_the_log_of_the_program_and_another_keeps_its_messages(
    behind: Database, proxy: Proxy, store: Store, database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Not of connections that it opens, loses, discards or cannot open; whoever asked is told by an error."""
    caplog.set_level("DEBUG", "psycopg.pool")
    with behind.connection() as connection, suppress(psycopg.OperationalError):
        terminate(store, connection)
        connection.execute("SELECT 1")
    with behind.connection() as connection:
        terminate(store, connection)
    with behind.connection() as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    proxy.cut()
    wait_until(lambda: has_none(behind._open_pool()))
    behind.close()
    assert caplog.messages == []

    with ConnectionPool(database_url, name="jobq", min_size=1, max_size=1, open=True) as pool:
        with pool.connection() as connection, suppress(psycopg.OperationalError):
            terminate(store, connection)
            connection.execute("SELECT 1")
        wait_until(lambda: any("discarding closed connection" in message for message in caplog.messages))
    assert "adding new connection to the pool" in caplog.messages


def terminate(store: Store, connection: "psycopg.Connection[tuple[Any, ...]]") -> None:
    store.rows("SELECT pg_terminate_backend(%s, 10000)", connection.info.backend_pid)


def has_none(pool: "ConnectionPool[Connection]") -> bool:
    try:
        pool.putconn(pool.getconn(timeout=0.3))
    except PoolTimeout:
        return True
    return False

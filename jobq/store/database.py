"""Connections to the database that holds the jobs, and helpful messages for its errors."""

import os
import select
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from time import monotonic
from typing import Any

import psycopg
from psycopg_pool import PoolTimeout

from jobq import addresses, embedded, found_database
from jobq.errors import (
    AnswerLost,
    ConfigurationError,
    DatabaseError,
    DatabaseTooOld,
    DatabaseUnreachable,
)
from jobq.settings import Settings, load
from jobq.store import lineage, notices, sessions
from jobq.store.explanations import TRANSIENT_STATES, Condition, condition_of, explanation, redacted_line
from jobq.store.pool import OwnPool

Connection = sessions.Connection

OLDEST_SUPPORTED = 15

# A server that vanished is noticed within half a minute or so. The server's side of this is in `sessions`.
KEEPALIVE = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 30_000}

POOL_SECONDS = 15.0
POOL_LOOK_SECONDS = 2.0
"""Seconds between two requests to the pool while waiting for a connection. The pool itself tries at growing intervals:
after an outage of minutes only minutes after the server was back."""


class Database:
    """The database of one `Settings`: its address, its schema, and a pool for programs that enqueue.

    If no address is configured, it starts or joins the embedded server, and stays its client until closed.
    """

    def __init__(self, settings: Settings, *, is_of_program: bool = False) -> None:
        """`is_of_program`: the database of a program that enqueues, not of a jobq command."""
        self.settings = settings
        self.compared: set[Any] = set()  # databases that callers' connections lead to; see `identity`
        self._is_of_program = is_of_program
        self._is_told = False
        self.schema = settings.schema
        self.role = "at hand"  # the database role, after the first connection
        self.patience = POOL_SECONDS  # seconds to wait for a connection while the server is down
        self.is_pooled = settings.transaction_pooler  # whether sessions are shared with other clients
        self.refusal: psycopg.Error | None = None  # why the pool's last attempt to connect failed
        self._lock = threading.RLock()  # opening the pool also asks for the address
        self._embedded: embedded.EmbeddedServer | None = None
        self._pool: OwnPool | None = None
        self._pool_pid = 0
        self._prepared = False

    @property
    def is_embedded(self) -> bool:
        return self.settings.database_url is None

    @property
    def url(self) -> str:
        """The address. Starts the embedded server if none is configured.

        Raises ConfigurationError if the embedded server is refused, EmbeddedServerError if it fails.
        """
        if self.settings.database_url is not None:
            self.tell()
            return self.settings.database_url
        with self._lock:
            if self._embedded is None:
                self._embedded = attach_embedded(self.settings, None if self._is_of_program else notices.announce)
                if self._is_of_program:
                    notices.tell_embedded(self.settings, self._embedded.home)
            return self._embedded.url

    @property
    def shown_url(self) -> str:
        if self.settings.database_url is None:
            return "the embedded PostgreSQL"
        return addresses.shown(self.settings.database_url)

    def tell(self) -> None:
        """Logs, once per process, which database was found, if it was not configured."""
        if not self._is_told:
            self._is_told = True
            notices.tell_found(self.settings)

    def prepare(self) -> None:
        """Migrates the embedded database, once per process, so that nobody has to do it by hand."""
        if self.is_embedded and not self._prepared:
            from jobq.store import migrations

            migrations.require_current(self)
            self._prepared = True

    def connect(self, purpose: str, *, walk_indexes: bool = False, lock_seconds: float | None = None) -> Connection:
        """A new connection in autocommit. Raises psycopg's errors, for callers that handle them.

        `lock_seconds`: maximum time that a statement waits for a locked row. Behind a pooler neither is set.
        """
        url = self.url
        if self._embedded is not None:  # the process that started it may have been killed, and the server with it
            self._embedded.ensure_running()
        settings = {**sessions.WALK_INDEXES} if walk_indexes else {}
        if lock_seconds is not None:
            settings["lock_timeout"] = str(round(lock_seconds * 1000))
        connection = self._begin(url, self.parameters(purpose), settings)
        self.role = connection.info.user
        return connection

    def _begin(self, url: str, parameters: Mapping[str, Any], settings: Mapping[str, str]) -> Connection:
        """A session of jobq's own, or a shared one if a pooler is configured or was found."""
        if not self.is_pooled:
            idle_seconds = self.settings.heartbeat_timeout
            connection = sessions.begin(url, parameters, settings, idle_seconds=idle_seconds)
            if connection is not None:
                return connection
            self.is_pooled = True
            notices.tell_pooler(self.shown_url)
        return sessions.share(url, parameters)

    def message_of(self, error: BaseException | str) -> str:
        """The message of a driver's error, on one line and without a password."""
        return redacted_line(error, self.settings.database_url or "")

    @contextmanager
    def connection(self, *, changes: bool = False) -> Iterator[Connection]:
        """A connection of the pool, in autocommit; psycopg's errors become those of `jobq.errors`.

        With `changes`, a connection that is lost midway raises AnswerLost.
        """
        with self.explained():
            pool = self._open_pool()
            connection = connection_of(pool, self.patience)
            try:
                yield connection
            except psycopg.OperationalError as error:
                if changes and is_end_of_connection(error):
                    raise answer_lost(error, self) from None
                raise
            finally:
                pool.putconn(connection)

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Turns psycopg's errors inside into those of `jobq.errors`, if the user can do something about them."""
        try:
            yield
        except (psycopg.Error, PoolTimeout) as error:
            if explanation := explain(error, self):
                raise explanation from None
            raise

    def close(self) -> None:
        with self._lock:
            if self._pool is not None and self._pool_pid == os.getpid():
                self._pool.close()
            self._pool = None
            if self._embedded is not None:
                self._embedded.close()
                self._embedded = None

    def parameters(self, purpose: str, *, timeout: int = 10) -> dict[str, Any]:
        """Parameters for libpq besides the address, which overrides them. `timeout`: for connecting."""
        parameters: dict[str, Any] = {"application_name": f"jobq {purpose}", "client_encoding": "utf8", **KEEPALIVE}
        if self.settings.database_url is None:
            return parameters
        given = addresses.parse(self.settings.database_url, notices.source_of(self.settings) or "database_url")
        parameters["connect_timeout"] = timeout
        if "," in str(given.get("host", "")):
            # Of several hosts only the primary is usable: the others refuse our statements.
            parameters["target_session_attrs"] = "read-write"
        return {name: value for name, value in parameters.items() if name not in given}

    def _open_pool(self) -> OwnPool:
        url = self.url
        with self._lock:
            if self._pool is None or self._pool_pid != os.getpid():  # never the pool of a parent process
                with self._first_connection():
                    self._pool = OwnPool(
                        url,
                        kwargs=self.parameters(f"client {os.getpid()}"),
                        connection_class=connections_of(self),
                        min_size=0,
                        max_size=16,
                        reconnect_timeout=POOL_LOOK_SECONDS / 2,
                        max_idle=60.0,
                        check=check_connection,
                        open=True,
                    )
                self._pool_pid = os.getpid()
            return self._pool

    @contextmanager
    def _first_connection(self) -> Iterator[None]:
        """Reports at once a wrong address, server or schema; a pool would retry silently."""
        with self.connect("client") as connection:
            check_server(connection)
            lineage.require_own(connection, self.schema, self.shown_url)
        yield


def attach_embedded(settings: Settings, announce: Callable[[str], None] | None) -> embedded.EmbeddedServer:
    if settings.env == "production":
        raise ConfigurationError(
            f"No database is configured{notices.reasons(settings)}, and with env = production the embedded "
            f"PostgreSQL is refused. To use yours, {found_database.CONFIGURE}."
        )
    return embedded.attach(embedded.default_home(settings.root), announce=announce)


def connection_of(pool: OwnPool, patience: float) -> Connection:
    """A connection of a pool, as soon as there is one. Raises PoolTimeout."""
    deadline = monotonic() + patience
    while True:
        try:
            return pool.getconn(timeout=min(patience, POOL_LOOK_SECONDS))
        except PoolTimeout:
            if monotonic() >= deadline:
                raise


def connections_of(database: Database) -> type[Connection]:
    """The connection class of a pool. Each connection begins like the database's own, even if the address has come to
    lead to a pooler meanwhile."""

    class Begun(psycopg.Connection[tuple[Any, ...]]):
        @classmethod
        def connect(cls, conninfo: str = "", **parameters: Any) -> Connection:  # type: ignore[override]  # as the pool calls it
            try:
                connection = database._begin(conninfo, parameters, {})
            except psycopg.Error as error:
                database.refusal = error
                raise
            database.refusal = None
            return connection

    return Begun


def check_connection(connection: Connection) -> None:
    """Detects a dead connection without a round trip: an idle one is readable only at its end."""
    readable, _, _ = select.select([connection.pgconn.socket], [], [], 0)
    if readable:
        connection.execute("")


PROBE = b"SELECT 1"
"""A round trip proves that the server is still there: a dead peer says nothing."""


def hang_up(connection: Connection) -> None:
    """Ends a connection from another thread, at once: a thread that waits for its answer gets an error."""
    with suppress(OSError, psycopg.OperationalError):
        end = socket.socket(fileno=os.dup(connection.fileno()))
        with end:
            end.shutdown(socket.SHUT_RDWR)


def check_server(connection: Connection) -> None:
    major = connection.info.server_version // 10000
    if major < OLDEST_SUPPORTED:
        raise DatabaseTooOld(
            f"The server is PostgreSQL {major}; jobq needs {OLDEST_SUPPORTED} or newer. Upgrade the server."
        )


def answer_lost(error: Exception, database: Database) -> AnswerLost:
    detail = database.message_of(error)
    return AnswerLost(
        f"{database.shown_url} went away before it had answered ({detail}): whether that was done is not known. Look, "
        "or do it again where that does no harm: a job with a unique key is never there twice while it is unfinished."
    )


def explain(error: Exception, database: Database) -> DatabaseError | None:
    """What the user can do about an error of the database. None if it is a defect of jobq."""
    where = database.shown_url
    if isinstance(error, PoolTimeout):
        return unserved(database)
    if not isinstance(error, psycopg.Error):
        return None
    detail = database.message_of(error)
    role = f"the role {database.role}"
    if found := explanation(error.sqlstate, detail, where=where, role=role, schema=database.schema):
        return found
    condition = passing(error)
    return condition.explained(where, detail) if condition else None


def passing(error: BaseException) -> Condition | None:
    """The server's temporary condition that caused an error. None for any other error."""
    return (
        condition_of(error.sqlstate, str(error)) if isinstance(error, psycopg.Error) and is_transient(error) else None
    )


def unserved(database: Database) -> DatabaseError:
    """The pool had no connection in time. The reason is the server's message to the pool's own last try."""
    waited = f"no connection within {database.patience:g} s"
    if (refusal := database.refusal) is None:
        return DatabaseUnreachable(f"{database.shown_url} cannot be reached: {waited}.")
    detail = f"{waited}; {database.message_of(refusal)}"
    return condition_of(refusal.sqlstate, detail).explained(database.shown_url, detail)


def is_transient(error: BaseException) -> bool:
    """Whether the same statement may succeed later: the connection was lost, or the server is busy with itself."""
    if not isinstance(error, psycopg.Error):
        return False
    if error.sqlstate is None:
        return isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)
    return error.sqlstate in TRANSIENT_STATES or error.sqlstate.startswith("08")


def is_end_of_connection(error: psycopg.Error) -> bool:
    """Whether the connection was lost during a statement. Any other error is an answer, which says that nothing was
    done."""
    return error.sqlstate is None or error.sqlstate.startswith(("08", "57P"))


def default_database() -> Database:
    """The database of the settings found from the working directory: the one that `run_in_worker()` uses."""
    global _default
    if _chosen is not None:
        return _chosen
    if _default is None or has_moved(_default):
        _default = Database(load(), is_of_program=True)
    return _default


def has_moved(database: Database) -> bool:
    found = database.settings.found
    return found is not None and found_database.has_moved(found)


_chosen: Database | None = None
_default: Database | None = None


def use_database(database: Database | None) -> None:
    """Makes `run_in_worker()` use this database from now on. None: the configured one again."""
    global _chosen, _default
    _chosen, _default = database, None


def host_name() -> str:
    return socket.gethostname() or "localhost"


@cache
def who_am_i() -> str:
    """The person at this shell, as `user@host`, for the record of acts."""
    import getpass

    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a uid without an entry, as in containers
        user = str(os.getuid())
    return f"{user}@{host_name()}"

"""How jobq's own connections begin: with settings if the session is its own, with none if a pooler shares it.

Settings are sent with the start of a connection, and never set afterwards: on a shared session they would stay for the
next client. A pooler shows itself before anything was set: it refuses the settings, or the server process that answers
is not the one that greeted.
"""

import os
from collections.abc import Mapping
from typing import Any

import psycopg
from psycopg import pq
from psycopg.conninfo import make_conninfo

from jobq.store.statements import statement

Connection = psycopg.Connection[tuple[Any, ...]]

SEARCH_PATH = "pg_catalog, pg_temp"

# A role, a database or a server may have other defaults. Psycopg reads only ISO times, and arrays are sent with NULL in
# them. Where statements meet, as two claims do, they must see what the other has just committed. They must call
# PostgreSQL's own functions, not others with the same names in the role's search path. A policy that hides rows must be
# an error: an empty queue would be wrong. And JIT is off: it takes longer than the statements, but the estimates for a
# long queue trigger it.
AS_WE_READ_AND_WRITE = {
    "datestyle": "ISO",
    "array_nulls": "on",
    "default_transaction_isolation": "read committed",
    "search_path": SEARCH_PATH,
    "row_security": "off",
    "jit": "off",
}

# Otherwise rows locked by a vanished machine stay locked for hours, which is the kernel's default timeout. The other
# half of this is in begin_session.sql.
LET_GO_OF_THE_VANISHED = {
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "30000",
}

# Every hot statement is a walk along one index. A plan made while the tables were nearly empty would be a full scan,
# and would stay in use until the next ANALYZE, however many jobs had come in by then. And since there is only one good
# plan, it is made once: planning the claim anew each time took longer than the claim.
WALK_INDEXES = {
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
}

PREPARED_AFTER = 2
"""Number of uses after which a statement is prepared, in a session of jobq's own."""

REFUSALS = ("unsupported startup parameter", "not support command-line options")
"""How pgbouncer and Amazon's proxy refuse a connection that begins with settings."""


def begin(
    address: str, parameters: Mapping[str, Any], settings: Mapping[str, str], *, idle_seconds: float
) -> Connection | None:
    """A session of jobq's own. None if a pooler shares it; then nothing was set on it.

    `idle_seconds`: maximum idle time of its transactions, unless an administrator has set one. Raises psycopg's errors.
    """
    options = merged(options_of(address), {**AS_WE_READ_AND_WRITE, **LET_GO_OF_THE_VANISHED, **settings})
    own = {**parameters, "options": options, "prepare_threshold": PREPARED_AFTER}
    try:
        connection = psycopg.connect(address, autocommit=True, **own)
    except psycopg.OperationalError as error:
        if is_refusal(error):
            return None
        raise
    try:
        is_own = takes_settings(connection, idle_seconds)
    except BaseException:
        connection.close()
        raise
    if not is_own:
        connection.close()
    return connection if is_own else None


def share(address: str, parameters: Mapping[str, Any]) -> Connection:
    """A connection on which nothing is set or prepared: others use the same sessions."""
    connection = psycopg.connect(address, autocommit=True, prepare_threshold=None, **parameters)
    if "ISO" not in (connection.info.parameter_status("DateStyle") or "ISO"):
        connection.execute("SET datestyle = 'ISO'")  # poolers track this setting for each client
    return connection


def is_refusal(error: Exception) -> bool:
    """Whether a pooler refused the settings. It has no SQLSTATE: psycopg gives none to a failure to connect."""
    return any(refusal in str(error) for refusal in REFUSALS)


def takes_settings(connection: Connection, idle_seconds: float) -> bool:
    row = connection.execute(
        statement("begin_session", ""),
        {
            "pid": connection.info.backend_pid,
            "search_path": SEARCH_PATH,
            "milliseconds": str(round(idle_seconds * 1000)),
        },
    ).fetchone()
    return row is not None and row[0] is True


def is_alone(connection: Connection) -> bool:
    """Whether there is no pooler in between: the server process that answers is the one that greeted."""
    return connection.execute("SELECT pg_catalog.pg_backend_pid()").fetchone() == (connection.info.backend_pid,)


def options_of(address: str) -> str:
    """The user's settings for a connection: from the address, PGOPTIONS, or a service file.

    libpq itself returns them: it reads all of these before it looks for the server, here in a place where there is
    none.
    """
    nowhere = make_conninfo(address, host=os.devnull, hostaddr="", port="1")
    attempt = pq.PGconn.connect_start(nowhere.encode())
    try:
        return attempt.options.decode()
    finally:
        attempt.finish()


def merged(given: str, settings: Mapping[str, str]) -> str:
    """The user's settings for sessions, then jobq's: if one occurs twice, the later counts."""
    ours = " ".join(f"-c {name}={escaped(value)}" for name, value in settings.items())
    return f"{given} {ours}".strip()


def escaped(value: str) -> str:
    """In PostgreSQL's format for such a list, which is separated by blanks."""
    return value.replace("\\", "\\\\").replace(" ", "\\ ")

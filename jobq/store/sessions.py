"""How jobq's own connections begin: with settings where the session is its own, with none where a pooler shares it.

Settings travel in the start of a connection, and are never set afterwards: what is set on a session that is shared
stays there for the next client. A pooler gives itself away before anything was set: it refuses the settings, or the
server process that answers is not the one that greeted.
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

# A role, a database or a server may have been set otherwise. Psycopg reads no times but ISO's, and arrays
# are sent with NULL in them; where statements meet, as two claims do, they count on seeing what the other has just
# committed; and what they call are PostgreSQL's own functions, not what somebody has put under the same names where the
# role looks first. A policy that hides rows is an error that says so: an empty queue would be a lie. And plans are not
# compiled: that takes longer than what they do, but is what the estimates for a long queue bring about.
AS_WE_READ_AND_WRITE = {
    "datestyle": "ISO",
    "array_nulls": "on",
    "default_transaction_isolation": "read committed",
    "search_path": SEARCH_PATH,
    "row_security": "off",
    "jit": "off",
}

# Else the rows that a vanished machine has locked stay locked for hours, which is the kernel's own idea of how long to
# wait. The other half of it is in begin_session.sql.
LET_GO_OF_THE_VANISHED = {
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "30000",
}

# Every hot statement is a walk along one index. A plan made while the tables were nearly empty would be a scan of
# the whole, and would stay in use until the next ANALYZE, however many jobs had come in by then. And since there is
# only one good plan, it is made once: planning the claim anew each time took longer than the claim.
WALK_INDEXES = {
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
}

PREPARED_AFTER = 2
"""Uses of a statement, in a session of jobq's own."""

REFUSALS = ("unsupported startup parameter", "not support command-line options")
"""How pgbouncer and Amazon's proxy refuse a connection that begins with settings."""


def begin(
    address: str, parameters: Mapping[str, Any], settings: Mapping[str, str], *, idle_seconds: float
) -> Connection | None:
    """A session of jobq's own; None where a pooler shares it, on which nothing was set then.

    `idle_seconds`: how long its transactions may stand still, where no administrator has said it. Raises psycopg's
    errors.
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
    """A connection on which nothing is set, and nothing prepared: others use the same sessions."""
    connection = psycopg.connect(address, autocommit=True, prepare_threshold=None, **parameters)
    if "ISO" not in (connection.info.parameter_status("DateStyle") or "ISO"):
        connection.execute("SET datestyle = 'ISO'")  # poolers keep this one apart for each client
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
    """Whether no pooler stands between: the server process that answers is the one that greeted."""
    return connection.execute("SELECT pg_catalog.pg_backend_pid()").fetchone() == (connection.info.backend_pid,)


def options_of(address: str) -> str:
    """The settings that the user has a connection begin with: in the address, in PGOPTIONS, or in a service's file.

    libpq itself says which: it reads all of these before it looks for the server, here in a place where none is.
    """
    nowhere = make_conninfo(address, host=os.devnull, hostaddr="", port="1")
    attempt = pq.PGconn.connect_start(nowhere.encode())
    try:
        return attempt.options.decode()
    finally:
        attempt.finish()


def merged(given: str, settings: Mapping[str, str]) -> str:
    """What the user has sessions begin with, then jobq's: of two, the later counts."""
    ours = " ".join(f"-c {name}={escaped(value)}" for name, value in settings.items())
    return f"{given} {ours}".strip()


def escaped(value: str) -> str:
    """As PostgreSQL reads it in such a list, which blanks part."""
    return value.replace("\\", "\\\\").replace(" ", "\\ ")

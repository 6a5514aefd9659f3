"""What the user can do about an error of PostgreSQL, by its SQLSTATE: on every connection, with every driver."""

from dataclasses import dataclass

from jobq.addresses import redacted
from jobq.commands import command, psql_command
from jobq.errors import (
    DatabaseBusy,
    DatabaseError,
    DatabaseForbidden,
    DatabaseReadOnly,
    DatabaseUnreachable,
    SchemaMissing,
)
from jobq.store.statements import quote_identifier, quote_literal


@dataclass(frozen=True, slots=True)
class Condition:
    """A temporary state of the server in which it cannot do what is asked."""

    name: str
    error: type[DatabaseError]
    sentence: str
    """For the user. `{where}` stands for the database, `{detail}` for the server's own words."""
    states: tuple[str, ...] = ()
    """SQLSTATEs."""
    words: tuple[str, ...] = ()
    """Parts of the server's message. They count first: a refused connection has no SQLSTATE, and one SQLSTATE may have
    several meanings."""

    def explained(self, where: str, detail: str) -> DatabaseError:
        return self.error(self.sentence.replace("{where}", where).replace("{detail}", detail))


OUT_OF_TIME = {
    "55P03": "lock_timeout",
    "57014": "statement_timeout",
    "25P03": "idle_in_transaction_session_timeout",
    "25P04": "transaction_timeout",
    "57P05": "idle_session_timeout",
}
"""Limits set by an administrator, by the SQLSTATE of their error."""

AWAY = Condition(
    "lost",
    DatabaseUnreachable,
    "{where} cannot be reached: {detail}. Check that the server runs, and the address "
    "(--database-url, JOBQ_DATABASE_URL, or database_url in [tool.jobq]).",
)

CONDITIONS = (
    Condition(
        "disk full",
        DatabaseBusy,
        "{where} has no space left on its disk ({detail}). Make room on the server's disk; nothing else helps.",
        ("53100",),
        ("No space left on device",),
    ),
    Condition(
        "out of memory",
        DatabaseBusy,
        "{where} has no memory left for this ({detail}). Give the server more, or lower its work_mem or "
        "max_connections.",
        ("53200",),
    ),
    Condition(
        "out of connections",
        DatabaseUnreachable,
        "{where} has no connection left ({detail}). Raise max_connections, or close some.",
        ("53300",),
        ("too many clients", "too many connections", "connection slots", "no more connections allowed"),
    ),
    Condition(
        "out of resources",
        DatabaseBusy,
        "{where} lacks what this needs ({detail}). The server's log says more.",
        ("53000", "53400"),
    ),
    Condition(
        "crashed",
        DatabaseUnreachable,
        "{where} restarts itself after one of its processes crashed ({detail}). Wait until it has recovered; its log "
        "says why.",
        ("57P02",),
        ("crash of another server process", "in recovery mode"),
    ),
    Condition(
        "shutting down",
        DatabaseUnreachable,
        "{where} is being shut down or restarted ({detail}). Wait, or start the server again.",
        ("57P01",),
        ("is shutting down",),
    ),
    Condition(
        "starting up",
        DatabaseUnreachable,
        "{where} is starting up ({detail}). Wait until it has.",
        ("57P03",),
        ("is starting up", "not yet accepting connections"),
    ),
    Condition(
        "read-only",
        DatabaseReadOnly,
        "{where} is read-only ({detail}): a standby, or in the middle of a failover. Use the primary's address.",
        ("25006",),
        ("read-only",),
    ),
    Condition(
        "in conflict",
        DatabaseBusy,
        "{where} ended this since another transaction was in its way ({detail}). Do it again.",
        ("40001", "40P01"),
    ),
    Condition(
        "behind a full pooler",
        DatabaseUnreachable,
        "The pooler at {where} had no session of the server left ({detail}). Enlarge its pool, or close connections.",
        (),
        ("query_wait_timeout",),
    ),
    Condition(
        "behind a pooler alone",
        DatabaseUnreachable,
        "The pooler at {where} cannot reach its server ({detail}). Check the server, and what the pooler is set to.",
        (),
        ("server login has been failing", "pgbouncer cannot connect", "server_login_retry"),
    ),
    Condition(
        "behind a pooler by statement",
        DatabaseUnreachable,
        "The pooler at {where} is in statement mode ({detail}), and jobq needs transactions. Set its pool_mode to "
        "transaction, or give jobq another address.",
        (),
        ("statement pooling mode",),
    ),
    Condition(
        "behind a strict pooler",
        DatabaseUnreachable,
        "The pooler at {where} refuses what a connection begins with ({detail}). Leave it out of the address and of "
        "PGOPTIONS, or add it to the pooler's ignore_startup_parameters.",
        (),
        ("unsupported startup parameter",),
    ),
    *(
        Condition(
            f"out of time ({setting})",
            DatabaseBusy,
            "{where} did not do it in the time that it allows: {detail}. Where that time is set too short for the "
            f"role: ALTER ROLE … SET {setting} = '1min'",
            (state,),
        )
        for state, setting in OUT_OF_TIME.items()
    ),
)

TRANSIENT_STATES = {state for condition in CONDITIONS for state in condition.states}


def condition_of(state: str | None, detail: str) -> Condition:
    """The temporary condition of the server behind an error."""
    by_words = (condition for condition in CONDITIONS if any(word in detail for word in condition.words))
    by_state = (condition for condition in CONDITIONS if state in condition.states)
    return next(by_words, None) or next(by_state, AWAY)


def rights_remedy(detail: str) -> str:
    """How to grant a role its rights. Only the first `migrate` makes a schema, which the grants do not cover."""
    if "permission denied for database" in detail:
        return (
            "To make jobq's schema, a role needs the right to create in the database. As its owner: "
            "GRANT CREATE ON DATABASE … TO …; or migrate as the owner."
        )
    return (
        f"Use a role that may, or give this one the rights: {command('migrate', '--grants')} prints what each kind "
        "of role needs."
    )


def explanation(state: str | None, detail: str, *, where: str, role: str, schema: str) -> DatabaseError | None:
    """A lasting error, in helpful words. None if it is unknown, or may be over the next time."""
    match state:
        case "25006":
            return DatabaseReadOnly(
                f"{where} is read-only: a standby, or a session that may only read. Use the primary's address."
            )
        case "42P01" | "3F000" | "42703" | "42883":
            return SchemaMissing(
                f"{where} does not have jobq's tables as this version knows them in schema "
                f"{schema!r} ({detail.split(' LINE ')[0]}). Run: {command('migrate')}"
            )
        case "42501":
            return DatabaseForbidden(f"{where} does not allow that to {role}: {detail}. {rights_remedy(detail)}")
        case "44000":
            quoted = quote_identifier(schema)
            sequence = quote_literal(f"{quoted}.jobs_id_seq")
            mend = f"SELECT setval({sequence}, (SELECT max(id) FROM {quoted}.results));"
            return DatabaseError(
                f"{where} has not drawn the id of that job yet, as after a restore without sequences ({detail}). "
                f"As the owner: {psql_command(mend)}"
            )
        case "22P05":
            return DatabaseError(
                f"{where} cannot store every character ({detail.split(' CONTEXT: ')[0]}). One of encoding UTF8 can."
            )
    return None


def redacted_line(error: BaseException | str, address: str = "") -> str:
    """The message of a driver's error, on one line and without a password. It may quote `address`."""
    return redacted(" ".join(str(error).split()), address)

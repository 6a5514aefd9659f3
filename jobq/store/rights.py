"""Rights in the database: the least that each kind of role needs, and which of them a role lacks.

Nobody needs to own anything: what only an owner may do, the functions of migration 0008 do for the workers. Partitions
of results need no grants of their own, nor default privileges for those to come: they are read and written through
results, whose rights count then.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from jobq.commands import command
from jobq.errors import DatabaseForbidden
from jobq.store.database import Connection, Database
from jobq.store.statements import quote_identifier, statement


@dataclass(frozen=True, slots=True)
class Right:
    """A privilege on one thing in the schema: a table, one of its columns, a sequence, a function."""

    privilege: str
    thing: str
    columns: tuple[str, ...] = ()  # none: all

    def __str__(self) -> str:
        return f"{self.privilege} {self.thing}"


def on(thing: str, *privileges: str, columns: Sequence[str] = ()) -> tuple[Right, ...]:
    return tuple(Right(privilege, thing, tuple(columns)) for privilege in privileges)


@dataclass(frozen=True, slots=True)
class Role:
    """A kind of role: what it does, and all the rights that takes."""

    name: str
    does: str
    rights: tuple[Right, ...]


NEW_JOB = (
    "id", "job_class", "arguments", "queue", "priority", "retries", "unique_key", "source", "trace_context", "run_at",
    "state", "timeout", "expires_at", "has_abort_hook",
)  # fmt: skip
"""The columns of jobs that enqueueing fills; the rest is what workers write."""

SEEN_OF_JOBS = (
    "id", "job_class", "queue", "priority", "state", "attempt", "retries", "enqueued_at", "run_at", "started_at",
    "timeout", "expires_at", "cancel_requested_at", "progress",
)  # fmt: skip
SEEN_OF_RESULTS = (
    "id", "job_class", "queue", "priority", "outcome", "attempt", "retries", "retried", "enqueued_at", "run_at",
    "started_at", "ended_at", "timeout", "error_type", "cpu_seconds", "peak_memory_kilobytes",
)  # fmt: skip
"""How a job stands: the columns that observe_job_state.sql and observe_attempt_states.sql read."""

DRAW_IDS = on("jobs_id_seq", "USAGE")

ENQUEUE_HELD = on("enqueue_held(jsonb)", "EXECUTE")

READ = tuple(
    right
    for table in (
        "jobs", "results", "results_default", "workers", "queues", "schedules", "ticks", "aborts", "metrics",
        "all_metrics", "levels", "audit", "mutes", "migrations",
    )
    for right in on(table, "SELECT")
)  # fmt: skip

ENQUEUER = Role(
    "enqueuer",
    "enqueues jobs, and can read of others no more than that they are there",
    (
        *on("jobs", "INSERT", columns=NEW_JOB),
        *on(
            "jobs",
            "SELECT",
            # What enqueueing returns, and what decides whether a unique key is held.
            columns=("id", "state", "queue", "enqueued_at", "run_at", "expires_at", "job_class", "unique_key"),
        ),
        # Whether one sleeps and must be woken; and what jobq.enqueue() asks of them.
        *on("workers", "SELECT", columns=("id", "waiting", "classes")),
        *DRAW_IDS,
        *on("enqueue", "EXECUTE"),
        *ENQUEUE_HELD,
    ),
)

WEB = Role(
    "web",
    "enqueues jobs, and sees how a job stands: not its arguments, its value, its messages, or who runs it",
    (
        *on("jobs", "INSERT", columns=NEW_JOB),
        *on("jobs", "SELECT", columns=(*SEEN_OF_JOBS, "unique_key")),  # the key as an enqueuer
        *on("results", "SELECT", columns=SEEN_OF_RESULTS),
        *(right for right in ENQUEUER.rights if right.thing != "jobs"),
    ),
)

WORKER = Role(
    "worker",
    "works the queues, fires schedules, keeps the history; its jobs may enqueue, and end in their own transaction",
    (
        *on("jobs", "SELECT", "INSERT", "UPDATE", "DELETE"),
        *on("results", "SELECT", "INSERT"),
        *on("results_default", "SELECT", "DELETE"),  # what is too old, and has no partition of its own
        *on("workers", "SELECT", "INSERT", "UPDATE", "DELETE"),
        *on("queues", "SELECT"),
        *on("schedules", "SELECT", "INSERT", "UPDATE", "DELETE"),
        *on("ticks", "SELECT", "INSERT", "DELETE"),
        *on("aborts", "SELECT", "INSERT", "UPDATE", "DELETE"),
        *on("stacks", "SELECT", "UPDATE", "DELETE"),
        *on("metrics", "SELECT", "INSERT", "UPDATE", "DELETE"),
        *on("folded_metrics", "SELECT", "INSERT", "UPDATE", "DELETE"),
        *on("levels", "SELECT", "INSERT", "DELETE"),
        *on("kept", "SELECT", "DELETE"),
        *on("migrations", "SELECT"),
        *DRAW_IDS,
        *on("make_partition(date)", "EXECUTE"),
        *on("drop_partition(date)", "EXECUTE"),
        *on("enqueue", "EXECUTE"),
        *ENQUEUE_HELD,
        *on("throttles", "SELECT", "UPDATE", "DELETE"),  # those that are over: locked first, which takes the UPDATE
    ),
)

READER = Role("reader", "looks at everything, and changes nothing: a read-only console", READ)

OPERATOR = Role(
    "operator",
    "looks at everything, and acts: retry, cancel, purge, pause, mute, schedules, stacks, with their audit and undo",
    (
        *READ,
        *on("jobs", "INSERT", "UPDATE", "DELETE"),
        *on("results", "INSERT", "UPDATE", "DELETE"),
        *on("queues", "INSERT", "UPDATE"),
        *on("schedules", "UPDATE"),
        *on("mutes", "INSERT", "UPDATE", "DELETE"),
        *on("ticks", "INSERT"),
        *on("aborts", "INSERT", "DELETE"),
        *on("stacks", "SELECT", "INSERT", "DELETE"),
        *on("kept", "SELECT", "INSERT", "DELETE"),
        *on("metrics", "INSERT", "UPDATE"),  # what is cancelled counts, too
        # … by a part of that statement; and workers are asked to stop, or declared dead.
        *on("workers", "UPDATE", columns=("metrics_sent", "stop_requested_at", "stop_requested_by")),
        *on("workers", "UPDATE", columns=("stopped_at", "stop_reason", "waiting")),
        *on("audit", "INSERT"),
        *on("audit", "UPDATE", columns=("ended_at", "affected", "ids", "names", "undone_at")),
        *DRAW_IDS,
        *ENQUEUE_HELD,
    ),
)

ROLES = {role.name: role for role in (ENQUEUER, WEB, WORKER, READER, OPERATOR)}


def grants(role: Role, schema: str, grantee: str) -> str:
    """The statements that give a role of the database what that kind of role needs."""
    quoted, to = quote_identifier(schema), quote_identifier(grantee)
    lines = [f"-- The {role.name} {role.does}.", f"GRANT USAGE ON SCHEMA {quoted} TO {to};"]
    for thing in dict.fromkeys(right.thing for right in role.rights):
        given = [right for right in role.rights if right.thing == thing]
        privileges = ", ".join(privilege_text(right) for right in given)
        lines.append(f"GRANT {privileges} ON {KINDS.get(given[0].privilege, 'TABLE')} {quoted}.{thing} TO {to};")
    return "\n".join(lines)


KINDS = {"USAGE": "SEQUENCE", "EXECUTE": "FUNCTION"}


def privilege_text(right: Right) -> str:
    return f"{right.privilege} ({', '.join(right.columns)})" if right.columns else right.privilege


def lacking(connection: Connection, schema: str, rights: Iterable[Right]) -> list[Right]:
    """Those of the rights that the role at hand does not have."""
    # Everybody may call jobq.enqueue(), which asks for the rights to what it does.
    wanted = [right for right in rights if right.thing != "enqueue"]
    parameters = {
        "privileges": [right.privilege for right in wanted],
        "things": [f"{quote_identifier(schema)}.{right.thing}" for right in wanted],
    }
    rows = connection.execute(statement("lacking_rights", schema), parameters).fetchall()
    return [wanted[place - 1] for (place,) in rows]


def require(database: Database, role: Role) -> None:
    """Raises DatabaseForbidden where the database's role lacks something that such a role needs, and names it."""
    with database.explained(), database.connect("rights") as connection:
        missing = lacking(connection, database.schema, role.rights)
    if missing:
        raise DatabaseForbidden(forbidden(database, missing, role.name))


def forbidden(database: Database, missing: Sequence[Right], role: str) -> str:
    """One sentence: what the role may not do, and what helps."""
    more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
    return (
        f"The role {database.role} may not {may_not(missing[0], database.schema)}{more}. "
        f"What it needs is printed by: {command('migrate', '--grants', role, '--to', database.role)}"
    )


def may_not(right: Right, schema: str) -> str:
    """A right in words: UPDATE jobq.jobs."""
    return f"{right.privilege} {schema}.{right.thing}"

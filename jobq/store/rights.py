"""Rights in the database: the minimum that each kind of role needs, and those that a role lacks.

No role needs to own anything: views and functions do, with the rights of their owner, what only an owner may do or what
must be limited (see the migrations). Functions are named without parameters: each name has one function. Partitions of
results need no grants or default privileges of their own: they are read and written through results, whose rights count
then.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from jobq.commands import command
from jobq.errors import DatabaseForbidden
from jobq.store.database import Connection, Database
from jobq.store.statements import quote_identifier, statement


@dataclass(frozen=True, slots=True)
class Right:
    """A privilege on one object in the schema: a table, one of its columns, a sequence, a function."""

    privilege: str
    thing: str
    columns: tuple[str, ...] = ()  # none: all

    def __str__(self) -> str:
        return f"{self.privilege} {self.thing}"


def on(thing: str, *privileges: str, columns: Sequence[str] = ()) -> tuple[Right, ...]:
    return tuple(Right(privilege, thing, tuple(columns)) for privilege in privileges)


@dataclass(frozen=True, slots=True)
class Role:
    """A kind of role: what it does, and all the rights that it needs."""

    name: str
    does: str
    rights: tuple[Right, ...]


NEW_JOB = (
    "job_class", "arguments", "queue", "priority", "retries", "unique_key", "source", "trace_context", "run_at",
    "is_due", "timeout", "expires_at", "has_abort_hook", "gate", "lane",
)  # fmt: skip
"""The columns of jobs that enqueueing fills. The id comes from the sequence, and workers write the rest."""

ANSWER = ("id", "state", "queue", "enqueued_at", "run_at", "expires_at", "job_class", "unique_key")
"""The columns that enqueueing returns, and those that decide whether a unique key is held."""

FIRED_JOB = (
    "id", "job_class", "arguments", "queue", "priority", "retries", "unique_key", "source", "trace_context", "run_at",
    "is_due", "timeout", "has_abort_hook", "gate", "lane",
)  # fmt: skip
"""The columns that a schedule's tick fills."""

SEEN_OF_JOBS = (
    "id", "job_class", "queue", "priority", "state", "attempt", "retries", "enqueued_at", "run_at", "started_at",
    "timeout", "expires_at", "cancel_requested_at", "progress", "gate", "lane",
)  # fmt: skip
SEEN_OF_RESULTS = (
    "id", "job_class", "queue", "priority", "outcome", "attempt", "retries", "retried", "enqueued_at", "run_at",
    "started_at", "ended_at", "timeout", "error_type", "cpu_seconds", "peak_memory_kilobytes",
)  # fmt: skip
"""A job's state: the columns that observe_job_state.sql and observe_attempt_states.sql read."""

OWED_HOOK = (
    "job_id", "attempt", "enqueued_at", "job_class", "queue", "priority", "arguments", "result"
)  # fmt: skip
"""The columns of aborts that the end of an attempt fills."""

LINES = ("began_at", "job_id", "attempt", "said", "level", "worker_id", "job_class", "queue", "lines")
"""The columns of logs that a worker fills."""

FIGURES = (
    "successful", "errored", "cancelled", "deferred", "lost", "retried", "waits", "runs",
    "longest_wait", "longest_run",
)  # fmt: skip
"""The columns of metrics and folded_metrics to which figures are added."""

DECLARED = (
    "name", "job_class", "arguments", "queue", "priority", "retries", "unique_key", "timeout", "has_abort_hook",
    "key_rules", "expression", "timezone", "missed", "overlap", "jitter", "next_at", "gate", "lane",
)  # fmt: skip
"""The columns of schedules with the declaration and the due time."""

DECLARED_GATE = (
    "name", "max_running", "lane_max_running", "rate", "rate_seconds", "rate_burst", "lane_rate", "lane_rate_seconds",
    "lane_rate_burst", "lane_parameter", "is_strict", "loss_wait_seconds", "declared_by",
)  # fmt: skip
"""The columns of gates that say what the code declares."""

SET_ON_GATES = (
    "set_max_running", "set_at", "set_until", "set_by", "set_reason",
    "paused_at", "paused_until", "paused_by", "pause_reason",
)  # fmt: skip
"""The columns of gates and lanes that operators set."""

ACT = ("begin_act", "note_act", "mark_undone")
"""The functions that write the audit."""

DRAW_IDS = on("jobs_id_seq", "USAGE")

ENQUEUE_BY_RULES = (*on("enqueue_by_rules", "EXECUTE"), *on("arguments_of", "EXECUTE"))

ENQUEUE = (
    *on("new_jobs", "INSERT", columns=NEW_JOB),
    *on("new_jobs", "SELECT", columns=ANSWER),
    # To find workers that sleep and must be woken.
    *on("workers", "SELECT", columns=("id", "waiting", "stopped_at", "queues", "class_names")),
    *on("enqueue", "EXECUTE"),
    *on("enqueue_many", "EXECUTE"),
    *ENQUEUE_BY_RULES,
)

BOUNDED = on("bounded_text", "EXECUTE")

LOOK = ("bounded_text", "readable", "is_impossible", "works", "wanted_processes", "queue_work")
"""The functions by which looks read values written by hand, and those that autoscalers call."""

READ = (
    *(right for function in LOOK for right in on(function, "EXECUTE")),
    *(right for table in (
        "jobs", "claims", "results", "results_default", "workers", "queues", "schedules", "ticks", "aborts", "metrics",
        "all_metrics", "levels", "audit", "mutes", "migrations", "deploys", "waiting_retries", "gates",
        "lanes", "logs",
    ) for right in on(table, "SELECT")),
)  # fmt: skip

RETRY_FOR_OPERATORS = (
    *on("waiting_retries", "SELECT", "DELETE"),
    *on("waiting_retries", "UPDATE", columns=("begun_at", "selection")),
    *on("results", "UPDATE", columns=("retried",)),
    *on("numbered_jobs", "INSERT", "SELECT", columns=("attempt",)),
    *on("kept", "INSERT", columns=("act", "id", "attempt")),
    *on("readable", "EXECUTE"),
    *on("begin_act", "EXECUTE"),
    *on("note_act", "EXECUTE"),
)
"""What a worker needs for a retry that an operator left to it."""

TELL_ALERTS = (
    *on("alerts", "SELECT", "INSERT", "UPDATE", "DELETE"),
    *on("turns", "SELECT", "INSERT", "UPDATE"),
    *on("mutes", "SELECT"),
    *on("all_metrics", "SELECT"),
)
"""What a worker needs to see what needs somebody, and to tell it once."""

ENQUEUER = Role("enqueuer", "enqueues jobs, and reads nothing of others", ENQUEUE)

WEB = Role(
    "web",
    "enqueues jobs, and sees how a job stands: not its arguments, its value, its messages, or who runs it",
    (
        *ENQUEUE,
        *on("jobs", "SELECT", columns=SEEN_OF_JOBS),
        *on("results", "SELECT", columns=SEEN_OF_RESULTS),
    ),
)

WORKER = Role(
    "worker",
    "works the queues, fires schedules, keeps the history; its jobs may enqueue, and end in their own transaction",
    (
        *on("jobs", "SELECT", "DELETE"),
        # Claimed, given back, retried, rescued; and its progress.
        *on("jobs", "UPDATE", columns=("is_due", "attempt", "worker_id", "started_at", "run_at", "excused", "losses")),
        *on("jobs", "UPDATE", columns=("progress", "suspected", "begun_at")),
        *on("jobs", "UPDATE", columns=("place",)),  # claimed through a gate
        *on("claims", "SELECT", "INSERT", "DELETE"),
        *on("gates", "SELECT"),
        *on("gates", "INSERT", "UPDATE", columns=DECLARED_GATE),
        *on("gates", "UPDATE", columns=("spent_to", "declared_at")),
        *on("lanes", "SELECT", "DELETE"),
        *on("lanes", "INSERT", columns=("gate", "lane", "spent_to")),
        *on("lanes", "UPDATE", columns=("spent_to",)),
        *on("places", "USAGE"),
        *BOUNDED,
        *on("follow_jobs", "EXECUTE"),
        *on("works", "EXECUTE"),
        *on("wanted_processes", "EXECUTE"),  # for /metrics
        *on("results", "SELECT", "INSERT"),
        *on("results_default", "SELECT", "DELETE"),  # rows that are too old, and have no partition
        *on("logs", "SELECT", "DELETE"),  # of attempts that ended well
        *on("logs", "INSERT", columns=LINES),
        *on("logs_default", "SELECT", "DELETE"),
        *on("follows", "SELECT", "DELETE"),
        *on("workers", "SELECT", "DELETE"),
        *on("workers", "INSERT", columns=("host", "pid", "version", "processes", "queues", "classes", "class_names")),
        *on("workers", "INSERT", columns=("build",)),
        *on("workers", "INSERT", "UPDATE", columns=("has_namesake",)),
        *on("deploys", "SELECT", "DELETE"),
        *on("deploys", "INSERT", columns=("build",)),
        *on("workers", "UPDATE", columns=("heartbeat_at", "stopping_at", "status", "waiting", "metrics_sent")),
        *on("workers", "UPDATE", columns=("classes", "class_names")),
        *on("workers", "UPDATE", columns=("schedules", "schedules_at", "schedules_digest")),
        *on("workers", "UPDATE", columns=("stopped_at", "stop_reason")),
        *on("queues", "SELECT"),
        *on("schedules", "SELECT", "DELETE"),
        *on("schedules", "INSERT", "UPDATE", columns=DECLARED),
        *on("schedules", "UPDATE", columns=("last_at", "undeclared_at")),
        *on("numbered_jobs", "INSERT", columns=FIRED_JOB),
        *on("numbered_jobs", "SELECT", columns=("id", "queue", "job_class", "unique_key", "gate")),
        *DRAW_IDS,
        *on("ticks", "SELECT", "DELETE"),
        *on("ticks", "INSERT", columns=("schedule", "tick_at", "verdict", "passed", "job_id")),
        *on("aborts", "SELECT", "DELETE"),
        *on("aborts", "INSERT", columns=OWED_HOOK),
        *on("aborts", "UPDATE", columns=("worker_id", "tries")),
        *on("stacks", "SELECT", "DELETE"),
        *on("stacks", "UPDATE", columns=("stack", "answered_at")),
        *on("metrics", "SELECT", "INSERT", "DELETE"),
        *on("metrics", "UPDATE", columns=FIGURES),
        *on("folded_metrics", "SELECT", "INSERT", "DELETE"),
        *on("folded_metrics", "UPDATE", columns=FIGURES),
        *on("levels", "SELECT", "DELETE"),
        *on("levels", "INSERT", columns=("minute", "queue", "unfinished")),
        *on("kept", "SELECT", columns=("kept_at",)),
        *on("kept", "DELETE"),
        *on("throttles", "SELECT", "DELETE"),
        *on("throttles", "UPDATE", columns=("until",)),  # to lock those that are over
        *on("migrations", "SELECT"),
        *RETRY_FOR_OPERATORS,
        *TELL_ALERTS,
        *on("make_partition", "EXECUTE"),
        *on("drop_partition", "EXECUTE"),
        *ENQUEUE,
    ),
)

READER = Role("reader", "looks at everything, and changes nothing: a read-only console", READ)

OPERATOR = Role(
    "operator",
    "looks at everything, and acts: retry, cancel, purge, pause, mute, schedules, stacks, with their audit and undo",
    (
        *READ,
        *on("jobs", "DELETE"),
        *on("jobs", "UPDATE", columns=("cancel_requested_at", "cancel_requested_by")),
        *on("jobs", "UPDATE", columns=("gate", "lane", "is_due")),  # put before a gate
        *on("lane_of", "EXECUTE"),
        *on("numbered_jobs", "INSERT", "SELECT"),
        *DRAW_IDS,
        *on("results", "INSERT", "DELETE"),
        *on("results", "UPDATE", columns=("retried",)),
        *on("queues", "INSERT", columns=("name", "paused_at", "paused_by", "pause_reason")),
        *on("queues", "UPDATE", columns=("paused_at", "paused_by", "pause_reason")),
        *on("schedules", "UPDATE", columns=("paused_at", "paused_by", "next_at")),
        *on("gates", "UPDATE", columns=SET_ON_GATES),
        *on("lanes", "INSERT", columns=("gate", "lane", *SET_ON_GATES)),
        *on("lanes", "UPDATE", columns=SET_ON_GATES),
        *on("mutes", "INSERT", columns=("fingerprint", "muted_until", "muted_by")),
        *on("mutes", "UPDATE", columns=("muted_at", "muted_until", "muted_by")),
        *on("mutes", "DELETE"),
        *on("waiting_retries", "INSERT", columns=("act", "left_by", "selection", "build", "is_younger")),
        *on("waiting_retries", "DELETE"),
        *on("ticks", "INSERT", columns=("schedule", "tick_at", "by_hand", "verdict", "job_id")),
        *on("aborts", "INSERT", columns=OWED_HOOK),
        *on("aborts", "DELETE"),
        *on("stacks", "SELECT", "DELETE"),
        *on("stacks", "INSERT", columns=("job_id", "attempt", "worker_id")),
        *on("follows", "SELECT", "DELETE"),
        *on("follows", "INSERT", columns=("job_id", "classes", "queues", "level", "until", "followed_by")),
        *on("follows", "UPDATE", columns=("until",)),
        *on("kept", "SELECT", "DELETE"),
        *on("kept", "INSERT", columns=("act", "id", "attempt", "row")),
        *on("metrics", "INSERT"),  # cancelled jobs count, too
        *on("metrics", "UPDATE", columns=FIGURES),
        # … by a part of that statement; and workers are asked to stop, or declared dead.
        *on("workers", "UPDATE", columns=("metrics_sent", "stop_requested_at", "stop_requested_by")),
        *on("workers", "UPDATE", columns=("stopped_at", "stop_reason", "waiting")),
        *on("new_jobs", "INSERT", columns=NEW_JOB),
        *on("new_jobs", "SELECT", columns=ANSWER),
        *ENQUEUE_BY_RULES,
        *(right for function in ACT for right in on(function, "EXECUTE")),
    ),
)

ROLES = {role.name: role for role in (ENQUEUER, WEB, WORKER, READER, OPERATOR)}


def grants(role: Role, schema: str, grantee: str) -> str:
    """The statements that give a role of the database the rights of that kind of role."""
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
    """Those of the rights that the current role does not have."""
    wanted = list(rights)
    parameters = {
        "privileges": [right.privilege for right in wanted],
        "things": [f"{quote_identifier(schema)}.{right.thing}" for right in wanted],
    }
    rows = connection.execute(statement("lacking_rights", schema), parameters).fetchall()
    return [wanted[place - 1] for (place,) in rows]


def require(database: Database, role: Role) -> None:
    """Raises DatabaseForbidden if the database's role lacks a right that such a role needs, and names it."""
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

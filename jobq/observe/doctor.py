"""Looks for problems: each finding says what was seen, and which command helps.

One check per function; CHECKS lists them. A check that cannot be made, for lack of a right, says so, and the others
continue.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from time import monotonic

import psycopg
import psycopg.sql

from jobq import __version__
from jobq.commands import command, psql_command
from jobq.errors import JobqError, SchemaAhead, SchemaBehind, SchemaMissing
from jobq.observe.facts import needs_now
from jobq.observe.impossible import impossible, unclaimed
from jobq.observe.needs import Kind
from jobq.observe.overview import worker_records
from jobq.observe.reading import dicts, reading
from jobq.observe.words import many, spoken
from jobq.store import migrations
from jobq.store.database import Connection, Database
from jobq.store.sessions import is_alone
from jobq.store.statements import quote_identifier
from jobq.store.workers import known_classes

OLD_SNAPSHOT_SECONDS = 300.0
"""A transaction older than this holds back vacuum for longer than jobq can hide."""

CLOCK_SECONDS = 2.0
LATELY_SECONDS = 24 * 3600.0
LISTEN_SECONDS = 3.0
MANY_DEAD = 50_000


class Verdict(StrEnum):
    FINE = "fine"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check. `remedy` is the command, or the sentence, that helps."""

    check: str
    verdict: Verdict
    text: str
    remedy: str | None = None


@dataclass(frozen=True, slots=True)
class CheckContext:
    """The input of the checks."""

    database: Database
    connection: Connection

    @property
    def schema(self) -> str:
        return self.database.schema


Check = Callable[[CheckContext], Iterator[Finding]]


def doctor(database: Database) -> tuple[Finding, ...]:
    """Every finding, good ones too. Raises DatabaseError only if there is no connection at all."""
    found: list[Finding] = []
    with reading(database) as connection:
        found += connection_check(CheckContext(database, connection))
    found += schema_check(database)
    has_tables = all(finding.verdict is Verdict.FINE for finding in found if finding.check == "schema")
    checks = CHECKS if has_tables else [check for check in CHECKS if check not in NEED_TABLES]
    for check in checks:
        found += attempt(check, database)
    return tuple(found)


def attempt(check: Check, database: Database) -> list[Finding]:
    """The findings of one check, in a transaction of its own: a failed check does not break the others."""
    try:
        with reading(database) as connection:
            return list(check(CheckContext(database, connection)))
    except (psycopg.Error, JobqError) as error:
        name = check.__name__.removesuffix("_check").replace("_", " ")
        detail = database.message_of(error)
        return [Finding(name, Verdict.WRONG, f"could not be checked: {detail}")]


def fine(check: str, text: str) -> Finding:
    return Finding(check, Verdict.FINE, text)


def wrong(check: str, text: str, remedy: str) -> Finding:
    return Finding(check, Verdict.WRONG, text, remedy)


def connection_check(context: CheckContext) -> Iterator[Finding]:
    """Which server answers, how fast, and whether its clock agrees with this machine's."""
    began, before = monotonic(), datetime.now(UTC)
    (server,) = dicts(context.connection, "doctor_server", context.schema, {})
    took = monotonic() - began
    where = f"PostgreSQL {server['version']}, database {server['database']}, role {server['role']}"
    if server["is_standby"]:
        yield wrong("connection", f"{where}: a standby, which cannot be written to", "Use the primary's address.")
    else:
        yield fine("connection", f"{where}; {took * 1000:.1f} ms")
    if server["connections"] > 0.9 * server["most"]:
        yield wrong(
            "connections",
            f"{server['connections']} of {server['most']} connections are in use",
            "Raise max_connections, or put a pooler in between.",
        )
    off = (server["at"] - before - timedelta(seconds=took / 2)).total_seconds()
    if abs(off) > CLOCK_SECONDS:
        yield wrong(
            "clock",
            f"this machine's clock is {abs(off):.1f} s {'behind' if off > 0 else 'ahead of'} the database's; jobs keep "
            "to the database's, but the logs of this machine will not match",
            "timedatectl set-ntp true",
        )
    else:
        yield fine("clock", f"{abs(off) * 1000:.0f} ms off the database's")


def schema_check(database: Database) -> Iterator[Finding]:
    try:
        found = migrations.require_current(database)
    except (SchemaMissing, SchemaBehind) as error:
        yield wrong("schema", str(error), command("migrate"))
    except SchemaAhead as error:
        yield wrong("schema", str(error), "Upgrade jobq here.")
    else:
        yield fine("schema", f"{database.schema}, at version {found.version}, {beside(found)}")


def beside(found: migrations.Standing) -> str:
    if found.version == found.own_version:
        return f"that of jobq {__version__}"
    return f"ahead of the {found.own_version} of jobq {__version__}, which works with it"


def pooler_check(context: CheckContext) -> Iterator[Finding]:
    """Whether sessions are shared with other clients, and whether that was configured. The check sets nothing."""
    database = context.database
    if not database.is_pooled:
        yield fine("pooler", "none")
    elif not database.settings.transaction_pooler:
        yield fine("pooler", "found by itself: jobq sets and prepares nothing there, and workers poll")
    elif is_alone(context.connection):
        yield fine("pooler", "transaction_pooler is set, and sessions are their own: without it, workers wake faster")
    else:
        yield fine("pooler", "there is one, as configured")


def listen_check(context: CheckContext) -> Iterator[Finding]:
    """Whether a NOTIFY from one connection arrives at another."""
    settings = context.database.settings
    if context.database.is_pooled or not settings.listen:
        yield fine("listen", f"is off: workers look every {settings.poll_every:g} s")
        return
    channel = f"jobq_doctor_{os.getpid()}"
    with context.database.connect("doctor") as listener, context.database.connect("doctor") as notifier:
        listener.execute(f"LISTEN {quote_identifier(channel)}".encode())
        began = monotonic()
        notifier.execute("SELECT pg_notify(%s, '')", [channel])
        has_arrived = arrives(listener)
    if has_arrived:
        yield fine("listen", f"a notification arrived within {(monotonic() - began) * 1000:.0f} ms")
    else:
        yield wrong(
            "listen",
            f"no notification arrived within {LISTEN_SECONDS:g} s: workers only look every {settings.poll_every:g} s",
            "Give workers the server's own address, or: export JOBQ_TRANSACTION_POOLER=true",
        )


def arrives(listener: psycopg.Connection[tuple[object, ...]]) -> bool:
    for _ in listener.notifies(timeout=LISTEN_SECONDS, stop_after=1):
        return True
    return False


def vacuum_check(context: CheckContext) -> Iterator[Finding]:
    """What keeps dead rows from being vacuumed."""
    held = False
    for holder in dicts(context.connection, "doctor_horizon", context.schema, {}):
        age = holder["age_seconds"]
        if age is not None and age < OLD_SNAPSHOT_SECONDS:
            continue
        held = True
        since = "" if age is None else f" for {spoken(age)}"
        detail = ", ".join(
            f"{name} {text!r}"
            for name, text in (
                ("application", holder["application"]),
                ("state", holder["state"]),
                ("query", (holder["query"] or "")[:120]),
            )
            if text
        )
        mends = {
            "a transaction": f"SELECT pg_terminate_backend({holder['name']});",
            "a prepared transaction": f"ROLLBACK PREPARED {literal(holder['name'])};",
            "a replication slot": f"SELECT pg_drop_replication_slot({literal(holder['name'])});",
        }
        yield wrong(
            "vacuum",
            f"{holder['kind']} holds it back{since}: {holder['name']}{f' ({detail})' if detail else ''}",
            psql_command(mends[holder["kind"]]),
        )
    if not held:
        yield fine("vacuum", f"nothing holds it back for longer than {OLD_SNAPSHOT_SECONDS / 60:g} minutes")


def literal(text: str) -> str:
    """A text as an SQL literal. The name of a prepared transaction can be any text."""
    return psycopg.sql.Literal(text).as_string(None)


def dead_rows_check(context: CheckContext) -> Iterator[Finding]:
    tables = dicts(context.connection, "doctor_tables", context.schema, {"schema": context.schema})
    many = [table for table in tables if table["dead"] > MANY_DEAD and table["dead"] > 2 * table["live"]]
    for table in many:
        seconds = table["vacuumed_seconds"]
        last = "never" if seconds is None else f"{spoken(seconds)} ago"
        yield wrong(
            "dead rows",
            f"{table['name']} has {table['dead']:,} beside {table['live']:,} live ones; it was vacuumed {last}",
            psql_command(f"VACUUM (ANALYZE) {quote_identifier(context.schema)}.{quote_identifier(table['name'])};"),
        )
    if not many:
        yield fine("dead rows", ", ".join(f"{table['name']} {table['dead']:,}" for table in tables) or "none")


def history_check(context: CheckContext) -> Iterator[Finding]:
    """Whether partitions are made ahead."""
    tomorrow = datetime.now(UTC).date() + timedelta(days=1)
    name = f"{quote_identifier(context.schema)}.results_{tomorrow:%Y%m%d}"
    (history,) = dicts(context.connection, "doctor_history", context.schema, {"tomorrow": name})
    if history["is_made_ahead"] and not history["is_caught"]:
        yield fine("history", "partitions are made ahead")
    else:
        what = "results wait in the default partition" if history["is_caught"] else "tomorrow has no partition yet"
        yield wrong("history", f"{what}: workers make them, or migrate does", command("migrate"))


def workers_check(context: CheckContext) -> Iterator[Finding]:
    """Workers declared dead lately, and workers of another version. Silent workers are among the needs."""
    dead = dicts(context.connection, "doctor_workers", context.schema, {"lately": LATELY_SECONDS})
    for worker in dead:
        text = f"{worker['name']} was declared dead: last heard of {spoken(worker['silent_seconds'])} ago"
        yield wrong("workers", text, f"Look at its machine and log: {worker['name'].partition('/')[0]}")
    alive = worker_records(context.connection, context.database)
    others = sorted({worker.version for worker in alive} - {__version__})
    if others:
        yield wrong(
            "versions", f"workers run jobq {', '.join(others)}; this is {__version__}", "Upgrade the older ones."
        )
    silent = sum(worker.is_silent for worker in alive)
    if silent == len(alive):
        yield wrong("workers", f"none runs{' but silent ones' if alive else ''}", command("run"))
    elif not dead and not silent:
        yield fine("workers", f"{many(len(alive), 'worker')}, all with a recent heartbeat")


def needs_check(context: CheckContext) -> Iterator[Finding]:
    """The needs, as the console shows them; of failures, those of the last day."""
    found = needs_now(context.database)
    for need in found:
        if need.kind is not Kind.NO_WORKER:  # reported above, also if no job waits
            yield wrong(AREAS[need.kind], need.text, need.remedy)
    troubled = {AREAS[need.kind] for need in found}
    yield from (fine(area, text) for area, text in FINE.items() if area not in troubled)


AREAS = {
    Kind.NO_WORKER: "workers",
    Kind.STRANDED: "workers",
    Kind.DEAD_WORKER: "workers",
    Kind.SILENT_WORKER: "workers",
    Kind.WAITING_WORKER: "workers",
    Kind.UNWORKED: "queues",
    Kind.GROWING: "queues",
    Kind.PAUSED: "queues",
    Kind.GATE_UNKNOWN: "gates",
    Kind.GATE_FULL: "gates",
    Kind.GATE_WAITS: "gates",
    Kind.GATE_PAUSED: "gates",
    Kind.UNKNOWN_CLASS: "classes",
    Kind.SCHEDULE: "schedules",
    Kind.LOST: "poison",
    Kind.FAILED: "failures",
    Kind.MORE_FAILED: "failures",
}
"""The name of the doctor's check for each kind of need."""

FINE = {
    "queues": "every queue with due jobs is worked, and keeps up",
    "gates": "no job waits longer at a gate than it should",
    "classes": "workers know every class that is at the front of a queue",
    "schedules": "none is overdue",
    "poison": "no job came to rest as lost in the last day",
    "failures": "no job came to rest as errored in the last day, or somebody has muted it",
}
"""The doctor's text for a check without a need."""


def rows_check(context: CheckContext) -> Iterator[Finding]:
    """Jobs that no worker can run, or that no look finds, because their rows were written by hand."""
    classes = [record.name for record in known_classes(context.connection, context.schema)]
    found = impossible(context.connection, context.schema, classes, lately=LATELY_SECONDS)
    found += unclaimed(context.connection, context.schema)
    for one in found:
        yield wrong("rows", one.text, one.remedy)
    if not found:
        yield fine("rows", "no job has arguments too large to be read, and none runs without a claim")


CHECKS: list[Check] = [
    pooler_check,
    listen_check,
    vacuum_check,
    dead_rows_check,
    history_check,
    workers_check,
    needs_check,
    rows_check,
]

NEED_TABLES: set[Check] = {
    dead_rows_check,
    history_check,
    workers_check,
    needs_check,
    rows_check,
}

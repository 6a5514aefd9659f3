"""What operators set on gates and lanes: rows of `gates` and `lanes`, and jobs that are put before a gate."""

from collections.abc import Sequence
from typing import Any

from jobq.store import audit
from jobq.store.database import Connection
from jobq.store.statements import channel, gate_channel, statement


def pause(
    connection: Connection,
    schema: str,
    gate: str,
    lane: str | None,
    *,
    act: int,
    by: str,
    seconds: float | None,
    reason: str | None,
) -> bool:
    """Has nothing start through a gate, or in a lane of it. False: it was paused already."""
    return changed(
        connection, schema, "pause", gate, lane, {"act": act, "by": by, "seconds": seconds, "reason": reason}
    )


def resume(connection: Connection, schema: str, gate: str, lane: str | None, *, act: int) -> bool:
    """False: it was not paused."""
    return changed(connection, schema, "resume", gate, lane, {"act": act})


def limit(
    connection: Connection,
    schema: str,
    gate: str,
    lane: str | None,
    *,
    number: int | None,
    act: int,
    by: str,
    seconds: float | None,
    reason: str | None,
) -> bool:
    """Sets a limit above the declared one, or takes it back (None). False: none was set."""
    parameters = {"limit": number, "act": act, "by": by, "seconds": seconds, "reason": reason}
    return changed(connection, schema, "limit", gate, lane, parameters)


STATEMENTS = {
    "pause": ("pause_gate", "pause_lane"),
    "resume": ("resume_gate", "resume_lane"),
    "limit": ("limit_gate", "limit_lane"),
}
"""Of each act: the statement for a gate, and that for a lane of one."""


def changed(
    connection: Connection, schema: str, verb: str, gate: str, lane: str | None, parameters: dict[str, Any]
) -> bool:
    name = STATEMENTS[verb][lane is not None]
    given = {"gate": gate, "lane": lane, "channel": gate_channel(schema), **parameters}
    return connection.execute(statement(name, schema), given).fetchone() is not None


def undo(connection: Connection, schema: str, act: int) -> list[str]:
    """Has gates and lanes as they were before an act; returns these gates."""
    rows = connection.execute(statement("undo_on_gate", schema), {"act": act, "channel": gate_channel(schema)})
    return sorted(row[0] for row in rows.fetchall())


def adopt(
    connection: Connection,
    schema: str,
    ids: Sequence[int],
    *,
    gate: str,
    classes: Sequence[str],
    parameter: str | None,
    lane: str | None,
    act: int,
) -> list[int]:
    """Puts waiting jobs without a gate before one; returns those that were. They are kept for the act's undo."""
    parameters = {
        "ids": list(ids),
        "gate": gate,
        "classes": list(classes),
        "parameter": parameter,
        "lane": lane,
        "channel": gate_channel(schema),
    }
    rows = connection.execute(statement("adopt", schema), parameters).fetchall()
    if rows:
        audit.keep(connection, schema, act, [(job_id, attempt) for job_id, attempt, _ in rows])
    return [row[0] for row in rows]


def undo_adopt(connection: Connection, schema: str, act: int, ids: Sequence[int]) -> list[int]:
    """Returns the jobs that do without the gate again."""
    parameters = {"act": act, "ids": list(ids), "channel": channel(schema)}
    return sorted(row[0] for row in connection.execute(statement("undo_adopt", schema), parameters).fetchall())

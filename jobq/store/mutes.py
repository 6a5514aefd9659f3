"""Groups of failures that are muted: rows of `mutes`."""

from collections.abc import Sequence

from jobq.store.database import Connection
from jobq.store.statements import statement


def mute(connection: Connection, schema: str, groups: Sequence[str], *, seconds: float, muted_by: str) -> list[str]:
    """Mutes groups for this many seconds; returns those that the history has."""
    parameters = {"groups": list(groups), "seconds": seconds, "muted_by": muted_by}
    return named(connection, "mute_failures", schema, parameters)


def unmute(connection: Connection, schema: str, groups: Sequence[str]) -> list[str]:
    """Returns those that were muted."""
    return named(connection, "unmute_failures", schema, {"groups": list(groups)})


def undo_mute(connection: Connection, schema: str, act: int) -> list[str]:
    """Unmutes groups that an act muted; returns them."""
    return named(connection, "undo_mute", schema, {"act": act})


def named(connection: Connection, name: str, schema: str, parameters: dict[str, object]) -> list[str]:
    return sorted(row[0] for row in connection.execute(statement(name, schema), parameters).fetchall())

"""What happens to rows of `alerts`: what needs somebody is noted, told once, and forgotten when its end was told."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from jobq.records import Alert
from jobq.store.database import Connection
from jobq.store.statements import statement


@dataclass(frozen=True, slots=True)
class Due:
    """One that is to be told: its begin, or its end."""

    key: str
    kind: str
    text: str
    place: str
    since: datetime
    over_at: datetime | None
    lasted_seconds: float | None


def take_turn(connection: Connection, schema: str, name: str, *, seconds: float) -> bool:
    """Whether it is this worker's turn to do for all what is done so often at most."""
    return bool(connection.execute(statement("take_turn", schema), {"name": name, "seconds": seconds}).rowcount)


def note(connection: Connection, schema: str, seen: Sequence[tuple[str, Alert]], *, quiet_seconds: float) -> None:
    """Notes what needs somebody now, each under its key."""
    parameters = {
        "keys": [key for key, _ in seen],
        "kinds": [alert.kind for _, alert in seen],
        "texts": [alert.text for _, alert in seen],
        "places": [alert.place for _, alert in seen],
        "quiet": quiet_seconds,
    }
    connection.execute(statement("note_alerts", schema), parameters)


def next_due(connection: Connection, schema: str, *, but: Sequence[str]) -> Due | None:
    row = connection.execute(statement("next_alert", schema), {"but": list(but)}).fetchone()
    return None if row is None else Due(*row)


def told(connection: Connection, schema: str, due: Due) -> None:
    """Part of the transaction in which it was told."""
    name = "alert_told" if due.over_at is None else "forget_alert"
    connection.execute(statement(name, schema), {"key": due.key})

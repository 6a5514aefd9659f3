"""Gates as they stand: what runs, what waits, what operators have set; and what the history says of them."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from jobq.errors import GateNotFound
from jobq.filters import Moment
from jobq.names import suggestion
from jobq.observe.reading import dicts, reading, tuples
from jobq.records import WAITING_LIMIT, ClassRecord, GateStats, LaneStats
from jobq.store.database import Connection, Database
from jobq.store.workers import known_classes

GATE_LANES_LIMIT = 200
"""Lanes of a gate in which something waits are counted up to here: each takes a step of the index."""

LANES_LIMIT = 500
"""The lanes of one gate that a look at it goes through."""

LANE_LIMIT = 100
"""Jobs that wait in one of these lanes are counted up to here."""

GATES_LIMIT = 1000

AUDIT_TIMEOUT_MS = 120_000
"""Longer than a look may take: somebody asks for all attempts of a month."""


def gates(database: Database) -> tuple[GateStats, ...]:
    """The gates that some worker declared, and those at which jobs wait; by name."""
    with reading(database) as connection:
        return gate_stats(connection, database.schema)


def gate_stats(connection: Connection, schema: str) -> tuple[GateStats, ...]:
    """Where there is no gate, that is found by two probes of empty indexes."""
    names = [name for (name,) in tuples(connection, "known_gates", schema, {"limit": GATES_LIMIT})]
    return stats_of(connection, schema, names) if names else ()


def stats_of(connection: Connection, schema: str, names: Iterable[str]) -> tuple[GateStats, ...]:
    asked = {"gates": list(names), "jobs": WAITING_LIMIT, "lanes": GATE_LANES_LIMIT}
    return tuple(GateStats(**row) for row in dicts(connection, "observe_gates", schema, asked))


@dataclass(frozen=True, slots=True)
class Gated:
    """One gate with its lanes, those with the most jobs first."""

    gate: GateStats
    lanes: tuple[LaneStats, ...]
    is_more: bool  # there are more lanes than were looked at


def gate(database: Database, name: str) -> Gated:
    """One gate with its lanes. Raises GateNotFound, which names the gates there are."""
    with reading(database) as connection:
        (found,) = found_gates(connection, database.schema, [name])
        asked = {"gate": name, "lanes": LANES_LIMIT, "jobs": LANE_LIMIT}
        lanes = tuple(LaneStats(**row) for row in dicts(connection, "observe_lanes", database.schema, asked))
    return Gated(found, lanes, sum(lane.waiting > 0 for lane in lanes) >= LANES_LIMIT)


def require_gates(database: Database, names: Iterable[str]) -> tuple[GateStats, ...]:
    """Gates that some worker declared. Raises GateNotFound."""
    with reading(database) as connection:
        return found_gates(connection, database.schema, list(names))


def found_gates(connection: Connection, schema: str, names: list[str]) -> tuple[GateStats, ...]:
    found = stats_of(connection, schema, names)
    missing = [one.name for one in found if not one.is_known and not one.waiting and not one.running]
    if missing:
        known = [name for (name,) in tuples(connection, "known_gates", schema, {"limit": GATES_LIMIT})]
        raise GateNotFound(unknown_text(missing[0], known))
    return found


def unknown_text(name: str, known: list[str]) -> str:
    if not known:
        return (
            f"There is no gate {name!r}, nor any other: give a job class one, as gate = Gate(...), and start a worker."
        )
    hint = suggestion(name, known)
    more = f" and {len(known) - 20:,} more" if len(known) > 20 else ""
    return f"There is no gate {name!r}. {hint + ' ' if hint else ''}There are: {', '.join(known[:20])}{more}."


def classes_of(database: Database, gate: str) -> tuple[ClassRecord, ...]:
    """The classes whose jobs go through a gate, as live workers know them."""
    with reading(database) as connection:
        known = known_classes(connection, database.schema)
    return tuple(one for one in known if one.gate is not None and one.gate.get("name") == gate)


# What the history says


@dataclass(frozen=True, slots=True)
class Peak:
    """The most attempts that ran at one time, and when that was first so."""

    attempts: int
    at: datetime | None
    lane: str | None = None


@dataclass(frozen=True, slots=True)
class GateAudit:
    """What the history and the running jobs say of a gate. Lost attempts are counted apart: nobody knows when they
    ended, and a worker that was declared dead may have gone on with one for a while."""

    gate: GateStats
    since: datetime
    attempts: int
    overlap: Peak
    lane_overlap: Peak
    starts: Peak  # in any window of the rate's length; 0 where the gate has no rate
    lost: int
    overlap_with_lost: Peak
    limits_set: int  # how many times operators changed its limit in this time

    @property
    def is_kept(self) -> bool:
        """Whether the limits that hold now were never exceeded."""
        gate = self.gate
        return within(self.overlap, gate.limit) and within(self.lane_overlap, gate.lane_limit)


def within(peak: Peak, limit: int | None) -> bool:
    return limit is None or peak.attempts <= limit


def audit_gate(database: Database, name: str, since: Moment) -> GateAudit:
    """Goes through every attempt of a gate that ended since then, or runs. Raises GateNotFound."""
    with reading(database, timeout_ms=AUDIT_TIMEOUT_MS) as connection:
        (found,) = found_gates(connection, database.schema, [name])
        asked = {"gate": name, "at": since.at, "ago": since.seconds_ago, "window": found.rate_seconds}
        (row,) = dicts(connection, "audit_gate", database.schema, asked)
    return GateAudit(
        gate=found,
        since=row["since"],
        attempts=row["attempts"],
        overlap=peak(row["overlap"]),
        lane_overlap=peak(row["lane_overlap"]),
        starts=peak(row["starts"]),
        lost=row["lost"],
        overlap_with_lost=peak(row["overlap_with_lost"]),
        limits_set=row["limits_set"],
    )


def peak(row: dict[str, Any] | None) -> Peak:
    if row is None:
        return Peak(0, None)
    return Peak(row["attempts"], datetime.fromisoformat(row["at"]), row.get("lane"))

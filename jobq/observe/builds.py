"""Builds of the application: when they came, and since which of them a group of failures is there."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from jobq.observe.reading import dicts, reading
from jobq.observe.words import many
from jobq.store.database import Connection, Database

LAST_BUILDS = 10
"""In so many builds, the youngest, a group of failures is looked for."""

FAILURES_LOOKED_AT = 200
"""So many failures of a group are looked through for those of one build."""


@dataclass(frozen=True, slots=True)
class Build:
    """A build that some worker had. The youngest is the one that came last."""

    name: str
    first_at: datetime  # when its first worker registered
    last_at: datetime  # when it came last: later than that where another came in between
    workers: int  # live ones


@dataclass(frozen=True, slots=True)
class Deploy:
    """A build came: workers began to run it."""

    at: datetime
    build: str


@dataclass(frozen=True, slots=True)
class Origin:
    """Since when a group of failures is there, by the history that is kept."""

    at: datetime  # of its first failure
    build: str | None  # in which that was; None: unknown
    attempts_before: int  # of its class that ended before that
    builds: tuple[str, ...] = ()  # of the last ten, those in which it failed, the youngest first
    back_in: str | None = None  # a regression: it failed, was quiet for a build, and fails again since this one
    quiet_in: tuple[str, ...] = ()  # the builds in between in which its class ran, the youngest first


@dataclass(frozen=True, slots=True)
class WaitingRetry:
    """A retry that somebody left to the workers until a build lives."""

    act: int
    since: datetime
    left_by: str
    selection: str
    build: str
    is_younger: bool  # any build that came after that one


def builds(database: Database, *, limit: int = 50) -> tuple[Build, ...]:
    """The builds that workers had, the youngest first."""
    with reading(database) as connection:
        return tuple(Build(**row) for row in dicts(connection, "observe_builds", database.schema, {"limit": limit}))


def waiting_retries(database: Database) -> tuple[WaitingRetry, ...]:
    """The retries that wait for a build, the first hundred, the oldest first."""
    with reading(database) as connection:
        rows = dicts(connection, "observe_waiting_retries", database.schema, {})
    return tuple(WaitingRetry(**row) for row in rows)


def deploys(connection: Connection, schema: str, since: datetime, until: datetime) -> tuple[Deploy, ...]:
    """The last hundred deploys of a period, the oldest first."""
    rows = dicts(connection, "observe_deploys", schema, {"since": since, "until": until})
    return tuple(Deploy(**row) for row in reversed(rows))


def origins(connection: Connection, schema: str, groups: Sequence[dict[str, Any]]) -> dict[str, Origin]:
    """Of groups of failures, by their rows: since which build each is there."""
    if not groups:
        return {}
    asked = {
        "groups": [row["group"] for row in groups],
        "classes": [row["job_class"] for row in groups],
        "firsts": [row["ever_first_at"] for row in groups],
        "builds": LAST_BUILDS,
        "limit": FAILURES_LOOKED_AT,
    }
    rows = dicts(connection, "observe_origins", schema, asked)
    return {row["group"]: origin_of(first["ever_first_at"], row) for first, row in zip(groups, rows, strict=True)}


def origin_of(at: datetime, row: dict[str, Any]) -> Origin:
    failed, ran = set(row["failed_in"]), set(row["ran_in"])
    order = [build for build in row["last_builds"] if build in failed | ran]
    is_older = row["last_builds_since"] is not None and at < row["last_builds_since"]
    back_in, quiet_in = regression(order, failed, has_failed_before=is_older)
    return Origin(at, row["build"], row["attempts_before"], tuple(reversed(row["failed_in"])), back_in, quiet_in)


def regression(
    order: Sequence[str], failed: set[str], *, has_failed_before: bool
) -> tuple[str | None, tuple[str, ...]]:
    """Since which build it is back, and in which builds before that one it was quiet; none where it never went."""
    places = [place for place, one in enumerate(order) if one in failed]
    if not places:
        return None, ()
    back = places[-1]
    while back > 0 and order[back - 1] in failed:
        back -= 1
    quiet = back
    while quiet > 0 and order[quiet - 1] not in failed:
        quiet -= 1
    if quiet == back or not (quiet > 0 or has_failed_before):
        return None, ()
    return order[back], tuple(reversed(order[quiet:back]))


def origin_text(origin: Origin, now: datetime) -> str:
    """`first in a41c9e2, 14:01 UTC; none of 41,200 attempts before it`."""
    before = origin.attempts_before
    none = f"; none of {many(before, 'attempt')} before it" if before else ""
    text = f"first in {origin.build or 'an unknown build'}, {stamp(origin.at, now)}{none}"
    if origin.back_in is None:
        return text
    return f"back in {origin.back_in}, after none in {', '.join(origin.quiet_in[:3])}; {text}"


def stamp(at: datetime, now: datetime) -> str:
    shown = at.astimezone(UTC)
    form = "%H:%M" if shown.date() == now.astimezone(UTC).date() else "%Y-%m-%d %H:%M"
    return f"{shown:{form}} UTC"

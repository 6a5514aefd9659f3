"""What broke, since when: the failures of a period in groups of those that are alike (see `jobq/fingerprints.py`)."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from jobq.filters import Moment
from jobq.observe.builds import Origin, origins
from jobq.observe.reading import dicts, now, reading, time_of
from jobq.store.database import Database

STEPS = 24


@dataclass(frozen=True, slots=True)
class FailureGroup:
    """Failures that are alike, with the last one as an example."""

    group: str  # what `--group` and `group:` take
    attempts: int  # failed attempts in the period
    at_rest: int  # jobs among them that will not be tried again
    first_at: datetime  # in the period
    last_at: datetime
    ever_first_at: datetime  # in all the history that is kept
    is_new: bool  # it did not exist before the period
    steps: tuple[int, ...]  # the period in equal parts; empty where nobody asked for them
    job_class: str
    error_type: str | None
    error_message: str | None
    frame: str | None  # the last place in the job's own code: file:line function
    queue: str
    example_id: int
    traceback: str | None
    arguments: dict[str, Any]
    muted_until: datetime | None = None  # somebody knows of it
    muted_by: str | None = None
    outcome: str = "errored"  # of the last one: errored, or lost
    origin: Origin | None = None  # since which build it is there


@dataclass(frozen=True, slots=True)
class Failing:
    """The first groups of a period, and what was left out that somebody may have to see to."""

    groups: tuple[FailureGroup, ...] = ()
    more_groups: int = 0  # with jobs at rest, not muted
    more_at_rest: int = 0  # the jobs of these

    @property
    def groups_at_rest(self) -> int:
        """All groups with jobs at rest that nobody has muted."""
        return self.more_groups + sum(group.at_rest > 0 and group.muted_until is None for group in self.groups)


def failures(
    database: Database, since: Moment, until: Moment | None = None, *, limit: int = 50, has_steps: bool = True
) -> tuple[FailureGroup, ...]:
    """The groups of failures of a period, those with the most jobs at rest first, and the muted ones last."""
    return failing(database, since, until, limit=limit, has_steps=has_steps).groups


def failing(
    database: Database, since: Moment, until: Moment | None = None, *, limit: int = 50, has_steps: bool = True
) -> Failing:
    """The groups as `failures` has them, and how many there are besides. Without steps, a long period costs a third."""
    with reading(database) as connection:
        at = now(connection)
        first = time_of(connection, database.schema, since, at)
        last = at if until is None else time_of(connection, database.schema, until, at)
        step = max((last - first).total_seconds() / STEPS, 1.0) if has_steps else None
        asked = {"since": first, "until": last, "step": step, "limit": limit}
        rows = dicts(connection, "observe_failures", database.schema, asked)
        came = origins(connection, database.schema, rows)
    groups_at_rest = rows[0]["groups_at_rest"] if rows else 0
    all_at_rest = rows[0]["all_at_rest"] if rows else 0
    groups = tuple(group_of(row, first, step, came.get(row["group"])) for row in rows)
    shown = [group.at_rest for group in groups if group.at_rest and group.muted_until is None]
    return Failing(groups, groups_at_rest - len(shown), all_at_rest - sum(shown))


def group_of(row: dict[str, Any], first: datetime, step: float | None, origin: Origin | None) -> FailureGroup:
    fields = {name: value for name, value in row.items() if name not in ("groups_at_rest", "all_at_rest", "steps_at")}
    return FailureGroup(
        **fields | {"steps": parts_of(first, step, row["steps_at"], row["steps"])},
        is_new=row["ever_first_at"] >= first,
        origin=origin,
    )


def parts_of(first: datetime, step: float | None, began: list[datetime], attempts: list[int]) -> tuple[int, ...]:
    """The whole period, from the steps in which there was something."""
    if step is None:
        return ()
    parts = [0] * STEPS
    for at, count in zip(began, attempts, strict=True):
        parts[min(int((at - first).total_seconds() / step + 0.5), STEPS - 1)] += count
    return tuple(parts)

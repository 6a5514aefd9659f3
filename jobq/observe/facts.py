"""Reads the facts on which `jobq/observe/needs.py` decides."""

from jobq.filters import moment
from jobq.observe.failures import Failing, failing
from jobq.observe.figures import Period, figures
from jobq.observe.needs import OVERDUE_SECONDS, STRANDED_SECONDS, Facts, Need, StoppedSchedule, Stranded, Stuck, needs
from jobq.observe.overview import COUNT_LIMIT, FRONT_LIMIT, classes, stats
from jobq.observe.reading import dicts, reading
from jobq.records import Stats
from jobq.store.database import Database

SINCE = "24h"
GROWTH_SINCE = "1h"


def needs_now(database: Database, since: str = SINCE) -> tuple[Need, ...]:
    """All needs, the worst first; of failures, those of the period."""
    growth = growths(figures(database, moment(GROWTH_SINCE)))
    found = failing(database, moment(since), has_steps=False)
    seen = stats(database)
    known = tuple(record.name for record in classes(database)) if seen.unknown_classes else ()
    return needs(facts_of(seen, found, stuck(database), since=since, growth=growth, known=known))


def facts_of(
    seen: Stats,
    found: Failing,
    held: Stuck,
    *,
    since: str,
    growth: dict[str, float],
    known: tuple[str, ...] = (),
    count_limit: int = COUNT_LIMIT,
) -> Facts:
    """Makes the facts from the data."""
    return Facts(
        at=seen.at,
        since=since,
        queues=seen.queues,
        workers=seen.workers,
        unknown=seen.unknown_classes,
        failing=found,
        count_limit=count_limit,
        front_limit=FRONT_LIMIT,
        stuck=held,
        known=known,
        growth=growth,
        gates=seen.gates,
    )


def stuck(database: Database) -> Stuck:
    """Work without an owner: running jobs of workers that are gone, and schedules that stopped."""
    with reading(database) as connection:
        held = dicts(connection, "stranded", database.schema, {"after": STRANDED_SECONDS})
        stopped = dicts(connection, "stopped_schedules", database.schema, {"overdue": OVERDUE_SECONDS})
    total = stopped[0]["total"] if stopped else 0
    return Stuck(
        tuple(Stranded(row["name"], row["jobs"]) for row in held),
        tuple(StoppedSchedule(row["name"], row["undeclared_at"], row["overdue_seconds"]) for row in stopped),
        total - len(stopped),
    )


def growths(period: Period) -> dict[str, float]:
    """The growth of each queue in jobs a minute over a period, if it was counted."""
    return {
        flow.name: flow.growth / (flow.seconds / 60)
        for flow in period.flows
        if flow.growth is not None and flow.seconds > 0
    }

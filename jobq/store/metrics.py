"""Changes to rows of `metrics` and `levels`: figures by the minute are added, folded and deleted.

Minutes are kept for some hours, then five of them are folded into one row, and after a day twelve of those into one of
an hour: a chart of a month reads about twice as many rows as one of a day.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from jobq.histograms import packed
from jobq.records import Count
from jobq.states import Outcome
from jobq.store.database import Connection
from jobq.store.statements import quote_identifier, statement

LEVEL_LIMIT = 2_000_000
"""Once a minute, jobs of one queue are counted up to this number: some tenths of a second of one connection."""

MINUTES_KEPT = timedelta(hours=2)
FIVES_KEPT = timedelta(hours=26)
"""Younger figures have a row for each minute, or for every five; older ones a row for each hour."""

FOLD_LIMIT = 10_000
"""Number of rows that are folded at once, which takes some tenths of a second."""


@dataclass(slots=True)
class Figures:
    """The addition to the row of one minute, queue and class."""

    minute: datetime
    queue: str
    job_class: str
    outcomes: dict[str, int] = field(default_factory=lambda: dict.fromkeys(Outcome, 0))
    retried: int = 0
    waits: Counter[int] = field(default_factory=Counter)  # attempts by bucket of jobq.histograms
    runs: Counter[int] = field(default_factory=Counter)
    longest_wait: float | None = None  # seconds
    longest_run: float | None = None

    @property
    def attempts(self) -> int:
        return sum(self.outcomes.values())

    def add(self, count: Count) -> None:
        self.outcomes[count.outcome] += count.attempts
        self.retried += count.attempts * count.retried
        if count.wait_bucket is not None:
            self.waits[count.wait_bucket] += count.attempts
        if count.run_bucket is not None:
            self.runs[count.run_bucket] += count.attempts
        self.longest_wait = longer(self.longest_wait, count.longest_wait)
        self.longest_run = longer(self.longest_run, count.longest_run)


Gathered = dict[tuple[datetime, str, str], Figures]


def longer(one: float | None, other: float | None) -> float | None:
    if one is None or other is None:
        return other if one is None else one
    return max(one, other)


def gather(gathered: Gathered, counts: Iterable[Count]) -> None:
    """Adds counts to the figures of their minute, queue and class."""
    for count in counts:
        key = count[:3]
        if key not in gathered:
            gathered[key] = Figures(*key)
        gathered[key].add(count)


def figures_of(counts: Iterable[Count]) -> list[Figures]:
    """Counts summed by minute, queue and class."""
    found: Gathered = {}
    gather(found, counts)
    return list(found.values())


def add(
    connection: Connection,
    schema: str,
    figures: Sequence[Figures],
    *,
    worker_id: int | None = None,
    number: int = 0,
) -> None:
    """Adds figures. A worker's batch has a number, higher each time: a number counts once."""
    connection.execute(*adding(schema, figures, worker_id=worker_id, number=number))


def adding(
    schema: str, figures: Sequence[Figures], *, worker_id: int | None = None, number: int = 0
) -> tuple[bytes, dict[str, Any]]:
    """The statement for that, and its parameters."""
    return statement("add_metrics", schema), {
        "worker_id": worker_id,
        "number": number,
        "minutes": [row.minute for row in figures],
        "queues": [row.queue for row in figures],
        "job_classes": [row.job_class for row in figures],
        **{outcome.value: [row.outcomes[outcome] for row in figures] for outcome in Outcome},
        "retried": [row.retried for row in figures],
        "waits": [str(packed(row.waits)) for row in figures],
        "runs": [str(packed(row.runs)) for row in figures],
        "longest_waits": [row.longest_wait for row in figures],
        "longest_runs": [row.longest_run for row in figures],
    }


def take_levels(connection: Connection, schema: str, *, limit: int = LEVEL_LIMIT) -> int:
    """Records the level of each queue, once a minute. Returns the number of queues."""
    cursor = connection.execute(statement("take_levels", schema), {"lock": f"jobq levels {schema}", "limit": limit})
    return cursor.rowcount


def fold(connection: Connection, schema: str, *, limit: int = FOLD_LIMIT) -> int:
    """Folds rows that are old enough, the oldest first. Returns their number: at the limit there may be more."""
    row = connection.execute(
        statement("fold_metrics", schema), {"minutes_kept": MINUTES_KEPT, "fives_kept": FIVES_KEPT, "limit": limit}
    ).fetchone()
    assert row is not None
    folded: int = row[0]
    return folded


def span_at(moment: datetime, now: datetime) -> timedelta:
    """Maximum span that a row of this time stands for: rows begin at multiples of it."""
    if moment >= floor(now - MINUTES_KEPT, timedelta(minutes=5)):
        return timedelta(minutes=1)
    if moment >= floor(now - FIVES_KEPT, timedelta(hours=1)):
        return timedelta(minutes=5)
    return timedelta(hours=1)


def floor(moment: datetime, span: timedelta) -> datetime:
    """The beginning of the span that holds the moment, as PostgreSQL's date_bin() has it."""
    return moment - (moment - datetime.fromtimestamp(0, UTC)) % span


def forget(connection: Connection, schema: str, *, keep_days: int) -> None:
    """Deletes figures older than the history. 0 keeps all."""
    if keep_days == 0:
        return
    quoted = quote_identifier(schema).replace("%", "%%")
    for table, began in (("metrics", "minute"), ("folded_metrics", "at"), ("levels", "minute")):
        connection.execute(
            f"DELETE FROM {quoted}.{table} WHERE {began} < now() - %s * interval '1 day'".encode(), [keep_days]
        )

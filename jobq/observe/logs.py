"""What jobs have logged and printed: of one attempt, and of all jobs as it comes."""

import json
import logging
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from jobq.errors import FilterError
from jobq.filters import Comparison, Pattern, Term, parse
from jobq.observe.jobs import require_id
from jobq.observe.reading import dicts, now, reading
from jobq.observe.selection import like
from jobq.records import LogLine
from jobq.store.database import Connection, Database

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}

LAST_PARTS = 8
"""Rows that are read where only the last lines of an attempt are shown."""

TAIL_ROWS = 500
"""Read at once."""

OVERLAP = timedelta(seconds=5)
"""What was written before, by this much, and committed after: it is looked for again, and shown once."""


@dataclass(frozen=True, slots=True)
class LoggedLine:
    """A line, with what it belongs to. `number` counts the lines of its attempt; -1: jobq did not write it."""

    job_id: int
    attempt: int
    job_class: str
    queue: str
    number: int
    at: datetime
    seconds: float  # since the attempt began
    level: int
    source: str  # the logger, `stdout` or `stderr`
    message: str

    @property
    def level_name(self) -> str:
        return next((name for name, number in reversed(LEVELS.items()) if self.level >= number), "debug")


@dataclass(frozen=True, slots=True)
class LeftOut:
    """So many lines that were said and are not kept."""

    lines: int


@dataclass(frozen=True, slots=True)
class AttemptLog:
    """What is kept of the lines of one attempt."""

    job_id: int
    attempt: int | None  # None: no attempt of the job has any
    said: int  # how many lines it had said, as far as is known
    lines: tuple[LoggedLine, ...]
    is_tail: bool = False  # only the last ones were read

    @property
    def entries(self) -> tuple[LoggedLine | LeftOut, ...]:
        """The lines in their order, with what was left out between them."""
        found: list[LoggedLine | LeftOut] = []
        expected = self.lines[0].number if self.is_tail and self.lines else 0
        for line in self.lines:
            if line.number > expected:
                found.append(LeftOut(line.number - expected))
            found.append(line)
            expected = max(expected, line.number + 1)
        if self.said > expected:
            found.append(LeftOut(self.said - expected))
        return tuple(found)


@dataclass(frozen=True, slots=True)
class LogCount:
    """How many lines an attempt had said; `is_kept`: some of them can be read."""

    attempt: int
    said: int
    is_kept: bool


def log_counts(database: Database, job_id: int) -> tuple[LogCount, ...]:
    """The attempts of a job that have lines."""
    require_id(job_id)
    with reading(database) as connection:
        rows = dicts(connection, "observe_log_counts", database.schema, {"id": job_id})
    return tuple(LogCount(**row) for row in rows)


def attempt_log(database: Database, job_id: int, attempt: int) -> AttemptLog:
    """All lines of one attempt that are kept."""
    require_id(job_id)
    with reading(database) as connection:
        rows = dicts(connection, "observe_logs", database.schema, {"id": job_id, "attempt": attempt})
    return log_of(job_id, attempt, rows)


def last_lines(database: Database, job_id: int, attempt: int | None = None) -> AttemptLog:
    """The last lines of an attempt; without one, of the last that has any."""
    require_id(job_id)
    with reading(database) as connection:
        parameters = {"id": job_id, "attempt": attempt, "limit": LAST_PARTS}
        rows = dicts(connection, "observe_last_log", database.schema, parameters)
    found = rows[0]["attempt"] if rows else attempt
    return log_of(job_id, found, rows[::-1], is_tail=len(rows) == LAST_PARTS)


def log_of(job_id: int, attempt: int | None, rows: Sequence[dict[str, Any]], *, is_tail: bool = False) -> AttemptLog:
    """Lines that were sent twice are shown once."""
    lines: dict[Any, LoggedLine] = {}
    for row in rows:
        for line in lines_of(row):
            lines.setdefault(line.number if line.number >= 0 else line, line)
    ordered = tuple(sorted(lines.values(), key=lambda line: line.number))
    return AttemptLog(job_id, attempt, max((row["said"] for row in rows), default=0), ordered, is_tail)


def lines_of(row: dict[str, Any]) -> list[LoggedLine]:
    names = row["job_id"], row["attempt"], row["job_class"], row["queue"]
    found = []
    for text in row["lines"].split("\n") if row["lines"] else ():
        said = said_in(text)
        at = row["began_at"] + timedelta(milliseconds=said.milliseconds)
        found.append(
            LoggedLine(*names, said.number, at, said.milliseconds / 1000, said.level, said.source, said.message)
        )
    return found


def said_in(text: str) -> LogLine:
    """A line as a child wrote it; whatever else stands there is shown as it is."""
    try:
        match json.loads(text):
            case [int(number), int(milliseconds), int(level), str(source), str(message)]:
                if 0 <= number < 2**31 and 0 <= milliseconds < 2**32:
                    return LogLine(number, milliseconds, level, source, message)
    except (ValueError, RecursionError):
        pass
    return LogLine(-1, 0, logging.INFO, "?", text)


# All jobs


@dataclass(frozen=True, slots=True)
class LineFilter:
    """Which lines are meant. `terms` says it exactly; the rest is what workers and the database make use of."""

    terms: tuple[Term, ...] = ()
    level: int = 0
    job_id: int | None = None
    classes: tuple[str, ...] = ()
    queues: tuple[str, ...] = ()

    def fits(self, line: LoggedLine) -> bool:
        return line.level >= self.level and all(term_fits(term, line) for term in self.terms)


LEVEL = re.compile(r"(?:(?<=\s)|^)(-?)level:(\S*)")


def line_filter(text: str) -> LineFilter:
    """Reads `class:mail.* level:warning`: the keys are class, queue, id and level. Free text is looked for in messages.

    Raises FilterError.
    """
    level = 0
    for match in LEVEL.finditer(text):
        if match[1] or match[2].lower() not in LEVELS:
            raise FilterError(f"level: is the lowest level that is shown, and one of {', '.join(LEVELS)}.")
        level = max(level, LEVELS[match[2].lower()])
    terms = parse(LEVEL.sub("", text)).terms
    for term in terms:
        if term.key not in ("class", "queue", "id", ""):
            raise FilterError(f"Lines have no {term.key}: they are chosen by class:, queue:, id:, level: or free text.")
    ids = [value.number for value in values_of("id", terms) if isinstance(value, Comparison) and value.word == "="]
    return LineFilter(
        terms,
        level,
        job_id=int(ids[0]) if len(ids) == 1 and sum(term.key == "id" for term in terms) == 1 else None,
        classes=patterns_of("class", terms),
        queues=patterns_of("queue", terms),
    )


def values_of(key: str, terms: Iterable[Term]) -> list[Any]:
    return [value for term in terms if term.key == key and not term.is_negated for value in term.values]


def patterns_of(key: str, terms: Sequence[Term]) -> tuple[str, ...]:
    """Those of one term; where there are several, each of which must fit, workers send more than is shown."""
    said = [term for term in terms if term.key == key and not term.is_negated]
    return tuple("*".join(value.parts) for value in said[0].values if isinstance(value, Pattern)) if said else ()


def term_fits(term: Term, line: LoggedLine) -> bool:
    return any(value_fits(term.key, value, line) for value in term.values) != term.is_negated


def value_fits(key: str, value: Any, line: LoggedLine) -> bool:
    match value:
        case Comparison(word, number):
            return bool(COMPARISONS[word](line.job_id, number))
        case Pattern() if key == "":
            return expression(value, re.IGNORECASE).search(f"{line.source} {line.message}") is not None
        case Pattern():
            return expression(value).fullmatch(line.job_class if key == "class" else line.queue) is not None
    return False


COMPARISONS: dict[str, Any] = {
    "=": lambda one, other: one == other,
    "<": lambda one, other: one < other,
    "<=": lambda one, other: one <= other,
    ">": lambda one, other: one > other,
    ">=": lambda one, other: one >= other,
}


def expression(pattern: Pattern, flags: int = 0) -> re.Pattern[str]:
    return re.compile(".*".join(map(re.escape, pattern.parts)), re.DOTALL | flags)


Place = tuple[datetime, int, int, int]
"""Of a row among all that are written: when, and of which job, attempt and lines."""


@dataclass(slots=True)
class Tail:
    """All lines as they come, from now on. Each row is read once, in the order in which they are written."""

    database: Database
    filter: LineFilter
    _after: Place | None = None
    _seen: dict[Place, None] = field(default_factory=dict)

    def new_lines(self) -> list[LoggedLine]:
        """What has been written since this was asked last."""
        with reading(self.database) as connection:
            if self._after is None:
                self._after = now(connection) - timedelta(seconds=1), 0, 0, 0
            after = (self._after[0] - OVERLAP, 0, 0, 0) if self._seen else self._after
            rows = self._read(connection, after)
        return [line for row in rows for line in lines_of(row) if self.filter.fits(line)]

    def _read(self, connection: Connection, after: Place) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        while len(found) < TAIL_ROWS:
            rows = dicts(connection, "observe_tail", self.database.schema, self._parameters(after))
            for row in rows:
                after = row["at"], row["job_id"], row["attempt"], row["said"]
                if after not in self._seen:
                    self._seen[after] = None
                    found.append(row)
            if len(rows) < TAIL_ROWS:
                break
        if found:
            self._after = max(self._seen)
            oldest = self._after[0] - 2 * OVERLAP
            self._seen = {place: None for place in self._seen if place[0] > oldest}
        return found

    def _parameters(self, after: Place) -> dict[str, Any]:
        chosen = self.filter
        return {
            **dict(zip(("after", "after_job", "after_attempt", "after_said"), after, strict=True)),
            "job_id": chosen.job_id,
            "level": chosen.level,
            "classes": [like_of(pattern) for pattern in chosen.classes],
            "queues": [like_of(pattern) for pattern in chosen.queues],
            "limit": TAIL_ROWS,
        }


def like_of(pattern: str) -> str:
    return like(Pattern(tuple(pattern.split("*"))))

"""Takes the lines of jobs from children: of attempts that have failed, of processes that have died, and those that
somebody wants to see while the job runs. Belongs to the main loop, and waits for nothing.

While a job runs for long, or is followed, its lines are taken from the memory shared with its child. What an attempt
brings along at its end is added to that. The lines of an attempt that ended well are dropped again, unless it was
followed: somebody may look at them still.
"""

import logging
import re
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import TypeVar

from jobq.records import Assignment, LogPart, Report
from jobq.runtime.follows import Follows
from jobq.runtime.line_ring import LineReader, RingLine
from jobq.runtime.roster import Roster
from jobq.runtime.supervised import Child
from jobq.store.logs import Follow

LONG_SECONDS = 5.0
"""The lines of a job that has run for longer are sent while it runs."""

LOOK_SECONDS, FOLLOW_SECONDS = 1.0, 0.3
"""How often lines are taken while jobs run for long, and while somebody follows."""

MAX_LIVE_BYTES = 768 * 1024
"""Of one attempt, while it runs."""

MAX_END_BYTES = 300 * 1024
"""Of one attempt, at its end. A child keeps less; a job that writes in its place may not send more."""

MAX_PART_BYTES = 64 * 1024
MAX_REPORTED = 10_000

Attempt = tuple[int, int]
Line = TypeVar("Line")


@dataclass(slots=True)
class Live:
    """An attempt of which lines were sent while it ran."""

    child: Child
    sent: set[int] = field(default_factory=set)  # the numbers of these lines
    sent_bytes: int = 0
    is_followed: bool = False


class LineWatch:
    """`on_part` gets lines that are to be kept, `on_drop` attempts whose lines are not."""

    def __init__(
        self, roster: Roster, *, on_part: Callable[[LogPart], None], on_drop: Callable[[int, int], None]
    ) -> None:
        self._roster = roster
        self._on_part = on_part
        self._on_drop = on_drop
        self._follows = Follows()
        self._readers: dict[Child, LineReader] = {}
        self._live: dict[Attempt, Live] = {}
        self._reported: OrderedDict[Attempt, None] = OrderedDict()  # attempts that brought their lines along, of late
        self._look_at = 0.0

    # While jobs run

    def follow(self, follows: Iterable[Follow]) -> None:
        """Somebody follows these lines, and no others."""
        self._follows.heard(follows, monotonic())
        self._look_at = 0.0

    def watch(self, now: float) -> None:
        if now < self._look_at:
            return
        self._follows.forget_expired(now)
        self._look_at = now + (FOLLOW_SECONDS if self._follows else LOOK_SECONDS)
        for child in self._roster.children:
            self._look(child, now)
        for attempt, live in list(self._live.items()):
            if live.child.holding(*attempt) is None:  # one that failed has been taken from here by its report
                del self._live[attempt]
                if not live.is_followed:
                    self._on_drop(*attempt)

    def _look(self, child: Child, now: float) -> None:
        long = {of(one.assignment): one.assignment for one in child.running() if now - one.since > LONG_SECONDS}
        if not (long or self._follows) or not (reader := self._reader(child)).has_new:
            return
        for attempt, lines in by_attempt(reader.take()).items():
            is_followed = any(map(self._follows.want, lines)) and attempt not in self._reported
            if is_followed or attempt in long or attempt in self._live:
                live = self._live.setdefault(attempt, Live(child))
                live.is_followed |= is_followed
                self._send_live(live, lines)

    def _send_live(self, live: Live, lines: list[RingLine]) -> None:
        size = sum(size_of(line.content) for line in lines)
        if live.sent_bytes + size > MAX_LIVE_BYTES:
            return
        live.sent_bytes += size
        live.sent.update(line.number for line in lines)
        self._send_ring_lines(lines)

    # When they end

    def taken_from(self, child: Child, report: Report) -> Report:
        """The report without its lines, which go their own way: results wait for no log. A report on an attempt that
        the child does not have is a lie, and its lines are, too."""
        if report.lines is None:
            if report.assignment is not None:  # it was not successful: what was sent of it stays
                self._live.pop((report.id, report.attempt), None)
            return report
        if (jobs := child.holding(report.id, report.attempt)) is None:
            return report
        assignment = jobs.find(report.id, report.attempt)
        assert assignment is not None
        count, *lines = storable(report.lines).split("\n")
        live = self._live.pop((report.id, report.attempt), None)
        self._note_reported((report.id, report.attempt))
        new = [line for line in lines if live is None or number_of(line) not in live.sent]
        said = int(count) if count.isdecimal() and len(count) < 10 else len(lines)
        self._send(assignment, report.started or report.ended, said, within(new, MAX_END_BYTES))
        return report._replace(lines=None)

    def take_from_dead(self, child: Child) -> None:
        """A child has died: what the attempts that it held said last is in its memory."""
        lines = by_attempt(self._reader(child).take_all())
        sent = [attempt for attempt, live in self._live.items() if live.child is child]
        for attempt in {*lines, *sent}:
            if child.holding(*attempt) is None:
                continue
            live = self._live.pop(attempt, None)
            self._note_reported(attempt)
            self._send_ring_lines(
                [line for line in lines.get(attempt, ()) if live is None or line.number not in live.sent]
            )

    def forget(self, child: Child) -> None:
        self._readers.pop(child, None)

    def drop_all(self) -> None:
        """These jobs belong to another worker by now: what was sent of them stays."""
        self._live.clear()

    # Parts

    def _send_ring_lines(self, lines: Sequence[RingLine]) -> None:
        for some in in_parts(lines, lambda line: line.content):
            last = some[-1]
            self._on_part(
                LogPart(
                    *(last.job_id, last.attempt, last.job_class, last.queue, last.started),
                    said=last.number + 1,
                    level=max(line.level for line in some),
                    lines="\n".join(line.content for line in some),
                )
            )

    def _send(self, assignment: Assignment, started: float, said: int, lines: Sequence[str]) -> None:
        names = assignment.job_class, assignment.queue
        for some in in_parts(lines, lambda line: line):
            level = max(map(level_of, some))
            self._on_part(LogPart(*of(assignment), *names, started, said, level, "\n".join(some)))

    def _note_reported(self, attempt: Attempt) -> None:
        self._reported[attempt] = None
        if len(self._reported) > MAX_REPORTED:
            self._reported.popitem(last=False)

    def _reader(self, child: Child) -> LineReader:
        if child not in self._readers:
            self._readers[child] = LineReader(child.memory)
        return self._readers[child]


def of(assignment: Assignment) -> Attempt:
    return assignment.id, assignment.attempt


def by_attempt(lines: Iterable[RingLine]) -> dict[Attempt, list[RingLine]]:
    found: dict[Attempt, list[RingLine]] = {}
    for line in lines:
        found.setdefault((line.job_id, line.attempt), []).append(line)
    return found


def in_parts(lines: Sequence[Line], content_of: Callable[[Line], str]) -> Iterator[Sequence[Line]]:
    """The lines in pieces that one row holds."""
    start = size = 0
    for place, line in enumerate(lines):
        length = size_of(content_of(line))
        if place > start and size + length > MAX_PART_BYTES:
            yield lines[start:place]
            start, size = place, 0
        size += length
    if start < len(lines):
        yield lines[start:]


def within(lines: list[str], limit: int) -> list[str]:
    """As many of the last lines as fit."""
    size = 0
    for place in range(len(lines) - 1, -1, -1):
        size += size_of(lines[place])
        if size > limit:
            return lines[place + 1 :]
    return lines


def size_of(text: str) -> int:
    """In bytes."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "backslashreplace"))


def storable(text: str) -> str:
    """As PostgreSQL takes it, whatever a job wrote in its child's place."""
    return text.replace("\0", "\\x00").encode("utf-8", "backslashreplace").decode()


HEAD = re.compile(r"\[(\d{1,9}),\d{1,10},(\d{1,3}),")
"""How a line begins: its number, its time, its level."""


def number_of(line: str) -> int:
    match = HEAD.match(line)
    return -1 if match is None else int(match[1])


def level_of(line: str) -> int:
    match = HEAD.match(line)
    return logging.INFO if match is None else min(int(match[2]), 255)

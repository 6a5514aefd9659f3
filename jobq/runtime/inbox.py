"""Reads reports and messages from the bytes that children write, and refuses what no child would write.

A job may write into the pipe or the shared memory in its child's place. A child in which that happened is not trusted.
"""

import logging
import os
from collections.abc import Callable
from operator import contains
from typing import Any, get_args, get_type_hints

from jobq.clean import line
from jobq.records import Assignment, Report
from jobq.runtime.child_state import Unexplained
from jobq.runtime.crew import Crew
from jobq.runtime.endings import cancelled_unstarted
from jobq.runtime.inspector import Inspector
from jobq.runtime.line_watch import LineWatch
from jobq.runtime.machine import resident_kilobytes
from jobq.runtime.pace import JobPace
from jobq.runtime.protocol import MAX_MOMENT, OrderKind, split_reports, unpack_lines
from jobq.runtime.roster import Roster
from jobq.runtime.supervised import Child
from jobq.states import Outcome

log = logging.getLogger("jobq.worker.pool")

READ_BYTES = 1 << 18

MAX_LINE_BYTES = 8 << 20
"""Maximum length of a line: the longest one of a child holds its classes. A job that writes without end is cut off."""

MAX_LEFTOVERS = 1000
"""Maximum number of kinds of leftovers that are remembered, so that each is warned about once."""

OUTCOMES = frozenset(outcome.value for outcome in Outcome)

TYPES = [get_args(hint) or (hint,) for hint in get_type_hints(Report).values()]


class Inbox:
    """Reads what children have written. `on_reports` gets the reports, `on_loaded` the classes of an imported
    application, `on_not_loaded` the reason why it does not import."""

    def __init__(
        self,
        crew: Crew,
        roster: Roster,
        pace: JobPace,
        inspector: Inspector,
        line_watch: LineWatch,
        *,
        on_reports: Callable[[list[Report]], None],
        on_returned: Callable[[list[Assignment]], None],
        on_loaded: Callable[[dict[str, Any]], None],
        on_not_loaded: Callable[[str, str], None],
    ) -> None:
        self._crew = crew
        self._roster = roster
        self._pace = pace
        self._inspector = inspector
        self._line_watch = line_watch
        self._on_reports = on_reports
        self._on_returned = on_returned
        self._on_loaded = on_loaded
        self._on_not_loaded = on_not_loaded
        self._leftovers: set[tuple[str, str]] = set()

    # Bytes

    def hear_rings(self) -> None:
        """Takes the reports that children have put into the ring. They announce them rarely, or when they are out of
        work."""
        for child in self._roster.children:
            if child.serial.held:
                self.hear_ring(child)

    def hear_ring(self, child: Child) -> None:
        try:
            records = child.serial.ring.take_records()
        except ValueError:
            self._refuse(child)
            return
        if not records:
            return
        reports, *rest = split_reports(records)
        if any(rest):
            self._refuse(child)
        self._take_reports(child, reports)

    def hear(self, child: Child) -> None:
        """Reads a child's pipe."""
        try:
            data = os.read(child.reports_fd, READ_BYTES)
        except BlockingIOError:
            return
        if not data:
            self._roster.stop_hearing(child)
            return
        reports, lines, child.buffer = split_reports(child.buffer + data)
        if reports:
            self._take_reports(child, reports)
        if lines:
            self.take_lines(child, lines)
        if len(child.buffer) > MAX_LINE_BYTES:
            child.buffer = b""
            self._refuse(child)

    def hear_last_words(self, child: Child) -> None:
        """Reads what a dead child had written."""
        self.hear_ring(child)
        while self._roster.is_heard(child):
            before = len(child.buffer), len(child.serial)
            self.hear(child)
            if (len(child.buffer), len(child.serial)) == before:
                break  # a descendant that a job left behind still holds the pipe open

    def take_lines(self, child: Child, lines: list[bytes]) -> None:
        try:
            unpacked = unpack_lines(lines)
            reports = [Report(*entry) for entry in unpacked if type(entry) is list]
            if not all(map(is_sound, reports)):
                raise ValueError("forged")
        except (ValueError, TypeError):
            if len(lines) > 1:  # its other lines still count
                for each in lines:
                    self.take_lines(child, [each])
            else:
                self._refuse(child)
            return
        for entry in unpacked:
            if type(entry) is dict:
                self._take_message(child, entry)
        reports = [with_assignment(report, child) for report in reports]
        self._take_reports(child, [self._line_watch.taken_from(child, report) for report in reports])

    def _refuse(self, child: Child) -> None:
        """It sent an invalid report or message."""
        if not child.life.is_doomed:
            reason = "it sent an invalid report: a job must have used a descriptor that is not its own"
            child.kill(Unexplained(reason))

    # Reports

    def _take_reports(self, child: Child, reports: list[Report]) -> None:
        """A report on another attempt is forged. If it were taken, no row would be found for it, and the true report
        would come too late."""
        heard = len(reports)
        if child.concurrent.held and (ended := child.concurrent.accept(reports)):
            reports = [report for report in reports if report not in ended]
            self._on_reports(ended)
            heard -= len(ended)
        reports = child.serial.accept(reports)
        if len(reports) < heard:
            self._refuse(child)
        if reports:
            self._pace.learn(reports)
            self._retire_if_worn(child, reports)
            self._on_reports(reports)

    def _retire_if_worn(self, child: Child, reports: list[Report]) -> None:
        """A process that was interrupted by an exception from outside is not trusted any more: a database driver that
        was interrupted in a query, for example, leaves an unusable connection. Neither is one that keeps too much
        memory."""
        if child.serial.has_outlived_interruption:
            child.serial.interruption = None
            child.life.retire()
        limit = self._crew.settings.max_memory_per_process
        if limit is None or max(report.peak_memory_kilobytes or 0 for report in reports) <= limit * 1024:
            return
        held = resident_kilobytes(child.pid)
        if held is None or held > limit * 1024:
            child.life.retire()
            child.recall()

    # Messages

    def _take_message(self, child: Child, message: dict[str, Any]) -> None:
        match message:
            case {"ready": loaded} if not child.life.has_loaded:  # so no job has run there that could have forged this
                if self._crew.has_loaded(child):
                    self._on_loaded(loaded)
            case {"failed": {"message": text, "traceback": user_traceback}} if not child.life.has_loaded:
                self._take_failed(child, text, user_traceback)
            case {"passed over": int(number)}:
                self._take_passed_over(child, number)
            case {"left": {"job_class": str(job_class), "what": str(what), "is_worn": bool(is_worn)}}:
                self._take_leftover(child, job_class, what, is_worn=is_worn)
            case {"progress": [int(job_id), int(attempt), dict(said)]}:
                self._inspector.was_told(child, job_id, attempt, said)
            case {"stack": [int(job_id), str(stack)]}:
                self._inspector.was_answered(child, job_id, stack)
            case _:
                self._refuse(child)

    def _take_failed(self, child: Child, text: str, user_traceback: str) -> None:
        child.has_said_why = True
        code = self._crew.code
        if not code.is_unfit:  # the children of one change send the same
            code.could_not_load(child.generation)
            self._on_not_loaded(text, user_traceback)

    def _take_passed_over(self, child: Child, number: int) -> None:
        """A child was about to begin this job when it was taken back, so that it counted as begun."""
        serial = child.serial
        assignment = serial.give_up_number(number)
        if assignment is None:  # as nearly always: it had not begun
            return
        child.dispatched -= 1
        if (interruption := serial.interruption) is not None and interruption.assignment.id == assignment.id:
            serial.interruption = None
            child.life.retire()
            if interruption.order.kind is OrderKind.CANCEL:
                self._on_reports([cancelled_unstarted(assignment, interruption.order.message)])
                return
        self._on_returned([assignment])

    def _take_leftover(self, child: Child, job_class: str, what: str, *, is_worn: bool) -> None:
        """Warns once for each kind of leftover of a class's jobs."""
        if is_worn:
            child.life.retire()
            child.recall()
        if (job_class, what) in self._leftovers or len(self._leftovers) >= MAX_LEFTOVERS:
            return
        self._leftovers.add((job_class, what))
        then = "; its process is replaced" if is_worn else ""
        log.warning("a job left %s%s job_class=%s", line(what), then, line(job_class))


def with_assignment(report: Report, child: Child) -> Report:
    """Logs unsuccessful attempts as well."""
    if report.outcome == Outcome.SUCCESSFUL or (jobs := child.holding(report.id, report.attempt)) is None:
        return report
    return report._replace(assignment=jobs.find(report.id, report.attempt))


def is_sound(report: Report) -> bool:
    """Whether a report is valid. A job may have written any JSON in its place."""
    return (
        all(map(contains, TYPES, map(type, report)))
        and report.outcome in OUTCOMES
        and is_moment(report.ended)
        and (report.started is None or (is_moment(report.started) and report.started <= report.ended))
        and (report.retry_delay is None or 0 <= report.retry_delay < MAX_MOMENT)
    )


def is_moment(value: float) -> bool:
    return abs(value) < MAX_MOMENT

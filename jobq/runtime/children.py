"""The rooms in which the children of a worker are looked after, put together.

Belongs to the supervisor's main thread; nothing here waits, and nothing here touches the database.
"""

import selectors
from collections.abc import Callable
from time import monotonic
from typing import Any

from jobq.records import Assignment, LogPart, Report
from jobq.runtime.child_settings import ChildSettings
from jobq.runtime.crew import Crew
from jobq.runtime.deaths import Deaths
from jobq.runtime.dispatcher import Dispatcher
from jobq.runtime.inbox import Inbox
from jobq.runtime.inspector import Inspector
from jobq.runtime.interrupter import Interrupter
from jobq.runtime.line_watch import LineWatch
from jobq.runtime.pace import JobPace
from jobq.runtime.roster import Roster
from jobq.runtime.supervised import Child

WATCH_EVERY_SECONDS = 0.05
"""Timeouts, grace times, stacks and memory are looked at this often, at most: not at every turn of the busy main loop.
"""


class Children:
    """The children of one worker.

    `on_reports` gets every report, of children and of their deaths; `on_loaded` what the application defines, when a
    child has imported it; `on_not_loaded` why it does not import; `on_returned` jobs that a child gave up unstarted;
    `on_stack` what a job is doing, or why that cannot be told; `on_lines` lines of jobs that are to be kept, and
    `on_drop_lines` attempts whose lines are not.
    """

    def __init__(
        self,
        settings: ChildSettings,
        selector: selectors.BaseSelector,
        wake: Callable[[], None],
        *,
        mark: str,
        on_reports: Callable[[list[Report]], None],
        on_loaded: Callable[[dict[str, Any]], None],
        on_not_loaded: Callable[[str, str], None],
        on_returned: Callable[[list[Assignment]], None],
        on_stack: Callable[[int, str], None],
        on_lines: Callable[[LogPart], None],
        on_drop_lines: Callable[[int, int], None],
    ) -> None:
        self.pace = pace = JobPace()
        self.roster = roster = Roster(selector, wake)
        self.crew = crew = Crew(settings, roster, pace, mark=mark, on_returned=on_returned)
        self.dispatcher = Dispatcher(crew, roster, pace)
        self.interrupter = Interrupter(crew, roster)
        self.inspector = Inspector(roster, on_stack=on_stack)
        self.line_watch = LineWatch(roster, on_part=on_lines, on_drop=on_drop_lines)
        self.inbox = Inbox(
            crew,
            roster,
            pace,
            self.inspector,
            self.line_watch,
            on_reports=on_reports,
            on_returned=on_returned,
            on_loaded=on_loaded,
            on_not_loaded=on_not_loaded,
        )
        self.deaths = Deaths(
            *(crew, roster, self.inbox, self.inspector, self.line_watch), on_reports=on_reports, on_returned=on_returned
        )
        self._watch_at = 0.0

    def keep_up(self) -> None:
        """Buries the dead, starts and replaces children, and watches what they run."""
        self.deaths.bury_all()
        self.crew.keep_up()
        now = monotonic()
        if now >= self._watch_at:
            self._watch_at = now + WATCH_EVERY_SECONDS
            self.inspector.watch(now)
            self.interrupter.watch(now)
            self.line_watch.watch(now)

    def seconds_to_next_look(self) -> float | None:
        """None: there is nothing to look after that no event would tell of."""
        if self.inspector.is_pressing or self.interrupter.is_pressing or self.deaths.together:
            return WATCH_EVERY_SECONDS
        if self.crew.settings.max_memory_per_job is not None and not self.roster.is_idle:
            return WATCH_EVERY_SECONDS
        return None

    def holder(self, job_id: int, attempt: int) -> Child | None:
        """The child that has this attempt, begun or not."""
        for child in self.roster.at_work:
            self.inbox.hear_ring(child)
            if child.holding(job_id, attempt) is not None:
                return child
        return None

    def cancel(self, job_id: int, attempt: int, message: str) -> bool:
        """Has an attempt end that has begun. False: no child has it, or it has come back as one that has not begun."""
        child = self.holder(job_id, attempt)
        return child is not None and self.interrupter.cancel(child, job_id, attempt, message)

    def ask_stack(self, job_id: int, attempt: int) -> bool:
        """Asks a child what its job is doing; `on_stack` gets the answer. False: no child has begun this attempt."""
        child = self.holder(job_id, attempt)
        return child is not None and self.inspector.ask_stack(child, job_id)

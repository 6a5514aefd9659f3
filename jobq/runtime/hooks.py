"""Calls of on_aborted() that this worker has taken: they run in children like jobs, under negative ids."""

import logging
from collections.abc import Iterable, Sequence

from jobq.records import Assignment, Report
from jobq.runtime.control import Control
from jobq.runtime.events import Events, HooksTaken
from jobq.runtime.protocol import CUT_OFF

log = logging.getLogger("jobq.worker")


class Hooks:
    """The hooks that were taken and are not done, by their own ids."""

    def __init__(self, control: Control, events: Events) -> None:
        self._control = control
        self._events = events
        self._ids: set[int] = set()
        self._are_owed = False  # attempts have ended that could not report their own end
        self.are_taken = True  # False: the worker stops

    def __bool__(self) -> bool:
        return bool(self._ids)

    @property
    def are_wanted(self) -> bool:
        return self.are_taken and not self._ids

    def take_up(self, hooks: list[Assignment]) -> None:
        """Called in the thread of the control."""
        self._ids.update(-hook.id for hook in hooks)
        self._events.put(HooksTaken(hooks))

    def account(self, reports: list[Report]) -> list[Report]:
        """Takes the ends of hooks out, and returns the reports on jobs."""
        return [report for report in reports if not self._is_of_hook(report)]

    def _is_of_hook(self, report: Report) -> bool:
        """An error in a hook is logged, and changes nothing."""
        hook = -report.id
        if hook not in self._ids:
            return False
        self._ids.discard(hook)
        if report.error_type == CUT_OFF:
            self._control.leave([hook])
            return True
        if report.error_type is not None:
            log.error(
                "on_aborted failed error=%s: %s%s",
                report.error_type,
                report.error_message,
                f"\n{report.traceback}" if report.traceback else "",
            )
        self._control.made([hook])
        return True

    def leave(self, assignments: Iterable[Assignment]) -> list[Assignment]:
        """Gives back the hooks among unstarted assignments, and returns the jobs."""
        jobs = [assignment for assignment in assignments if assignment.id > 0]
        if hooks := [-assignment.id for assignment in assignments if assignment.id < 0]:
            self._ids.difference_update(hooks)
            self._control.leave(hooks)
        return jobs

    def note_aborted(self, reports: Sequence[Report]) -> None:
        if any(report.aborted for report in reports):
            self._are_owed = True

    def look_if_owed(self) -> None:
        """Reports were recorded: they may have left hooks to call."""
        if self._are_owed:
            self._are_owed = False
            self._control.look()

    def drop_all(self) -> None:
        """Forgets everything: the hooks belong to another worker now."""
        self._events.drop(HooksTaken)
        self._ids.clear()

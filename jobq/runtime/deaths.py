"""What becomes of the jobs of a child that has died."""

from collections.abc import Callable

from jobq.records import Assignment, Report
from jobq.runtime.child_state import Cause, CutOff, Ordered, fate_of
from jobq.runtime.crew import Crew
from jobq.runtime.endings import DeadChild, ending, lost_before_it_began, lost_together, may_have_run
from jobq.runtime.inbox import Inbox
from jobq.runtime.inspector import Inspector
from jobq.runtime.interruption import Running
from jobq.runtime.process import Death
from jobq.runtime.roster import Roster
from jobq.runtime.stop_signals import ENDED_BY_STOP
from jobq.runtime.supervised import Child

MIN_DEATHS_BEFORE = 2
"""A job that has not begun comes to rest for no fewer deaths of its processes, whatever the limit of losses …"""

MAX_SUSPECTS = 1000
"""… and such deaths are remembered of this many jobs."""


class Deaths:
    """Hears the last words of a dead child, and reports on each job that it held or gives it back."""

    def __init__(
        self,
        crew: Crew,
        roster: Roster,
        inbox: Inbox,
        inspector: Inspector,
        *,
        on_reports: Callable[[list[Report]], None],
        on_returned: Callable[[list[Assignment]], None],
    ) -> None:
        self._crew = crew
        self._roster = roster
        self._inbox = inbox
        self._inspector = inspector
        self._on_reports = on_reports
        self._on_returned = on_returned
        self.before_begin: dict[tuple[int, int], int] = {}  # deaths by id and attempt, the latest last

    def bury_all(self) -> None:
        while self._roster.deaths:
            self.bury(*self._roster.deaths.popleft())

    def bury(self, child: Child, death: Death) -> None:
        self._inbox.hear_last_words(child)
        next_one = child.serial.first
        unstarted = child.take_unbegun()
        begun = child.serial.ring.begun()
        stack = self._inspector.keep_stack(child) if child.life.has_loaded else ""  # else it ran no job
        self._inspector.forget(child)
        self._crew.forget(child, death)
        dead = DeadChild(child.pid, death, self._crew.settings.max_losses)
        if next_one is not None and not child.serial and child.life.cause is None:
            unstarted = self._without_suspect(unstarted, next_one, dead)
        if unstarted:
            self._on_returned(unstarted)
        if child.concurrent:
            self._report_on_coroutines(child, dead, stack)
        if child.serial:
            self._report_on_serial(child, dead, begun)

    def _without_suspect(self, unstarted: list[Assignment], suspect: Assignment, child: DeadChild) -> list[Assignment]:
        """A job may kill every process that only reads it: its arguments may take all memory. One such death proves
        nothing: the job is handed out again, alone in its process, and only deaths from then on are counted. Jobs
        behind the one that was to begin next are not suspect at all."""
        if not suspect.suspected:
            return [one if one is not suspect else one._replace(suspected=True) for one in unstarted]
        key = suspect.id, suspect.attempt
        deaths = self.before_begin.pop(key, 0) + 1
        if deaths < max(child.max_losses, MIN_DEATHS_BEFORE):
            self.before_begin[key] = deaths
            if len(self.before_begin) > MAX_SUSPECTS:  # others may have ended, here or elsewhere
                del self.before_begin[next(iter(self.before_begin))]
            return unstarted
        self._on_reports([lost_before_it_began(suspect, child, deaths)])
        return [assignment for assignment in unstarted if assignment is not suspect]

    def _report_on_serial(self, child: Child, dead: DeadChild, begun: int) -> None:
        """One was running. Of any other nobody can know: its job has cut the shared memory short, or it died just when
        a job that it was about to begin was taken back."""
        serial = child.serial
        held = list(serial.held.values())
        running = next((assignment for assignment, number in held if number == begun), held[0][0])
        report = self._report(child, dead, serial.running_as(running.id))
        others = [may_have_run(assignment, dead) for assignment, _ in held if assignment is not running]
        serial.drop_all()
        self._on_reports([report, *others])

    def _report_on_coroutines(self, child: Child, dead: DeadChild, stack: str) -> None:
        """Which of several has brought its process down nobody can know: each runs apart before it counts a loss."""
        is_alone = len(child.running()) == 1
        reports = []
        for running in child.concurrent.running():
            report = self._report(child, dead, running, stack)
            reports.append(report if is_alone or not report.loss else lost_together(running, dead))
        child.concurrent.drop_all()
        self._on_reports(reports)

    def _report(self, child: Child, dead: DeadChild, running: Running, stack: str = "") -> Report:
        fate = fate_of(running, child.life.cause or self._stop(dead.death))
        if isinstance(fate, Ordered) and stack:
            fate.interruption.stack = stack
        return ending(running, fate, dead)

    def _stop(self, death: Death) -> Cause | None:
        """Whoever ends a worker may signal its children too: that is no loss of their jobs."""
        if self._crew.is_closing and -death.exit_code in ENDED_BY_STOP:
            return CutOff("its process was killed while the worker stopped")
        return None

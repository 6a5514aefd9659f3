"""Decides about the jobs of a dead child."""

from collections.abc import Callable

from jobq.records import Assignment, Report
from jobq.runtime.child_state import Cause, CutOff, Fate, Ordered, fate_of
from jobq.runtime.crew import Crew
from jobq.runtime.endings import DeadChild, Ended, endings, lost_before_it_began, may_have_run
from jobq.runtime.inbox import Inbox
from jobq.runtime.inspector import Inspector
from jobq.runtime.interruption import Running
from jobq.runtime.line_watch import LineWatch
from jobq.runtime.process import Death
from jobq.runtime.roster import Roster
from jobq.runtime.stop_signals import ENDED_BY_STOP
from jobq.runtime.supervised import Child
from jobq.runtime.together import Together, is_killed_from_outside

MIN_DEATHS_BEFORE = 2
"""A job that has not begun rests only after this number of deaths of its processes, even if its limit of losses is
lower …"""

MAX_SUSPECTS = 1000
"""… and the deaths are remembered for this number of jobs."""


class Deaths:
    """Reads the last messages of dead children. Reports on each job that they held, or gives it back."""

    def __init__(
        self,
        crew: Crew,
        roster: Roster,
        inbox: Inbox,
        inspector: Inspector,
        line_watch: LineWatch,
        *,
        on_reports: Callable[[list[Report]], None],
        on_returned: Callable[[list[Assignment]], None],
    ) -> None:
        self._crew = crew
        self._roster = roster
        self._inbox = inbox
        self._inspector = inspector
        self._line_watch = line_watch
        self._on_reports = on_reports
        self._on_returned = on_returned
        self.together = Together(roster)
        self.before_begin: dict[tuple[int, int], int] = {}  # deaths by id and attempt, the latest last

    def bury_all(self) -> None:
        while self._roster.deaths:
            self._take(*self._roster.deaths.popleft())
        if self.together and (dead := self.together.take()):
            self.bury(dead)

    def _take(self, child: Child, death: Death) -> None:
        """Handles the death of a child at once, unless its job may have been lost together with jobs of other
        children."""
        self._inbox.hear_last_words(child)
        if is_killed_from_outside(child, death) and not self._crew.is_closing and keeps_begun_only(child):
            self.together.add(child, death)
        else:
            self.bury([(child, death)])

    def bury(self, dead: list[tuple[Child, Death]]) -> None:
        """Children that died together."""
        ended = [one for child, death in dead for one in self._bury_one(child, death)]
        if ended:
            self._on_reports(endings(ended))

    def _bury_one(self, child: Child, death: Death) -> list[Ended]:
        """Returns the ends of the jobs that had begun in it, and gives back the others."""
        self._inbox.hear_last_words(child)
        next_one = child.serial.first
        unstarted = child.take_unbegun()
        self._line_watch.take_from_dead(child)
        begun = child.serial.ring.begun()
        stack = self._inspector.keep_stack(child) if child.life.has_loaded else ""  # otherwise it ran no job
        self._inspector.forget(child)
        self._line_watch.forget(child)
        self._crew.forget(child, death)
        dead = DeadChild(child.pid, death, self._crew.settings.max_losses)
        if next_one is not None and not child.serial and child.life.cause is None:
            unstarted = self._without_suspect(unstarted, next_one, dead)
        if unstarted:
            self._on_returned(unstarted)
        return [*self._ended_coroutines(child, dead, stack), *self._ended_serial(child, dead, begun)]

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
            if len(self.before_begin) > MAX_SUSPECTS:  # other jobs may have ended, here or elsewhere
                del self.before_begin[next(iter(self.before_begin))]
            return unstarted
        self._on_reports([lost_before_it_began(suspect, child, deaths)])
        return [assignment for assignment in unstarted if assignment is not suspect]

    def _ended_serial(self, child: Child, dead: DeadChild, begun: int) -> list[Ended]:
        """One job was running, but it is unknown which: a job has truncated the shared memory, or the child died just
        when a job that it was about to begin was taken back."""
        serial = child.serial
        held = list(serial.held.values())
        if not held:
            return []
        running = next((assignment for assignment, number in held if number == begun), held[0][0])
        ended = Ended(serial.running_as(running.id), self._fate(child, dead, serial.running_as(running.id)), dead)
        self._on_reports([may_have_run(assignment, dead) for assignment, _ in held if assignment is not running])
        serial.drop_all()
        return [ended]

    def _ended_coroutines(self, child: Child, dead: DeadChild, stack: str) -> list[Ended]:
        ended = [Ended(one, self._fate(child, dead, one, stack), dead) for one in child.concurrent.running()]
        child.concurrent.drop_all()
        return ended

    def _fate(self, child: Child, dead: DeadChild, running: Running, stack: str = "") -> Fate:
        fate = fate_of(running, child.life.cause or self._stop(dead.death))
        if isinstance(fate, Ordered) and stack:
            fate.interruption.stack = stack
        return fate

    def _stop(self, death: Death) -> Cause | None:
        """Whoever stops a worker may send the signal to its children too. That is not a loss of their jobs."""
        if self._crew.is_closing and -death.exit_code in ENDED_BY_STOP:
            return CutOff("its process was killed while the worker stopped")
        return None


def keeps_begun_only(child: Child) -> bool:
    """Takes back the jobs that a dead child had not begun. False: it had begun none, and `bury` decides about the
    next."""
    child.recall(child.concurrent)
    has_begun_serial = child.serial.first is not None and not child.serial.has_begun_none
    if has_begun_serial:
        child.recall(child.serial)
    return has_begun_serial or bool(child.concurrent.held)

"""The children that there should be: starts missing ones, replaces those that have served their time, and ends all of
them at the end.

It does not know what they hold, or which of them gets a job.
"""

import logging
from collections.abc import Callable
from time import monotonic

from jobq.records import Assignment
from jobq.runtime.child_settings import ChildSettings
from jobq.runtime.child_state import IS_REPLACED, NEEDS_SUCCESSOR, CutOff, Unexplained
from jobq.runtime.code_version import CodeVersion
from jobq.runtime.newcomers import Newcomers
from jobq.runtime.pace import JobPace
from jobq.runtime.process import Death
from jobq.runtime.roster import Roster
from jobq.runtime.slot import Slot
from jobq.runtime.starting import start_child
from jobq.runtime.supervised import Child

log = logging.getLogger("jobq.worker.pool")

MAX_DEATHS_AT_START = 4
"""If in every slot this number of children in a row died without loading the application, and none ever loaded it, the
worker gives up. That takes some seconds: a file may just be being saved."""

HANDED_IN_SECONDS = 5.0
"""Seconds within which a child without work must exit by itself."""


class Crew:
    """The slots of one worker, and their children."""

    def __init__(
        self,
        settings: ChildSettings,
        roster: Roster,
        pace: JobPace,
        *,
        mark: str,
        on_returned: Callable[[list[Assignment]], None],
    ) -> None:
        self.settings = settings
        self.code = CodeVersion()
        self.slots = [Slot() for _ in range(settings.processes)]
        self._roster = roster
        self._pace = pace
        self._mark = mark
        self._on_returned = on_returned
        self._newcomers = Newcomers()
        self._started = 0
        self.is_closing = False  # the worker stops
        self._has_loaded_once = False

    # Current children

    def count_ready(self) -> int:
        return sum(1 for slot in self.slots if slot.child is not None and slot.child.life.has_loaded)

    @property
    def is_hopeless(self) -> bool:
        """Whether the worker gives up: no child has ever loaded the application."""
        return not self._has_loaded_once and all(slot.deaths >= MAX_DEATHS_AT_START for slot in self.slots)

    def takes_jobs(self, child: Child) -> bool:
        """Whether the child takes jobs at all."""
        return child.is_open and not self._has_served(child) and not self.code.is_superseded(child.generation)

    def jobs_left(self, child: Child) -> int | None:
        """The number of jobs that it may still get before it is replaced. None: no limit."""
        limit = self.settings.max_jobs_per_process
        return None if limit is None or self.code.is_unfit else max(0, limit - child.dispatched)

    # Starting and replacing

    def keep_up(self) -> None:
        """Starts missing children, replaces those that have served their time, and kills those that do not exit."""
        now = monotonic()
        for slot in self.slots:
            self._keep_up_slot(slot, now)
        self._newcomers.watch(self._roster.children, now)
        for child in self._roster.children:
            if child.life.leaving_since is not None and not child.life.is_doomed:
                self._end_overdue(child, now - child.life.leaving_since)

    def _keep_up_slot(self, slot: Slot, now: float) -> None:
        child = slot.child
        if child is not None and self.code.is_superseded(child.generation):
            # Once the new code is loaded, no job begins with the old code: it may not know the job's class.
            child.recall()
            child.leave()
            slot.take_over()
        elif child is not None and self._is_replaced(child) and slot.has_ready_successor:
            child.leave()
            if not child.serial:
                slot.take_over()
        if self.is_closing or now < slot.restart_at:
            return
        if slot.child is None:
            slot.child = self._start_for(slot)
        elif slot.successor is None and self._needs_successor(slot.child):
            slot.successor = self._start_for(slot)

    def _end_overdue(self, child: Child, seconds_leaving: float) -> None:
        if seconds_leaving > HANDED_IN_SECONDS and not child.is_at_work:
            child.kill(Unexplained("it did not exit when it had no more to do"))
        elif self.code.is_outdated(child.generation) and seconds_leaving > self.settings.shutdown_grace:
            child.kill(CutOff("the code changed, and its job had not ended in time"))

    def _is_replaced(self, child: Child) -> bool:
        return child.life.state in IS_REPLACED or self._has_served(child)

    def _has_served(self, child: Child) -> bool:
        return self.jobs_left(child) == 0

    def _needs_successor(self, child: Child) -> bool:
        """Early enough that the next child has imported the application when this one has served its time."""
        if child.life.state in NEEDS_SUCCESSOR:
            return True
        if self.code.is_unfit:
            return False  # it could not import the application
        if self.code.is_outdated(child.generation):
            return True
        limit = self.settings.max_jobs_per_process
        if limit is None:
            return False
        early = int(0.5 / self._pace.mean_seconds) + 1 if self._pace.mean_seconds else 0
        return child.dispatched >= limit - min(limit // 2, early)

    def _start_for(self, slot: Slot) -> Child | None:
        """None: the OS refused a process, a thread or a file. That may pass, so it is tried again."""
        try:
            return self._start()
        except (OSError, RuntimeError) as error:  # a RuntimeError means that no thread can be started
            slot.failed()
            log.error("cannot start a child process; trying again, the other children keep running error=%s", error)
            return None

    def _start(self) -> Child:
        self._started += 1
        child = start_child(
            self.settings,
            mark=f"{self._mark}.{self._started}",
            generation=self.code.generation,
            on_death=self._roster.note_death,
            on_returned=self._on_returned,
        )
        self._roster.add(child)
        return child

    def renew(self, settings: ChildSettings) -> None:
        """The application has changed: new children import it, and take over when they have done so."""
        self.settings = settings
        self.code.change()
        for slot in self.slots:
            if (successor := slot.begin_anew()) is not None:
                successor.leave()

    def has_loaded(self, child: Child) -> bool:
        """The child has imported the application. False: an older version of it."""
        child.life.load()
        self._has_loaded_once = True
        for slot in self.slots:
            if child in (slot.child, slot.successor):
                slot.succeeded()
        return self.code.was_loaded(child.generation)

    # Ending

    def close(self) -> None:
        """No more jobs: idle children end at once, the others after their job."""
        self.is_closing = True
        for child in self._roster.children:
            child.leave()

    def forget(self, child: Child, death: Death) -> None:
        """After its death: frees its slot."""
        if not child.life.has_loaded:
            self._newcomers.bury(child, death)
        self._roster.remove(child, death)
        for slot in self.slots:
            if slot.lost(child) and not child.life.has_loaded:
                self.code.could_not_load(child.generation)
                slot.failed()
                slot.deaths += 1
        if self.is_hopeless:
            log.error("no child could load the application in %s attempts; the worker ends", MAX_DEATHS_AT_START)

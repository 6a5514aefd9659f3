"""Decides which child gets which job, and takes jobs back from children that would delay them."""

import logging
from collections import deque
from time import monotonic

from jobq.records import Assignment
from jobq.runtime.crew import Crew
from jobq.runtime.pace import JobPace
from jobq.runtime.protocol import NoFile
from jobq.runtime.roster import Roster
from jobq.runtime.supervised import Child, Jobs

log = logging.getLogger("jobq.worker.pool")

RECALL_AFTER_SECONDS = 0.025
"""A child that has run one job for this long returns its unstarted jobs."""

COMPLAIN_AGAIN_SECONDS = 60.0


class Dispatcher:
    """Hands out jobs from the front of a stock. Nothing here blocks."""

    def __init__(self, crew: Crew, roster: Roster, pace: JobPace) -> None:
        self._crew = crew
        self._roster = roster
        self._pace = pace
        self._complain_at = 0.0

    # Jobs in turn

    def free(self) -> int:
        """The number of jobs that could be handed out now."""
        window = self._pace.window
        return sum(self.room(slot.child, window) for slot in self._crew.slots if slot.child is not None)

    def room(self, child: Child, window: int) -> int:
        """The number of jobs that a child may get now."""
        if not child.is_open or child.is_reserved or self._crew.code.is_superseded(child.generation):
            return 0
        serial = child.serial
        if serial.held and monotonic() - serial.busy_since > RECALL_AFTER_SECONDS:
            return 0  # it runs a long job, whatever recent jobs have taken
        room = max(0, window - len(serial.held))
        left = self._crew.jobs_left(child)
        return room if left is None else min(room, left)

    def dispatch(self, stock: deque[Assignment]) -> None:
        """Hands out jobs while children have room, so that all hold equally many."""
        window = self._pace.window
        rooms = [(child, self.room(child, window)) for slot in self._crew.slots if (child := slot.child) is not None]
        open_children = [(child, room) for child, room in rooms if room]
        open_children.sort(key=lambda entry: (len(entry[0].serial.held), entry[0].serial.is_held_up))
        held = sum(len(child.serial.held) for child, _ in open_children)
        for place, (child, room) in enumerate(open_children):
            if not stock:
                break
            level = -(-(len(stock) + held) // (len(open_children) - place))
            held -= len(child.serial.held)
            self._send(child, child.serial, stock, min(room, level - len(child.serial.held)))

    # Coroutines

    def free_for_coroutines(self) -> int:
        """The number of coroutines that could be handed out now."""
        return sum(child.concurrent.room for child in self._open_children())

    def dispatch_coroutines(self, stock: deque[Assignment]) -> None:
        """Hands out coroutines, each to the child with the fewest. A child that is held up comes last."""
        children = self._open_children()
        while stock and children:
            child = min(children, key=lambda child: (child.concurrent.is_held_up, len(child.concurrent)))
            if not self._send(child, child.concurrent, stock, 1):
                children.remove(child)

    def _open_children(self) -> list[Child]:
        """Children that take jobs and are not reserved."""
        children = (slot.child for slot in self._crew.slots if slot.child is not None)
        return [child for child in children if self._crew.takes_jobs(child) and not child.is_reserved]

    # Suspected jobs

    def reserve(self, *, keep_one: bool) -> Child | None:
        """Keeps a process free for a suspected job: it ends what it has begun, and gets nothing else.

        With `keep_one`, the last of several processes stays available for ordinary jobs.
        """
        usable = self._open_children()
        if len(usable) <= (1 if keep_one and len(self._crew.slots) > 1 else 0):
            return None
        child = min(usable, key=lambda child: (len(child.serial) + len(child.concurrent), child.serial.is_held_up))
        child.recall()
        child.is_reserved = True
        return child

    def is_usable(self, child: Child) -> bool:
        """Whether a process that was reserved still takes jobs."""
        return any(slot.child is child for slot in self._crew.slots) and self._crew.takes_jobs(child)

    def send_alone(self, child: Child, suspect: Assignment, *, is_coroutine: bool) -> bool:
        """Hands a suspected job to the process that was reserved for it. False: the process does not take it."""
        if not self.is_usable(child) or child.is_at_work:
            return False
        jobs: Jobs = child.concurrent if is_coroutine else child.serial
        return bool(self._send(child, jobs, deque([suspect]), 1))

    def _send(self, child: Child, jobs: Jobs, stock: deque[Assignment], limit: int) -> int:
        """The number of jobs sent."""
        before = len(jobs)
        try:
            jobs.send(stock, limit)
        except NoFile as error:
            self._complain(error)
        sent = len(jobs) - before
        child.dispatched += sent
        return sent

    def _complain(self, error: NoFile) -> None:
        """Logs why the job at the front waits. It is given back after a while."""
        if (now := monotonic()) >= self._complain_at:
            self._complain_at = now + COMPLAIN_AGAIN_SECONDS
            log.error("large arguments cannot be handed out: there can be no file for them error=%s", error)

    # Taking jobs back

    def rebalance(self) -> None:
        """Takes back jobs that wait in a child behind a long job, or behind a thread that an earlier job left and that
        keeps the interpreter busy."""
        now = monotonic()
        for child in self._roster.children:
            serial = child.serial
            if serial.seconds_at_first(now) > RECALL_AFTER_SECONDS and self.holds_up(child):
                child.recall()
                serial.is_held_up = serial.is_held_up or not serial.held

    def holds_jobs_up(self) -> bool:
        """Whether in some child a job waits, either behind the running one or although none runs."""
        return any(self.holds_up(child) for child in self._roster.children if child.serial.held)

    def holds_up(self, child: Child) -> bool:
        return len(child.serial.held) > 1 or (self._is_one_free() and child.serial.has_begun_none)

    def _is_one_free(self) -> bool:
        children = [slot.child for slot in self._crew.slots if slot.child is not None and not slot.child.serial.held]
        return any(not child.serial.is_held_up and self.room(child, 1) for child in children)

    def recall_all(self) -> None:
        for child in self._roster.at_work:
            child.recall()

    # Busy children

    def seconds_to_gather(self) -> float:
        """How long the reports of children may gather, because each child has work for longer than that."""
        held = (len(slot.child.serial.held) if slot.child else 0 for slot in self._crew.slots)
        return self._pace.seconds_to_gather(min(held, default=0))

    def seconds_at_current(self) -> float | None:
        """The shortest time that a busy child has been running its job. None if some child is free."""
        now = monotonic()
        children = [slot.child for slot in self._crew.slots]
        if any(child is None or not child.serial.held for child in children):
            return None
        return min(child.serial.seconds_at_first(now) for child in children if child is not None)

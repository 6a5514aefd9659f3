"""Stops jobs after a cancel, a timeout or too much memory: tells them, waits, kills."""

import logging
from time import monotonic

from jobq.runtime.child_state import Blames, Unexplained
from jobq.runtime.crew import Crew
from jobq.runtime.interruption import Interruption, Running
from jobq.runtime.machine import resident_kilobytes
from jobq.runtime.protocol import Order, OrderKind
from jobq.runtime.roster import Roster
from jobq.runtime.supervised import Child, Jobs

log = logging.getLogger("jobq.worker.pool")

MEMORY_GRACE_SECONDS = 0.05
"""Seconds for a job past its memory limit to have its stack written; it may take more memory meanwhile."""

MAX_ORDER_CHARACTERS = 500


class Interrupter:
    """Watches timeouts, grace times and memory. The first reason to end a job wins."""

    def __init__(self, crew: Crew, roster: Roster) -> None:
        self._crew = crew
        self._roster = roster
        self.is_pressing = False  # some job is being stopped

    def cancel(self, child: Child, job_id: int, attempt: int, message: str) -> bool:
        """Stops an attempt that has begun in this child. False: it had not begun, and came back."""
        child.recall()
        if (jobs := child.holding(job_id, attempt)) is None:
            return False
        running = jobs.running_as(job_id)
        self._interrupt(child, jobs, running, OrderKind.CANCEL, message, self._crew.settings.cancel_grace)
        return True

    def watch(self, now: float) -> None:
        self.is_pressing = False
        for child in self._roster.children:
            for jobs in child.kinds:
                if jobs.held:
                    self._press(child, jobs, now)
                    self._end_overtime(child, jobs)
        if (limit := self._crew.settings.max_memory_per_job) is not None:
            for child in self._roster.at_work:
                self._watch_memory(child, limit)

    def _interrupt(
        self, child: Child, jobs: Jobs, running: Running, kind: OrderKind, message: str, grace: float
    ) -> None:
        """Tells a job to end, and notes what it is doing."""
        if running.interruption is not None or child.life.is_doomed:
            return
        assignment = running.assignment
        if jobs.interrupts_process:
            child.recall()  # jobs behind it go to a process that has not been interrupted
            if assignment.id not in jobs:
                child.life.retire()  # it had not even begun: something blocks this process, and another takes over
                return
            child.life.interrupt()
        order = Order(assignment.id, assignment.attempt, kind, message[:MAX_ORDER_CHARACTERS])
        self.is_pressing = True
        log.info("stopping job=%s attempt=%s pid=%s reason=%s", assignment.id, assignment.attempt, child.pid, message)
        jobs.interrupt(Interruption(order, assignment, grace, monotonic() + grace), child.process)

    def _press(self, child: Child, jobs: Jobs, now: float) -> None:
        """Repeats orders to end, and kills the process when the grace time is over."""
        for running in jobs.running():
            if (interruption := running.interruption) is None:
                continue
            self.is_pressing = True
            if child.life.is_doomed:
                return
            jobs.remind(interruption, child.process, now)
            if now >= interruption.kill_at:
                child.kill(Blames(interruption.assignment.id, interruption.order.message))

    def _end_overtime(self, child: Child, jobs: Jobs) -> None:
        if not any(running.is_over_time for running in jobs.running()):
            return
        if not jobs.interrupts_process and child.recall(jobs):
            jobs.is_held_up = True  # a coroutine that was not read has not run, so it has not timed out
        for running in jobs.running():
            if running.is_over_time:
                message = f"ran for longer than its timeout of {running.assignment.timeout:g} s"
                grace = self._crew.settings.cancel_grace
                self._interrupt(child, jobs, running, OrderKind.TIMEOUT, message, grace)

    def _watch_memory(self, child: Child, limit: int) -> None:
        held = resident_kilobytes(child.pid)
        if held is None or held <= limit * 1024 or child.life.is_doomed:
            return
        message = f"its process held {held // 1024} MB, more than the {limit} MB that max_memory_per_job allows"
        if child.concurrent.held:
            self._end_beside_others(child, message)
            return
        (running,) = child.serial.running()
        self._interrupt(child, child.serial, running, OrderKind.MEMORY, message, MEMORY_GRACE_SECONDS)

    def _end_beside_others(self, child: Child, message: str) -> None:
        """With a single coroutine it is certain that it took the memory; with several, each may have."""
        if child.serial.held or len(child.concurrent) > 1:
            child.kill(Unexplained(message))
            return
        (running,) = child.concurrent.running()
        assignment = running.assignment
        order = Order(assignment.id, assignment.attempt, OrderKind.MEMORY, message)
        running.interruption = Interruption(order, assignment, 0.0, monotonic())
        child.kill(Blames(assignment.id, message))

"""The current state of running jobs: stacks, progress, and the status of each child."""

from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import Any

from jobq.runtime.guard import SHOW_STACK
from jobq.runtime.protocol import unpack_note
from jobq.runtime.roster import Roster
from jobq.runtime.shared_memory import PROGRESS
from jobq.runtime.stacks import readable
from jobq.runtime.supervised import Child
from jobq.runtime.usage import ProcessUsage

STACK_QUIET_SECONDS = 0.1
"""A stack is complete when nothing has been added to it for this long: it is written in one go."""

STACK_WAIT_SECONDS = 3.0
"""A process that has not begun to write its stack after this time is stopped, or blocked in the kernel."""

LOOP_ANSWER_SECONDS = 1.0
"""If an event loop has not said after this time what a coroutine waits for, it is blocked: its process is asked."""

ENDED = "its process has just ended"


@dataclass(slots=True)
class Question:
    """A request to a process for its stacks, for one job."""

    job_id: int
    asked_at: float
    grew_at: float  # when bytes were last added …
    written: int = 0  # … and their number


class Inspector:
    """`on_stack` gets the stack of a job, or the reason why there is none."""

    def __init__(self, roster: Roster, *, on_stack: Callable[[int, str], None]) -> None:
        self._roster = roster
        self._on_stack = on_stack
        self._questions: dict[Child, Question] = {}
        self._notes: dict[Child, bytes] = {}  # the last progress of its job
        self._told: list[tuple[Child, int, int, Any]] = []  # progress of coroutines
        self._usage = ProcessUsage()
        self.is_pressing = False  # somebody waits for a stack

    # Stacks

    def ask_stack(self, child: Child, job_id: int) -> bool:
        """Asks a child what its job is doing. False: it has not begun this job."""
        if job_id in child.concurrent:
            self.is_pressing = True
            child.concurrent.ask_stack(job_id)
            return True
        first = child.serial.first
        return first is not None and first.id == job_id and self._ask_process(child, job_id)

    def was_answered(self, child: Child, job_id: int, stack: str) -> None:
        """The event loop has answered."""
        if (running := child.concurrent.held.get(job_id)) is not None:
            running.stack_asked_at = None
            self._on_stack(job_id, readable(stack))

    def watch(self, now: float) -> None:
        self.is_pressing = False
        for child in self._roster.children:
            if (question := self._questions.get(child)) is not None:
                self.is_pressing = True
                self._follow(child, question, now)
            for running in child.concurrent.running():
                if running.stack_asked_at is None:
                    continue
                self.is_pressing = True
                if now - running.stack_asked_at > LOOP_ANSWER_SECONDS:
                    running.stack_asked_at = None
                    self._ask_process(child, running.assignment.id)

    def _ask_process(self, child: Child, job_id: int) -> bool:
        """Asks for the stacks of all threads: they also show a coroutine that blocks its loop."""
        if child in self._questions:
            return True
        self.keep_stack(child)
        if not child.process.signal(SHOW_STACK):
            self._on_stack(job_id, "its process does not answer: its job has replaced the handlers of signals")
            return True
        now = monotonic()
        self._questions[child] = Question(job_id, now, now)
        self.is_pressing = True
        return True

    def _follow(self, child: Child, question: Question, now: float) -> None:
        """Takes a stack when it is complete. Every request gets an answer, even if there is no stack."""
        written = child.memory.stack_bytes()
        if written > question.written:
            question.written, question.grew_at = written, now
        is_complete = written > 0 and now - question.grew_at > STACK_QUIET_SECONDS
        if not is_complete and now - question.asked_at < STACK_WAIT_SECONDS:
            return
        del self._questions[child]
        stack = self.keep_stack(child) or "its process did not answer: it is stopped, or waits in the kernel"
        self._on_stack(question.job_id, stack)

    def keep_stack(self, child: Child) -> str:
        """The stack that a child has written; the first one after an interruption belongs to that."""
        stack = readable(child.memory.take_stacks())
        interruption = child.serial.interruption
        if interruption is not None and not interruption.stack:
            interruption.stack = stack
        return stack

    def forget(self, child: Child) -> None:
        """The child has died: requests about it get that answer."""
        self._notes.pop(child, None)
        self._told = [entry for entry in self._told if entry[0] is not child]
        if (question := self._questions.pop(child, None)) is not None:
            self._on_stack(question.job_id, ENDED)
        for running in child.concurrent.running():
            if running.stack_asked_at is not None:
                self._on_stack(running.assignment.id, ENDED)

    # Progress

    def was_told(self, child: Child, job_id: int, attempt: int, progress: Any) -> None:
        """A coroutine has reported progress."""
        self._told.append((child, job_id, attempt, progress))

    def progress(self) -> list[tuple[int, int, Any]]:
        """New progress of running jobs since the last call: id, attempt, progress."""
        told, self._told = self._told, []
        found: list[tuple[int, int, Any]] = []
        for child, job_id, attempt, progress in told:
            if job_id in child.concurrent:
                found.append((job_id, attempt, progress))
        return [*found, *filter(None, map(self._new_note, self._roster.children))]

    def _new_note(self, child: Child) -> tuple[int, int, Any] | None:
        note = child.memory.read(PROGRESS) if child.serial.held else None
        if note is None or note == self._notes.get(child):
            return None
        self._notes[child] = note
        match unpack_note(note):
            case [int(job_id), int(attempt), dict(progress)] if child.serial.find(job_id, attempt) is not None:
                return job_id, attempt, progress
        return None

    # Status (also called by the thread of the heartbeat)

    def status(self) -> list[dict[str, Any]]:
        """What each child is doing, for the heartbeat."""
        now = monotonic()
        found = []
        children = list(self._roster.children)
        usage = self._usage.look(child.pid for child in children)
        for child in children:
            first = child.serial.first_with_number()
            found.append(
                {
                    "pid": child.pid,
                    "ready": child.life.has_loaded,
                    "job": None if first is None else first[0].id,
                    "seconds": None if first is None else round(now - child.serial.busy_since, 1),
                    "coroutines": len(child.concurrent),
                    **usage.get(child.pid, {}),
                }
            )
        return found

    def begun(self) -> dict[str, tuple[int, float]]:
        """The attempts that have certainly begun and not ended, for the heartbeat: by id, the attempt and the seconds
        since. If this worker dies, these jobs count as lost. Nothing is known of the others."""
        now = monotonic()
        begun: dict[str, tuple[int, float]] = {}
        for child in list(self._roster.children):
            serial = child.serial
            first = serial.first_with_number()
            running = child.concurrent.running()
            if first is not None and first[1] == serial.ring.begun_lately():
                begun[str(first[0].id)] = (first[0].attempt, now - serial.busy_since)
            begun |= {str(one.assignment.id): (one.assignment.attempt, now - one.since) for one in running}
        return begun

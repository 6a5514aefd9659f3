"""One child, as its supervisor sees it: its process, its life, and the jobs that it holds."""

import os
from collections.abc import Callable
from time import monotonic

from jobq.records import Assignment
from jobq.runtime.child_state import OPEN, Cause, Life
from jobq.runtime.concurrent import Concurrent
from jobq.runtime.interruption import Running
from jobq.runtime.process import Process
from jobq.runtime.serial import Serial
from jobq.runtime.shared_memory import SharedMemory

Jobs = Serial | Concurrent
"""What a child holds of one of the two kinds."""


class Child:
    """One child process. `on_returned` gets the jobs that are taken back from it unstarted."""

    __slots__ = (
        "buffer",
        "concurrent",
        "dispatched",
        "generation",
        "has_said_why",
        "is_reserved",
        "kinds",
        "life",
        "memory",
        "on_returned",
        "process",
        "reports_fd",
        "serial",
        "started_at",
    )

    def __init__(
        self,
        process: Process,
        memory: SharedMemory,
        reports_fd: int,
        serial: Serial,
        concurrent: Concurrent,
        *,
        on_returned: Callable[[list[Assignment]], None],
        generation: int = 0,
    ) -> None:
        self.process = process
        self.memory = memory
        self.reports_fd = reports_fd
        self.serial = serial
        self.concurrent = concurrent
        self.kinds: tuple[Jobs, Jobs] = (concurrent, serial)
        self.on_returned = on_returned
        self.generation = generation  # which state of the application's code it has imported
        self.life = Life()
        self.started_at = monotonic()
        self.has_said_why = False  # it does not load the application
        self.buffer = b""  # of what it writes into the pipe, the line that has only begun to arrive
        self.dispatched = 0
        self.is_reserved = False  # for a suspected job, which runs there alone

    @property
    def pid(self) -> int:
        return self.process.pid

    # What it holds

    @property
    def is_open(self) -> bool:
        """Whether it takes jobs at all."""
        return self.life.state is OPEN

    @property
    def is_at_work(self) -> bool:
        return bool(self.serial.held or self.concurrent.held)

    def running(self) -> list[Running]:
        """What runs there at this moment, as far as can be known."""
        return [*self.serial.running(), *self.concurrent.running()]

    def holding(self, job_id: int, attempt: int) -> Jobs | None:
        """The kind that has this attempt, begun or not."""
        return next((jobs for jobs in self.kinds if jobs.find(job_id, attempt) is not None), None)

    # Taking back

    def recall(self, *kinds: Jobs) -> list[Assignment]:
        """Takes back what has not begun, of these kinds or of both; `on_returned` gets it."""
        if returned := self.take_unbegun(*kinds):
            self.dispatched -= len(returned)
            self.on_returned(returned)
        return returned

    def take_unbegun(self, *kinds: Jobs) -> list[Assignment]:
        if not self.life.has_loaded:
            return []
        return [assignment for jobs in kinds or self.kinds for assignment in jobs.recall()]

    def drop_all(self) -> None:
        """Forgets its jobs: they belong to somebody else by now."""
        self.take_unbegun()
        for jobs in self.kinds:
            jobs.drop_all()

    # Ending

    def leave(self) -> None:
        """Lets it go: it ends what it has, and exits."""
        if self.life.leave(monotonic()):
            for jobs in (self.serial, self.concurrent):
                jobs.shut()

    def kill(self, cause: Cause) -> None:
        """Ends it and all that its jobs started."""
        self.life.kill(cause)
        self.process.kill()

    def close(self) -> None:
        """After its death."""
        os.close(self.reports_fd)
        self.serial.clear_unread()
        for end in (self.serial, self.memory, self.concurrent):
            end.close()

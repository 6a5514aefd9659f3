"""One child, as its supervisor sees it: its process, its life, and its jobs."""

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
"""A child's jobs of one of the two kinds."""


class Child:
    """One child process. `on_returned` gets unstarted jobs that are taken back from it."""

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
        self.generation = generation  # the version of the application's code that it has imported
        self.life = Life()
        self.started_at = monotonic()
        self.has_said_why = False  # that it does not load the application
        self.buffer = b""  # the incomplete last line from its pipe
        self.dispatched = 0
        self.is_reserved = False  # for a suspected job, which runs there alone

    @property
    def pid(self) -> int:
        return self.process.pid

    # Held jobs

    @property
    def is_open(self) -> bool:
        """Whether it takes jobs at all."""
        return self.life.state is OPEN

    @property
    def is_at_work(self) -> bool:
        return bool(self.serial.held or self.concurrent.held)

    def running(self) -> list[Running]:
        """The running jobs, as far as known."""
        return [*self.serial.running(), *self.concurrent.running()]

    def holding(self, job_id: int, attempt: int) -> Jobs | None:
        """The kind that has this attempt, begun or not."""
        return next((jobs for jobs in self.kinds if jobs.find(job_id, attempt) is not None), None)

    # Taking back

    def recall(self, *kinds: Jobs) -> list[Assignment]:
        """Takes back unstarted jobs, of these kinds or of both. `on_returned` gets them."""
        if returned := self.take_unbegun(*kinds):
            self.dispatched -= len(returned)
            self.on_returned(returned)
        return returned

    def take_unbegun(self, *kinds: Jobs) -> list[Assignment]:
        if not self.life.has_loaded:
            return []
        return [assignment for jobs in kinds or self.kinds for assignment in jobs.recall()]

    def drop_all(self) -> None:
        """Forgets its jobs: they belong to another worker now."""
        self.take_unbegun()
        for jobs in self.kinds:
            jobs.drop_all()

    # Ending

    def leave(self) -> None:
        """Lets it end its jobs and exit."""
        if self.life.leave(monotonic()):
            for jobs in (self.serial, self.concurrent):
                jobs.shut()

    def kill(self, cause: Cause) -> None:
        """Kills it and everything that its jobs started."""
        self.life.kill(cause)
        self.process.kill()

    def close(self) -> None:
        """After its death."""
        os.close(self.reports_fd)
        self.serial.clear_unread()
        for end in (self.serial, self.memory, self.concurrent):
            end.close()

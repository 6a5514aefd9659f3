"""The current children: each from its start until its death has been handled."""

import logging
import selectors
from collections import deque
from collections.abc import Callable

from jobq.runtime.child_state import CutOff, Unexplained
from jobq.runtime.process import Death
from jobq.runtime.shared_memory import WORKER
from jobq.runtime.supervised import Child

log = logging.getLogger("jobq.worker.pool")


class Roster:
    """`wake` is called from another thread when a child has died: then `deaths` has it."""

    def __init__(self, selector: selectors.BaseSelector, wake: Callable[[], None]) -> None:
        self.children: list[Child] = []
        self.deaths: deque[tuple[Child, Death]] = deque()
        self._selector = selector
        self._wake = wake
        self._worker_id = 0

    def add(self, child: Child) -> None:
        """Adds a started child: sends it the worker's id, and reads its pipe from now on."""
        self.children.append(child)
        self._tell_worker(child)
        self._selector.register(child.reports_fd, selectors.EVENT_READ, child)
        log.debug("child started pid=%s", child.pid)

    def note_death(self, child: Child, death: Death) -> None:
        """Called in the thread that waits for the child."""
        self.deaths.append((child, death))
        self._wake()

    def remove(self, child: Child, death: Death) -> None:
        """After its death: closes its descriptors."""
        if self.is_heard(child):
            self._selector.unregister(child.reports_fd)
        child.close()
        if child in self.children:
            self.children.remove(child)
        cause = child.life.cause
        log.log(
            level_of(child, death),
            "child pid=%s %s%s",
            child.pid,
            death,
            f" ({cause.reason})" if cause and cause.reason else "",
        )
        child.life.die()

    def pids(self) -> set[int]:
        return {child.pid for child in self.children}

    # Hearing

    def is_heard(self, child: Child) -> bool:
        """Whether its pipe is still read."""
        return child.reports_fd in self._selector.get_map()

    def stop_hearing(self, child: Child) -> None:
        """Its pipe has ended: it is dying, or its job has closed the pipe, and only the ring remains for reports."""
        self._selector.unregister(child.reports_fd)
        child.life.retire()

    # Held jobs

    @property
    def at_work(self) -> list[Child]:
        return [child for child in self.children if child.is_at_work]

    @property
    def is_idle(self) -> bool:
        return not any(child.is_at_work for child in self.children)

    @property
    def is_empty(self) -> bool:
        return not self.children

    def count_held(self) -> int:
        """The number of jobs in the children."""
        return sum(len(jobs) for child in self.children for jobs in child.kinds)

    # All children

    def tell_worker(self, worker_id: int) -> None:
        """The id of this worker from now on: jobs that complete themselves need it."""
        self._worker_id = worker_id
        for child in self.children:
            self._tell_worker(child)

    def _tell_worker(self, child: Child) -> None:
        child.memory.write(WORKER, str(self._worker_id).encode())

    def cut_off_all(self, reason: str) -> None:
        """Kills every child. Their jobs are given back, and the attempts do not count."""
        for child in self.children:
            child.kill(CutOff(reason))

    def drop_all_jobs(self, reason: str) -> None:
        """Kills every child that runs a job, without a report: the jobs belong to another worker now."""
        for child in self.at_work:
            child.drop_all()
            child.kill(Unexplained(reason))


def level_of(child: Child, death: Death) -> int:
    """A death is logged as a warning if it was not intended, or if it cut off a job. Otherwise the reason was logged
    before."""
    if not child.life.has_loaded:
        return logging.DEBUG  # see `newcomers`
    is_wanted = isinstance(child.life.cause, CutOff) and not child.is_at_work
    left = child.life.leaving_since is not None and death.exit_code == 0
    return logging.DEBUG if is_wanted or left else logging.WARNING

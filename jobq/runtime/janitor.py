"""The janitor of a worker: ends the processes that jobs started when the worker itself cannot, because it was killed.
While the worker lives, the janitor makes it reap orphans of its jobs."""

import logging
import subprocess
from collections.abc import Callable
from contextlib import suppress
from secrets import token_hex
from time import monotonic

from jobq import interpreter, processes
from jobq.runtime.reaper import Reaper, adopt_orphans

log = logging.getLogger("jobq.worker.janitor")

LEAVE_SECONDS = 5.0

LOOK_SECONDS = 1.0
"""Seconds between two checks for a janitor that was killed, and for orphans that have ended."""


class Janitor:
    """A small process that outlives the worker by a moment. It notices the worker's death by the end of a pipe that
    only the worker holds.

    `mark` is in the environment of every process of the worker's jobs. `children` returns the worker's own processes.
    """

    def __init__(self, children: Callable[[], set[int]]) -> None:
        adopt_orphans()
        self._reaper = Reaper(lambda: children() | self._pids())
        self.mark = token_hex(8)
        self._process: subprocess.Popen[bytes] | None = None
        self._has_complained = False
        self._next_look = 0.0

    def keep_up(self) -> None:
        """Starts the janitor if it does not run. Without it the worker continues, and logs the consequence once."""
        now = monotonic()
        if now < self._next_look:
            return
        self._next_look = now + LOOK_SECONDS
        self._reaper.look()
        if self._process is not None:
            if self._process.poll() is None:
                return
            log.warning("the janitor was killed, starting another exit_code=%s", self._process.returncode)
            if self._process.stdin is not None:
                self._process.stdin.close()
            self._process = None
        try:
            self._process = subprocess.Popen(
                interpreter.run_alone(processes, self.mark),
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # a signal to the worker's whole group must not end it
                cwd="/",
            )
        except OSError as error:
            if not self._has_complained:
                log.warning("what jobs start may outlive this worker if it is killed error=%s", error)
            self._has_complained = True

    def _pids(self) -> set[int]:
        return set() if self._process is None else {self._process.pid}

    def close(self) -> None:
        """Lets it end the remaining processes, and waits for that."""
        if self._process is None or self._process.stdin is None:
            return
        self._process.stdin.close()
        with suppress(subprocess.TimeoutExpired):  # it continues by itself
            self._process.wait(LEAVE_SECONDS)

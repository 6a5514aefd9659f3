"""The janitor of a worker: ends what its jobs started when the worker itself cannot, because it was killed. While the
worker lives, it has orphans of its jobs reaped."""

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
"""How long a janitor that was killed may be missing, and how often it is looked for orphans that have ended."""


class Janitor:
    """A small process that outlives the worker by a moment. It is told by the end of a pipe that only the worker holds.

    `mark` is what every process of the worker's jobs carries in its environment; `children` gives the worker's own.
    """

    def __init__(self, children: Callable[[], set[int]]) -> None:
        adopt_orphans()
        self._reaper = Reaper(lambda: children() | self._pids())
        self.mark = token_hex(8)
        self._process: subprocess.Popen[bytes] | None = None
        self._has_complained = False
        self._next_look = 0.0

    def keep_up(self) -> None:
        """Starts it where it is not there (any more). Without it a worker works on, and says once what that means."""
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
                start_new_session=True,  # what ends the worker's whole group must not end it
                cwd="/",
            )
        except OSError as error:
            if not self._has_complained:
                log.warning("what jobs start may outlive this worker if it is killed error=%s", error)
            self._has_complained = True

    def _pids(self) -> set[int]:
        return set() if self._process is None else {self._process.pid}

    def close(self) -> None:
        """Lets it end what is left, and waits for that."""
        if self._process is None or self._process.stdin is None:
            return
        self._process.stdin.close()
        with suppress(subprocess.TimeoutExpired):  # it goes on by itself
            self._process.wait(LEAVE_SECONDS)

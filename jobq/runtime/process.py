"""One operating-system process: start it, signal it, kill it, and notice its death.

It does not know what the process does, or whether another one shall be started.
"""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from jobq.processes import MARK, end_marked
from jobq.runtime.machine import catches_signal


@dataclass(frozen=True, slots=True)
class Death:
    """How a process ended, according to the kernel."""

    exit_code: int  # negative: the signal that killed it
    peak_memory_bytes: int

    def __str__(self) -> str:
        memory = f"its memory peaked at {self.peak_memory_bytes / 2**20:,.0f} MB"
        if self.exit_code >= 0:
            return f"exited with code {self.exit_code}; {memory}"
        try:
            name = signal.Signals(-self.exit_code).name
        except ValueError:
            name = f"signal {-self.exit_code}"
        return f"was killed by {name}; {memory}"


@dataclass(slots=True, eq=False)
class Process:
    """A process in a session of its own. `mark` is in the environment of everything that it starts."""

    popen: subprocess.Popen[bytes]
    mark: str

    @classmethod
    def start(
        cls, command: Sequence[str], *, pass_fds: Sequence[int], environment: Mapping[str, str], mark: str
    ) -> "Process":
        popen = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            pass_fds=pass_fds,
            env={**os.environ, **environment, MARK: mark},
            # A session and a group of its own: a job's own programs end with its child, and a signal to the worker's
            # group or session, as from a terminal, reaches only the worker.
            start_new_session=True,
        )
        return cls(popen, mark)

    @property
    def pid(self) -> int:
        return self.popen.pid

    def watch(self, on_death: Callable[[Death], None]) -> None:
        """Calls `on_death` in another thread. If no thread can be started, ends the process and raises RuntimeError."""
        waiter = threading.Thread(target=self._wait, args=[on_death], name=f"jobq-await-{self.pid}", daemon=True)
        try:
            waiter.start()
        except RuntimeError:
            self.popen.kill()
            self.popen.wait()
            raise

    def _wait(self, on_death: Callable[[Death], None]) -> None:
        """A thread for each process, so that the kernel also reports its exit code and peak memory."""
        _, status, usage = os.wait4(self.pid, 0)
        self.popen.returncode = exit_code = os.waitstatus_to_exitcode(status)
        end_group(self.pid)
        # before its death is reported: processes that it started must not meet the next run of its job
        end_marked(self.mark)
        unit = 1 if sys.platform == "darwin" else 1024
        on_death(Death(exit_code, usage.ru_maxrss * unit))

    def signal(self, number: signal.Signals) -> bool:
        """False: it has died, or its job has replaced the handler of that signal, which would do something else now."""
        if self.popen.returncode is not None or not catches_signal(self.pid, number):
            return False
        try:
            os.kill(self.pid, number)
        except ProcessLookupError:
            return False  # it is dying; its death will be reported
        return True

    def kill(self) -> None:
        """Kills the process and everything that its jobs started. After its death another process may have its
        number."""
        if self.popen.returncode is None:
            end_group(self.pid)
            end_process(self.pid)  # its job may have moved it to another group


def end_group(pid: int) -> None:
    """Kills a child's process group: the child, and what its jobs started and left."""
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return  # no process of it is left


def end_process(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return  # its death will be reported

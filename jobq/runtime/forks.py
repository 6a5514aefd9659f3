"""In a child: its own signals, and a fork of it, which gets the signals and descriptors of any Python program.

Else a helper that a job forks would not hear SIGTERM, since the child leaves that to its supervisor, and
`multiprocessing` would wait for it for ever; and the pipe of reports would stay open for as long as the helper lives.
What is forked keeps the shared memory: a job may tell its progress from there.
"""

import os
import signal
import threading
from types import FrameType
from typing import Any

from jobq.runtime import job_lines
from jobq.runtime.descriptors import Descriptors, leads_to
from jobq.runtime.guard import INTERRUPT, SHOW_STACK, Guard
from jobq.runtime.shared_memory import SharedMemory
from jobq.runtime.stop_signals import OF_GROUPS

LEFT_TO_PARENT: dict[signal.Signals, Any] = {
    number: signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL for number in OF_GROUPS
}
"""With what a Python program does on each of them."""


def leave_signals_to_parent() -> None:
    """Ctrl-C and a service manager's SIGTERM reach the whole group; the supervisor decides what becomes of a job.

    A handler that does nothing, since ignored signals would stay ignored in the programs that jobs start.
    """
    for number in LEFT_TO_PARENT:
        signal.signal(number, do_nothing)


def do_nothing(_signal: int, _frame: FrameType | None) -> None:
    return None


class Forks:
    """Makes an ordinary process of each fork of this one."""

    def __init__(self, guard: Guard, memory: SharedMemory, descriptors: Descriptors) -> None:
        self._guard = guard
        self._descriptors = descriptors
        self._memory_fd, self._memory_file = memory.fd, os.fstat(memory.fd)
        self._blocked = threading.local()  # the signals that were blocked before a fork, in the thread that forks

    def look_after(self) -> None:
        os.register_at_fork(before=self._hold, after_in_parent=self._release, after_in_child=self._become_ordinary)

    def _hold(self) -> None:
        """Whoever has forked may end the fork at once: a signal must not come while its handlers are still ours."""
        self._blocked.before = signal.pthread_sigmask(signal.SIG_BLOCK, [*LEFT_TO_PARENT, INTERRUPT, SHOW_STACK])

    def _release(self) -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, self._blocked.before)

    def _become_ordinary(self) -> None:
        try:
            self._leave_to_fork()
        finally:
            self._release()

    def _leave_to_fork(self) -> None:
        for number, usual in LEFT_TO_PARENT.items():
            if signal.getsignal(number) is do_nothing:  # else it is the application's
                signal.signal(number, usual)
        self._guard.be_deaf()
        job_lines.stop()
        self._descriptors.close()
        if leads_to(self._memory_fd, self._memory_file):
            os.dup2(2, self._memory_fd, inheritable=False)  # the interpreter writes there if it crashes

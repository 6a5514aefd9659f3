"""Reaps orphans: ended processes that jobs started and whose parents are gone.

The kernel gives an orphan to the init process, which is the worker itself if it is the first of its container, or to
the nearest ancestor that asked for them. On Linux the worker asks: the init process may be a program that reaps
nothing, and then each orphan keeps its place in the process table for ever.
"""

import os
import sys
from collections.abc import Callable
from contextlib import suppress

from jobq.processes import children_of, state_of


class Reaper:
    """`own` returns the processes that the worker has started itself: each has its own waiter.

    An ended process that two looks find belongs to nobody: a program that waits for its process takes the exit status
    at once.
    """

    def __init__(self, own: Callable[[], set[int]]) -> None:
        self._own = own
        self._ended: set[int] = set()

    def look(self) -> None:
        """Takes the exit status of orphans only."""
        if not has_ended_children():
            self._ended = set()
            return
        ended = {pid for pid in children_of(os.getpid()) - self._own() if state_of(pid) == "Z"}
        for pid in ended & self._ended:
            with suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
        self._ended = ended - self._ended


def adopt_orphans() -> None:
    """From now on orphans below this process become its children. Only Linux can do that."""
    if sys.platform == "linux":
        import ctypes

        pr_set_child_subreaper = 36
        ctypes.CDLL(None, use_errno=True).prctl(pr_set_child_subreaper, 1)


def has_ended_children() -> bool:
    """Asks the kernel, without taking the exit status that another waiter needs."""
    try:
        return os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return False

"""Watches children that have not loaded the application yet: logs what takes them long, and why they died."""

import logging
from dataclasses import dataclass

from jobq.clean import line
from jobq.runtime.guard import SHOW_STACK
from jobq.runtime.process import Death
from jobq.runtime.shared_memory import LOADING
from jobq.runtime.stacks import in_one_line
from jobq.runtime.supervised import Child

log = logging.getLogger("jobq.worker.pool")

SLOW_SECONDS = 5.0
"""A child that takes longer to load the application is logged, and again each time that this has doubled."""

STACK_SECONDS = 0.5
"""Seconds for a child to write its stack: the interpreter does so at once, whatever its code is doing."""


@dataclass(slots=True)
class Newcomer:
    """A child that is slow to load the application."""

    look_at: float
    is_asked: bool = False  # its stack was requested


class Newcomers:
    """Used by the main loop only, as the children are."""

    def __init__(self) -> None:
        self._slow: dict[Child, Newcomer] = {}

    def watch(self, children: list[Child], now: float) -> None:
        for child in children:
            if child.life.has_loaded or child.life.is_doomed:
                self._slow.pop(child, None)
            elif now - child.started_at > SLOW_SECONDS:
                self._look(child, self._slow.setdefault(child, Newcomer(now)), now)

    def _look(self, child: Child, newcomer: Newcomer, now: float) -> None:
        if now < newcomer.look_at:
            return
        if not newcomer.is_asked:
            child.process.signal(SHOW_STACK)  # a child that has not begun to run Python is not asked
            newcomer.is_asked, newcomer.look_at = True, now + STACK_SECONDS
            return
        seconds = now - child.started_at
        newcomer.is_asked, newcomer.look_at = False, now + seconds
        log.warning(
            "a child has not loaded the application after %.0f s: it is %s pid=%s%s",
            *(seconds, doing(child), child.pid, at(child)),
        )

    def bury(self, child: Child, death: Death) -> None:
        """The child has died. It may have reported itself that the application does not import."""
        self._slow.pop(child, None)
        if not child.has_said_why and child.life.cause is None and child.life.leaving_since is None:
            log.error("a child died while %s: it %s pid=%s%s", doing(child), death, child.pid, at(child))


def doing(child: Child) -> str:
    """What a child that loads the application is doing, or what a dead one did last."""
    note = child.memory.read(LOADING)
    return line(note.decode(errors="replace")) if note else "starting"


def at(child: Child) -> str:
    """Its place in the code, or where it crashed."""
    stack = in_one_line(child.memory.take_stacks())
    return f" at={stack}" if stack else ""

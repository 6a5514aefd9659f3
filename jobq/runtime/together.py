"""Children that were killed from outside at about the same time.

An operator's `pkill -9`, or the kernel when memory is short, kills several children within milliseconds, and the worker
notices their deaths one by one. Their jobs were lost together, so a death is judged only when the others are known.
"""

import signal
from time import monotonic

from jobq.runtime.process import Death
from jobq.runtime.roster import Roster
from jobq.runtime.supervised import Child

TOGETHER_SECONDS = 0.5
"""Deaths that follow one another within this time count as one event."""

OWN_FAULTS = frozenset(
    getattr(signal, name)
    for name in ("SIGSEGV", "SIGBUS", "SIGFPE", "SIGILL", "SIGABRT", "SIGTRAP", "SIGSYS", "SIGXCPU", "SIGXFSZ")
    if hasattr(signal, name)
)
"""The kernel sends these for an error of the process itself: such a death says nothing about other processes."""


class Together:
    """The children that were killed since the first of them, until no other can belong to them."""

    def __init__(self, roster: Roster) -> None:
        self._roster = roster
        self._dead: list[tuple[Child, Death]] = []
        self._others: list[Child] = []  # they were working when the first one died
        self._last_at = 0.0

    def __bool__(self) -> bool:
        return bool(self._dead)

    def add(self, child: Child, death: Death) -> None:
        """Its process takes no more jobs, and another one takes over while its death waits to be judged."""
        if not self._dead:
            self._others = self._roster.at_work
        self._dead.append((child, death))
        self._last_at = monotonic()
        child.life.retire()

    def take(self) -> list[tuple[Child, Death]]:
        """The children that died together. Empty while others may follow."""
        if self._may_grow():
            return []
        dead, self._dead, self._others = self._dead, [], []
        return dead

    def _may_grow(self) -> bool:
        dead = {child for child, _ in self._dead}
        if any(child.life.cause is not None for child in dead) or monotonic() - self._last_at >= TOGETHER_SECONDS:
            return False
        return any(child.is_at_work and child not in dead for child in self._others)


def is_killed_from_outside(child: Child, death: Death) -> bool:
    """Also if its own job sent the signal: the sender is unknown."""
    return child.life.cause is None and death.exit_code < 0 and -death.exit_code not in OWN_FAULTS

"""One place for a process: its child, and the one that will take over from it."""

from dataclasses import dataclass
from time import monotonic

from jobq.runtime.supervised import Child

MAX_RESTART_DELAY_SECONDS = 30.0


@dataclass(slots=True, eq=False)
class Slot:
    child: Child | None = None
    successor: Child | None = None
    failures: int = 0  # children in a row that died before they were ready, or could not be started
    deaths: int = 0  # of them, those that died
    restart_at: float = 0.0

    @property
    def has_ready_successor(self) -> bool:
        return self.successor is not None and self.successor.life.has_loaded

    def take_over(self) -> None:
        """The successor takes the child's place, if it is ready."""
        if self.has_ready_successor:
            self.child, self.successor = self.successor, None

    def failed(self) -> None:
        """Each try comes later than the last one."""
        self.failures += 1
        self.restart_at = monotonic() + min(0.5 * 2**self.failures, MAX_RESTART_DELAY_SECONDS)

    def succeeded(self) -> None:
        self.failures = self.deaths = 0

    def begin_anew(self) -> Child | None:
        """The code has changed: a successor with the old code is not needed."""
        self.failures, self.deaths, self.restart_at = 0, 0, 0.0
        successor, self.successor = self.successor, None
        return successor

    def lost(self, child: Child) -> bool:
        """A child has died. False: it was not here."""
        if self.child is child:
            self.child, self.successor = self.successor, None
            return True
        if self.successor is child:
            self.successor = None
            return True
        return False

"""How many jobs a claimer may claim, and the claimed ones that nobody has taken yet."""

from collections.abc import Sequence

from jobq.records import Assignment
from jobq.runtime.ownership import Ownership
from jobq.runtime.preparer import Preparer


class Room:
    """Between a claimer, which fills it, and the supply, which sets its size."""

    def __init__(self, ownership: Ownership, preparer: Preparer) -> None:
        self._ownership = ownership
        self._preparer = preparer
        self._wanted = 0
        self._least = 1
        self._delivered: list[Assignment] = []

    def want(self, count: int, *, least: int = 1) -> bool:
        """Sets the room to this many jobs beyond those taken; less than `least` is not worth a claim. Returns whether
        there is enough room now that there was not before."""
        had_enough = self.is_enough
        self._wanted, self._least = count - len(self._delivered), least
        return self.is_enough and not had_enough

    @property
    def wanted(self) -> int:
        """It may become negative: jobs turned out to be long, and more are held already than allowed."""
        return max(0, self._wanted)

    @property
    def is_enough(self) -> bool:
        return self._wanted >= self._least

    @property
    def has_delivered(self) -> bool:
        return bool(self._delivered)

    def deliver(self, worker_id: int, claimed: Sequence[Assignment]) -> bool:
        """Jobs claimed under this identity. False: it is not this worker's any more."""
        if not self._ownership.take(worker_id, claimed):
            return False
        ready = [assignment for assignment in claimed if assignment.arguments and not assignment.suspected]
        self._delivered += ready
        self._wanted -= len(claimed)
        if len(ready) < len(claimed):
            self._preparer.add([one for one in claimed if one.suspected or not one.arguments])
        return True

    def take(self) -> list[Assignment]:
        """The jobs delivered since the last call."""
        taken, self._delivered = self._delivered, []
        return taken

"""What this worker owns: its identity in the database, and every claimed job that is not done."""

from collections.abc import Iterable
from itertools import groupby
from operator import attrgetter

from jobq.records import Assignment

NOBODY = -1
"""An id that no worker has. No job in the database has it."""


class Ownership:
    """Shared by the threads of a supervisor. A worker that was declared dead registers anew under another id.

    Each operation is one step on a set, which the interpreter does not interrupt.
    """

    def __init__(self, worker_id: int) -> None:
        self.worker_id = worker_id
        self._held: set[tuple[int, int]] = set()  # id, attempt
        self._claims: dict[int, set[tuple[int, int]]] = {}  # the attempts of each claim

    def take(self, worker_id: int, assignments: Iterable[Assignment]) -> bool:
        """Notes claimed jobs. False: they were claimed under an earlier identity."""
        if worker_id != self.worker_id or worker_id == NOBODY:
            return False
        for claim, together in groupby(assignments, key=attrgetter("claim")):
            attempts = {(assignment.id, assignment.attempt) for assignment in together}
            self._held |= attempts  # before the claim is noted: without held jobs it would seem to be over
            self._claims[claim] = self._claims.get(claim, set()) | attempts
        return True

    def over(self) -> list[int]:
        """Claims whose jobs are all done."""
        return [claim for claim, attempts in list(self._claims.items()) if attempts.isdisjoint(self._held)]

    def forget_claims(self, claims: Iterable[int]) -> None:
        for claim in claims:
            self._claims.pop(claim, None)

    def let_go(self, assignments: Iterable[Assignment]) -> None:
        self._held.difference_update([(assignment.id, assignment.attempt) for assignment in assignments])

    def accounted(self, attempts: Iterable[tuple[int, int]]) -> None:
        """Notes attempts whose end is in the database."""
        self._held.difference_update(attempts)

    def holds(self, attempt: tuple[int, int]) -> bool:
        return attempt in self._held

    def held(self) -> frozenset[tuple[int, int]]:
        return frozenset(self._held)

    @property
    def is_anybody(self) -> bool:
        """False: it was declared dead, and is not registered anew yet."""
        return self.worker_id != NOBODY

    def begin_anew(self, worker_id: int) -> None:
        """Under a new identity this worker owns none of its earlier jobs."""
        self._claims = {}
        self._held = set()
        self.worker_id = worker_id

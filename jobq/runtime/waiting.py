"""Writes into the worker's row whether it waits: then enqueuers notify it."""

from jobq.runtime.ownership import Ownership
from jobq.store import claiming
from jobq.store.callers.steps import Steps


class Waiting:
    """A worker wants notifications as long as one of its claimers waits."""

    def __init__(self, schema: str, ownership: Ownership) -> None:
        self._schema = schema
        self._ownership = ownership
        self._claimers: set[object] = set()
        self._said: tuple[int, bool] | None = None  # the id of the worker, and whether it waits; None: unknown
        self._is_saying = False

    def say(self, claimer: object, *, waiting: bool) -> Steps[None]:
        """The claimer that writes also writes the wish of another claimer of this worker: two statements on two
        connections have no order."""
        (self._claimers.add if waiting else self._claimers.discard)(claimer)
        if self._is_saying:
            return
        self._is_saying = True
        try:
            while self._said != (wanted := (self._ownership.worker_id, bool(self._claimers))):
                self._said = None
                yield from claiming.say_waiting(self._schema, worker_id=wanted[0], waiting=wanted[1])
                self._said = wanted
        finally:
            self._is_saying = False

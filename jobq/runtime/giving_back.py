"""Jobs that were claimed and go back into the database, because they have not started and will not here."""

from collections.abc import Sequence

from jobq.records import Assignment
from jobq.runtime.ownership import Ownership
from jobq.store import claiming
from jobq.store.callers.steps import Steps


class GivingBack:
    """What waits to be given back. It stays until the database has it: to say so twice does no harm."""

    def __init__(self, schema: str, ownership: Ownership) -> None:
        self._schema = schema
        self._ownership = ownership
        self._returned: list[Assignment] = []

    def __bool__(self) -> bool:
        return bool(self._returned)

    def add(self, assignments: Sequence[Assignment]) -> None:
        self._returned.extend(assignments)

    def give_back(self) -> Steps[None]:
        returned = list(self._returned)
        if not returned:
            return
        yield from claiming.give_back(self._schema, worker_id=self._ownership.worker_id, assignments=returned)
        self._ownership.let_go(returned)
        self._returned = self._returned[len(returned) :]

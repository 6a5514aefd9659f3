"""Returns claimed jobs to the database that have not begun and will not begin here."""

from collections.abc import Sequence

from jobq.records import Assignment
from jobq.runtime.ownership import Ownership
from jobq.store import claiming
from jobq.store.callers.steps import Steps


class GivingBack:
    """Jobs to be given back. They stay here until the database has them: giving back twice does no harm."""

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

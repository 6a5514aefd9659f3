"""The frame of every act: its transactions, and the record of who did what in them."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from jobq.commands import command
from jobq.errors import DatabaseBusy, DatabaseError
from jobq.operate.contended import LOCK_SECONDS
from jobq.operate.rights import permitted
from jobq.store import audit
from jobq.store.database import Connection, Database, who_am_i
from jobq.store.jobs import is_lock_timeout, limit_lock_waits

_operator: ContextVar[str | None] = ContextVar("jobq_operator", default=None)


@contextmanager
def acting_as(who: str) -> Iterator[None]:
    """Acts inside belong to a person whom a web application knows: the process's own user is not the person there."""
    token = _operator.set(who)
    try:
        yield
    finally:
        _operator.reset(token)


def who_acts() -> str:
    """The person inside `acting_as`, else the user of this process."""
    return _operator.get() or who_am_i()


@dataclass(slots=True)
class Part:
    """One transaction of an act. `did` records what was done in it. Without that there is no record."""

    connection: Connection
    act: int
    affected: int = 0
    ids: list[int] = field(default_factory=list)
    names: list[str] = field(default_factory=list)

    def did(self, ids: Sequence[int] = (), *, names: Sequence[str] = ()) -> None:
        """Records the jobs, or else the queues or schedules, that were changed."""
        self.affected += len(ids) + len(names)
        self.ids += ids
        self.names += names


class Act:
    """One act of an operator: one row of the audit, in however many transactions it is done."""

    def __init__(
        self, database: Database, verb: str, *, selection: str | None = None, undoes: int | None = None
    ) -> None:
        database.prepare()
        self.database = database
        self.verb = verb
        self.who = who_acts()
        self.id: int | None = None  # its row, once something was done
        self._selection = selection
        self._undoes = undoes

    @contextmanager
    def part(self) -> Iterator[Part]:
        """A transaction that does the act, or part of it, and records it in the audit: both or neither."""
        schema = self.database.schema
        with (
            told_if_held(self.verb),
            permitted(self.database, self.verb),
            self.database.connection(changes=True) as connection,
            audit.transaction(connection) as transaction,
        ):
            limit_lock_waits(connection, LOCK_SECONDS)
            part = Part(connection, self.id or self._begin(connection))
            yield part
            if part.affected:
                audit.note(connection, schema, part.act, affected=part.affected, ids=part.ids, names=part.names)
            else:
                audit.leave_none(transaction)
        if part.affected:
            self.id = part.act

    def _begin(self, connection: Connection) -> int:
        return audit.begin(
            connection,
            self.database.schema,
            who=self.who,
            verb=self.verb,
            selection=self._selection,
            undoes=self._undoes,
        )


@contextmanager
def told_if_held(verb: str) -> Iterator[None]:
    """Raises DatabaseBusy if another open transaction holds a lock that the act needs."""
    try:
        yield
    except DatabaseError as error:
        if error.__context__ is None or not is_lock_timeout(error.__context__):
            raise
        raise DatabaseBusy(
            f"An open transaction elsewhere holds what the act ({verb}) needs, and did not let it go in "
            f"{LOCK_SECONDS:g} s. Try again; {command('doctor')} names who holds locks for long."
        ) from None


@contextmanager
def acting(database: Database, verb: str, *, selection: str | None = None, undoes: int | None = None) -> Iterator[Part]:
    """An act of one transaction. With this as `act`: do it on `act.connection`, and record it with `act.did(…)`."""
    with Act(database, verb, selection=selection, undoes=undoes).part() as part:
        yield part

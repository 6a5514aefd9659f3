"""A clock that a test moves forward: it sets the time for jobq's statements in the test's database.

The statements are the real ones. While the clock is active they read a function of the test's schema instead of
PostgreSQL's clock, and so do the defaults of columns and `jobq.enqueue` in SQL. Python's own clock does not move: a
library like time-machine moves that.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta

from jobq.errors import UsageError
from jobq.store import statements
from jobq.store.database import Connection, default_database
from jobq.store.statements import quote_identifier, statement
from jobq.testing.connections import command, connected, is_usable, on_connection, sqlstate_of

LOCK_TIMEOUT = "55P03"

in_place: "MovedTime | None" = None
"""The clock of this process: all its statements use it."""


class Clock:
    """A clock that only goes forward, as `with Clock() as clock:` or as the fixture `jobq_clock`.

    Time passes as usual from the moment to which it was moved. `connection` is as in `run_due_jobs`.
    """

    def __init__(self, *, connection: object = None) -> None:
        self._given = connection
        self._stack = ExitStack()
        self._time: MovedTime | None = None

    def __enter__(self) -> "Clock":
        if in_place is not None:
            raise RuntimeError("A clock is in place already, and there can be one at a time. Use that one.")
        with ExitStack() as stack:
            if self._given is not None:
                stack.enter_context(on_connection(self._given))
            with connected(None) as connection:
                self._time = MovedTime.begin(connection)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        time, self._time = self._time, None
        with self._stack:
            assert time is not None
            with connected(None) as connection:
                time.end(connection)

    def now(self) -> datetime:
        """The time by this clock."""
        self._require()
        with connected(None) as connection:
            return now(connection)

    def advance(
        self,
        by: float | timedelta = 0,
        *,
        days: float = 0,
        hours: float = 0,
        minutes: float = 0,
        seconds: float = 0,
    ) -> None:
        """Moves the clock forward: `by` seconds or a timedelta, or by the named units. Raises ValueError for
        backward."""
        by = by.total_seconds() if isinstance(by, timedelta) else by
        total = by + timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds).total_seconds()
        if total < 0:
            raise ValueError(f"The clock goes forward only, and cannot move by {total:g} seconds. See reset().")
        time = self._require()
        with connected(None) as connection:
            time.move(connection, total)

    def move_to(self, moment: datetime) -> None:
        """Moves the clock forward to an aware datetime. Raises ValueError if the clock is past it already."""
        if moment.utcoffset() is None:
            raise ValueError(f"{moment.isoformat()} is a naive datetime: give it a time zone.")
        time = self._require()
        with connected(None) as connection:
            seconds = (moment - (current := now(connection))).total_seconds()
            if seconds < 0:
                raise ValueError(
                    f"The clock goes forward only: it is at {current.isoformat()}, past {moment.isoformat()}. "
                    "See reset()."
                )
            time.move(connection, seconds)

    def reset(self) -> None:
        """Returns the clock to the real time. Jobs that are due later by the moved clock wait for that time again."""
        time = self._require()
        with connected(None) as connection:
            time.set(connection, 0.0)

    def _require(self) -> "MovedTime":
        if self._time is None:
            raise RuntimeError("This clock is not in place. Use it in `with Clock() as clock:`.")
        return self._time


@contextmanager
def moving(connection: Connection) -> "Iterator[MovedTime]":
    """The active clock. If there is none, a temporary one."""
    if in_place is not None:
        yield in_place
        return
    time = MovedTime.begin(connection)
    try:
        yield time
    finally:
        time.end(connection)


def now(connection: Connection) -> datetime:
    row = connection.execute(statement("clock_now", default_database().schema), {}).fetchone()
    assert row is not None
    moment: datetime = row[0]
    return moment


class MovedTime:
    """The clock's changes in the database, and how far it is ahead of the real time."""

    def __init__(self, schema: str) -> None:
        self._schema = schema
        self._function = f"{quote_identifier(schema)}.test_clock()"
        self._originals: list[str] = []
        self._ahead = 0.0

    @classmethod
    def begin(cls, connection: Connection) -> "MovedTime":
        global in_place
        time = cls(default_database().schema)
        command(connection, statement("clock_runner", time._schema).decode().replace("%%", "%"))
        time.set(connection, 0.0)
        try:
            with locks_explained():
                time._change_readers(connection)
        except BaseException:
            time.end(connection)
            raise
        statements.read_time_from("{schema}.test_clock()")
        in_place = time
        return time

    def end(self, connection: Connection) -> None:
        """Undoes all changes. If a transaction accepts no statement any more, its rollback does that."""
        global in_place
        statements.read_time_from(None)
        in_place = None
        if not is_usable(connection):
            return
        with locks_explained():
            while self._originals:
                self._run(connection, self._originals[-1])
                self._originals.pop()
        self._run(connection, f"DROP FUNCTION {self._function}, {quote_identifier(self._schema)}.test_run(text)")

    def move(self, connection: Connection, seconds: float) -> None:
        self.set(connection, self._ahead + seconds)

    def set(self, connection: Connection, ahead: float) -> None:
        self._run(
            connection,
            f"CREATE OR REPLACE FUNCTION {self._function} RETURNS timestamptz LANGUAGE sql STABLE "
            f"AS 'SELECT pg_catalog.statement_timestamp() + interval ''{ahead:.6f} s'''",
        )
        self._ahead = ahead

    def _change_readers(self, connection: Connection) -> None:
        parameters = {"schema": self._schema, "reads": statements.CLOCK, "instead": self._function}
        rows = connection.execute(statement("clock_readers", self._schema), parameters).fetchall()
        for change, original in rows:
            self._run(connection, change)
            self._originals.append(original)

    def _run(self, connection: Connection, text: str) -> None:
        connection.execute(statement("clock_run", self._schema), {"command": text})


@contextmanager
def locks_explained() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        if sqlstate_of(error) != LOCK_TIMEOUT:
            raise
        raise UsageError(
            "Another transaction holds jobq's tables, so the clock cannot be put in place, or taken away. End that "
            "transaction first, or give the clock its connection."
        ) from None

"""Database work as steps: the statements that it takes, written once, and executed by each driver.

Such statements name the type of every parameter (`%(queue)s::text`), take times and JSON as text, and return numbers
and texts: so no setting of a session and no codec of a driver can change their meaning.
"""

from collections.abc import Awaitable, Callable, Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

Result = TypeVar("Result")

Parameters = dict[str, Any] | Iterable[bytes]

Call = tuple[bytes, Parameters]
"""A statement and its parameters, or a COPY and its blocks of data."""

Rows = list[tuple[Any, ...]]

Steps = Generator[Call, Rows, Result]
"""The statements one after another; each gets its rows."""


class NoCopy(Exception):
    """Raised inside steps that yielded a COPY: this driver has none, and nothing was done."""


def take(steps: Steps[Result], answer: Callable[[bytes, Parameters], Rows]) -> Result:
    """Runs the steps to their end. `answer` executes a statement."""
    try:
        call = next(steps)
        while True:
            try:
                rows = answer(*call)
            except NoCopy as refusal:
                call = steps.throw(refusal)
            else:
                call = steps.send(rows)
    except StopIteration as end:
        result: Result = end.value
        return result


async def take_async(steps: Steps[Result], answer: Callable[[bytes, Parameters], Awaitable[Rows]]) -> Result:
    """The same if a statement must be awaited."""
    try:
        call = next(steps)
        while True:
            try:
                rows = await answer(*call)
            except NoCopy as refusal:
                call = steps.throw(refusal)
            else:
                call = steps.send(rows)
    except StopIteration as end:
        result: Result = end.value
        return result


@contextmanager
def transaction(execute: Callable[[str], object]) -> Iterator[None]:
    """A transaction on a connection in autocommit, with SQL statements."""
    execute("BEGIN")
    try:
        yield
    except BaseException:
        with suppress(Exception):  # the connection is lost, and the transaction with it: the first error says so
            execute("ROLLBACK")
        raise
    execute("COMMIT")

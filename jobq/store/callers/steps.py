"""What is done with a connection, as the statements that it takes: written once, carried out by each driver.

Such statements name the type of every parameter (`%(queue)s::text`), take times and JSON as text, and answer in numbers
and texts: neither a session's settings nor a driver's codecs can change what these mean.
"""

from collections.abc import Awaitable, Callable, Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

Result = TypeVar("Result")

Parameters = dict[str, Any] | Iterable[bytes]

Call = tuple[bytes, Parameters]
"""A statement and its parameters; or a COPY and the blocks that it takes."""

Rows = list[tuple[Any, ...]]

Steps = Generator[Call, Rows, Result]
"""The statements one after another, each answered by its rows."""


class NoCopy(Exception):
    """Raised in the steps that yielded a COPY: this driver has none, and nothing was done."""


def take(steps: Steps[Result], answer: Callable[[bytes, Parameters], Rows]) -> Result:
    """Takes the steps to their end; `answer` executes a statement."""
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
    """The same where a statement is to be awaited."""
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
    """A transaction on a connection in autocommit, by its statements."""
    execute("BEGIN")
    try:
        yield
    except BaseException:
        with suppress(Exception):  # the connection has gone, and the transaction with it: the first error says so
            execute("ROLLBACK")
        raise
    execute("COMMIT")

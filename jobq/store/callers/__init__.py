"""The caller's own connections: `connection=` of everything that enqueues, completes or reads a job.

Each kind has a module here. None imports a library that the application has not imported itself.
"""

from collections.abc import Callable
from typing import Any

from jobq.store.callers.kinds import kind_of, refusal
from jobq.store.callers.steps import Result, Steps


def on(given: Any, steps: Steps[Result], *, is_atomic: bool = False) -> Result:
    """Executes the steps on a connection of the caller's, as part of its transaction.

    In autocommit, atomic steps get a transaction of their own. Raises EnqueueError if jobq cannot use the connection.
    """
    kind = kind_of(given)
    if kind is None or kind.on is None:
        raise refusal(given, kind, is_async=False)
    return kind.on(given, steps, is_atomic)


async def on_async(given: Any, steps: Steps[Result], *, is_atomic: bool = False) -> Result:
    """The same on a connection of an event loop."""
    kind = kind_of(given)
    if kind is None or kind.on_async is None:
        raise refusal(given, kind, is_async=True)
    return await kind.on_async(given, steps, is_atomic)


def when_committed(given: Any, call: Callable[[], None]) -> None:
    """Calls when the caller's transaction commits, and not at all if it rolls back.

    Drivers do not tell when they commit: with a connection of psycopg, psycopg2 or asyncpg, or none, it is called at
    once.
    """
    kind = kind_of(given)
    if kind is None:
        call()
    else:
        kind.when_committed(given, call)


async def when_committed_async(given: Any, call: Callable[[], None]) -> None:
    """The same in an event loop."""
    kind = kind_of(given)
    if kind is not None and kind.when_committed_async is not None:
        await kind.when_committed_async(given, call)
    else:
        when_committed(given, call)

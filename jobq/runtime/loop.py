"""The event loop of a process that runs one job at a time: kept from one coroutine to the next.

A new loop for each job took five times as long as the rest of a short job.
"""

from collections.abc import Coroutine
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

from jobq.runtime.guard import Guard

if TYPE_CHECKING:
    import asyncio

_runner: "asyncio.Runner | None" = None


def run(coroutine: Coroutine[Any, Any, Any], guard: Guard) -> Any:
    """Runs a coroutine and the tasks that it left to their end. An order meanwhile cancels it."""
    global _runner
    import asyncio

    if _runner is None:
        _runner = asyncio.Runner()
    return _runner.run(guarded(coroutine, guard), context=copy_context())


async def guarded(coroutine: Coroutine[Any, Any, Any], guard: Guard) -> Any:
    import asyncio

    guard.enter(asyncio.current_task())
    try:
        try:
            return await coroutine
        finally:
            await cancel_the_rest()
    finally:
        guard.enter(None)


async def cancel_the_rest() -> None:
    """Tasks that a job left end with it: the next job uses the same loop."""
    import asyncio

    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    if left:
        await asyncio.gather(*left, return_exceptions=True)

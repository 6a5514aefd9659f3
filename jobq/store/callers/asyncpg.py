"""asyncpg: a connection of its own, or one that its pool lends out."""

import sys
from contextlib import nullcontext
from typing import Any

from jobq.store.callers.explaining import explained
from jobq.store.callers.placeholders import numbered
from jobq.store.callers.steps import NoCopy, Parameters, Result, Rows, Steps, take_async


async def on_async(connection: Any, steps: Steps[Result], is_atomic: bool) -> Result:
    """Executes the steps, in one transaction if they are atomic: the caller's, if there is one."""
    record = sys.modules["asyncpg"].Record  # the caller's connection may have its own class of records

    async def answer(statement: bytes, parameters: Parameters) -> Rows:
        if not isinstance(parameters, dict):
            raise NoCopy
        text, names = numbered(statement)
        rows = await connection.fetch(text, *[parameters[name] for name in names], record_class=record)
        return [tuple(row) for row in rows]

    with explained():
        async with connection.transaction() if is_atomic and not connection.is_in_transaction() else nullcontext():
            return await take_async(steps, answer)

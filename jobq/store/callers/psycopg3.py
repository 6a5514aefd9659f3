"""Psycopg 3, also for jobq's own connections."""

from contextlib import nullcontext
from typing import Any

import psycopg
from psycopg.pq import PipelineStatus
from psycopg.rows import tuple_row

from jobq.store.callers.explaining import explained
from jobq.store.callers.steps import NoCopy, Parameters, Result, Rows, Steps, take, take_async


def on(connection: psycopg.Connection[Any], steps: Steps[Result], is_atomic: bool) -> Result:
    """Executes the steps on a caller's connection."""
    if is_in_pipeline(connection):  # an error of earlier statements is the caller's own
        carry_out(connection, answered())
    with explained():
        return carry_out(connection, steps, is_atomic=is_atomic)


async def on_async(connection: psycopg.AsyncConnection[Any], steps: Steps[Result], is_atomic: bool) -> Result:
    if is_in_pipeline(connection):
        await carry_out_async(connection, answered())
    with explained():
        return await carry_out_async(connection, steps, is_atomic=is_atomic)


def answered() -> Steps[None]:
    """A round trip."""
    yield b"SELECT 1", {}


def carry_out(connection: psycopg.Connection[Any], steps: Steps[Result], *, is_atomic: bool = False) -> Result:
    """Executes the steps, in one transaction if they are atomic: the caller's, if there is one."""
    # The caller's connection may have its own row factory.
    with (
        connection.transaction() if is_atomic and connection.autocommit else nullcontext(),
        psycopg.Cursor(connection, row_factory=tuple_row) as cursor,
    ):
        return take(steps, lambda statement, parameters: executed(cursor, statement, parameters))


async def carry_out_async(
    connection: psycopg.AsyncConnection[Any], steps: Steps[Result], *, is_atomic: bool = False
) -> Result:
    """The same on a connection of an event loop."""
    async with (
        connection.transaction() if is_atomic and connection.autocommit else nullcontext(),
        psycopg.AsyncCursor(connection, row_factory=tuple_row) as cursor,
    ):
        return await take_async(steps, lambda statement, parameters: executed_async(cursor, statement, parameters))


def executed(cursor: psycopg.Cursor[tuple[Any, ...]], statement: bytes, parameters: Parameters) -> Rows:
    if isinstance(parameters, dict):
        return cursor.execute(statement, parameters, binary=True).fetchall()
    if is_in_pipeline(cursor.connection):
        raise NoCopy
    with cursor.copy(statement) as copy:
        for block in parameters:
            copy.write(block)
    return []


async def executed_async(
    cursor: psycopg.AsyncCursor[tuple[Any, ...]], statement: bytes, parameters: Parameters
) -> Rows:
    if isinstance(parameters, dict):
        await cursor.execute(statement, parameters, binary=True)
        return await cursor.fetchall()
    if is_in_pipeline(cursor.connection):
        raise NoCopy
    async with cursor.copy(statement) as copy:
        for block in parameters:
            await copy.write(block)
    return []


def is_in_pipeline(connection: "psycopg.Connection[Any] | psycopg.AsyncConnection[Any]") -> bool:
    return connection.pgconn.pipeline_status != PipelineStatus.OFF

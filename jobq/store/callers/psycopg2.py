"""psycopg2."""

import sys
from contextlib import nullcontext
from typing import Any

from jobq.errors import EnqueueError
from jobq.store.callers.explaining import explained
from jobq.store.callers.steps import NoCopy, Parameters, Result, Rows, Steps, take, transaction


def on(connection: Any, steps: Steps[Result], is_atomic: bool) -> Result:
    """Executes the steps, in one transaction if they are atomic: the caller's, if there is one."""
    extensions = sys.modules["psycopg2.extensions"]
    if connection.async_:
        raise EnqueueError("connection is an async one of psycopg2, which jobq cannot use. Open one without async.")
    is_idle = connection.info.transaction_status == extensions.TRANSACTION_STATUS_IDLE
    # The caller's connection may have its own class of cursors.
    with connection.cursor(cursor_factory=extensions.cursor) as cursor, explained():

        def answer(statement: bytes, parameters: Parameters) -> Rows:
            if not isinstance(parameters, dict):
                raise NoCopy
            cursor.execute(statement.decode(), parameters)
            rows: Rows = cursor.fetchall()
            return rows

        with transaction(cursor.execute) if is_atomic and connection.autocommit and is_idle else nullcontext():
            return take(steps, answer)

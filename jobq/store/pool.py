"""The pool of those who enqueue, which writes nothing into the log of the user's program.

Whoever asked for a connection is told by an error. Another pool of the same program keeps all its messages.
"""

import logging
import sys
import threading
from typing import Any

import psycopg
from psycopg_pool import ConnectionPool

NAME = "jobq's own pool"
"""Its threads have this name, too, with a number."""


class Silence(threading.local):
    """Around what the pool does in the thread of whoever asks it."""

    depth = 0

    def __enter__(self) -> None:
        self.depth += 1

    def __exit__(self, *_error: object) -> None:
        self.depth -= 1


silence = Silence()


class OwnPool(ConnectionPool[psycopg.Connection[tuple[Any, ...]]]):
    def __init__(self, conninfo: str, **options: Any) -> None:
        with silence:
            super().__init__(conninfo, name=NAME, **options)

    def getconn(self, timeout: float | None = None) -> psycopg.Connection[tuple[Any, ...]]:
        with silence:
            return super().getconn(timeout)

    def putconn(self, conn: psycopg.Connection[tuple[Any, ...]]) -> None:
        with silence:
            super().putconn(conn)

    def close(self, timeout: float = 5.0) -> None:
        with silence:
            super().close(timeout)

    def __del__(self) -> None:
        """At the end of the interpreter its threads no longer run: to wait for each of them would take 5 seconds."""
        if not sys.is_finalizing():
            with silence:
                super().__del__()


class NotOfOwnPool(logging.Filter):
    """Told by where a message is logged: many of them name neither the pool nor a connection."""

    def filter(self, _record: logging.LogRecord) -> bool:
        return not (silence.depth or threading.current_thread().name.startswith(NAME))


for logger in ("psycopg.pool", "psycopg"):
    logging.getLogger(logger).addFilter(NotOfOwnPool())

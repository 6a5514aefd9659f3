"""The pool for programs that enqueue. It writes nothing into the log of the user's program.

A caller that asked for a connection gets an error. Other pools of the program keep all their messages.
"""

import logging
import sys
import threading
from typing import Any

import psycopg
from psycopg_pool import ConnectionPool

NAME = "jobq's own pool"
"""Its threads have this name too, with a number."""


class Silence(threading.local):
    """Wraps the work that the pool does in the caller's thread."""

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
        """At the end of the interpreter its threads no longer run: waiting for each of them would take 5 seconds."""
        if not sys.is_finalizing():
            with silence:
                super().__del__()


class NotOfOwnPool(logging.Filter):
    """Recognized by where a message is logged: many of them name neither the pool nor a connection."""

    def filter(self, _record: logging.LogRecord) -> bool:
        return not (silence.depth or threading.current_thread().name.startswith(NAME))


for logger in ("psycopg.pool", "psycopg"):
    logging.getLogger(logger).addFilter(NotOfOwnPool())

"""A connection on which nobody waits: a loop sends a statement, continues, and reads the answer when it arrives.

It uses libpq directly: psycopg's cursors would take a tenth of the time until a lone job begins. Statements are those
of `callers.steps`: they name the types of their parameters, which are sent as text.
"""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import psycopg
from psycopg import errors, pq
from psycopg.adapt import Transformer

from jobq.store.callers.steps import Rows
from jobq.store.sessions import Connection

PLACEHOLDER = re.compile(rb"%\((\w+)\)s|%%")


class Line:
    """Sends one statement at a time. Everything here returns at once, and raises psycopg's errors: after one the
    connection is unusable.

    `on_notified` gets the channel and the text of each notification.
    """

    def __init__(self, connection: Connection, on_notified: Callable[[str, str], None]) -> None:
        self._connection = connection
        self._pgconn = connection.pgconn
        self._pgconn.nonblocking = 1
        self._fd = self._pgconn.socket  # libpq forgets it when it finds the connection lost
        self._on_notified = on_notified
        self._may_prepare = connection.prepare_threshold is not None
        self._prepared: dict[bytes, bytes] = {}  # names of prepared statements
        self._transformer = Transformer(connection)
        self._is_asking = False
        # the statement to execute, by name, once it is prepared
        self._to_execute: tuple[bytes, list[bytes | None]] | None = None
        self._answer: pq.abc.PGresult | None = None
        self.has_to_write = False
        """Whether a part of the statement is still unsent: then the loop also waits for room to write."""

    def fileno(self) -> int:
        return self._fd

    @property
    def is_answered(self) -> bool:
        return not self._is_asking

    def ask(self, statement: bytes, parameters: Mapping[str, Any]) -> None:
        """Sends a statement. One with parameters is prepared at its first use."""
        query, names = numbered(statement)
        values = [encoded(parameters[name]) for name in names]
        self._is_asking, self._answer = True, None
        if not (names and self._may_prepare):
            self._pgconn.send_query_params(query, values, result_format=pq.Format.BINARY)
        elif (name := self._prepared.get(query)) is not None:
            self._pgconn.send_query_prepared(name, values, result_format=pq.Format.BINARY)
        else:
            name = self._prepared[query] = b"jobq_%d" % len(self._prepared)
            self._to_execute = name, values
            self._pgconn.send_prepare(name, query)
        self._flush()

    def hear(self) -> None:
        """Reads arrived data: parts of an answer, or notifications."""
        if self.has_to_write:
            self._flush()
        self._pgconn.consume_input()
        while (notified := self._pgconn.notifies()) is not None:
            self._on_notified(notified.relname.decode(), notified.extra.decode())
        while self._is_asking and not self._pgconn.is_busy():
            self._take(self._pgconn.get_result())
        if self._pgconn.status != pq.ConnStatus.OK:
            raise psycopg.OperationalError("the connection is lost")

    def rows(self) -> Rows:
        """The answer, once it is complete."""
        answer = self._answer
        if answer is None or answer.status != pq.ExecStatus.TUPLES_OK:
            return []
        self._transformer.set_pgresult(answer)
        return self._transformer.load_rows(0, answer.ntuples, tuple)

    def close(self) -> None:
        self._connection.close()

    def _flush(self) -> None:
        self.has_to_write = self._pgconn.flush() != 0

    def _take(self, result: "pq.abc.PGresult | None") -> None:
        """A part of the answer. None: that was all."""
        if result is not None:
            if result.status == pq.ExecStatus.FATAL_ERROR:
                raise errors.error_from_result(result)
            self._answer = result
        elif self._to_execute is not None:
            (name, values), self._to_execute = self._to_execute, None
            self._pgconn.send_query_prepared(name, values, result_format=pq.Format.BINARY)
            self._flush()
        else:
            self._is_asking = False


@lru_cache(maxsize=64)
def numbered(statement: bytes) -> tuple[bytes, tuple[str, ...]]:
    """A statement as libpq takes it, and the names of its parameters in the order of their numbers."""
    names: list[str] = []

    def number(found: re.Match[bytes]) -> bytes:
        if found[1] is None:
            return b"%"
        name = found[1].decode()
        if name not in names:
            names.append(name)
        return b"$%d" % (names.index(name) + 1)

    query = PLACEHOLDER.sub(number, statement)
    return query, tuple(names)


def encoded(value: Any) -> bytes | None:
    """A parameter as text, in PostgreSQL's format."""
    if value is None:
        return None
    if isinstance(value, list):
        return b"{%s}" % b",".join([element_of(one) for one in value])
    return str(value).encode()


def element_of(value: Any) -> bytes:
    """An element of an array."""
    if value is None:
        return b"NULL"
    if type(value) is int:
        return b"%d" % value
    return b'"%s"' % str(value).encode().replace(b"\\", b"\\\\").replace(b'"', b'\\"')

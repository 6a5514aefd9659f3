"""Answers HTTP for probes and scrapers, in a thread of its own: GET only, one answer per connection.

Clients may be slow or hostile. So a connection has a few seconds; their number is limited, and the oldest is closed
first; a request is at most a few kilobytes; and answers are paced, so that a flood of requests leaves the processor to
the worker.
"""

import logging
import selectors
import socket
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, sleep

log = logging.getLogger("jobq.worker.health")

MAX_CONNECTIONS = 64
MAX_REQUEST_BYTES = 8192
CONNECTION_SECONDS = 5.0
MAX_ANSWERS_AT_ONCE = 50
ANSWERS_PER_SECOND = 100.0
"""After a burst, the thread pauses between answers."""

WAIT_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    text: str
    content_type: str = "text/plain; charset=utf-8"

    def encoded(self, *, has_body: bool) -> bytes:
        body = self.text.encode()
        head = (
            f"HTTP/1.1 {self.status} {REASONS[self.status]}\r\nContent-Type: {self.content_type}\r\n"
            f"Content-Length: {len(body)}\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n"
        )
        return head.encode() + (body if has_body else b"")


REASONS = {
    200: "OK", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed", 431: "Request Header Fields Too Large",
    500: "Internal Server Error", 501: "Not Implemented", 503: "Service Unavailable",
}  # fmt: skip

Page = Callable[[], Answer]


@dataclass(eq=False, slots=True)
class Connection:
    socket: socket.socket
    deadline: float
    heard: bytearray = field(default_factory=bytearray)
    to_say: memoryview | None = None


class Server:
    """`pages` maps paths to functions, which this thread calls."""

    def __init__(self, listener: socket.socket, pages: Mapping[str, Page]) -> None:
        self._listener = listener
        self._pages = pages
        self._selector = selectors.DefaultSelector()
        self._connections: dict[int, Connection] = {}  # the oldest first
        self._is_stopping = threading.Event()
        self._free = float(MAX_ANSWERS_AT_ONCE)
        self._counted_at = monotonic()
        self._thread = threading.Thread(target=self._loop, name="jobq-health", daemon=True)

    def start(self) -> None:
        self._listener.setblocking(False)
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._thread.start()

    def stop(self) -> None:
        self._is_stopping.set()
        if self._listener.family == socket.AF_UNIX:
            Path(self._listener.getsockname()).unlink(missing_ok=True)

    def _loop(self) -> None:
        while not self._is_stopping.is_set():
            try:
                self._turn()
            except Exception:  # the edge around one turn
                log.exception("health probes could not be answered")
                self._is_stopping.wait(WAIT_SECONDS)
        for connection in list(self._connections.values()):
            self._close(connection)
        self._selector.close()
        self._listener.close()

    def _turn(self) -> None:
        for key, _ in self._selector.select(WAIT_SECONDS):
            if key.fileobj is self._listener:
                self._accept()
            elif key.data.socket.fileno() >= 0:  # not closed since
                self._go_on(key.data)
        now = monotonic()
        for connection in list(self._connections.values()):
            if connection.deadline > now:
                break
            self._close(connection)

    def _accept(self) -> None:
        try:
            accepted, _ = self._listener.accept()
        except BlockingIOError:
            return
        except OSError:  # for example, no descriptor is left
            self._is_stopping.wait(0.1)
            return
        accepted.setblocking(False)
        connection = Connection(accepted, monotonic() + CONNECTION_SECONDS)
        if len(self._connections) >= MAX_CONNECTIONS:
            self._close(next(iter(self._connections.values())))
        self._connections[accepted.fileno()] = connection
        self._selector.register(accepted, selectors.EVENT_READ, connection)

    def _go_on(self, connection: Connection) -> None:
        try:
            if connection.to_say is None:
                self._hear(connection)
            if connection.to_say is not None:
                self._say(connection)
        except BlockingIOError:
            return
        except OSError:  # the client has gone
            self._close(connection)

    def _hear(self, connection: Connection) -> None:
        heard = connection.socket.recv(4096)
        connection.heard += heard
        if not heard:
            self._close(connection)
            return
        if b"\r\n\r\n" in connection.heard or b"\n\n" in connection.heard:
            answer, has_body = self._answer(bytes(connection.heard))
        elif len(connection.heard) > MAX_REQUEST_BYTES:
            answer, has_body = Answer(431, "the request is too long\n"), True
        else:
            return
        connection.to_say = memoryview(answer.encoded(has_body=has_body))
        self._selector.modify(connection.socket, selectors.EVENT_WRITE, connection)

    def _answer(self, request: bytes) -> tuple[Answer, bool]:
        self._rest()
        words = request.partition(b"\n")[0].decode("latin-1").split()
        if len(words) != 3 or not words[2].startswith("HTTP/1."):
            return Answer(400, "this is not an HTTP/1 request\n"), True
        method, path = words[0], words[1].partition("?")[0]
        if method not in ("GET", "HEAD"):
            return Answer(405, "only GET is answered here\n"), True
        page = self._pages.get(path)
        if page is None:
            return Answer(404, f"here are: {', '.join(self._pages)}\n"), method == "GET"
        try:
            return page(), method == "GET"
        except Exception:
            log.exception("a page could not be made path=%s", path)
            return Answer(500, "the worker's log has the reason\n"), method == "GET"

    def _rest(self) -> None:
        now = monotonic()
        self._free = min(self._free + (now - self._counted_at) * ANSWERS_PER_SECOND, MAX_ANSWERS_AT_ONCE) - 1
        self._counted_at = now
        if self._free < 0:
            sleep(-self._free / ANSWERS_PER_SECOND)

    def _say(self, connection: Connection) -> None:
        assert connection.to_say is not None
        connection.to_say = connection.to_say[connection.socket.send(connection.to_say) :]
        if not connection.to_say:
            with suppress(OSError):
                connection.socket.shutdown(socket.SHUT_WR)
            self._close(connection)

    def _close(self, connection: Connection) -> None:
        self._connections.pop(connection.socket.fileno(), None)
        with suppress(KeyError, ValueError):
            self._selector.unregister(connection.socket)
        connection.socket.close()

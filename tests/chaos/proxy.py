"""The network between a client and the server: a proxy on loopback that can cut it, slow it, and swallow an answer.

It reads as much of PostgreSQL's protocol as it takes to know when a client has asked for a change to be made lasting.
"""

import select
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psycopg

CHANGES = (b"INSERT INTO", b"UPDATE ", b"DELETE FROM")

CHUNK = 1 << 16


class Proxy:
    """Listens on a port of its own for as long as it lives, whatever becomes of the server behind it."""

    def __init__(self, upstream: "Path | tuple[str, int]") -> None:
        self.upstream = upstream
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listening.getsockname()[1])
        self._lock = threading.Lock()
        self._links: set[Link] = set()
        self.is_cut = False
        self.is_silent = False
        self.delay = 0.0
        self.swallow = 0  # so many answers to changes are swallowed, and their connections cut
        self.swallowed = 0
        threading.Thread(target=self._accept, name=f"proxy-{self.port}", daemon=True).start()

    def cut(self) -> None:
        """Every connection ends with a reset, and no new one is made, until `heal`."""
        self.is_cut = True
        for link in self._all():
            link.reset()

    def fall_silent(self) -> None:
        """Nothing passes any more, and nobody is told."""
        self.is_silent = True

    def heal(self) -> None:
        """As it should be. What was silent is cut first: nobody can go on in the middle of it."""
        self.delay, self.swallow = 0.0, 0
        if self.is_silent:
            for link in self._all():
                link.reset()
        self.is_cut = self.is_silent = False

    def close(self) -> None:
        self.cut()
        self._listening.close()

    def take_swallow(self) -> bool:
        with self._lock:
            if self.swallow <= 0:
                return False
            self.swallow -= 1
            self.swallowed += 1
            return True

    def forget(self, link: "Link") -> None:
        with self._lock:
            self._links.discard(link)

    def _all(self) -> list["Link"]:
        with self._lock:
            return list(self._links)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:  # closed
                return
            if self.is_cut:
                reset(client)
                continue
            try:
                server = connect(self.upstream)
            except OSError:
                client.close()
                continue
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            link = Link(self, client, server)
            with self._lock:
                self._links.add(link)
            if self.is_cut:
                link.reset()
            threading.Thread(target=link.run, name=f"proxy-{self.port}-link", daemon=True).start()


class Link:
    """One connection, both ways."""

    def __init__(self, proxy: Proxy, client: socket.socket, server: socket.socket) -> None:
        self.proxy, self.client, self.server = proxy, client, server
        self._is_reset = False
        self._changing: set[bytes] = set()  # prepared statements that change something
        self._is_in_transaction = False
        self._rest = 0  # bytes of a message that are still to come

    def reset(self) -> None:
        """Seen by `run`, which closes: a descriptor must not be closed under another thread's select."""
        self._is_reset = True

    def run(self) -> None:
        try:
            self._pass_on()
        except OSError:
            self._is_reset = True  # one side is gone; the other learns it in the same way
        finally:
            self.proxy.forget(self)
            if self._is_reset:
                reset(self.client)
            self.client.close()
            self.server.close()

    def _pass_on(self) -> None:
        while not self._is_reset:
            readable, _, _ = select.select([self.client, self.server], [], [], 0.05)
            if self.proxy.is_silent:
                time.sleep(0.05)
                continue
            for source in readable:
                data = source.recv(CHUNK)
                if not data:
                    return
                if self.proxy.delay:
                    time.sleep(self.proxy.delay)
                if self._is_reset or self.proxy.is_silent:
                    break
                if source is self.client and self._is_change(data) and self.proxy.take_swallow():
                    self.server.sendall(data)
                    self._await_answer()
                    self._is_reset = True
                    return
                (self.server if source is self.client else self.client).sendall(data)

    def _is_change(self, data: bytes) -> bool:
        """Whether the answer would say that something was made lasting: a COMMIT, or a change outside a transaction."""
        is_change = False
        for kind, body in self._messages(data):
            if kind == b"P":
                name, text = body.split(b"\0")[:2]
                (self._changing.add if any(word in text for word in CHANGES) else self._changing.discard)(name)
            elif kind == b"B":
                name = body.split(b"\0")[1]
                is_change |= name in self._changing and not self._is_in_transaction
            elif kind == b"Q":
                self._is_in_transaction |= body.startswith(b"BEGIN")
                if body.startswith((b"COMMIT", b"ROLLBACK")):
                    self._is_in_transaction = False
                    is_change |= body.startswith(b"COMMIT")
        return is_change

    def _messages(self, data: bytes) -> Iterator[tuple[bytes, bytes]]:
        """What a client says, as far as it has been read: of a long message only the beginning."""
        place, self._rest = self._rest, max(0, self._rest - len(data))
        while place + 5 <= len(data):
            kind, length = data[place : place + 1], int.from_bytes(data[place + 1 : place + 5], "big")
            if kind == b"\0":  # the first one of a connection has no kind, and says nothing of interest
                return
            yield kind, data[place + 5 : place + 1 + length]
            place += 1 + length
            self._rest = max(0, place - len(data))

    def _await_answer(self) -> None:
        """The server has done it when it says anything at all; nobody will hear."""
        select.select([self.server], [], [], 2.0)
        with suppress(OSError):
            self.server.recv(CHUNK)


def connect(upstream: "Path | tuple[str, int]") -> socket.socket:
    if isinstance(upstream, tuple):
        return socket.create_connection(upstream, timeout=10)
    server = socket.socket(socket.AF_UNIX)
    try:
        server.connect(str(upstream))
    except OSError:
        server.close()
        raise
    return server


def reset(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    connection.close()


def upstream_of(url: str) -> "Path | tuple[str, int]":
    """Where a server listens: a socket's path, or a host and a port."""
    known = psycopg.conninfo.conninfo_to_dict(url)
    host, port = str(known.get("host", "localhost")), int(known.get("port", 5432))
    return Path(host) / f".s.PGSQL.{port}" if host.startswith("/") else (host, port)


def through(proxy: Proxy, url: str) -> str:
    """The address of the same database by way of a proxy."""
    known = psycopg.conninfo.conninfo_to_dict(url)
    known |= {"host": "127.0.0.1", "port": str(proxy.port), "connect_timeout": "5"}
    return psycopg.conninfo.make_conninfo(**known)

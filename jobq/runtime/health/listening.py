"""The address of `jobq run --health`: a port of one address, of all, or a socket in the file system."""

import os
import socket
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from jobq.errors import UsageError

BACKLOG = 64


@dataclass(frozen=True, slots=True)
class Address:
    host: str
    port: int
    path: str | None = None

    def __str__(self) -> str:
        shown = f"[{self.host}]" if ":" in self.host else self.host
        return self.path or f"{shown}:{self.port}"


def parsed(text: str) -> Address:
    """HOST:PORT, :PORT, PORT, or the path of a socket. Raises UsageError."""
    if "/" in text:
        return Address("", 0, text)
    host, _, port = text.rpartition(":")
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise UsageError(
            f"--health is {text!r}, but must be an address and a port (127.0.0.1:8080), a port of all addresses "
            "(:8080), or the path of a socket (/run/jobq.sock)."
        )
    return Address(host.strip("[]"), int(port))


def listen(address: Address) -> socket.socket:
    """Raises UsageError if the address cannot be used."""
    try:
        return listen_at_path(address.path) if address.path else listen_at_port(address)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
        raise UsageError(
            f"--health cannot listen at {address}: {reason}. Another worker may, on this machine: give each its own."
        ) from None


def listen_at_port(address: Address) -> socket.socket:
    if not address.host and socket.has_dualstack_ipv6():
        return socket.create_server(("", address.port), family=socket.AF_INET6, backlog=BACKLOG, dualstack_ipv6=True)
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    return socket.create_server((address.host, address.port), family=family, backlog=BACKLOG)


def listen_at_path(path: str) -> socket.socket:
    """Removes a socket that a killed worker left. A socket with a listener stays."""
    with suppress(FileNotFoundError):
        if stat.S_ISSOCK(os.stat(path).st_mode) and not is_answered(path):
            Path(path).unlink()
    listener = socket.socket(socket.AF_UNIX)
    try:
        listener.bind(path)
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def is_answered(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(path)
        except OSError:
            return False
        return True

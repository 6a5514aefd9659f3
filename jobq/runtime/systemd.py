"""systemd's protocol for services: reports when the worker is ready, what it does, and that its main loop turns.

Only if systemd asks for it, by NOTIFY_SOCKET. A few lines of text in datagrams. One that finds no room is dropped, so
that systemd cannot block the worker.
"""

import os
import socket
from collections.abc import Mapping

STATUS_EVERY_SECONDS = 5.0


class Systemd:
    def __init__(self, environment: Mapping[str, str]) -> None:
        address = environment.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) if address else None
        self._feed_every = watchdog_seconds(environment) / 3
        self._feed_at = 0.0
        self._status_at = 0.0
        self._is_ready = False

    @property
    def is_asked(self) -> bool:
        return self._socket is not None

    def turned(self, now: float) -> None:
        """The main loop turned: only that feeds the watchdog."""
        if self._feed_every and now >= self._feed_at and self._say("WATCHDOG=1"):
            self._feed_at = now + self._feed_every

    def ready(self) -> None:
        """Sent once: services that wait for this one may start."""
        if not self._is_ready:
            self._is_ready = self._say("READY=1")

    def status(self, text: str, now: float, *, is_urgent: bool = False) -> None:
        """Shown by `systemctl status`; at most every few seconds, unless it is urgent."""
        if (is_urgent or now >= self._status_at) and self._say(f"STATUS={text}"):
            self._status_at = now + STATUS_EVERY_SECONDS

    def stopping(self) -> bool:
        """False: it could not be sent now."""
        return self._say("STOPPING=1")

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()

    def _say(self, text: str) -> bool:
        if self._socket is None:
            return False
        try:
            self._socket.sendto(text.encode(), self._address)
        except OSError:  # no room, or no receiver: it is sent again, or is out of date by then
            return False
        return True


def watchdog_seconds(environment: Mapping[str, str]) -> float:
    """Maximum seconds that the main loop may be silent; 0: no watchdog."""
    if environment.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return 0.0
    given = environment.get("WATCHDOG_USEC", "")
    return int(given) / 1e6 if given.isascii() and given.isdigit() else 0.0

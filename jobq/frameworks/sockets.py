"""Asks the kernel whether the server has closed an idle connection: no message goes to the server."""

import select
from typing import Any

MAX_POLL_SECONDS = 3600.0
"""The kernel counts milliseconds in 32 bits; a connection may be kept for a year."""

DRIVERS = {"psycopg", "psycopg2", "asyncpg"}


def is_cut_off(driver_connection: Any) -> bool:
    """Whether an idle connection is closed, or its socket has unexpected data to read.

    That is the server's last message and the end of the stream, or rarely a notice. False for drivers that cannot be
    asked.
    """
    if not any(cls.__module__.partition(".")[0] in DRIVERS for cls in type(driver_connection).__mro__):
        return False
    if hasattr(driver_connection, "is_closed"):  # asyncpg's, which shows no socket
        return bool(driver_connection.is_closed())
    return bool(driver_connection.closed) or is_readable(driver_connection.fileno(), 0)


def is_readable(descriptor: int, seconds: float) -> bool:
    """Whether there is data to read, or the end of the stream, within some time: an hour at most."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(min(seconds, MAX_POLL_SECONDS) * 1000))

"""SQLAlchemy in a child of jobq: replaces dead connections of its pools, and closes sessions of a thread.

A pool that does not ping its connections (`pool_pre_ping`) hands out dead ones after the server was restarted, and each
costs an attempt. Here the kernel is asked whether the server has hung up, which sends nothing.
"""

import logging
import os
from typing import Any

from jobq import references
from jobq.frameworks.care import Care
from jobq.frameworks.sockets import is_cut_off

log = logging.getLogger("jobq.worker")


class SQLAlchemyCare(Care):
    """For every engine of the process, and the sessions of `use_sqlalchemy`."""

    def __init__(self) -> None:
        from sqlalchemy import event
        from sqlalchemy.pool import Pool

        event.listen(Pool, "checkout", replace_if_cut_off)
        os.register_at_fork(after_in_child=leave_connections_to_parent)

    def end(self) -> None:
        """The session of the main thread (`scoped_session`) would stay within its transaction until the next job."""
        try:
            references.remove_session_of_thread()
        except Exception:
            log.exception("the session of this thread could not be closed")


def replace_if_cut_off(_dbapi_connection: Any, record: Any, _proxy: Any) -> None:
    """When a pool lends a connection: makes it replace one that the server has closed."""
    from sqlalchemy.exc import DisconnectionError

    if is_cut_off(record.driver_connection):
        raise DisconnectionError("the server has ended this connection")


def leave_connections_to_parent() -> None:
    """In a fork of a job: the connections belong to its parent, which still uses them."""
    for engine in references.engines_of_sessions():
        engine.dispose(close=False)

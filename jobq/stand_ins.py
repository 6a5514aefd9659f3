"""Replacements for jobq's own database in a test. Empty, unless `jobq.testing` sets them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from jobq.records import FoundJob, JobRecord, NewJob

connection: Any = None
"""The default connection: that of `jobq.testing.on_connection`."""

is_awaited = False
"""Whether coroutines await calls on that connection. Otherwise they use it in a thread."""

run_inline: Callable[[Sequence[NewJob]], Sequence[JobRecord | None]] | None = None
"""Runs jobs at once instead of adding them: `jobq.testing.immediately`."""

find_inline: Callable[[int], FoundJob | None] | None = None
"""Finds a job that ran at once: its end needs no waiting."""

environment: Mapping[str, str] = {}
"""Variables that lead a worker of this process to the test's database: `jobq.worker()` passes them on."""


def given_or_lent(given: Any) -> Any:
    """The caller's connection, else that of the test. None: jobq's own."""
    return connection if given is None else given


def given_or_awaited(given: Any) -> Any:
    """The same for a coroutine: the test's one only if coroutines await it."""
    return given_or_lent(given) if is_awaited else given

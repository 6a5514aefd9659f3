"""Acts on rows of which another open transaction may lock some: the locked ones are skipped, and the others are
done."""

from collections.abc import Callable, Sequence

from jobq.store.database import Connection
from jobq.store.jobs import is_lock_timeout, limit_lock_waits

LOCK_SECONDS = 5.0
"""Maximum seconds that an act waits for a locked row."""

EACH_SECONDS = 0.2
"""Once a lock was met, each look for the locked rows waits at most this long …"""

MAX_WAITS = 50
"""… and after this many such waits, all rows that could not be separated from a locked one are skipped."""

HELD = "an open transaction elsewhere holds it: try again; jobq doctor names who holds locks for long"


def do_unless_held(
    connection: Connection, ids: Sequence[int], do: Callable[[Sequence[int]], list[int]]
) -> tuple[list[int], list[int]]:
    """Does it to these, in the current transaction. Returns the changed ones and the locked ones."""
    if (all_done := attempted(connection, ids, do)) is not None:
        return all_done, []
    limit_lock_waits(connection, EACH_SECONDS)
    done: list[int] = []
    held: list[int] = []
    waits, parts = 0, halves(ids)
    while parts:
        part = parts.pop()
        done_here = attempted(connection, part, do)
        if done_here is not None:
            done += done_here
            continue
        waits += 1
        if len(part) == 1 or waits >= MAX_WAITS:
            held += part
        else:
            parts += halves(part)
    limit_lock_waits(connection, LOCK_SECONDS)
    return sorted(done), sorted(held)


def attempted(connection: Connection, ids: Sequence[int], do: Callable[[Sequence[int]], list[int]]) -> list[int] | None:
    """None: a row is locked, and nothing was done."""
    try:
        with connection.transaction():
            return do(ids)
    except Exception as error:
        if not is_lock_timeout(error):
            raise
        return None


def halves(ids: Sequence[int]) -> list[Sequence[int]]:
    middle = len(ids) // 2
    return [part for part in (ids[middle:], ids[:middle]) if part]

"""Acts on rows of which somebody's open transaction may hold some: these are left out, and the others are done."""

from collections.abc import Callable, Sequence

from jobq.store.database import Connection
from jobq.store.jobs import is_lock_timeout, limit_lock_waits

LOCK_SECONDS = 5.0
"""No act waits longer for a row that somebody's open transaction holds."""

EACH_SECONDS = 0.2
"""Once it is known that some are held, each look for the culprits waits this long at most …"""

MAX_WAITS = 50
"""… and after this many such waits, all that could not be done together with a held row is left out."""

HELD = "an open transaction elsewhere holds it: try again; jobq doctor names who holds locks for long"


def do_unless_held(
    connection: Connection, ids: Sequence[int], do: Callable[[Sequence[int]], list[int]]
) -> tuple[list[int], list[int]]:
    """Does it to these, in the transaction at hand. Returns those to which it was done, and those that are held."""
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
    """None: a row is held, and nothing of it was done."""
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

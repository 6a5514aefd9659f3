"""Acts on groups of failures: mute them for a while, for everybody, and unmute them."""

from collections.abc import Iterable

from jobq.operate.acting import acting, who_acts
from jobq.store import mutes
from jobq.store.database import Database

MUTE_SECONDS = 86400.0


def mute_failures(database: Database, groups: Iterable[str], *, seconds: float = MUTE_SECONDS) -> list[str]:
    """Keeps groups of failures out of what needs somebody, for so long. Returns those that there are."""
    wanted = list(dict.fromkeys(groups))
    with acting(database, "mute") as act:
        done = mutes.mute(act.connection, database.schema, wanted, seconds=seconds, muted_by=who_acts())
        act.did(names=done)
    return done


def unmute_failures(database: Database, groups: Iterable[str]) -> list[str]:
    """Has groups of failures told of again. Returns those that were muted."""
    with acting(database, "unmute") as act:
        done = mutes.unmute(act.connection, database.schema, list(dict.fromkeys(groups)))
        act.did(names=done)
    return done

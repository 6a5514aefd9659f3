"""The names of queues: the database has no list of them, since a job's queue is only a name."""

from collections.abc import Sequence

from jobq.store.database import Connection
from jobq.store.statements import statement


def never_seen(connection: Connection, schema: str, names: Sequence[str]) -> list[str]:
    """Those of the queues that never had a job, and that no class of a live worker names."""
    rows = connection.execute(statement("never_seen_queues", schema), {"names": list(names)}).fetchall()
    return [name for (name,) in rows]


def known(connection: Connection, schema: str) -> list[str]:
    """The queues that classes of live workers name, and the queues of the last hour."""
    return [name for (name,) in connection.execute(statement("known_queues", schema), {}).fetchall()]

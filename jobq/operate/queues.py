"""Acts on queues: pause and resume."""

from collections.abc import Iterable

from jobq.operate.acting import acting, who_acts
from jobq.options import checked_queue
from jobq.store import control
from jobq.store.database import Database


def pause_queues(database: Database, queues: Iterable[str], *, reason: str | None = None) -> list[str]:
    """Stops claims from these queues; running jobs continue. Returns those that were not paused already.

    The reason is shown wherever the queue is, and in the audit. Raises EnqueueError for an invalid name of a queue.
    """
    names = [checked_queue(queue) for queue in dict.fromkeys(queues)]
    reason = (reason or "").strip() or None
    with acting(database, "pause", selection=reason) as act:
        done = control.pause_queues(act.connection, database.schema, names, paused_by=who_acts(), reason=reason)
        act.did(names=done)
    return done


def resume_queues(database: Database, queues: Iterable[str]) -> list[str]:
    """Resumes these queues. Returns those that were paused."""
    names = [checked_queue(queue) for queue in dict.fromkeys(queues)]
    with acting(database, "resume") as act:
        done = control.resume_queues(act.connection, database.schema, names, act=act.act)
        act.did(names=done)
    return done

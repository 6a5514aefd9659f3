"""Looks beyond the current queues: for jobs that became due or expired, and for queues with jobs."""

import logging
from collections.abc import Callable
from time import monotonic

from jobq.runtime.ownership import Ownership
from jobq.runtime.queue_map import QueueMap
from jobq.runtime.service import sooner
from jobq.store import claiming
from jobq.store.callers.steps import Steps

log = logging.getLogger("jobq.worker.claimer")

LOOK_EVERY_SECONDS = 0.5
"""Seconds between two such looks of a busy worker."""


class LookingAround:
    """`on_promoted` gets the queues of jobs that became pending, `on_gated` whether a job may wait at a gate."""

    def __init__(
        self,
        schema: str,
        ownership: Ownership,
        queues: QueueMap,
        *,
        on_promoted: Callable[[tuple[str, ...]], None],
        on_owed_hooks: Callable[[], None],
        on_gated: Callable[[bool], None],
    ) -> None:
        self._schema = schema
        self._ownership = ownership
        self._queues = queues
        self._on_promoted = on_promoted
        self._on_owed_hooks = on_owed_hooks
        self._on_gated = on_gated
        self.next_at = 0.0  # for a busy worker

    def look(self, now: float) -> Steps[float | None]:
        """Makes due jobs pending, ends expired ones, finds queues; returns the seconds until a job is next due."""
        left_alone, known = self._queues.left_alone(now), self._queues.known(now)
        promotion = yield from claiming.promote(self._schema, worker_id=self._ownership.worker_id, known=known)
        took = monotonic() - now
        self._queues.learn_of_fronts(left_alone, began=now, took=took, promoted=promotion.promoted)
        self._queues.enter_found((*promotion.queues, *promotion.others))
        self._on_promoted(promotion.queues)
        self._on_gated(promotion.has_gated)
        next_expiry = promotion.next_expiry_seconds
        if next_expiry is not None and next_expiry <= 0:
            next_expiry = yield from self._expire()
        next_due = sooner(promotion.next_due_seconds, next_expiry)
        self.next_at = now + (LOOK_EVERY_SECONDS if next_due is None else min(LOOK_EVERY_SECONDS, next_due))
        return next_due

    def _expire(self) -> Steps[float | None]:
        """Ends expired jobs. Returns the seconds until the next ones expire. An error ends the connection, and the
        transaction with it."""
        yield b"BEGIN", {}
        expiry = yield from claiming.expire(self._schema)
        yield b"COMMIT", {}
        if expiry.expired:
            log.info("expired jobs=%s", expiry.expired)
        if expiry.owed:
            self._on_owed_hooks()
        return expiry.next_expiry_seconds

"""Whether everything is done, for a worker that ends then.

Done means: a look that began after the last sign of work found nothing, and no work is in progress.
"""

from time import monotonic

from jobq.runtime.events import Events
from jobq.runtime.roster import Roster
from jobq.runtime.services import Services
from jobq.runtime.supply import Supply


class Drain:
    def __init__(self, roster: Roster, supply: Supply, services: Services, events: Events) -> None:
        self._roster = roster
        self._supply = supply
        self._services = services
        self._events = events
        self._active_at = monotonic()
        self._recorded = 0

    def is_done(self) -> bool:
        """Requests the looks that are still needed."""
        if self._is_active():
            self._active_at = monotonic()
            return False
        control, hooks = self._services.control, self._services.hooks
        if control.classes and (hooks or (control.looked_in_vain_at or 0.0) <= self._active_at):
            if not hooks:
                control.look()
            return False
        began = self._supply.empty_look_began
        if began is not None and began <= self._active_at:
            self._supply.claim_anew()
        return began is not None and began > self._active_at

    @property
    def exit_code(self) -> int:
        """1 if a job came to rest here without success."""
        return int(bool(self._services.completer.tally.unsuccessful or self._services.maintenance.given_up))

    def _is_active(self) -> bool:
        """Whether a job is here, or was just recorded: that may have queued a retry."""
        before, self._recorded = self._recorded, self._services.completer.tally.attempts
        is_held = not (self._supply.is_empty and self._roster.is_idle) or bool(self._events)
        is_to_be_written = self._services.completer.backlog or self._supply.has_to_give_back
        is_gated = self._services.gate_claimer.may_bring_jobs
        return bool(is_held or is_to_be_written or is_gated) or self._recorded != before

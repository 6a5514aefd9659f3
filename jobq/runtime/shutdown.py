"""How a worker stops: running → stopping → cut off → flushing.

STOPPING: after a signal, an operator's request or the end of a drain. Nothing is claimed, unstarted jobs go back, and
running jobs may end.
CUT_OFF: the grace time is over, or a second signal came. Children are killed, and their jobs run again elsewhere.
FLUSHING: all children have ended. Their last reports are recorded.
"""

import logging
import signal
from enum import Enum, auto
from time import monotonic

from jobq.runtime.children import Children
from jobq.runtime.services import Services
from jobq.runtime.stop_signals import name_of
from jobq.runtime.supply import Supply

log = logging.getLogger("jobq.worker")

FLUSH_SECONDS = 10.0
"""Maximum seconds for recording the last reports if the database is down."""

LINES_SECONDS = 2.0

SECOND_SIGNAL_EXIT_CODES: dict[int, int] = {signal.SIGINT: 130, signal.SIGQUIT: 131, signal.SIGTERM: 143}
"""Signals of which a second one cuts off. A terminal that is closed sends SIGHUP more than once."""

SAME_STOP_SECONDS = 1.0
"""A signal of another kind within this time belongs to the same stop: Ctrl-C reaches every process of a terminal, and a
process manager among them sends SIGTERM to its own."""


class Phase(Enum):
    RUNNING = auto()
    STOPPING = auto()
    CUT_OFF = auto()
    FLUSHING = auto()


class Shutdown:
    """`exit_code` is set when all is done."""

    def __init__(self, children: Children, supply: Supply, services: Services, *, grace_seconds: float) -> None:
        self.phase = Phase.RUNNING
        self.exit_code: int | None = None
        self._children = children
        self._supply = supply
        self._services = services
        self._grace_seconds = grace_seconds
        self._since = 0.0  # when the phase began
        self._signalled: tuple[int, float] | None = None  # the first signal, and its time
        self._is_cut_off = False  # also later, while the last reports are recorded
        self._forced_exit_code = 0

    @property
    def has_begun(self) -> bool:
        return self.phase is not Phase.RUNNING

    def take_signal(self, number: int) -> None:
        """The first signal stops, the second one cuts off."""
        name = name_of(number)
        log.info("signal received name=%s", name)
        is_urgent = self._is_urgent(number)
        self._signalled = self._signalled or (number, monotonic())
        if not self.has_begun:
            self.begin()
        elif is_urgent and not self._is_cut_off:
            self._forced_exit_code = SECOND_SIGNAL_EXIT_CODES[number]
            self._cut_off(f"the worker was told to stop at once ({name})")

    def _is_urgent(self, number: int) -> bool:
        """Whether it is a second signal. At the first one the worker may be stopping already, after an operator's
        request."""
        if self._signalled is None or number not in SECOND_SIGNAL_EXIT_CODES:
            return False
        first, at = self._signalled
        return number == first or monotonic() - at >= SAME_STOP_SECONDS

    def begin(self) -> None:
        """Nothing is claimed, unstarted jobs go back, running jobs may end."""
        self._enter(Phase.STOPPING)
        self._services.hooks.are_taken = False
        self._supply.stop_claiming()
        self._children.dispatcher.recall_all()
        self._give_back()
        self._children.crew.close()
        self._services.heartbeat.wake()  # writes it into the worker's row at once
        log.info("stopping running=%s grace_seconds=%g", self._children.roster.count_held(), self._grace_seconds)

    def go_on(self) -> None:
        """One step, at each turn of the main loop."""
        self._give_back()
        if self._is_grace_over:
            self._cut_off(f"the worker stopped, and the job had not ended within {self._grace_seconds:g} s")
        if not self._children.roster.is_empty:
            return
        if self.phase is not Phase.FLUSHING:
            self._enter(Phase.FLUSHING)
        if not (self._has_to_write or self._has_lines_to_write):
            self.exit_code = self._forced_exit_code
        elif monotonic() - self._since >= FLUSH_SECONDS:
            jobs = len(self._services.ownership.held())
            log.error("results could not be recorded; these jobs will run again jobs=%s", jobs)
            self.exit_code = 1

    def _enter(self, phase: Phase) -> None:
        self.phase, self._since = phase, monotonic()

    def _give_back(self) -> None:
        self._supply.receive()
        self._supply.give_back_all()

    @property
    def _is_grace_over(self) -> bool:
        if self.phase is not Phase.STOPPING or self._children.roster.is_idle:
            return False
        return monotonic() - self._since > self._grace_seconds

    @property
    def _has_to_write(self) -> bool:
        services, supply = self._services, self._supply
        may_give_back = supply.has_to_give_back or supply.is_asking
        return bool(services.completer.backlog or may_give_back or services.control.has_to_write)

    @property
    def _has_lines_to_write(self) -> bool:
        """Lines of jobs are waited for, but not for long: no result depends on them."""
        return self._services.log_keeper.has_to_write and monotonic() - self._since < LINES_SECONDS

    def _cut_off(self, reason: str) -> None:
        self._is_cut_off = True
        if self.phase is Phase.STOPPING:
            self._enter(Phase.CUT_OFF)
        if running := self._children.roster.count_held():
            log.warning("cutting off jobs=%s reason=%s", running, reason)
        self._children.roster.cut_off_all(reason)

"""Reports each turn of the main loop to systemd and to the vitals file."""

import logging
import os
from collections.abc import Callable
from time import monotonic

from jobq.runtime.health.condition import Condition
from jobq.runtime.systemd import Systemd
from jobq.vitals import VitalsFile

log = logging.getLogger("jobq.worker")

TELL_EVERY_SECONDS = 0.5


class Presence:
    """`summary` is the line for systemd's status."""

    def __init__(self, name: str, condition: Condition, summary: Callable[[], str]) -> None:
        self._condition = condition
        self._summary = summary
        self._systemd = Systemd(os.environ)
        for variable in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"):  # no job may speak for the worker
            os.environ.pop(variable, None)
        self._vitals = self._make_vitals(name)
        self._tell_at = 0.0
        self._has_said_stopping = False
        self._why_not: str | None = None

    def _make_vitals(self, name: str) -> VitalsFile | None:
        try:
            return VitalsFile(name, self._condition.limit_seconds)
        except OSError as error:
            log.warning("`jobq health` will not find this worker error=%s", error)
            return None

    def turned(self) -> None:
        now = monotonic()
        self._systemd.turned(now)
        if self._vitals is not None:
            self._vitals.turned()
        if now >= self._tell_at:
            self._tell_at = now + TELL_EVERY_SECONDS
            self._tell(now)

    def _tell(self, now: float) -> None:
        why_not = self._condition.why_not_ready()
        if self._vitals is not None:
            self._vitals.say(is_ready=why_not is None, why_not=why_not or "")
        if not self._systemd.is_asked:
            return
        if why_not is None:
            self._systemd.ready()
        if self._condition.is_stopping and not self._has_said_stopping:
            self._has_said_stopping = self._systemd.stopping()
        is_news, self._why_not = why_not != self._why_not, why_not
        self._systemd.status(why_not or self._summary(), now, is_urgent=is_news)

    def close(self) -> None:
        self._systemd.close()
        if self._vitals is not None:
            self._vitals.close()

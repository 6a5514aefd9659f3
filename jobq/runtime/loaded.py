"""The application as children have imported it, and its reloading when code or settings change.

The supervisor itself never imports the application: a child reports what it defines.
"""

import logging
from collections.abc import Callable, Iterable
from typing import Any

from jobq.clean import plain
from jobq.errors import ConfigurationError
from jobq.records import ClassRecord, DeclaredSchedule
from jobq.runtime import logs
from jobq.runtime.child_settings import child_settings
from jobq.runtime.crew import Crew
from jobq.runtime.services import Services
from jobq.runtime.supply import Supply
from jobq.settings import Settings

log = logging.getLogger("jobq.worker")


class LoadedApplication:
    """Its classes and schedules. `read_settings` reads the settings again, if code is reloaded."""

    def __init__(
        self, crew: Crew, services: Services, supply: Supply, *, read_settings: Callable[[], Settings] | None
    ) -> None:
        self.classes: tuple[ClassRecord, ...] = ()
        self.schedules: tuple[DeclaredSchedule, ...] = ()
        self._is_refused = False  # the first child could not import it
        self._crew = crew
        self._services = services
        self._supply = supply
        self._read_settings = read_settings
        self._is_loaded = False
        self._failure = ("", "")  # the last one that was logged
        self._is_reloading = False

    def take(self, loaded: dict[str, Any]) -> None:
        """A child has imported it."""
        classes = tuple(ClassRecord.from_json(entry) for entry in loaded["classes"])
        schedules = tuple(DeclaredSchedule(**entry) for entry in loaded["schedules"])
        is_known = self._is_loaded and (classes, schedules) == (self.classes, self.schedules)
        if is_known and not self._is_reloading:
            return
        if self._is_reloading:
            self._is_reloading = False
            self._supply.give_back_all()  # a claim finds out which of them the new code knows
        self._is_loaded = True
        self.classes, self.schedules = classes, schedules
        self._services.tell_application(classes, schedules)
        self._supply.tell_classes(classes)
        self._supply.claim_anew()
        log.info(
            "application loaded classes=%s schedules=%s modules=%s",
            *(len(classes), len(schedules), ",".join(loaded["modules"])),
        )

    @property
    def is_unusable(self) -> bool:
        return self._is_refused or self._crew.is_hopeless

    def take_failure(self, message: str, user_traceback: str) -> None:
        """If the first child cannot import the application, the user must act. Later children are tried again, and also
        the first ones if a file may be about to be saved."""
        if self._is_refused or (not self._is_loaded and (message, user_traceback) == self._failure):
            return  # several children report the same at once, and each next one does too
        self._failure = message, user_traceback
        logs.write(plain(user_traceback, 20_000))
        if self._is_loaded:
            log.error("a new child could not load the application; the others go on error=%s", message)
        elif self._read_settings is not None:
            log.error("the application cannot be loaded; trying again error=%s", message)
        else:
            logs.write(f"jobq: error: {plain(message)}\n")
            self._is_refused = True

    def reload(self, changed: Iterable[str]) -> None:
        """Settings of the worker itself stay as they are: only its children are replaced."""
        names = sorted(changed)
        if self._read_settings is None or not names:
            return
        log.info("reloading changed=%s", ",".join(names[:5]) + (",…" if len(names) > 5 else ""))
        try:
            settings = self._read_settings()
        except ConfigurationError as error:
            log.error("the settings cannot be used; going on as before error=%s", error)
            return
        self._is_reloading = True
        self._crew.renew(child_settings(settings, self._crew.settings.processes))

"""Loads the application for a command, and reports what it is doing if that takes long."""

import faulthandler
import os
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from time import monotonic
from typing import Any

from jobq.settings import Settings

SLOW_SECONDS = 5.0
"""An application that takes longer is reported, and again each time that this has doubled."""


def load_application(settings: Settings, app: Sequence[str] = ()) -> list[str]:
    """Like `application.load_application`; `app` names further modules."""
    from jobq.application import load_application as load

    with told_if_slow():
        return load(settings.root, [*settings.app, *app])


@contextmanager
def told_if_slow() -> Iterator[None]:
    """Inside, stderr shows the current import if it takes long, and the stack if it ends the process."""
    from jobq.load_steps import followed

    loading = Loading()
    if not faulthandler.is_enabled():
        faulthandler.enable(sys.__stderr__ or os.open(os.devnull, os.O_WRONLY))
    with followed(loading.note):
        thread = threading.Thread(target=loading.watch, name="jobq-loading", daemon=True)
        thread.start()
        try:
            yield
        finally:
            loading.has_ended.set()


class Loading:
    def __init__(self) -> None:
        self.has_ended = threading.Event()
        self._doing = ""
        self._thread = threading.get_ident()
        self._began = monotonic()

    def note(self, doing: str) -> None:
        self._doing = doing

    def watch(self) -> None:
        seconds = SLOW_SECONDS
        while not self.has_ended.wait(self._began + seconds - monotonic()):
            place = place_of(sys._current_frames().get(self._thread))
            doing = self._doing or "starting"
            sys.stderr.write(f"jobq: the application has not loaded after {seconds:.0f} s: it is {doing}{place}\n")
            seconds *= 2


def place_of(frame: Any) -> str:
    """The innermost frame of a thread."""
    return "" if frame is None else f", at {frame.f_code.co_filename}:{frame.f_lineno}"

"""Flask: an application context around each attempt, so that `db.session` and `current_app` work in jobs."""

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from jobq.errors import ConfigurationError
from jobq.frameworks.surroundings import around_attempts

if TYPE_CHECKING:
    from flask import Flask


def use_flask(app: "Flask | Callable[[], Flask]") -> None:
    """Pushes an application context of `app` around each attempt, before its arguments are loaded.

    `app` may also be the function that makes the application (`create_app`). It is called at the first attempt, unless
    another application context is active. Raises ConfigurationError if `app` is neither.
    """
    if hasattr(app, "app_context"):
        around_attempts(app.app_context)
        return
    if not callable(app):
        raise ConfigurationError(f"use_flask takes a Flask application or a function that makes one, but got {app!r}.")
    around_attempts(Maker(app).context)


class Maker:
    """Makes the application once, whichever thread of the process runs the first attempt."""

    def __init__(self, make: "Callable[[], Flask]") -> None:
        self._make = make
        self._made: Flask | None = None
        self._lock = threading.Lock()

    def context(self) -> AbstractContextManager[Any]:
        from flask import current_app, has_app_context

        if has_app_context():
            return current_app._get_current_object().app_context()  # type: ignore[attr-defined, no-any-return]
        with self._lock:
            if self._made is None:
                self._made = self._make()
        return self._made.app_context()

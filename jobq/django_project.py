"""The project of Django around an application: found by the environment or by its manage.py, and set up."""

import os
import re
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from jobq.errors import ApplicationError
from jobq.importing import traceback_of_user

VARIABLE = "DJANGO_SETTINGS_MODULE"

NAMED = re.compile(rf"""["']{VARIABLE}["']\s*(?:,|\]\s*=)\s*["']([\w.]+)["']""")
"""Where manage.py names the settings: it is read, and not run."""


def set_up(folders: Sequence[Path]) -> None:
    """Sets Django up, if it is installed and there is a project: then jobs.py need not do it.

    Raises ApplicationError, with the user's own traceback.
    """
    name = os.environ.get(VARIABLE) or settings_module_of(folders)
    if not name or find_spec("django") is None:
        return
    os.environ[VARIABLE] = name
    import django
    from django.apps import apps

    if apps.ready:
        return
    try:
        django.setup()
    except (ApplicationError, KeyboardInterrupt):
        raise
    except BaseException as error:  # noqa: BLE001 - the user's settings and modules may raise anything
        raise ApplicationError(
            f"Django cannot be set up with the settings {name!r} ({VARIABLE}): {type(error).__name__}: {error}",
            user_traceback=traceback_of_user(error),
        ) from None


def settings_module_of(folders: Sequence[Path]) -> str | None:
    """The settings that the manage.py in one of these folders names."""
    for folder in folders:
        try:
            found = NAMED.search((folder / "manage.py").read_text(encoding="utf-8", errors="replace"))
        except OSError:
            continue
        if found:
            return found[1]
    return None

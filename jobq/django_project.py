"""The Django project around an application: found by the environment or by its manage.py, and set up."""

import os
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from jobq.errors import ApplicationError
from jobq.found_database import settings_module_of
from jobq.importing import traceback_of_user
from jobq.load_steps import step

VARIABLE = "DJANGO_SETTINGS_MODULE"


def set_up(folders: Sequence[Path]) -> None:
    """Sets Django up, if it is installed and there is a project, so that jobs.py need not do it.

    Raises ApplicationError, with the user's own traceback.
    """
    named = (settings_module_of(folder / "manage.py") for folder in folders)
    name = os.environ.get(VARIABLE) or next(filter(None, named), None)
    if not name or find_spec("django") is None:
        return
    os.environ[VARIABLE] = name
    import django
    from django.apps import apps

    if apps.ready:
        return
    try:
        with step(f"setting up Django with the settings {name!r}"):
            django.setup()
    except (ApplicationError, KeyboardInterrupt):
        raise
    except BaseException as error:  # noqa: BLE001 - the user's settings and modules may raise anything
        raise ApplicationError(
            f"Django cannot be set up with the settings {name!r} ({VARIABLE}): {type(error).__name__}: {error}",
            user_traceback=traceback_of_user(error),
        ) from None

"""Finds the jobs of the installed applications: imports their jobs.py and tasks.py."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.apps import apps
from django.utils.module_loading import autodiscover_modules


def discover() -> None:
    """Imports jobs.py and tasks.py of every installed application, which registers their jobs."""
    with set_up_already():
        autodiscover_modules("jobs", "tasks")


@contextmanager
def set_up_already() -> Iterator[None]:
    """Ignores a django.setup() in these modules: Django is being set up, and would refuse to begin again."""
    apps.populate = lambda installed_apps=None: None
    try:
        yield
    finally:
        del apps.populate

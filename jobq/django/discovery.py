"""Finds what the installed applications define: their jobs.py and tasks.py are imported."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.apps import apps
from django.utils.module_loading import autodiscover_modules


def discover() -> None:
    """Imports jobs.py and tasks.py of every installed application: what they define is registered by that."""
    with set_up_already():
        autodiscover_modules("jobs", "tasks")


@contextmanager
def set_up_already() -> Iterator[None]:
    """Lets a django.setup() in these modules pass: Django is being set up, and would refuse to begin again."""
    apps.populate = lambda installed_apps=None: None
    try:
        yield
    finally:
        del apps.populate

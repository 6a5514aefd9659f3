"""Django's interface of tasks: its own since Django 6, else that of the package django-tasks, under the same names."""

import json
from typing import Any

import django

if django.VERSION >= (6, 0):
    from django.tasks import base, exceptions, signals
    from django.tasks.backends.base import BaseTaskBackend
    from django.utils.json import normalize_json

    InvalidTask = exceptions.InvalidTask
else:
    try:
        from django_tasks import base, exceptions, signals
    except ImportError as error:
        raise ImportError(
            f"Django {django.get_version()} has no tasks of its own. Run: pip install 'django-tasks>=0.12', and put "
            '"django_tasks" into INSTALLED_APPS.'
        ) from error
    from django_tasks.backends.base import BaseTaskBackend
    from django_tasks.utils import normalize_json

    InvalidTask = exceptions.InvalidTaskError

TaskResultDoesNotExist = exceptions.TaskResultDoesNotExist


def as_json(value: Any) -> Any:
    """A value as JSON returns it, also for a special type such as a member of TextChoices. Raises TypeError."""
    return json.loads(json.dumps(normalize_json(value)))


__all__ = [
    "BaseTaskBackend",
    "InvalidTask",
    "TaskResultDoesNotExist",
    "as_json",
    "base",
    "signals",
]

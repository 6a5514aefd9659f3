"""`JobqTask`: a Django task with jobq's additional options."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from jobq.base import Job
from jobq.django.task_api import InvalidTask, base
from jobq.errors import JobqError
from jobq.options import (
    MAX_RETRIES,
    OnHeld,
    UniqueUntil,
    checked_int,
    checked_key,
    checked_key_rules,
    checked_timeout,
    due,
)
from jobq.schedules import Schedule


@dataclass(frozen=True, slots=True, kw_only=True)
class JobqTask(base.Task):
    """The task that `@task(…)` makes with this backend. Each option is as in `jobq.Job`."""

    retries: int = 0
    retry_delay: float | Callable[[int], float] = 0
    """Seconds before a retry, or a function of the attempt's number. Only in the definition, not in `using()`."""

    timeout: float | timedelta | None = None
    unique_key: str | Callable[..., str | None] | None = None
    """A text, or a function of the task's arguments."""

    on_held: OnHeld = "skip"
    unique_until: UniqueUntil = "finished"
    unique_for: float | timedelta | None = None
    debounce_limit: float | timedelta | None = None
    """The rules for a held key, these four. Only in the definition, not in `using()`."""

    expires: float | timedelta | datetime | None = None
    schedule: Schedule | str | None = None
    """Its schedule. Only in the definition, not in `using()`."""

    def using(self, **changes: Any) -> "JobqTask":
        """A new task with other options; None leaves one unchanged."""
        if unknown := changes.keys() - CHANGEABLE:
            raise TypeError(
                f"using() has no {', '.join(sorted(unknown))}. Its arguments are: {', '.join(sorted(CHANGEABLE))}."
            )
        return replace(self, **{name: value for name, value in changes.items() if value is not None})


CHANGEABLE = {
    *("priority", "queue_name", "run_after", "backend"),  # Django's own
    *("retries", "timeout", "unique_key", "expires"),
}


def check_options(task: Any) -> None:
    """Checks jobq's own options. Raises InvalidTask."""
    try:
        checked_int("retries", option(task, "retries", 0), MAX_RETRIES, least=0)
        checked_timeout(option(task, "timeout"))
        due(option(task, "expires"), "expires", "a job cannot expire in the past")
        if not callable(key := option(task, "unique_key")):
            checked_key(key)
        checked_key_rules(*rules_of(task).values())
        schedule_of(task)
    except JobqError as error:
        raise InvalidTask(f"{task.module_path}: {error}") from None


def schedule_of(task: Any) -> Schedule | None:
    schedule = option(task, "schedule")
    return Schedule.from_cron(schedule) if isinstance(schedule, str) else schedule


def option(task: Any, name: str, default: Any = None) -> Any:
    """An option of jobq's. A task of another backend's decorator has none."""
    return getattr(task, name, default)


RULES = ("on_held", "unique_until", "unique_for", "debounce_limit")


def rules_of(task: Any) -> dict[str, Any]:
    """The rules for a held key, as attributes of the task's class. For a task of another decorator, Job's defaults
    apply."""
    return {name: option(task, name, getattr(Job, name)) for name in RULES}


def unique_key_of(task: Any, args: Any, kwargs: Any) -> str | None:
    key = option(task, "unique_key")
    found: str | None = key(*args, **kwargs) if callable(key) else key
    return found

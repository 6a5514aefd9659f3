"""jobq: background jobs from the PostgreSQL database you already have."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jobq.arguments import Secret
    from jobq.base import Job
    from jobq.command import Command
    from jobq.directives import Cancel, Defer, Fail, JobCancelled, JobInterrupted, JobTimedOut
    from jobq.enqueueing import enqueue_many, enqueue_many_async
    from jobq.errors import JobNotFinished, JobNotFound, JobqError
    from jobq.frameworks.flask import use_flask
    from jobq.frameworks.surroundings import around_attempts
    from jobq.functions import job
    from jobq.gates import Gate, Rate
    from jobq.handles import find, find_async, get, get_async, wait, wait_async
    from jobq.records import Alert, AttemptRecord, FoundJob, JobAct, JobRecord
    from jobq.references import use_sqlalchemy
    from jobq.registration import register_job, register_schedule
    from jobq.running import current
    from jobq.schedules import Schedule
    from jobq.web import lifespan, worker

__all__ = [
    "Alert",
    "AttemptRecord",
    "Cancel",
    "Command",
    "Defer",
    "Fail",
    "FoundJob",
    "Gate",
    "Job",
    "JobAct",
    "JobCancelled",
    "JobInterrupted",
    "JobNotFinished",
    "JobNotFound",
    "JobRecord",
    "JobTimedOut",
    "JobqError",
    "Rate",
    "Schedule",
    "Secret",
    "around_attempts",
    "current",
    "enqueue_many",
    "enqueue_many_async",
    "find",
    "find_async",
    "get",
    "get_async",
    "job",
    "lifespan",
    "register_job",
    "register_schedule",
    "use_flask",
    "use_sqlalchemy",
    "wait",
    "wait_async",
    "worker",
]

__version__ = "0.1.0"

_HOMES = {
    **dict.fromkeys(("Cancel", "Defer", "Fail", "JobCancelled", "JobInterrupted", "JobTimedOut"), "jobq.directives"),
    **dict.fromkeys(("enqueue_many", "enqueue_many_async"), "jobq.enqueueing"),
    **dict.fromkeys(("Alert", "AttemptRecord", "FoundJob", "JobAct", "JobRecord"), "jobq.records"),
    **dict.fromkeys(("Gate", "Rate"), "jobq.gates"),
    **dict.fromkeys(("JobNotFinished", "JobNotFound", "JobqError"), "jobq.errors"),
    **dict.fromkeys(("find", "find_async", "get", "get_async", "wait", "wait_async"), "jobq.handles"),
    **dict.fromkeys(("lifespan", "worker"), "jobq.web"),
    **dict.fromkeys(("register_job", "register_schedule"), "jobq.registration"),
    "Command": "jobq.command",
    "Job": "jobq.base",
    "Schedule": "jobq.schedules",
    "Secret": "jobq.arguments",
    "around_attempts": "jobq.frameworks.surroundings",
    "current": "jobq.running",
    "job": "jobq.functions",
    "use_flask": "jobq.frameworks.flask",
    "use_sqlalchemy": "jobq.references",
}
"""The modules that define the names of `__all__`. They are imported on first use, so that a command of the shell, or a
process that only looks, does not wait for modules that it does not need."""


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_HOMES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

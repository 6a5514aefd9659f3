"""Django's `TaskResult` of a job: as it is enqueued, as it runs, and as the database has it."""

import builtins
import inspect
import os
from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime
from traceback import format_exception
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.utils import timezone

from jobq import arguments
from jobq.django.task_api import as_json, base
from jobq.errors import ArgumentsError
from jobq.records import AttemptRecord
from jobq.states import FINISHED, Outcome, State
from jobq.store.database import host_name
from jobq.store.task_results import TaskAttempt, TaskRow

if TYPE_CHECKING:
    from jobq.django.task_jobs import TaskJob

Status = base.TaskResultStatus

FAILURES = (Outcome.ERRORED, Outcome.CANCELLED, Outcome.LOST)

EARLIER = "an earlier worker"
"""In a running task: the workers of earlier attempts. A child does not ask the database."""


def new(task: Any, args: Any, kwargs: Any, *, backend: str, **known: Any) -> Any:
    """The result of a task that has not run. Raises TypeError if an argument is not JSON."""
    unknown = dict.fromkeys(("enqueued_at", "started_at", "finished_at", "last_attempted_at"))
    return base.TaskResult(
        **{
            **unknown,
            "id": "",
            "status": Status.READY,
            "errors": [],
            "worker_ids": [],
            **known,
            "task": task,
            "args": as_json(args),
            "kwargs": as_json(kwargs),
            "backend": backend,
        }
    )


def change(result: Any, **changes: Any) -> Any:
    """Sets fields of a result, which is frozen for all other code."""
    for name, value in changes.items():
        object.__setattr__(result, name, value)
    return result


# In the process that runs the task


def begun(job: "TaskJob") -> Any:
    """The result of a job that begins now, in this process."""
    now = timezone.now()
    args, kwargs = job._constructor_arguments
    running = job.job
    return new(
        as_enqueued(job.task, running.queue, running.priority),
        args,
        kwargs,
        backend=job.task.backend,
        id=str(running.id),
        status=Status.RUNNING,
        enqueued_at=local(running.enqueued_at),
        started_at=now,
        last_attempted_at=now,
        worker_ids=[EARLIER] * (running.attempt - 1) + [f"{host_name()}/{os.getppid()}"],
    )


def succeed(result: Any, value: Any) -> None:
    change(result, status=Status.SUCCESSFUL, finished_at=timezone.now(), _return_value=value)


def fail(result: Any, error: BaseException) -> None:
    kind = type(error)
    described = base.TaskError(
        exception_class_path=f"{kind.__module__}.{kind.__qualname__}", traceback="".join(format_exception(error))
    )
    change(result, status=Status.FAILED, finished_at=timezone.now(), errors=[*result.errors, described])


def aborted(job: "TaskJob", attempt: AttemptRecord) -> Any:
    """The result of an attempt whose end was seen by another process."""
    result = begun(job)
    return change(
        result,
        status=Status.FAILED,
        started_at=None if attempt.started_at is None else local(attempt.started_at),
        worker_ids=[] if attempt.started_at is None else result.worker_ids,
        finished_at=local(attempt.ended_at),
        errors=[error_of(attempt)],
    )


# From the database


def from_row(row: TaskRow, job_class: "type[TaskJob]", *, backend: str) -> Any:
    """The result of a job as the database has it."""
    made = [attempt for attempt in row.attempts if attempt.worker is not None]
    starts = [attempt.started_at for attempt in made if attempt.started_at] + (
        [row.started_at] if row.started_at is not None else []
    )
    args, kwargs = call_of(job_class, row.arguments)
    result = new(
        as_enqueued(job_class.task, row.queue, row.priority, backend=backend, run_after=run_after_of(row)),
        args,
        kwargs,
        backend=backend,
        id=str(row.id),
        status=status_of(row),
        enqueued_at=local(row.enqueued_at),
        started_at=local(min(starts)) if starts else None,
        last_attempted_at=local(max(starts)) if starts else None,
        finished_at=None if row.ended_at is None else local(row.ended_at),
        errors=[error_of(attempt) for attempt in row.attempts if attempt.outcome in FAILURES],
        worker_ids=[attempt.worker for attempt in made] + ([row.worker] if row.worker is not None else []),
    )
    if row.outcome == Outcome.SUCCESSFUL:
        change(result, _return_value=decoded(row.attempts[-1].value))
    return result


def status_of(row: TaskRow) -> Any:
    if row.state == FINISHED:
        return Status.SUCCESSFUL if row.outcome == Outcome.SUCCESSFUL else Status.FAILED
    return Status.RUNNING if row.state == State.RUNNING else Status.READY


def run_after_of(row: TaskRow) -> datetime | None:
    """The earliest start of the first attempt."""
    first = row.attempts[0].run_at if row.attempts else row.run_at
    return local(first) if first > row.enqueued_at else None


def as_enqueued(task: Any, queue: str, priority: int, **changes: Any) -> Any:
    """The task as it was enqueued. Not validated again: Django must not refuse an operator's choice."""
    changes |= {"queue_name": queue, "priority": priority}
    copy = object.__new__(type(task))
    for field in fields(task):
        object.__setattr__(copy, field.name, changes.get(field.name, getattr(task, field.name)))
    return copy


def call_of(job_class: "type[TaskJob]", stored: str) -> tuple[list[Any], dict[str, Any]]:
    """The stored arguments as a call: by position until one is left out, then by name.

    All by name if they no longer fit the function, or were written by hand.
    """
    named = {name: decoded(value) for name, value in as_object(stored).items()}
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    is_by_position = True
    signature = arguments.signature_of(job_class)  # type: ignore[arg-type]  # a class has a hash
    for parameter in signature.parameters.values():
        name = arguments.stored_name(parameter)
        if name not in named:
            is_by_position = is_by_position and name.startswith("*")
            continue
        value = named.pop(name)
        if parameter.kind is parameter.VAR_POSITIONAL and isinstance(value, list):
            args += value
        elif parameter.kind is parameter.VAR_KEYWORD and isinstance(value, dict):
            kwargs |= value
        elif is_by_position and parameter.kind is not parameter.KEYWORD_ONLY:
            args.append(value)
        else:
            kwargs[name] = value
    return args, {**kwargs, **named}


def decoded(stored: Any) -> Any:
    """A stored value as JSON, the only type that Django's tasks know. Tagged values stay in their stored form."""
    try:
        return as_json(arguments.decoded(stored, row=lambda _adapter, stored: stored))
    except (ArgumentsError, TypeError, ValueError):
        return arguments.without_secrets(stored)


def as_object(stored: str) -> Mapping[str, Any]:
    loaded = arguments.legible(stored)
    return loaded if isinstance(loaded, dict) else {"unreadable": loaded}


def error_of(attempt: TaskAttempt | AttemptRecord) -> Any:
    """The error of an attempt. If it has no traceback (for example a process that was killed), jobq's message replaces
    it."""
    traceback = attempt.traceback or f"{attempt.error_type}: {attempt.error_message or attempt.outcome}\n"
    return base.TaskError(exception_class_path=path_of(attempt.error_type or ""), traceback=traceback)


def path_of(error_type: str) -> str:
    """The dotted path of an exception. An end without an exception is an error of jobq's."""
    if "." in error_type:
        return error_type
    if inspect.isclass(found := getattr(builtins, error_type, None)) and issubclass(found, BaseException):
        return f"builtins.{error_type}"
    return ENDS.get(error_type, "jobq.errors.JobqError")


ENDS = {
    "Cancelled": "jobq.directives.JobCancelled",
    "Expired": "jobq.directives.JobCancelled",
    "TimedOut": "jobq.directives.JobTimedOut",
}
"""The class in a result for an end without an exception, so that code can recognize it."""


def local(moment: datetime) -> datetime:
    """A time for Django: aware, unless USE_TZ is off."""
    return moment if settings.USE_TZ else timezone.make_naive(moment)

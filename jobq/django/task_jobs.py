"""The Job class of each task, which a worker runs. Registered under the task's dotted path when the task is defined."""

import inspect
from datetime import timedelta
from typing import Any, ClassVar

from jobq.base import Job
from jobq.directives import Cancel, Defer, Fail, JobCancelled
from jobq.django import results
from jobq.django.task import option, rules_of, schedule_of, unique_key_of
from jobq.django.task_api import as_json, base, signals
from jobq.functions import constructor_like
from jobq.records import AttemptRecord
from jobq.registration import register_job
from jobq.registry import registry
from jobq.states import may_retry


class TaskJob(Job):
    """The base of these classes; its constructor has the parameters of the function."""

    task: ClassVar[Any]  # as it was defined

    def get_queue(self) -> str:
        queue: str = self.task.queue_name
        return queue

    def get_priority(self) -> int:
        priority: int = self.task.priority
        return priority

    def get_retries(self) -> int:
        retries: int = option(self.task, "retries", 0)
        return retries

    def get_retry_delay(self, attempt: int) -> float:
        delay = option(self.task, "retry_delay", 0)
        seconds: float = delay(attempt) if callable(delay) else delay
        return seconds

    def get_timeout(self) -> float | timedelta | None:
        timeout: float | timedelta | None = option(self.task, "timeout")
        return timeout

    def get_unique_key(self) -> str | None:
        args, kwargs = self._constructor_arguments
        return unique_key_of(self.task, args, kwargs)

    def run(self) -> Any:
        result = results.begun(self)
        signals.task_started.send_robust(sender_of(self), task_result=result)
        try:
            value = as_json(self._call(result))
        except BaseException as error:
            if self._ends_with(error):
                results.fail(result, error)
                signals.task_finished.send_robust(sender_of(self), task_result=result)
            raise
        results.succeed(result, value)
        signals.task_finished.send_robust(sender_of(self), task_result=result)
        return value

    def on_aborted(self, result: AttemptRecord) -> None:
        """Reports the end of a task that could not report it itself: it was killed, or cancelled before it began."""
        if not result.retried:
            signals.task_finished.send_robust(sender_of(self), task_result=results.aborted(self, result))

    def _call(self, result: Any) -> Any:
        args, kwargs = self._constructor_arguments
        context = [base.TaskContext(task_result=result)] if self.task.takes_context else []
        return self.task.func(*context, *args, **kwargs)

    def _ends_with(self, error: BaseException) -> bool:
        """Whether no other attempt follows one that raised this."""
        if isinstance(error, Cancel | JobCancelled | Fail):
            return True
        if isinstance(error, Defer) and not error.counts_as_attempt:
            return False
        return not may_retry(tries=self.job.tries, retries=self.job.retries)


class AsyncTaskJob(TaskJob):
    """The same for a coroutine function."""

    async def run(self) -> Any:
        result = results.begun(self)
        await signals.task_started.asend_robust(sender_of(self), task_result=result)
        try:
            value = as_json(await self._call(result))
        except BaseException as error:
            if self._ends_with(error):
                results.fail(result, error)
                await signals.task_finished.asend_robust(sender_of(self), task_result=result)
            raise
        results.succeed(result, value)
        await signals.task_finished.asend_robust(sender_of(self), task_result=result)
        return value


def sender_of(job: TaskJob) -> type:
    return type(job.task.get_backend())


def register(task: Any) -> "type[TaskJob]":
    """Registers the Job class of a task, once: a task from `using()` runs as the task that was defined."""
    known = find(task.module_path)
    if known is not None and known.task.func is task.func:
        return known
    job_class = job_class_of(task)
    register_job(job_class)
    return job_class


def find(name: str) -> "type[TaskJob] | None":
    """The class of a task, by its dotted path."""
    found = registry.find(name)
    return found if found is not None and issubclass(found, TaskJob) else None


def job_class_of(task: Any) -> "type[TaskJob]":
    function = task.func
    kind = AsyncTaskJob if inspect.iscoroutinefunction(function) else TaskJob
    members = {
        "__module__": function.__module__,
        "__qualname__": function.__qualname__,
        "__doc__": function.__doc__ or f"The task {task.name}.",
        "__init__": constructor_like(function, leave_out=1 if task.takes_context else 0),
        "task": task,
        **rules_of(task),
        "schedule": schedule_of(task),
    }
    return type(function.__name__, (kind,), members)

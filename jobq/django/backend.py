"""The backend of `django.tasks` that enqueues into jobq."""

from collections.abc import Iterator
from contextvars import ContextVar
from datetime import datetime
from typing import Any

from django.core.checks import CheckMessage
from django.utils import timezone

from jobq import enqueueing
from jobq.django import database, results, task_jobs
from jobq.django.checks import check_engine
from jobq.django.task import JobqTask, check_options, option, unique_key_of
from jobq.django.task_api import BaseTaskBackend, TaskResultDoesNotExist, signals
from jobq.errors import EnqueueError
from jobq.records import JobRecord, NewJob
from jobq.store import callers, task_results

HOLDER_ROUNDS = 3
"""The job that holds a unique key may end while it is being looked up: then the key is free."""

MAX_ID = 2**63 - 1


class JobqBackend(BaseTaskBackend):
    """Tasks as jobs: on Django's own connection, and so in its transaction."""

    task_class = JobqTask
    supports_defer = True
    supports_async_task = True
    supports_get_result = True
    supports_priority = True

    def validate_task(self, task: Any) -> None:
        """Checks a task, and registers its job for workers: Django validates a task when it is defined."""
        super().validate_task(task)
        check_options(task)
        task_jobs.register(task)

    def enqueue(self, task: Any, args: Any, kwargs: Any) -> Any:
        """Adds the job, as part of the transaction of Django's connection if there is one.

        If an unfinished task holds its unique key, that task's result is returned, whatever `on_held` did to it. Raises
        EnqueueError if none holds it, but `unique_for` still blocks the key.
        """
        self.validate_task(task)
        result = results.new(task, args, kwargs, backend=self.alias)
        new = new_job(task, result.args, result.kwargs)
        for _ in range(HOLDER_ROUNDS):
            (record,) = enqueueing.added_to_database([new], database.connection())
            if record is not None and record.on_held in ("returned", "followed"):
                return self.get_result(str(record.id))
            if record is not None:
                return self._enqueued(result, record)
            if (held := self._holder(new)) is not None:
                return held
        if new.key_rules is not None and new.key_rules.unique_for is not None:
            raise EnqueueError(
                f"{new.job_class} with the unique key {new.unique_key!r} was enqueued less than "
                f"{new.key_rules.unique_for:g} s ago, and its unique_for lets no other through."
            )
        raise EnqueueError(
            f"{new.job_class} with the unique key {new.unique_key!r} was not enqueued: another transaction holds the "
            "key, and this one cannot see it. Do it again in a new transaction."
        )

    async def aenqueue(self, task: Any, args: Any, kwargs: Any) -> Any:
        token = _source.set(source_of_caller())  # the thread has no frames of the caller's
        try:
            return await super().aenqueue(task, args, kwargs)
        finally:
            _source.reset(token)

    def get_result(self, result_id: Any) -> Any:
        """The result of a task. Raises TaskResultDoesNotExist, also for jobs that are not tasks of this application."""
        row = self._read(result_id)
        job_class = None if row is None else task_jobs.find(row.job_class)
        if row is None or job_class is None:
            raise TaskResultDoesNotExist(result_id)
        return results.from_row(row, job_class, backend=self.alias)

    def check(self, **_kwargs: Any) -> Iterator[CheckMessage]:
        yield from check_engine()

    def _enqueued(self, result: Any, record: JobRecord) -> Any:
        results.change(result, id=str(record.id), enqueued_at=results.local(record.enqueued_at))
        signals.task_enqueued.send(type(self), task_result=result)
        return result

    def _holder(self, new: NewJob) -> Any:
        assert new.unique_key is not None
        steps = task_results.holder(database.schema(), new.job_class, new.unique_key)
        job_id = callers.on(database.connection(), steps)
        return None if job_id is None else self.get_result(str(job_id))

    def _read(self, result_id: Any) -> task_results.TaskRow | None:
        text = str(result_id)
        if not (text.isascii() and text.isdecimal() and 0 < int(text) <= MAX_ID):
            return None
        return callers.on(database.connection(), task_results.reading(database.schema(), int(text)))


def new_job(task: Any, args: list[Any], kwargs: dict[str, Any]) -> NewJob:
    """A task in the form of a table row, with its own options, which may differ from its definition."""
    job_class = task_jobs.find(task.module_path)
    assert job_class is not None  # it has been validated
    return enqueueing.new_job(
        job_class(*args, **kwargs),
        queue=task.queue_name,
        delay=aware(task.run_after),
        priority=int(task.priority),
        retries=option(task, "retries", 0),
        unique_key=unique_key_of(task, args, kwargs) or "",
        timeout=option(task, "timeout"),
        expires=option(task, "expires"),
        source=source_of_caller(),
    )


def aware(moment: datetime | None) -> datetime | None:
    """With USE_TZ off, Django's times are naive, in its time zone."""
    return timezone.make_aware(moment) if moment is not None and timezone.is_naive(moment) else moment


_source: ContextVar[str | None] = ContextVar("jobq_source", default=None)


def source_of_caller() -> str:
    return _source.get() or enqueueing.source_of_caller()

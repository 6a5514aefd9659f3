"""The running attempt: what a job, or `current()`, can ask it and tell it."""

from contextvars import ContextVar
from typing import Any, Protocol

from jobq.errors import AttemptSuperseded, NotRunning
from jobq.options import shortened
from jobq.records import Assignment, Completion, RunningJob

MAX_MESSAGE_CHARACTERS = 500
MAX_PROGRESS = 10**15


class Attempt(Protocol):
    """The runner sets this on a job while it runs."""

    @property
    def job(self) -> RunningJob: ...

    @property
    def cancel_requested(self) -> bool: ...

    def progress(self, done: float, total: float | None, message: str | None) -> None: ...

    def completion(self, value: Any) -> Completion | None: ...

    def completed(self) -> None: ...

    lines: Any
    """What it has logged and printed, as a worker's child keeps that. None until there is something."""

    @property
    def assigned(self) -> tuple[Assignment, float]:
        """What it was assigned, and when it began, by the monotonic clock."""
        ...


CURRENT: ContextVar[Attempt | None] = ContextVar("jobq_current", default=None)
"""The attempt that this thread or this coroutine runs. Each coroutine has its own context."""


class OfRunningJob:
    """The property `job`, as a descriptor with low priority: a job may have its own attribute of that name."""

    def __get__(self, instance: "WithAttempt | None", owner: type) -> RunningJob:
        attempt = None if instance is None else instance._attempt
        if attempt is None:
            raise NotRunning("self.job is there only while the job runs: use it in run().")
        return attempt.job


class WithAttempt:
    """What a job can do while it runs. Before and after that, it has no attempt."""

    _attempt: Attempt | None = None

    job = OfRunningJob()
    """The job's knowledge of itself while it runs: id, attempt, queue, enqueued_at, … (`RunningJob`)."""

    @property
    def cancel_requested(self) -> bool:
        """Whether this running job has been told to stop: for its threads, and for code that caught JobCancelled."""
        return self._attempt is not None and self._attempt.cancel_requested

    def progress(self, done: float, total: float | None = None, message: str | None = None) -> None:
        """Reports the progress of this running job. Call it as often as you like: the latest report is stored once a
        second."""
        for name, value in (("done", done), ("total", total)):
            if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
                raise TypeError(f"progress: {name} is {shortened(value)}, but must be a number.")
            if value is not None and not -MAX_PROGRESS <= value <= MAX_PROGRESS:  # also refuses NaN
                raise ValueError(f"progress: {name} is {shortened(value)}, but must be within ±{MAX_PROGRESS:.0e}.")
        if message is not None:
            message = str(message)[:MAX_MESSAGE_CHARACTERS]
        if self._attempt is not None:
            self._attempt.progress(done, total, message)

    def complete(self, connection: Any, value: Any = None) -> None:
        """Records this running job as successful on a connection of yours: its end commits together with its effects.

        From then on the job is done if, and only if, that transaction commits. If its process is killed before the
        commit, the job runs again. Commit before run() returns: a transaction that is rolled back ends the job as
        errored, and one that is left open delays its record. `value` replaces the return value of run(). Raises
        AttemptSuperseded if this attempt is no longer the job's current one: another one may be running.
        """
        if (completion := self._completion(value)) is None:
            return
        from jobq.store import callers, jobs
        from jobq.store.database import default_database

        steps = jobs.completing(default_database().schema, completion.worker_id, completion.report)
        self._completed(callers.on(connection, steps))

    async def complete_async(self, connection: Any, value: Any = None) -> None:
        """`complete` on a connection of an event loop, as in `run_in_worker_async`."""
        if (completion := self._completion(value)) is None:
            return
        from jobq.store import callers, jobs
        from jobq.store.database import default_database

        steps = jobs.completing(default_database().schema, completion.worker_id, completion.report)
        self._completed(await callers.on_async(connection, steps))

    def _completion(self, value: Any) -> Completion | None:
        """The report to record. None if no worker runs this job: then there is nothing to record."""
        if self._attempt is None:
            raise NotRunning("complete() is for a job that runs: call it in run().")
        return self._attempt.completion(value)

    def _completed(self, is_ours: bool) -> None:
        assert self._attempt is not None
        if not is_ours:
            job = self._attempt.job
            raise AttemptSuperseded(
                f"Attempt {job.attempt} of job {job.id} has been taken from this worker, or has been completed "
                "already. Let its transaction roll back."
            )
        self._attempt.completed()


class CurrentJob(WithAttempt):
    """The job that runs here, for code that has no `self`: functions, and code that jobs call."""

    def __init__(self, attempt: Attempt) -> None:
        self._attempt = attempt

    def __repr__(self) -> str:
        return f"<CurrentJob {self.job}>"


def current() -> CurrentJob:
    """The job that is running this code: `current().job.id`, `current().progress(3, 10)`. Raises NotRunning outside.

    It works in the job's own thread or coroutine, in tasks and `asyncio.to_thread` that it starts, and in threads that
    run in a copy of its context: `Thread(target=contextvars.copy_context().run, args=(work,))`.
    """
    if (attempt := CURRENT.get()) is None:
        raise NotRunning(
            "current() is known only inside a running job. In a thread that the job starts, run the thread's function "
            "in contextvars.copy_context()."
        )
    return CurrentJob(attempt)

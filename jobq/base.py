"""`Job`: what users subclass."""

from collections.abc import Coroutine, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self

from jobq.enqueueing import added_to_database, added_to_database_async, new_job, only
from jobq.errors import AttemptSuperseded, NotRunning
from jobq.options import shortened
from jobq.records import AttemptRecord, Completion, JobRecord, RunningJob

if TYPE_CHECKING:
    from typing import Unpack

    from jobq.options import Options
    from jobq.schedules import Schedule

MAX_MESSAGE_CHARACTERS = 500
MAX_PROGRESS = 10**15


class Attempt(Protocol):
    """What whoever runs a job puts into it for as long as it runs."""

    @property
    def job(self) -> RunningJob: ...

    @property
    def cancel_requested(self) -> bool: ...

    def progress(self, done: float, total: float | None, message: str | None) -> None: ...

    def completion(self, value: Any) -> Completion | None: ...

    def completed(self) -> None: ...


class OfRunningJob:
    """`Job.job`, as a descriptor that gives way: a job may have an attribute of its own by that name."""

    def __get__(self, instance: "Job | None", owner: type) -> RunningJob:
        attempt = None if instance is None else instance.__dict__.get("_attempt")
        if attempt is None:
            raise NotRunning("self.job is there only while the job runs: use it in run().")
        found: RunningJob = attempt.job
        return found


class Job:
    """A unit of work: subclass it, define `run()`, register the class, enqueue instances.

        @register_job
        class WelcomeUser(Job):
            def __init__(self, user_id: int):
                self.user_id = user_id

            def run(self):
                ...

        WelcomeUser(1).run_in_worker()

    What the constructor is called with is stored as JSON; a worker calls it again with the same.
    """

    schedule: "ClassVar[Schedule | None]" = None
    """When jobs of this class are enqueued by themselves."""

    schedules: "ClassVar[Sequence[Schedule]]" = ()
    """The same several times over, each with a name and arguments of its own."""

    end_processes = False
    """Whether processes that `run()` started and left running are killed when it ends. If not, they are warned about
    once, and end with the process that ran the job."""

    retry_when_row_is_gone = False
    """Whether a job is retried like after any error when a row that it was given is not there any more."""

    _constructor_arguments: tuple[tuple[Any, ...], dict[str, Any]]
    _attempt: Attempt | None = None

    job = OfRunningJob()
    """What the job knows of itself while it runs: id, attempt, queue, enqueued_at, … (`RunningJob`)."""

    def __new__(cls, /, *args: Any, **kwargs: Any) -> Self:
        self = super().__new__(cls)
        object.__setattr__(self, "_constructor_arguments", (args, kwargs))  # also in a frozen dataclass
        return self

    def run(self) -> Any:
        """Does the work, in a child process of a worker. What it returns is kept where it can be JSON."""
        raise NotImplementedError(f"{type(self).__name__} does not define run()")

    def get_queue(self) -> str:
        """The queue to wait in."""
        return "default"

    def get_priority(self) -> int:
        """Higher first: 10 before 0 before -10."""
        return 0

    def get_retries(self) -> int:
        """How many more attempts there are after an error."""
        return 0

    def get_retry_delay(self, attempt: int) -> float:
        """Seconds before the retry that follows `attempt`; the first attempt is 1. `jobq.retries` has some."""
        return 0

    def get_timeout(self) -> float | timedelta | None:
        """Seconds that each attempt may run; then it ends as errored, and is retried like after any error."""
        return None

    def get_unique_key(self) -> str | None:
        """While an unfinished job of this class has the same key, no other is enqueued. None or "": no key."""
        return None

    def on_aborted(self, result: AttemptRecord) -> None:
        """Called for an attempt whose run() could not see its own end: lost, killed, or cancelled before it began.

        On an instance made again from the arguments, in a child of any worker that knows the class, some time later.
        What it raises is logged, and changes nothing. It may be called twice where a worker dies during the call.
        """

    @classmethod
    def _has_abort_hook(cls) -> bool:
        return cls.on_aborted is not Job.on_aborted

    @property
    def cancel_requested(self) -> bool:
        """Whether this running job has been told to stop: for its threads, and for who has caught JobCancelled."""
        return self._attempt is not None and self._attempt.cancel_requested

    def progress(self, done: float, total: float | None = None, message: str | None = None) -> None:
        """Says how far this running job is. As often as it likes: what it said last is stored once a second."""
        for name, value in (("done", done), ("total", total)):
            if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
                raise TypeError(f"progress: {name} is {shortened(value)}, but must be a number.")
            if value is not None and not -MAX_PROGRESS <= value <= MAX_PROGRESS:  # nor is it, where it is no number
                raise ValueError(f"progress: {name} is {shortened(value)}, but must be within ±{MAX_PROGRESS:.0e}.")
        if message is not None:
            message = str(message)[:MAX_MESSAGE_CHARACTERS]
        if self._attempt is not None:
            self._attempt.progress(done, total, message)

    def run_in_worker(
        self,
        *,
        queue: str | None = None,
        delay: float | timedelta | datetime | None = None,
        priority: int | None = None,
        retries: int | None = None,
        unique_key: str | None = None,
        timeout: float | timedelta | None = None,
        expires: float | timedelta | datetime | None = None,
        connection: Any = None,
    ) -> JobRecord | None:
        """Enqueues the job; what is passed wins over the methods.

        `delay` is in seconds, a timedelta, or an aware datetime before which the job does not start; `expires` is the
        same, after which it does not start any more, but ends as cancelled. `timeout` is how long each attempt may run.
        With a `connection` of yours (psycopg's, a Connection or Session of SQLAlchemy, Django's) the job is part of its
        transaction.

        Returns the job's record, or None where an unfinished job holds its unique key. Raises ArgumentsError where
        the arguments cannot be stored, EnqueueError where an option cannot be, DatabaseError where the database
        could not take it; of these, AnswerLost says that the job may have been enqueued all the same.
        """
        new = new_job(
            self,
            queue=queue,
            delay=delay,
            priority=priority,
            retries=retries,
            unique_key=unique_key,
            timeout=timeout,
            expires=expires,
        )
        (record,) = added_to_database([new], connection)
        return record

    def run_in_worker_async(
        self, *, connection: Any = None, **options: "Unpack[Options]"
    ) -> Coroutine[Any, Any, JobRecord | None]:
        """`run_in_worker` for code that runs in an event loop, to be awaited: it does not hold the loop up.

        `connection` is psycopg's AsyncConnection, or an AsyncConnection or AsyncSession of SQLAlchemy.
        """
        return only(added_to_database_async([new_job(self, **options)], connection))

    def complete(self, connection: Any, value: Any = None) -> None:
        """Records this running job as successful on a connection of yours: its end commits with what it has done there.

        From then on the job is done if, and only if, that transaction commits. If it is cut off by whatever kills the
        process, the job runs again. Commit before run() returns: a transaction that is rolled back ends the job as
        errored, and one that is left open holds its record back. `value` takes the place of what run() returns.
        Raises AttemptSuperseded where this attempt is not the job's any more: another one may be running.
        """
        if (completion := self._completion(value)) is None:
            return
        from jobq.store import callers, jobs
        from jobq.store.database import default_database

        steps = jobs.completing(default_database().schema, completion.worker_id, completion.report)
        self._completed(callers.on(connection, steps))

    async def complete_async(self, connection: Any, value: Any = None) -> None:
        """`complete` on a connection of an event loop."""
        if (completion := self._completion(value)) is None:
            return
        from jobq.store import callers, jobs
        from jobq.store.database import default_database

        steps = jobs.completing(default_database().schema, completion.worker_id, completion.report)
        self._completed(await callers.on_async(connection, steps))

    def _completion(self, value: Any) -> Completion | None:
        """What is to be recorded; None where no worker runs this job, and there is nothing to record."""
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

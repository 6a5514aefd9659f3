"""`Job`: what users subclass, and how an instance of it becomes a row."""

import json
import os
import sys
from collections.abc import Coroutine, Iterable, Sequence
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self, TypedDict

from jobq import arguments, references, telemetry  # noqa: F401 - rows are arguments by its being imported
from jobq.errors import ArgumentsError, AttemptSuperseded, EnqueueError, NotRunning, UnknownJobClass
from jobq.on_demand import OnDemand
from jobq.records import AttemptRecord, Completion, JobRecord, NewJob, NewJobs, RunningJob
from jobq.registry import has_abort_hook, name_of, registry

if TYPE_CHECKING:
    from typing import Unpack

    from jobq.schedules import Schedule
    from jobq.store.jobs import Added

MAX_QUEUE_CHARACTERS = 100
MAX_KEY_CHARACTERS = 250
MAX_PRIORITY = 32767
MAX_RETRIES = 1_000_000
MAX_DELAY_SECONDS = 100 * 365.25 * 86400
MAX_MESSAGE_CHARACTERS = 500
MAX_PROGRESS = 10**15
LATEST_YEAR = 9998  # Python's datetime ends with the year 9999, in whatever zone it is read

PACKAGE_FOLDER = str(Path(__file__).parent) + os.sep
DEMO_FOLDER = PACKAGE_FOLDER + "demo" + os.sep  # an application like any other


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
        self._completed(callers.carry_out(callers.driver_connection(connection), steps))

    async def complete_async(self, connection: Any, value: Any = None) -> None:
        """`complete` on a connection of an event loop."""
        if (completion := self._completion(value)) is None:
            return
        from jobq.store import callers, jobs
        from jobq.store.database import default_database

        steps = jobs.completing(default_database().schema, completion.worker_id, completion.report)
        found = await callers.async_driver_connection(connection)
        self._completed(await callers.carry_out_async(found, steps))

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


class Options(TypedDict, total=False):
    """What `run_in_worker` can be told."""

    queue: str | None
    delay: float | timedelta | datetime | None
    priority: int | None
    retries: int | None
    unique_key: str | None
    timeout: float | timedelta | None
    expires: float | timedelta | datetime | None


def enqueue_many(jobs: Iterable[Job], *, connection: Any = None) -> Sequence[JobRecord | None]:
    """Enqueues many jobs at once, all or none: some hundred times as fast as one by one.

    Queue, priority, retries and unique key are what each job's methods say; `connection` is as in `Job.run_in_worker`.
    Returns their records in the order given, None for each whose unique key is held by an unfinished job or by an
    earlier one in the list. Raises as `Job.run_in_worker` does; then none is enqueued.
    """
    return added_to_database(new_jobs(jobs, source_of_caller()), connection)


def enqueue_many_async(
    jobs: Iterable[Job], *, connection: Any = None
) -> Coroutine[Any, Any, Sequence[JobRecord | None]]:
    """`enqueue_many` for code that runs in an event loop; `connection` is as in `Job.run_in_worker_async`."""
    return added_to_database_async(new_jobs(jobs, source_of_caller()), connection)


async def only(added: Coroutine[Any, Any, Sequence[JobRecord | None]]) -> JobRecord | None:
    (record,) = await added
    return record


def added_to_database(new: Sequence[NewJob], connection: Any) -> Sequence[JobRecord | None]:
    if not new:
        return []
    from jobq.store import callers
    from jobq.store import jobs as store
    from jobq.store.database import default_database

    database = default_database()
    with telemetry.sending(new) as sending:
        steps = store.adding_all(database.schema, sending.jobs)
        is_atomic = len(new) > 1
        if connection is not None:
            added = callers.carry_out(callers.driver_connection(connection), steps, is_atomic=is_atomic)
        else:
            database.prepare()
            with database.connection(changes=True) as own:
                added = callers.carry_out(own, steps, is_atomic=is_atomic)
        sending.sent(added, partial(callers.when_committed, connection))
    return OnDemand(range(len(new)), lambda place: record_of(new[place], added[place]))


async def added_to_database_async(new: Sequence[NewJob], connection: Any) -> Sequence[JobRecord | None]:
    if connection is None:
        # The pool of this process, which knows about forks, failovers and the embedded server; loops come and go.
        from asyncio import to_thread

        return await to_thread(added_to_database, new, None)
    if not new:
        return []
    from jobq.store import callers
    from jobq.store import jobs as store
    from jobq.store.database import default_database

    with telemetry.sending(new) as sending:
        steps = store.adding_all(default_database().schema, sending.jobs)
        found = await callers.async_driver_connection(connection)
        added = await callers.carry_out_async(found, steps, is_atomic=len(new) > 1)
        sending.sent(added, partial(callers.when_committed, connection))
    return OnDemand(range(len(new)), lambda place: record_of(new[place], added[place]))


def new_jobs(jobs: Iterable[Job], source: str | None) -> NewJobs:
    """Jobs as they go into the table. What several have in common is checked for the first of them."""
    max_bytes = most_bytes()
    alike: dict[tuple[Any, ...], NewJob] = {}
    likes, texts = [], []
    for job in jobs:
        queue, priority, retries = job.get_queue(), job.get_priority(), job.get_retries()
        key, timeout = job.get_unique_key(), job.get_timeout()
        # With their types: True is equal to 1, but no priority.
        kind = (type(job), queue, type(priority), priority, type(retries), retries, key, type(timeout), timeout)
        try:
            like = alike.get(kind)
        except TypeError:  # it has no hash: nothing of the kind is allowed
            like = None
        if like is None:
            like = new_job(
                job,
                queue=queue,
                priority=priority,
                retries=retries,
                unique_key=key,
                timeout=timeout,
                max_arguments_bytes=max_bytes,
                source=source,
            )
            text = like.arguments
            if key is None:
                alike[kind] = like
        else:
            text = encoded_arguments(job, max_bytes)
        likes.append(like)
        texts.append(text)
    return NewJobs(likes, texts)


def new_job(
    job: Job,
    *,
    queue: str | None = None,
    delay: float | timedelta | datetime | None = None,
    priority: int | None = None,
    retries: int | None = None,
    unique_key: str | None = None,
    timeout: float | timedelta | None = None,
    expires: float | timedelta | datetime | None = None,
    max_arguments_bytes: int | None = None,
    source: str | None = None,
) -> NewJob:
    """A Job as it goes into the table: every option checked, the arguments encoded.

    The limit of the arguments is that of the database's settings, unless it is given; the source is the caller's line.
    """
    job_class = type(job)
    name = name_of(job_class)
    if registry.find(name) is None:
        raise UnknownJobClass(f"{name} is not registered. Decorate the class with @register_job.")
    seconds, run_at = due(delay)
    expires_in, expires_at = checked_expiry(expires, seconds, run_at)
    return NewJob(
        job_class=name,
        arguments=encoded_arguments(job, most_bytes() if max_arguments_bytes is None else max_arguments_bytes),
        queue=checked_queue(job.get_queue() if queue is None else queue),
        priority=checked_int("priority", job.get_priority() if priority is None else priority, MAX_PRIORITY),
        retries=checked_int("retries", job.get_retries() if retries is None else retries, MAX_RETRIES, least=0),
        unique_key=checked_key(job.get_unique_key() if unique_key is None else unique_key),
        delay=seconds,
        run_at=run_at,
        source=source or source_of_caller(),
        timeout=checked_timeout(job.get_timeout() if timeout is None else timeout),
        expires_in=expires_in,
        expires_at=expires_at,
        has_abort_hook=has_abort_hook(job_class),
    )


def most_bytes() -> int:
    """The limit of the arguments, by the settings."""
    from jobq.store.database import default_database

    return default_database().settings.max_arguments_bytes


def encoded_arguments(job: Job, max_bytes: int) -> str:
    positional, named = job._constructor_arguments
    bound = arguments.bind(type(job), positional, named)
    try:
        return arguments.encode(bound, max_bytes=max_bytes)
    except ArgumentsError as error:
        raise ArgumentsError(f"{type(job).__name__}: {error}") from None


def due(
    delay: float | timedelta | datetime | None, name: str = "delay", past: str = "a job cannot start in the past"
) -> tuple[float, datetime | None]:
    """A delay as (seconds from now, None), or as (0, the time). `past` says why it cannot be negative."""
    if delay is None:
        return 0.0, None
    if isinstance(delay, datetime):
        if delay.tzinfo is None or delay.utcoffset() is None:
            raise EnqueueError(
                f"{name} is the naive datetime {delay.isoformat()}: give it a time zone, as in "
                "datetime.now(timezone.utc) + timedelta(hours=1)."
            )
        if not 1970 <= delay.year <= LATEST_YEAR:
            raise EnqueueError(f"{name} is {delay.isoformat()}, but the years are 1970 to {LATEST_YEAR}.")
        return 0.0, delay
    if isinstance(delay, timedelta):
        delay = delay.total_seconds()
    if isinstance(delay, bool) or not isinstance(delay, int | float) or delay != delay:
        raise EnqueueError(
            f"{name} is {shortened(delay)}, but must be seconds, a timedelta, or an aware datetime."
        )
    if delay < 0:
        raise EnqueueError(f"{name} is {shortened(delay)} seconds, but {past}. Leave it out.")
    if delay > MAX_DELAY_SECONDS:
        raise EnqueueError(f"{name} is {shortened(delay)} seconds, more than 100 years.")
    return float(delay), None


def checked_expiry(
    expires: float | timedelta | datetime | None, delay: float, run_at: datetime | None
) -> tuple[float | None, datetime | None]:
    """When a job expires as (seconds from now, None) or as (None, the time); (None, None): never."""
    if expires is None:
        return None, None
    seconds, moment = due(expires, "expires", "a job cannot expire in the past")
    if (moment is None and run_at is None and seconds <= delay) or (moment and run_at and moment <= run_at):
        raise EnqueueError(f"expires is {shortened(expires)}, which is not after the job is due: it would never run.")
    return (None, moment) if moment else (seconds, None)


def checked_timeout(timeout: Any) -> float | None:
    if timeout is None:
        return None
    seconds = timeout.total_seconds() if isinstance(timeout, timedelta) else timeout
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds <= MAX_DELAY_SECONDS:
        raise EnqueueError(
            f"timeout is {shortened(timeout)}, but must be seconds or a timedelta, above 0 and up to 100 years."
        )
    return float(seconds)


def checked_queue(queue: Any) -> str:
    if not isinstance(queue, str) or not queue or not queue.isprintable():
        raise EnqueueError(f"queue is {shortened(queue)}, but must be text without control characters.")
    if len(queue) > MAX_QUEUE_CHARACTERS:
        raise EnqueueError(
            f"queue is a name of {len(queue):,} characters, beginning {shortened(queue)}; "
            f"{MAX_QUEUE_CHARACTERS} are allowed."
        )
    return queue


def checked_key(key: Any) -> str | None:
    if key is None or key == "":
        return None
    if not isinstance(key, str) or not key.isprintable():
        raise EnqueueError(f"unique_key is {shortened(key)}, but must be text without control characters.")
    if len(key) > MAX_KEY_CHARACTERS:
        raise EnqueueError(
            f"unique_key has {len(key):,} characters, beginning {shortened(key)}; {MAX_KEY_CHARACTERS} are allowed. "
            "Use a hash of it."
        )
    return key


def checked_int(name: str, value: Any, most: int, *, least: int | None = None) -> int:
    least = -most if least is None else least
    if isinstance(value, bool) or not isinstance(value, int):
        raise EnqueueError(f"{name} is {shortened(value)}, but must be a whole number.")
    if not least <= value <= most:
        raise EnqueueError(f"{name} is {shortened(value)}, but must be between {least} and {most}.")
    return value


def shortened(value: Any) -> str:
    try:
        shown = repr(value)
    except Exception:  # noqa: BLE001 - a repr of the user's own may raise anything; this is for an error message
        shown = f"a {type(value).__name__}"
    return shown if len(shown) <= 60 else f"{shown[:57]}…"


def source_of_caller() -> str | None:
    """file:line of the nearest frame outside jobq."""
    frame = sys._getframe(1)
    while frame.f_back is not None and is_own(frame.f_code.co_filename):
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


def is_own(filename: str) -> bool:
    return filename.startswith(PACKAGE_FOLDER) and not filename.startswith(DEMO_FOLDER)


def record_of(new: NewJob, added: "Added | None") -> JobRecord | None:
    if added is None:
        return None
    return JobRecord(
        id=added.id,
        job_class=new.job_class,
        queue=new.queue,
        priority=new.priority,
        state=added.state,
        outcome=None,
        attempt=0,
        retries=new.retries,
        unique_key=new.unique_key,
        arguments=arguments.without_secrets(json.loads(new.arguments)),
        enqueued_at=added.enqueued_at,
        run_at=added.run_at,
        source=new.source,
        timeout=new.timeout,
        expires_at=added.expires_at,
    )

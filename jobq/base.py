"""`Job`: what users subclass."""

from collections.abc import Coroutine, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Self

from jobq.enqueueing import added_to_database, added_to_database_async, new_job, only
from jobq.options import checked_key_rules
from jobq.records import AttemptRecord, JobRecord, KeyRules
from jobq.running import WithAttempt

if TYPE_CHECKING:
    from typing import Unpack

    from jobq.options import OnHeld, Options, UniqueUntil
    from jobq.schedules import Schedule

class Job(WithAttempt):
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

    on_held: "ClassVar[OnHeld]" = "skip"
    """What happens to a new job when an unfinished job of its class, the holder, has its unique key.

    skip: it is not enqueued. return: it is not enqueued, and the holder's record is returned. replace: a waiting holder
    gets its arguments and options. debounce: the same, and the holder waits its delay again, up to `debounce_limit`.
    rerun: a waiting holder is replaced; a running one is followed by one more run. newest: as rerun, and a running
    holder is cancelled. docs/unique-keys.md has examples.
    """

    unique_until: "ClassVar[UniqueUntil]" = "finished"
    """When a job lets go of its unique key: when it has finished, or when it has started."""

    unique_for: ClassVar[float | timedelta | None] = None
    """Seconds after a job is enqueued in which no other with its unique key is, even when it has finished by then."""

    debounce_limit: ClassVar[float | timedelta | None] = None
    """With on_held = "debounce": the job is due this many seconds after the first enqueue at the latest."""

    _constructor_arguments: tuple[tuple[Any, ...], dict[str, Any]]

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
        """While an unfinished job of this class has the same key, no other is enqueued. None or "": no key.

        `on_held`, `unique_until` and `unique_for` say otherwise.
        """
        return None

    def on_aborted(self, result: AttemptRecord) -> None:
        """Called for an attempt whose run() could not see its own end: lost, killed, or cancelled before it began.

        On an instance made again from the arguments, in a child of any worker that knows the class, some time later.
        What it raises is logged, and changes nothing. It may be called twice where a worker dies during the call.
        """

    @classmethod
    def _has_abort_hook(cls) -> bool:
        return cls.on_aborted is not Job.on_aborted

    @classmethod
    def _key_rules(cls) -> KeyRules | None:
        return checked_key_rules(cls.on_held, cls.unique_until, cls.unique_for, cls.debounce_limit)

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
        With a `connection` of yours the job is part of its transaction: a Connection or Session of SQLAlchemy, Django's
        connection, or one of psycopg or psycopg2.

        Returns the job's record, or None where an unfinished job holds its unique key. Where the class's `on_held`
        says otherwise, returns the record of the job that holds it; its `on_held` says what was done.
        Raises ArgumentsError where the arguments cannot be stored, EnqueueError where an option cannot be,
        DatabaseError where the database could not take it; of these, AnswerLost says that the job may have been
        enqueued all the same.
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

        `connection` is an AsyncConnection or AsyncSession of SQLAlchemy, Django's connection, psycopg's
        AsyncConnection, or a connection of asyncpg.
        """
        return only(added_to_database_async([new_job(self, **options)], connection))

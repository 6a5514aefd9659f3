"""`Job`: what users subclass."""

from collections.abc import Coroutine, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Self

from jobq.enqueueing import added_to_database, added_to_database_async, bound_arguments, new_job, only
from jobq.options import checked_key_rules
from jobq.records import AttemptRecord, JobRecord, KeyRules
from jobq.running import WithAttempt

if TYPE_CHECKING:
    from typing import Unpack

    from jobq.gates import Gate
    from jobq.options import Logs, OnHeld, Options, UniqueUntil
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

    The constructor's arguments are stored as JSON. A worker calls the constructor again with the same arguments.
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

    logs: "ClassVar[Logs | None]" = None
    """Which attempts keep what they log and print: "failed", "all" or "none". Default: the setting `job_logs`."""

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

    gate: "ClassVar[Gate | None]" = None
    """The limits that the jobs of this class share with each other, and with other classes of the same gate."""

    _constructor_arguments: tuple[tuple[Any, ...], dict[str, Any]]

    def __new__(cls, /, *args: Any, **kwargs: Any) -> Self:
        self = super().__new__(cls)
        object.__setattr__(self, "_constructor_arguments", (args, kwargs))  # also in a frozen dataclass
        return self

    def run(self) -> Any:
        """Does the work, in a child process of a worker. Its return value is kept if it can be JSON."""
        raise NotImplementedError(f"{type(self).__name__} does not define run()")

    def get_queue(self) -> str:
        """The queue that the job waits in."""
        return "default"

    def get_priority(self) -> int:
        """Higher first: 10 before 0 before -10."""
        return 0

    def get_retries(self) -> int:
        """How many more attempts there are after an error."""
        return 0

    def get_retry_delay(self, attempt: int) -> float:
        """Seconds until the retry after `attempt`; the first attempt is 1. See `jobq.retries`."""
        return 0

    def get_timeout(self) -> float | timedelta | None:
        """Maximum run time of each attempt in seconds. Then it ends as errored, and may be retried."""
        return None

    def get_unique_key(self) -> str | None:
        """At most one unfinished job of this class has a given key. None or "" means no key.

        `on_held`, `unique_until` and `unique_for` change that rule.
        """
        return None

    def get_lane(self) -> str | None:
        """The lane of the job at the gate of its class. Default: the value of the parameter that `by` names."""
        return None if self.gate is None else self.gate.lane_of(bound_arguments(self))

    def on_aborted(self, result: AttemptRecord) -> None:
        """Called after an attempt whose run() could not notice its end: it was lost or killed, or it never began.

        The job is made again from its arguments, in a child of any worker that knows the class, some time later.
        An error that it raises is logged and changes nothing. If a worker dies during the call, it is called again.
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
        lane: str | None = None,
        connection: Any = None,
    ) -> JobRecord | None:
        """Enqueues the job. The options that you pass win over the methods of the class.

        `delay` is seconds, a timedelta or an aware datetime: the job does not begin before it. `expires` has the same
        types: a job that has not begun by then ends as cancelled. `timeout` is the maximum run time of each attempt.
        `lane` is the lane of the job at the gate of its class.
        With your own `connection` the job is part of its transaction: a Connection or Session of SQLAlchemy, Django's
        connection, or a connection of psycopg or psycopg2.

        Returns the job's record, or None if an unfinished job holds its unique key. With another `on_held` it
        returns the record of the job that holds the key, and the record's `on_held` says what was done.

        Raises ArgumentsError if an argument cannot be stored, EnqueueError if an option is wrong, and DatabaseError if
        the database did not take the job. AnswerLost, one of these, says that the job may have been enqueued.
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
            lane=lane,
        )
        (record,) = added_to_database([new], connection)
        return record

    def run_in_worker_async(
        self, *, connection: Any = None, **options: "Unpack[Options]"
    ) -> Coroutine[Any, Any, JobRecord | None]:
        """`run_in_worker` for code in an event loop: await it. It does not block the loop.

        `connection` is an AsyncConnection or AsyncSession of SQLAlchemy, Django's connection, psycopg's
        AsyncConnection, or a connection of asyncpg.
        """
        return only(added_to_database_async([new_job(self, **options)], connection))

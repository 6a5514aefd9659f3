"""The errors that jobq raises; each message says what was wrong, where, and what to do.

JobqError
├── UsageError                  the call was wrong                            exit code 2
│   ├── ConfigurationError      a setting cannot be used
│   ├── ApplicationError        the application's code does not import, or raises
│   ├── UnknownJobClass         nothing is registered under that name
│   ├── RegistrationError       a class cannot be registered
│   ├── ArgumentsError          arguments do not fit the constructor, or cannot be stored
│   │   └── RowGone             a row that an argument refers to is not there any more
│   ├── EnqueueError            a delay, queue, priority, … that cannot be
│   ├── ScheduleError           a schedule that says no time, or cannot be kept
│   ├── NotRunning              asked of a job that no worker runs
│   ├── JobNotFound             no job has that id
│   ├── ScheduleNotFound        no schedule has that name
│   ├── GateNotFound            no gate has that name
│   ├── WorkerNotFound          no live worker has that name
│   ├── AmbiguousWorker         several live workers have that name
│   ├── FilterError             a filter cannot be read; shows where
│   └── ActNotUndone            an act cannot be undone (any more)
├── DatabaseError               the database could not do it                  exit code 3
│   ├── DatabaseUnreachable     no connection
│   │   └── AnswerLost          … any more, in the middle: what was asked may have been done
│   ├── DatabaseReadOnly        a standby, or a read-only role
│   ├── DatabaseForbidden       the role may not do that
│   ├── DatabaseBusy            it took too long, somebody holds what is needed, or the server is full
│   ├── DatabaseTooOld          a PostgreSQL that is not supported
│   ├── SchemaMissing           `jobq migrate` has not been run
│   ├── SchemaBehind            … has not been run since jobq was upgraded
│   ├── SchemaAhead             this jobq is too old for the schema
│   └── SchemaForeign           other migrations than those of jobq's releases made the schema
├── JobNotFinished              a job has not ended in the time given         exit code 124
├── QueryTooSlow                a look took longer than a look may            exit code 1
├── AttemptSuperseded           an attempt that is not the job's any more     exit code 1
└── EmbeddedServerError         the embedded PostgreSQL could not be started  exit code 3
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jobq.records import AttemptRecord


class JobqError(Exception):
    """The base of all errors that jobq raises on purpose."""

    exit_code = 1


class UsageError(JobqError, ValueError):
    exit_code = 2


class ConfigurationError(UsageError):
    pass


class ApplicationError(UsageError):
    """A module of the application does not import, or a job cannot be made because its own code raises.

    `user_traceback` is the traceback of the user's own code, without jobq's or importlib's frames.
    """

    def __init__(self, message: str, user_traceback: str = "") -> None:
        super().__init__(message)
        self.user_traceback = user_traceback


class UnknownJobClass(UsageError):
    pass


class RegistrationError(UsageError):
    pass


class ArgumentsError(UsageError):
    pass


class RowGone(ArgumentsError):
    pass


class EnqueueError(UsageError):
    pass


class ScheduleError(UsageError):
    pass


class NotRunning(UsageError, AttributeError):
    """Something that only a running job has was asked for. Also an AttributeError, so that hasattr() on a job works."""


class JobNotFound(UsageError):
    """There is no job with this id."""


class ScheduleNotFound(UsageError):
    pass


class GateNotFound(UsageError):
    """No gate has this name."""


class WorkerNotFound(UsageError):
    pass


class AmbiguousWorker(UsageError):
    pass


class FilterError(UsageError):
    """A filter that cannot be read. `start` and `end` are the place of the mistake in its text."""

    def __init__(self, message: str, *, problem: str = "", start: int = 0, end: int = 0) -> None:
        super().__init__(message)
        self.problem = problem or message
        self.start = start
        self.end = end


class ActNotUndone(UsageError):
    pass


class JobNotFinished(JobqError, TimeoutError):
    """Jobs did not end in the given time.

    `finished` has the last attempts of the jobs that did, by the job's id. `unfinished` says where the others are.
    """

    exit_code = 124  # as of timeout(1)

    def __init__(self, message: str, finished: "dict[int, AttemptRecord]", unfinished: dict[int, str]) -> None:
        super().__init__(message)
        self.finished = finished
        self.unfinished = unfinished


class QueryTooSlow(JobqError):
    pass


class DatabaseError(JobqError):
    exit_code = 3


class DatabaseUnreachable(DatabaseError):
    pass


class AnswerLost(DatabaseUnreachable):
    """The connection was lost before the answer to a change arrived: it is unknown whether the change was made.

    Enqueueing again is safe if the job has a unique key, or may run twice.
    """


class DatabaseReadOnly(DatabaseError):
    pass


class DatabaseForbidden(DatabaseError):
    pass


class DatabaseBusy(DatabaseError):
    pass


class DatabaseTooOld(DatabaseError):
    pass


class SchemaMissing(DatabaseError):
    pass


class SchemaBehind(DatabaseError):
    pass


class SchemaAhead(DatabaseError):
    pass


class SchemaForeign(DatabaseError):
    pass


class AttemptSuperseded(JobqError):
    pass


class EmbeddedServerError(JobqError):
    exit_code = 3


for _public in (JobNotFinished, JobNotFound, JobqError):
    _public.__module__ = "jobq"  # the name under which they are imported; the others are imported from here

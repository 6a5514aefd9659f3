"""`@job`: a function as a job. It makes a class like any other, registered under the function's name."""

import functools
import inspect
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, fields
from datetime import timedelta
from string import Formatter
from typing import TYPE_CHECKING, Any, ClassVar, Generic, ParamSpec, Protocol, TypedDict, TypeVar, overload

from jobq import arguments
from jobq.base import Job
from jobq.errors import EnqueueError, RegistrationError, ScheduleError
from jobq.names import LOCALS
from jobq.options import (
    MAX_PRIORITY,
    MAX_RETRIES,
    checked_int,
    checked_key,
    checked_queue,
    checked_retry_delay,
    checked_timeout,
)
from jobq.records import JobRecord
from jobq.registration import add_class
from jobq.registry import registry

if TYPE_CHECKING:
    from typing import Unpack

    from jobq.gates import Gate
    from jobq.options import Logs, OnHeld, Options, UniqueUntil
    from jobq.schedules import Schedule

P = ParamSpec("P")
R = TypeVar("R", covariant=True)
Returned = TypeVar("Returned")

RetryDelay = float | timedelta | Callable[[int], float]
UniqueKey = str | Callable[..., str | None]


class JobFunction(Generic[P, R]):
    """A function that can also be enqueued. An ordinary call stays an ordinary call."""

    __wrapped__: Callable[P, R]
    __name__: str
    __qualname__: str

    def __init__(self, function: Callable[P, R], job_class: type[Job]) -> None:
        functools.update_wrapper(self, function)
        self.job_class = job_class
        if inspect.iscoroutinefunction(function) and hasattr(inspect, "markcoroutinefunction"):  # from Python 3.12
            inspect.markcoroutinefunction(self)

    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return self.__wrapped__(*args, **kwargs)

    def later(self, /, *args: P.args, **kwargs: P.kwargs) -> JobRecord | None:
        """Enqueues a call. Returns and raises as `Job.run_in_worker` does."""
        return self.job(*args, **kwargs).run_in_worker()

    def later_async(self, /, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, JobRecord | None]:
        """`later` for code that runs in an event loop, to be awaited."""
        return self.job(*args, **kwargs).run_in_worker_async()

    def options(self, *, connection: Any = None, **options: "Unpack[Options]") -> "Enqueuer[P]":
        """The same function with options for what is enqueued: `welcome.options(delay=60).later(7)`.

        They are those of `Job.run_in_worker`, and win over those of `@job`.
        """
        return Enqueuer(self, connection, options)

    def job(self, /, *args: P.args, **kwargs: P.kwargs) -> Job:
        """The call as a Job, for `enqueue_many` and `register_schedule`.

        Raises ArgumentsError if the function cannot be called like this.
        """
        arguments.bind(self.job_class, args, kwargs)
        return self.job_class(*args, **kwargs)

    def __reduce__(self) -> str:
        return self.__qualname__  # pickle stores the name, as for functions

    def __repr__(self) -> str:
        return f"<job {self.__module__}.{self.__qualname__}>"


@dataclass(frozen=True, slots=True)
class Enqueuer(Generic[P]):
    """A function with options, ready to be enqueued."""

    function: JobFunction[P, Any]
    connection: Any
    options: "Options"

    def later(self, /, *args: P.args, **kwargs: P.kwargs) -> JobRecord | None:
        """Enqueues a call with these options."""
        return self.function.job(*args, **kwargs).run_in_worker(connection=self.connection, **self.options)

    def later_async(self, /, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, JobRecord | None]:
        """`later` for code that runs in an event loop, to be awaited."""
        return self.function.job(*args, **kwargs).run_in_worker_async(connection=self.connection, **self.options)


class JobDecorator(Protocol):
    """The function that `@job(…)` returns."""

    def __call__(self, function: Callable[P, Returned], /) -> JobFunction[P, Returned]: ...


class JobOptions(TypedDict, total=False):
    """The options of `@job`: the values of a Job's methods, and the attributes of its class."""

    queue: str
    priority: int
    retries: int
    retry_delay: RetryDelay
    timeout: float | timedelta | None
    unique_key: UniqueKey | None
    schedule: "Schedule | str | None"
    schedules: "Sequence[Schedule | str]"
    on_held: "OnHeld"
    unique_until: "UniqueUntil"
    unique_for: float | timedelta | None
    debounce_limit: float | timedelta | None
    retry_when_row_is_gone: bool
    end_processes: bool
    gate: "Gate | None"
    logs: "Logs | None"
    alias: str | Sequence[str]


@overload
def job(function: Callable[P, Returned], /) -> JobFunction[P, Returned]: ...
@overload
def job(**options: "Unpack[JobOptions]") -> JobDecorator: ...
def job(function: Any = None, /, **options: Any) -> Any:
    """Makes a function at the top level of a module a job: `@job`, or `@job(queue="mail", retries=3)`.

        @job(queue="mail", retries=3, unique_key="welcome-{user_id}")
        def welcome(user_id: int, name: str = "friend"): ...

        welcome(7)                      # an ordinary call
        welcome.later(7)                # enqueues
        welcome.options(delay=60).later(7, name="Ada")
        await welcome.later_async(7)

    `retry_delay` is seconds, or a function of the attempt that failed. `unique_key` is a text with parameters in
    braces, or a function with the job's own parameters. `JobOptions` and the page docs/functions.md have the other
    options. Raises RegistrationError.
    """
    if unknown := sorted(options.keys() - JobOptions.__annotations__.keys()):
        raise RegistrationError(
            f"@job has no option {unknown[0]!r}. Options are: {', '.join(JobOptions.__annotations__)}."
        )
    alias = options.pop("alias", ())
    answers = {field.name: options.pop(field.name) for field in fields(Chosen) if field.name in options}
    attributes = {"_chosen": Chosen(**answers), **options}

    def decorate(decorated: Callable[P, Returned], /) -> JobFunction[P, Returned]:
        check_function(decorated)
        job_class = class_of(decorated, attributes)
        add_class(registry, job_class, (alias,) if isinstance(alias, str) else tuple(alias))
        return JobFunction(decorated, job_class)

    return decorate if function is None else decorate(function)


@dataclass(frozen=True, slots=True)
class Chosen:
    """The options given to `@job`: they answer for the methods of a Job."""

    queue: str = "default"
    priority: int = 0
    retries: int = 0
    retry_delay: RetryDelay = 0
    timeout: float | timedelta | None = None
    unique_key: UniqueKey | None = None

    def check(self) -> None:
        """Raises EnqueueError."""
        checked_queue(self.queue)
        checked_int("priority", self.priority, MAX_PRIORITY)
        checked_int("retries", self.retries, MAX_RETRIES, least=0)
        checked_timeout(self.timeout)
        if not callable(self.retry_delay):
            checked_retry_delay(self.retry_delay)
        if not callable(self.unique_key):
            checked_key(self.unique_key)


class FunctionJob(Job):
    """A call of a function: the base of the classes that `@job` makes."""

    _function: ClassVar[Callable[..., Any]]
    _chosen: ClassVar[Chosen]

    def run(self) -> Any:
        positional, named = self._constructor_arguments
        return self._function(*positional, **named)

    def get_queue(self) -> str:
        return self._chosen.queue

    def get_priority(self) -> int:
        return self._chosen.priority

    def get_retries(self) -> int:
        return self._chosen.retries

    def get_retry_delay(self, attempt: int) -> float:
        delay = self._chosen.retry_delay
        return delay(attempt) if callable(delay) else checked_retry_delay(delay)

    def get_timeout(self) -> float | timedelta | None:
        return self._chosen.timeout

    def get_unique_key(self) -> str | None:
        key = self._chosen.unique_key
        if key is None or (isinstance(key, str) and "{" not in key):
            return key
        positional, named = self._constructor_arguments
        job_class: type = type(self)
        call = arguments.signature_of(job_class).bind(*positional, **named)
        call.apply_defaults()
        return key.format(**call.arguments) if isinstance(key, str) else key(*call.args, **call.kwargs)


class CoroutineJob(FunctionJob):
    """A call of an `async def` function."""

    async def run(self) -> Any:
        positional, named = self._constructor_arguments
        return await self._function(*positional, **named)


def class_of(function: Callable[..., Any], attributes: dict[str, Any]) -> type[FunctionJob]:
    """The class of a function. Raises RegistrationError for an invalid option."""
    name = f"{function.__module__}.{function.__qualname__}"
    try:
        attributes["_chosen"].check()
        schedules = scheduled(attributes.get("schedule"), attributes.get("schedules", ()))
    except (EnqueueError, ScheduleError) as error:
        raise RegistrationError(f"{name}: {error}") from None
    check_template(attributes["_chosen"].unique_key, function, name)
    return type(
        function.__name__,
        (CoroutineJob if inspect.iscoroutinefunction(function) else FunctionJob,),
        {
            **attributes,
            **schedules,
            "__module__": function.__module__,
            "__qualname__": function.__qualname__,
            "__doc__": function.__doc__,
            "__init__": constructor_like(function),
            "_function": staticmethod(function),
        },
    )


def constructor_like(function: Callable[..., Any], *, leave_out: int = 0) -> Callable[..., None]:
    """A constructor with the parameters of a function, and with the meaning of their annotations.

    `leave_out` is the number of first parameters that the caller of the function fills in.
    """

    def __init__(self: Job, /, *args: Any, **kwargs: Any) -> None:  # noqa: N807 - it is one
        """`Job.__new__` has kept the arguments."""

    signature = inspect.signature(function)
    own = inspect.Parameter("own_instance_of_job", inspect.Parameter.POSITIONAL_ONLY)
    __init__.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=[own, *list(signature.parameters.values())[leave_out:]]
    )
    __init__.__annotations__ = getattr(function, "__annotations__", {})
    __init__.__wrapped__ = function  # type: ignore[attr-defined]  # whose module knows the names in the annotations
    return __init__


def scheduled(schedule: Any, schedules: Any) -> dict[str, Any]:
    """The schedules of a class: a text is a cron expression."""
    if schedule is None and schedules == ():
        return {}
    from jobq.schedules import Schedule

    def read(given: Any) -> Any:
        return Schedule.from_cron(given) if isinstance(given, str) else given

    several = tuple(read(one) for one in schedules) if isinstance(schedules, list | tuple) else schedules
    return {"schedule": read(schedule), "schedules": several}


def check_template(key: Any, function: Callable[..., Any], name: str) -> None:
    """Checks that a unique key in braces names only parameters. Raises RegistrationError."""
    if not isinstance(key, str):
        return
    parameters = inspect.signature(function).parameters
    try:
        fields = [field for _, field, _, _ in Formatter().parse(key) if field is not None]
    except ValueError as error:
        raise RegistrationError(f"{name}: unique_key {key!r} cannot be read: {error}.") from None
    for field in fields:
        first = field.partition(".")[0].partition("[")[0]
        if first not in parameters:
            raise RegistrationError(
                f"{name}: unique_key {key!r} names {first!r}, which is not a parameter. Parameters are: "
                f"{', '.join(parameters) or 'none'}."
            )


def check_function(function: Any) -> None:
    """Refuses a function that a worker could not find by name, or that is not a plain call. Raises
    RegistrationError."""
    if isinstance(function, str):
        raise RegistrationError(f"@job({function!r}): options are given by name, as in @job(queue={function!r}).")
    if isinstance(function, JobFunction):
        raise RegistrationError(f"{function!r} is a job already: decorate it once.")
    if isinstance(function, type):
        raise RegistrationError(
            f"{function.__module__}.{function.__qualname__} is a class: @job is for functions. "
            "Derive the class from jobq.Job and decorate it with @register_job."
        )
    if isinstance(function, staticmethod | classmethod | property):
        kind = type(function).__name__
        raise RegistrationError(f"@job on a {kind}: a job is a function at the top level of a module. Move it there.")
    if not callable(function) or not hasattr(function, "__qualname__"):
        raise RegistrationError(f"{function!r} is not a function with a name: define one with def.")
    check_kind_of(function, f"{function.__module__}.{function.__qualname__}")


def check_kind_of(function: Callable[..., Any], name: str) -> None:
    if "<lambda>" in function.__qualname__:
        raise RegistrationError(f"{name}: a lambda has no name for a worker to find. Define the function with def.")
    if "." in function.__qualname__.rpartition(LOCALS)[2]:
        raise RegistrationError(
            f"{name} is a method: a worker has no instance to call it on. Move it to the top level of its module."
        )
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise RegistrationError(f"{name} is a generator: a call of it runs nothing. Let it return, not yield.")
    try:
        inspect.signature(function)
    except (TypeError, ValueError):
        raise RegistrationError(f"{name} does not tell its parameters. Wrap it in a function of yours.") from None

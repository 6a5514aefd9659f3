"""Names to job classes, and the import of the modules that define them.

Only what is registered here runs: a row of the database is looked up by name, never imported.
"""

import importlib
import inspect
import json
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar, overload

from jobq import arguments
from jobq.clean import line
from jobq.errors import (
    ApplicationError,
    ArgumentsError,
    ConfigurationError,
    JobqError,
    RegistrationError,
    ScheduleError,
    UnknownJobClass,
)
from jobq.names import name_of as name_of
from jobq.records import ClassRecord, DeclaredSchedule, ParameterRecord

if TYPE_CHECKING:
    from jobq.job import Job
    from jobq.schedules import Schedule
    from jobq.settings import Settings

JobClass = TypeVar("JobClass", bound="type[Job]")

NOT_PACKAGES = {"build", "dist", "docs", "node_modules", "site-packages", "tests", "venv"}


@dataclass(frozen=True, slots=True)
class Scheduled:
    """A schedule under its whole name, with the class of its jobs."""

    name: str
    schedule: "Schedule"
    job_class: "type[Job]"
    arguments: tuple[tuple[Any, ...], Mapping[str, Any]]  # of its constructor
    is_of_class: bool = False  # it stands in the class itself


class Registry:
    """The job classes of one process, by name and by alias, and their schedules."""

    def __init__(self) -> None:
        self._classes: dict[str, type[Job]] = {}
        self._aliases: dict[str, str] = {}  # alias to name
        self._scheduled: dict[str, Scheduled] = {}

    def add(self, job_class: "type[Job]", aliases: Sequence[str] = ()) -> None:
        """Registers a class under its name and its aliases. Raises RegistrationError where that cannot be."""
        check_job_class(job_class)
        name = name_of(job_class)
        for alias in aliases:
            check_alias(alias, name)
            if alias in self._classes or self._aliases.get(alias, name) != name:
                owner = self._aliases.get(alias, alias)
                raise RegistrationError(f"alias {alias!r} of {name} is taken by {owner}. Choose another.")
        if name in self._aliases:
            raise RegistrationError(f"{name} is an alias of {self._aliases[name]} already. Rename one of them.")
        scheduled = schedules_of(job_class)
        self._classes[name] = job_class  # a module that is imported again replaces its classes
        self._aliases.update(dict.fromkeys(aliases, name))
        for old in [old for old in self._scheduled.values() if old.is_of_class and name_of(old.job_class) == name]:
            del self._scheduled[old.name]
        for new in scheduled:
            self.schedule(new)

    def schedule(self, scheduled: Scheduled) -> None:
        """Adds a schedule. Raises RegistrationError where another has its name."""
        known = self._scheduled.get(scheduled.name, scheduled)
        if known != scheduled:
            raise RegistrationError(
                f"There are two schedules called {scheduled.name!r}: {known.schedule.expression!r} of "
                f"{name_of(known.job_class)}, and {scheduled.schedule.expression!r} of {name_of(scheduled.job_class)}. "
                "Rename one of them."
            )
        self._scheduled[scheduled.name] = scheduled

    @property
    def scheduled(self) -> "list[Scheduled]":
        """The schedules, by name."""
        return [self._scheduled[name] for name in sorted(self._scheduled)]

    def find(self, name: str) -> "type[Job] | None":
        """The class registered under a name or an alias."""
        return self._classes.get(name) or self._classes.get(self._aliases.get(name, ""))

    def get(self, name: str) -> "type[Job]":
        """The class registered under a name or an alias. Raises UnknownJobClass, which lists what is near."""
        if (job_class := self.find(name)) is not None:
            return job_class
        raise UnknownJobClass(f"No job class {name!r} is registered. {self._suggestion(name)}")

    def aliases_of(self, name: str) -> tuple[str, ...]:
        return tuple(sorted(alias for alias, owner in self._aliases.items() if owner == name))

    def __iter__(self) -> "Iterator[tuple[str, type[Job]]]":
        return iter(sorted(self._classes.items()))

    def __len__(self) -> int:
        return len(self._classes)

    def _suggestion(self, name: str) -> str:
        from difflib import get_close_matches

        if not self._classes:
            return "None is: decorate your Job classes with @register_job in a jobs.py, or name modules with --app."
        last = name.rpartition(".")[2]
        near = get_close_matches(name, self._classes, n=3) or [
            known for known in sorted(self._classes) if known.rpartition(".")[2] == last
        ]
        if near:
            return f"Did you mean {' or '.join(near)}?"
        known = sorted(self._classes)
        return f"Registered are: {', '.join(known[:10])}{', …' if len(known) > 10 else ''}."


registry = Registry()
"""The registry that `@register_job` fills."""


@overload
def register_job(job_class: JobClass, /) -> JobClass: ...
@overload
def register_job(*, alias: str | Sequence[str] = ()) -> Callable[[JobClass], JobClass]: ...
def register_job(job_class: Any = None, /, *, alias: str | Sequence[str] = ()) -> Any:
    """Registers a Job class, so that workers may run it: `@register_job`.

    `@register_job(alias="shop.jobs.OldName")` also answers to another name (or several), so that a class can be
    renamed or moved while jobs are queued under the old one. Raises RegistrationError.
    """
    if isinstance(job_class, str):
        raise RegistrationError(f"Write @register_job(alias={job_class!r}): an alias is given by name.")
    aliases = (alias,) if isinstance(alias, str) else tuple(alias)

    def register(decorated: JobClass) -> JobClass:
        registry.add(decorated, aliases)
        return decorated

    return register if job_class is None else register(job_class)


def register_schedule(name: str, job: "Job", schedule: "Schedule | str") -> None:
    """Has a job enqueued again and again, under a name of its own: for what is not said in a job's class.

        register_schedule("backup", Command("pg_dump -Fc app -f app.dump"), "0 3 * * *")

    Raises ScheduleError or RegistrationError.
    """
    from jobq.command import Command, class_of
    from jobq.job import Job
    from jobq.schedules import Schedule, checked_name

    checked_name(name)
    if isinstance(schedule, str):
        schedule = Schedule.from_cron(schedule)
    if not isinstance(schedule, Schedule):
        raise RegistrationError(f"Schedule {name!r}: {schedule!r} is neither a Schedule nor an expression.")
    if not isinstance(job, Job):
        raise RegistrationError(
            f"Schedule {name!r}: {job!r} is no job. Give an instance, as in SendReport('ops') or Command('ls')."
        )
    if schedule.arguments or schedule.name:
        raise RegistrationError(
            f"Schedule {name!r}: its name and the job's arguments are given already; leave them out of the Schedule."
        )
    if isinstance(job, Command):
        command_class = class_of(name, job)
        known = registry.find(name_of(command_class))
        if known is None or known.__doc__ != command_class.__doc__:
            registry.add(command_class)
        job = registry.get(name_of(command_class))()
    if registry.find(name_of(type(job))) is None:
        raise RegistrationError(
            f"Schedule {name!r}: {name_of(type(job))} is not registered. Decorate the class with @register_job."
        )
    registry.schedule(Scheduled(name, schedule, type(job), job._constructor_arguments))


def schedules_of(job_class: "type[Job]") -> list[Scheduled]:
    """The schedules that stand in a class: one that is alone may go by the name of the class."""
    single, several = job_class.schedule, job_class.schedules
    if single is None and several == ():  # as nearly all are: whoever only enqueues needs no calendar
        return []
    from jobq.schedules import Schedule

    name = name_of(job_class)
    if isinstance(several, Schedule | str) or not isinstance(several, Sequence):
        raise RegistrationError(f"{name}.schedules is {several!r}, but must be a list of Schedules.")
    schedules = [*([] if single is None else [single]), *several]
    found = []
    for schedule in schedules:
        if not isinstance(schedule, Schedule):
            raise RegistrationError(
                f"{name} has the schedule {schedule!r}, but that must be a Schedule: Schedule.from_cron('0 9 * * *')."
            )
        if schedule.name is None and len(schedules) > 1:
            raise RegistrationError(
                f"{name} has {len(schedules)} schedules, so each needs a name: pauses and the last tick hang on it. "
                f"Add name='…' to Schedule {schedule.expression!r}."
            )
        whole = name if schedule.name is None else f"{name}:{schedule.name}"
        check_call(job_class, schedule, whole)
        found.append(Scheduled(whole, schedule, job_class, ((), schedule.arguments), is_of_class=True))
    return found


def check_call(job_class: "type[Job]", schedule: "Schedule", name: str) -> None:
    try:
        arguments.bind(job_class, (), schedule.arguments)
    except ArgumentsError as error:
        raise RegistrationError(
            f"Schedule {name!r}: {error} Give the schedule its arguments, as in arguments={{'name': value}}."
        ) from None


def check_job_class(job_class: Any) -> None:
    from jobq.job import Job

    if not isinstance(job_class, type) or not issubclass(job_class, Job):
        raise RegistrationError(f"{job_class!r} is no Job: derive the class from jobq.Job.")
    if job_class.run is Job.run:
        raise RegistrationError(f"{name_of(job_class)} has no run(): define what the job does.")


def check_alias(alias: Any, name: str) -> None:
    if not isinstance(alias, str) or not alias or not alias.isprintable() or len(alias) > 250:
        raise RegistrationError(
            f"alias {alias!r} of {name} must be a name like 'shop.jobs.OldName', of 250 characters at most."
        )


def load_application(root: Path, app: Sequence[str] = ()) -> list[str]:
    """Imports the modules that define jobs, and returns their names.

    They are jobs.py and {package}/jobs.py below `root` (and below its src/), and those named by `app`.
    `root` goes on the import path. Raises ApplicationError with the user's own traceback.
    """
    roots = [root / "src", root] if (root / "src").is_dir() else [root]
    for folder in reversed(roots):
        if str(folder) not in sys.path:
            sys.path.insert(0, str(folder))
    modules = [*app, *(name for folder in roots for name in find_job_modules(folder) if name not in app)]
    for name in modules:
        import_module(name)
    load_schedules(root / "pyproject.toml")
    return modules


KEYS_OF_TIME = ("minute", "hour", "day_of_month", "month", "day_of_week")
KEYS = ("job", "command", "cron", *KEYS_OF_TIME, "timezone", "missed", "overlap", "jitter", "arguments")


def load_schedules(pyproject: Path) -> None:
    """Registers what [tool.jobq.schedules] declares. Raises ConfigurationError, which names the schedule."""
    if not pyproject.is_file():
        return
    from jobq.settings import SCHEDULES, read_table

    table = read_table(pyproject).get(SCHEDULES, {})
    where = f"[tool.jobq.{SCHEDULES}] in {pyproject}"
    if not isinstance(table, dict):
        raise ConfigurationError(f"{where} must be a table, with a table for each schedule.")
    for name, entry in table.items():
        try:
            register_schedule_of_table(name, entry)
        except JobqError as error:
            raise ConfigurationError(f"{where}: {name}: {error}") from None


def register_schedule_of_table(name: str, entry: Any) -> None:
    from jobq.command import Command
    from jobq.schedules import Schedule

    if not isinstance(entry, dict):
        raise ScheduleError(f"it is {entry!r}, but must be a table, as in {{cron = '0 3 * * *', job = 'jobs.Report'}}.")
    if unknown := sorted(entry.keys() - set(KEYS)):
        raise ScheduleError(f"there is no key {unknown[0]!r}. Keys are: {', '.join(KEYS)}.")
    if ("job" in entry) == ("command" in entry):
        raise ScheduleError("give it either a job, as in job = 'jobs.Report', or a command = '…' line.")
    if ("cron" in entry) == any(key in entry for key in KEYS_OF_TIME):
        raise ScheduleError(f"give it either cron = '0 3 * * *', or some of {', '.join(KEYS_OF_TIME)}.")
    options = {key: entry[key] for key in ("timezone", "missed", "overlap", "jitter") if key in entry}
    if "cron" in entry:
        schedule = Schedule.from_cron(entry["cron"], **options)
    else:
        schedule = Schedule(**{key: entry[key] for key in KEYS_OF_TIME if key in entry}, **options)
    given = entry.get("arguments", {})
    if not isinstance(given, dict):
        raise ScheduleError(f"arguments is {given!r}, but must be a table, as in {{team = 'ops'}}.")
    if "command" in entry:
        if given:
            raise ScheduleError("a command takes no arguments: write them into its line.")
        register_schedule(name, Command(entry["command"]), schedule)
    else:
        register_schedule(name, job_of_table(entry["job"], given), schedule)


def job_of_table(name: Any, given: dict[str, Any]) -> "Job":
    if not isinstance(name, str):
        raise ScheduleError(f"job is {name!r}, but must be the name of a class, as in 'jobs.Report'.")
    job_class = resolve(name)
    arguments.bind(job_class, (), given)
    return job_class(**given)


def find_job_modules(root: Path) -> list[str]:
    """The names of `jobs` and `{package}.jobs` where these files are."""
    found = ["jobs"] if (root / "jobs.py").is_file() else []
    try:
        folders = sorted(entry.name for entry in root.iterdir() if entry.is_dir())
    except OSError:
        return found
    return found + [
        f"{folder}.jobs"
        for folder in folders
        if folder.isidentifier() and folder not in NOT_PACKAGES and (root / folder / "jobs.py").is_file()
    ]


def import_module(name: str) -> ModuleType:
    """Imports one module of the application. Raises ApplicationError with the user's own traceback, and no more."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(f"{error.name}.")):
            raise ApplicationError(
                f"There is no module {name!r} (looked in {', '.join(sys.path[:2])}, …). "
                "Check the name, and the folder you are in."
            ) from None
        raise failed_import(name, error) from None
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - the user's module may raise anything
        raise failed_import(name, error) from None


def failed_import(name: str, error: BaseException) -> ApplicationError:
    return ApplicationError(
        f"The module {name!r} does not import: {type(error).__name__}: {error}".rstrip(": "),
        user_traceback=traceback_of_user(error),
    )


def traceback_of_user(error: BaseException) -> str:
    """The traceback without the frames before the user's own: those of jobq and of the import system."""

    frames = traceback.TracebackException.from_exception(error, compact=True)
    frames.stack = traceback.StackSummary.from_list(
        [frame for frame in frames.stack if not is_import_machinery(frame.filename)]
    )
    return "".join(frames.format())


def is_import_machinery(filename: str) -> bool:
    return filename.startswith("<frozen importlib") or filename in (__file__, importlib.__file__)


def describe() -> tuple[ClassRecord, ...]:
    """The registered classes with their aliases and parameters, for lists and forms."""
    return tuple(
        ClassRecord(
            name=name,
            aliases=registry.aliases_of(name),
            parameters=tuple(
                ParameterRecord(
                    parameter.name, parameter.kind, parameter.annotation, parameter.default, parameter.required
                )
                for parameter in arguments.parameters(job_class)
            ),
            summary=line((job_class.__doc__ or "").strip().partition("\n")[0]) or None,
            has_abort_hook=has_abort_hook(job_class),
            is_coroutine=inspect.iscoroutinefunction(job_class.run),
        )
        for name, job_class in registry
    )


def has_abort_hook(job_class: "type[Job]") -> bool:
    from jobq.job import Job

    return job_class.on_aborted is not Job.on_aborted


def describe_schedules(settings: "Settings") -> tuple[DeclaredSchedule, ...]:
    """The schedules, each with the job that its ticks enqueue. Raises ApplicationError where one cannot be made.

    What the class's methods say is asked once: a worker that never imports the class enqueues it later.
    """
    return tuple(describe_schedule(scheduled, settings) for scheduled in registry.scheduled)


def describe_schedule(scheduled: Scheduled, settings: "Settings") -> DeclaredSchedule:
    from jobq.job import new_job

    schedule = scheduled.schedule
    positional, named = scheduled.arguments
    try:
        new = new_job(scheduled.job_class(*positional, **named), max_arguments_bytes=settings.max_arguments_bytes)
    except Exception as error:  # noqa: BLE001 - the user's constructor and methods may raise anything
        raise ApplicationError(
            f"The job of the schedule {scheduled.name!r} cannot be made: {type(error).__name__}: {error}",
            user_traceback="" if isinstance(error, JobqError) else traceback_of_user(error),
        ) from None
    return DeclaredSchedule(
        name=scheduled.name,
        job_class=new.job_class,
        arguments=json.loads(new.arguments),
        queue=new.queue,
        priority=new.priority,
        retries=new.retries,
        unique_key=new.unique_key,
        timeout=new.timeout,
        has_abort_hook=new.has_abort_hook,
        expression=schedule.expression,
        timezone=schedule.timezone or settings.timezone,
        missed=schedule.missed,
        overlap=schedule.overlap,
        jitter=schedule.jitter,
    )


def resolve(name: str) -> "type[Job]":
    """The class that a person named: registered already, or in a module that can be imported.

    For commands, never for rows. Raises UnknownJobClass, or ApplicationError where the module does not import.
    """
    module = name.rpartition(".")[0]
    if registry.find(name) is None and module:
        try:
            import_module(module)
        except ApplicationError as error:
            if error.user_traceback:
                raise
            raise UnknownJobClass(f"No job class {name!r} is registered. {error}") from None
    return registry.get(name)

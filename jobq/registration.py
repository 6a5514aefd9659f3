"""`@register_job` and `register_schedule`: what is checked before a class or a schedule is in the registry."""

import inspect
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, overload

from jobq import arguments
from jobq.base import Job
from jobq.class_options import constant_options
from jobq.errors import ArgumentsError, EnqueueError, RegistrationError
from jobq.names import name_of
from jobq.options import check_logs
from jobq.registry import Registry, Scheduled, registry

if TYPE_CHECKING:
    from jobq.gates import Gate
    from jobq.schedules import Schedule

JobClass = TypeVar("JobClass", bound=type[Job])


@overload
def register_job(job_class: JobClass, /) -> JobClass: ...
@overload
def register_job(*, alias: str | Sequence[str] = ()) -> Callable[[JobClass], JobClass]: ...
def register_job(job_class: Any = None, /, *, alias: str | Sequence[str] = ()) -> Any:
    """Registers a Job class, so that workers may run it: `@register_job`.

    `@register_job(alias="shop.jobs.OldName")` adds another name (or several), so that you can rename or move a class
    while jobs are queued under the old name. The first of several is the oldest: jobs are stored under it, so that old
    and new workers know them. Raises RegistrationError.
    """
    if isinstance(job_class, str):
        raise RegistrationError(f"Write @register_job(alias={job_class!r}): an alias is given by name.")
    aliases = (alias,) if isinstance(alias, str) else tuple(alias)

    def register(decorated: JobClass) -> JobClass:
        add_class(registry, decorated, aliases)
        return decorated

    return register if job_class is None else register(job_class)


def add_class(registry: Registry, job_class: "type[Job]", aliases: Sequence[str] = ()) -> None:
    """Registers a class under its name and its aliases. Raises RegistrationError where that cannot be."""
    check_job_class(job_class)
    for alias in aliases:
        check_alias(alias, name_of(job_class))
    registry.add(job_class, aliases, schedules_of(job_class, aliases[0] if aliases else name_of(job_class)))


def register_schedule(name: str, job: "Job", schedule: "Schedule | str") -> None:
    """Declares a schedule with its own name, outside of a job's class.

        register_schedule("backup", Command("pg_dump -Fc app -f app.dump"), "0 3 * * *")

    Raises ScheduleError or RegistrationError.
    """
    from jobq.command import Command, class_of
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
            add_class(registry, command_class)
        job = registry.get(name_of(command_class))()
    if registry.find(name_of(type(job))) is None:
        raise RegistrationError(
            f"Schedule {name!r}: {name_of(type(job))} is not registered. Decorate the class with @register_job."
        )
    registry.schedule(Scheduled(name, schedule, type(job), job._constructor_arguments))


def schedules_of(job_class: "type[Job]", stored_name: str) -> list[Scheduled]:
    """The schedules that stand in a class: one that is alone may go by the name under which its jobs are stored."""
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
        whole = stored_name if schedule.name is None else f"{stored_name}:{schedule.name}"
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
    if not isinstance(job_class, type) and callable(job_class):
        name = getattr(job_class, "__qualname__", repr(job_class))
        raise RegistrationError(f"{name} is a function: decorate it with @job. @register_job is for classes.")
    if not isinstance(job_class, type) or not issubclass(job_class, Job):
        raise RegistrationError(f"{job_class!r} is no Job: derive the class from jobq.Job.")
    if job_class.run is Job.run:
        raise RegistrationError(f"{name_of(job_class)} has no run(): define what the job does.")
    if required := required_parameters(job_class):
        raise RegistrationError(
            f"{name_of(job_class)}.run() requires {', '.join(required)}, but a worker calls run() without arguments. "
            "Take them in __init__ and keep them on self. (@job makes a job of a function with parameters.)"
        )
    try:
        job_class._key_rules()
        check_logs(job_class.logs)
    except EnqueueError as error:
        raise RegistrationError(f"{name_of(job_class)}: {error}") from None
    if job_class.gate is not None:
        check_gate(job_class)


def check_gate(job_class: "type[Job]") -> None:
    from jobq.gates import Gate

    name, gate = name_of(job_class), job_class.gate
    if not isinstance(gate, Gate):
        raise RegistrationError(f"{name}.gate is {gate!r}, but must be a Gate: gate = Gate('crm', limit=20).")
    if gate.by is not None and job_class.get_lane is Job.get_lane:
        known = [one.name for one in arguments.parameters(job_class)]
        if gate.by not in known:
            raise RegistrationError(
                f"{name}: gate {gate.name!r} has by={gate.by!r}, but the parameters of the class are: "
                f"{', '.join(known) or 'none'}. Define get_lane() where the lane is something else."
            )
    for other_name, other in registry:
        if other_name != name and other.gate is not None and other.gate.name == gate.name:
            check_shared(gate, name, job_class, other.gate, other_name, other)


def check_shared(
    gate: "Gate", name: str, job_class: "type[Job]", other_gate: "Gate", other_name: str, other: "type[Job]"
) -> None:
    """Two classes share a gate by its name: they must mean the same gate."""
    if other_gate != gate:
        raise RegistrationError(
            f"{name} and {other_name} have different gates with the name {gate.name!r}. "
            "Use one Gate for both, or rename one of them."
        )
    if gate.is_strict and (one := constant_options(job_class).get("priority")) != (
        two := constant_options(other).get("priority")
    ):
        raise RegistrationError(
            f"{name} has priority {one}, and {other_name} has priority {two}, but the jobs of gate {gate.name!r} keep "
            "their order (order='strict'). Give both the same priority."
        )


def required_parameters(job_class: "type[Job]") -> list[str]:
    """The parameters of run() that have no default, besides self."""
    run = inspect.getattr_static(job_class, "run")
    function = getattr(run, "__func__", run)  # of a static or a class method
    try:
        parameters = list(inspect.signature(function, follow_wrapped=False).parameters.values())
    except (TypeError, ValueError):  # written in C, or made up
        return []
    if not isinstance(run, staticmethod) and parameters and parameters[0].kind in arguments.BY_POSITION:
        del parameters[0]
    named = [one for one in parameters if one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)]
    return [one.name for one in named if one.default is one.empty]


def check_alias(alias: Any, name: str) -> None:
    if not isinstance(alias, str) or not alias or not alias.isprintable() or len(alias) > 250:
        raise RegistrationError(
            f"alias {alias!r} of {name} must be a name like 'shop.jobs.OldName', of 250 characters at most."
        )

"""The application: finds and imports the modules that define its jobs, and lists what they define."""

import inspect
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from jobq import arguments, django_project
from jobq.class_options import constant_options
from jobq.clean import line
from jobq.enqueueing import new_job
from jobq.errors import ApplicationError, JobqError
from jobq.importing import import_module, traceback_of_user
from jobq.projects import put_on_import_path, require_trusted
from jobq.records import ClassRecord, DeclaredSchedule, ParameterRecord
from jobq.registry import Scheduled, registry
from jobq.schedule_table import load_schedules

if TYPE_CHECKING:
    from jobq.settings import Settings

NOT_PACKAGES = {"build", "dist", "docs", "node_modules", "site-packages", "tests", "venv"}


def load_application(root: Path, app: Sequence[str] = ()) -> list[str]:
    """Imports the modules that define jobs, and returns their names.

    They are those in `app`, and those that `find_job_modules` finds below `root` and below its src/. `root` is added to
    the import path. If the application is a Django project, Django is set up first: "jobq.django" finds the jobs of the
    installed applications. Raises ApplicationError with the user's own traceback, and ConfigurationError for a file of
    another user.
    """
    roots = put_on_import_path(root)
    django_project.set_up(roots)
    modules = [*app, *(name for folder in roots for name in find_job_modules(folder) if name not in app)]
    for name in modules:
        import_module(name)
    load_schedules(root / "pyproject.toml")
    return modules


def find_job_modules(root: Path) -> list[str]:
    """The names of `jobs`, `{package}.jobs` and `{package}.{package}.jobs`, as far as these files exist.

    The outer one of two packages must have an `__init__.py`: a folder without one may hold anything.
    """
    found = ["jobs"] if is_job_module(root / "jobs.py") else []
    for outer in packages_of(root):
        found += [f"{outer.name}.jobs"] if is_job_module(outer / "jobs.py") else []
        if (outer / "__init__.py").is_file():
            inside = [inner.name for inner in packages_of(outer) if is_job_module(inner / "jobs.py")]
            found += [f"{outer.name}.{name}.jobs" for name in inside]
    return found


def job_modules_deeper(root: Path, levels: int = 3) -> list[Path]:
    """The first few files called jobs.py in deeper packages, which `find_job_modules` may not find."""
    found = []
    for folder in packages_of(root) if levels else []:
        found += [folder / "jobs.py"] if (folder / "jobs.py").is_file() else job_modules_deeper(folder, levels - 1)
    return found[:3]


def packages_of(folder: Path) -> list[Path]:
    """The folders in a folder that may be packages, by name."""
    try:
        folders = sorted(entry for entry in folder.iterdir() if entry.is_dir())
    except OSError:
        return []
    return [entry for entry in folders if entry.name.isidentifier() and entry.name not in NOT_PACKAGES]


def is_job_module(path: Path) -> bool:
    """Raises ConfigurationError if another user may have put it there."""
    if not path.is_file():
        return False
    require_trusted(path.parent)
    require_trusted(path)
    return True


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
            has_abort_hook=job_class._has_abort_hook(),
            is_coroutine=inspect.iscoroutinefunction(job_class.run),
            options=constant_options(job_class),
            key_rules=None if (rules := job_class._key_rules()) is None else rules._asdict(),
            gate=None if job_class.gate is None else job_class.gate.declaration(),
        )
        for name, job_class in registry
    )


def describe_schedules(settings: "Settings") -> tuple[DeclaredSchedule, ...]:
    """The schedules, each with the job that its ticks enqueue. Raises ApplicationError if a job cannot be made.

    The class's methods are called once, here: a worker that never imports the class enqueues the job later.
    """
    return tuple(describe_schedule(scheduled, settings) for scheduled in registry.scheduled)


def describe_schedule(scheduled: Scheduled, settings: "Settings") -> DeclaredSchedule:
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
        key_rules=None if new.key_rules is None else new.key_rules._asdict(),
        gate=new.gate,
        lane=new.lane,
        expression=schedule.expression,
        timezone=schedule.timezone or settings.timezone,
        missed=schedule.missed,
        overlap=schedule.overlap,
        jitter=schedule.jitter,
    )

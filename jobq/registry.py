"""Names to job classes, and the import of the modules that define them.

Only what is registered here runs: a row of the database is looked up by name, never imported.
"""

import importlib
import inspect
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar, overload

from jobq import arguments
from jobq.errors import ApplicationError, RegistrationError, UnknownJobClass
from jobq.records import ClassRecord, ParameterRecord

if TYPE_CHECKING:
    from jobq.job import Job

JobClass = TypeVar("JobClass", bound="type[Job]")

NOT_PACKAGES = {"build", "dist", "docs", "node_modules", "site-packages", "tests", "venv"}


class Registry:
    """The job classes of one process, by name and by alias."""

    def __init__(self) -> None:
        self._classes: dict[str, type[Job]] = {}
        self._aliases: dict[str, str] = {}  # alias to name

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
        self._classes[name] = job_class  # a module that is imported again replaces its classes
        self._aliases.update(dict.fromkeys(aliases, name))

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


def name_of(job_class: type) -> str:
    """The name under which jobs of a class are stored: `module.Class`."""
    module = job_class.__module__
    if module == "__main__":
        module = name_of_main()
    return f"{module}.{job_class.__qualname__}"


def name_of_main() -> str:
    """The name by which a worker will import the program that is running as `__main__`."""
    main = sys.modules["__main__"]
    if (spec := getattr(main, "__spec__", None)) is not None:
        return str(spec.name)
    if (file := getattr(main, "__file__", None)) is None:
        return "__main__"  # an interactive session: no worker can import it
    path = Path(file).resolve().with_suffix("")
    from jobq.settings import find_pyproject

    pyproject = find_pyproject(path.parent)
    roots = [pyproject.parent / "src", pyproject.parent] if pyproject else [path.parent]
    for root in roots:
        if path.is_relative_to(root):
            return ".".join(path.relative_to(root).parts)
    return path.name


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
    return modules


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
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the user's module may raise anything
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
            summary=(job_class.__doc__ or "").strip().partition("\n")[0] or None,
            has_abort_hook=has_abort_hook(job_class),
            is_coroutine=inspect.iscoroutinefunction(job_class.run),
        )
        for name, job_class in registry
    )


def has_abort_hook(job_class: "type[Job]") -> bool:
    from jobq.job import Job

    return job_class.on_aborted is not Job.on_aborted


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

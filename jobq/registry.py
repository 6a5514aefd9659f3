"""Maps names to job classes. Only registered classes run: a name from a row is looked up, never imported."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jobq.errors import RegistrationError, UnknownJobClass
from jobq.names import name_of, suggestion

if TYPE_CHECKING:
    from jobq.base import Job
    from jobq.schedules import Schedule


@dataclass(frozen=True, slots=True)
class Scheduled:
    """A schedule under its full name, with the class of its jobs."""

    name: str
    schedule: "Schedule"
    job_class: "type[Job]"
    arguments: tuple[tuple[Any, ...], Mapping[str, Any]]  # of its constructor
    is_of_class: bool = False  # it is declared in the class itself


class Registry:
    """The job classes of one process, by name and by alias, and their schedules."""

    def __init__(self) -> None:
        self._classes: dict[str, type[Job]] = {}
        self._packages: set[str] = set()  # the first names of their modules
        self._aliases: dict[str, str] = {}  # alias to name
        self._first: dict[str, str] = {}  # name to first alias
        self._scheduled: dict[str, Scheduled] = {}

    def add(self, job_class: "type[Job]", aliases: Sequence[str] = (), scheduled: "Sequence[Scheduled]" = ()) -> None:
        """Adds a class under its name and its aliases, with its schedules.

        Raises RegistrationError if a name is taken.
        """
        name = name_of(job_class)
        for alias in aliases:
            if alias in self._classes or self._aliases.get(alias, name) != name:
                owner = self._aliases.get(alias, alias)
                raise RegistrationError(f"alias {alias!r} of {name} is taken by {owner}. Choose another.")
        if name in self._aliases:
            raise RegistrationError(f"{name} is an alias of {self._aliases[name]} already. Rename one of them.")
        self._packages.add(package_of(job_class.__module__ or ""))  # code run by exec() may have no module
        self._classes[name] = job_class  # a module that is imported again replaces its classes
        self._aliases.update(dict.fromkeys(aliases, name))
        self._first.pop(name, None)
        if aliases:
            self._first[name] = aliases[0]
        for old in [old for old in self._scheduled.values() if old.is_of_class and name_of(old.job_class) == name]:
            del self._scheduled[old.name]
        for new in scheduled:
            self.schedule(new)

    def schedule(self, scheduled: Scheduled) -> None:
        """Adds a schedule. Raises RegistrationError if another one has its name."""
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
        """The class registered under a name or an alias. Raises UnknownJobClass, which lists similar names."""
        if (job_class := self.find(name)) is not None:
            return job_class
        raise UnknownJobClass(f"No job class {name!r} is registered. {self._suggestion(name)}")

    def stored_name(self, name: str) -> str | None:
        """The name under which jobs of a class are stored, for any of its names. None: the class is not known.

        It is the class's first alias, and stays the same when the class is renamed again: old and new workers know it,
        so unique keys, schedules and figures stay connected.
        """
        owner = name if name in self._classes else self._aliases.get(name)
        return None if owner is None else self._first.get(owner, owner)

    def has_package(self, module: str) -> bool:
        """Whether a module belongs to the same package as one of the classes: code of the application."""
        return package_of(module) in self._packages

    def aliases_of(self, name: str) -> tuple[str, ...]:
        """The first one is the name under which its jobs are stored."""
        found = sorted(alias for alias, owner in self._aliases.items() if owner == name)
        return tuple(sorted(found, key=lambda alias: alias != self._first.get(name)))

    def __iter__(self) -> "Iterator[tuple[str, type[Job]]]":
        return iter(sorted(self._classes.items()))

    def __len__(self) -> int:
        return len(self._classes)

    def _suggestion(self, name: str) -> str:
        if not self._classes:
            return "None is: decorate your Job classes with @register_job in a jobs.py, or name modules with --app."
        if suggested := suggestion(name, self._classes):
            return suggested
        known = sorted(self._classes)
        return f"Registered are: {', '.join(known[:10])}{', …' if len(known) > 10 else ''}."


def package_of(module: str) -> str:
    return module.partition(".")[0]


registry = Registry()
"""The registry that `@register_job` fills."""

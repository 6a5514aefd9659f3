"""The stored name of a class of the application: workers find the class by it."""

import sys
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path

from jobq.errors import EnqueueError

LOCALS = "<locals>."

PUT_INTO_MODULE = "Put it into a module that workers import, such as jobs.py, and import it from there."


def name_of(job_class: type) -> str:
    """The name under which jobs of a class are stored: `module.Class`."""
    module = job_class.__module__
    if module == "__main__":
        module = name_of_main()
    return f"{module}.{job_class.__qualname__}"


def name_of_main() -> str:
    """The name by which a worker will import the program that is running as `__main__`."""
    if (spec := getattr(sys.modules["__main__"], "__spec__", None)) is not None:
        return str(spec.name)
    if (file := file_of_main()) is None:
        return "__main__"  # an interactive session: no worker can import it
    return name_in_project(file.with_suffix(""))


@cache
def name_in_project(path: Path) -> str:
    from jobq.projects import find_project, import_roots

    for root in import_roots(find_project(path.parent, is_trusted=True) or path.parent):
        if path.is_relative_to(root):
            return ".".join(path.relative_to(root).parts)
    return path.name


def file_of_main() -> Path | None:
    """The file that was run as a program. None if it was started as a module, or if there is none."""
    main = sys.modules["__main__"]
    file = getattr(main, "__file__", None)
    return None if file is None or getattr(main, "__spec__", None) is not None else Path(file).resolve()


# Names that no worker can have

SESSIONS = {"__main__", "__console__", "builtins", None}
"""The module name of typed code: in Python's own session, in one of the module `code`, in one with given variables (of
a class, and of a function)."""


def may_be_unknown(job_class: type, name: str) -> bool:
    """Whether `check_name` has anything to check: a quick test for every job that is enqueued."""
    return "<" in name or job_class.__module__ in SESSIONS


def check_name(job_class: type, name: str, root: Callable[[], Path]) -> None:
    """Refuses a class that no worker can find by its name. `root` is the folder of the project that has the queue.

    Raises EnqueueError, which says where to put the class.
    """
    if LOCALS in name and "jobq.testing" not in sys.modules:
        raise EnqueueError(
            f"{name} is defined inside a function, so no worker has a class of this name. {PUT_INTO_MODULE} "
            "(A decorator below @job must use functools.wraps. In tests, import jobq.testing: run_due_jobs() runs it.)"
        )
    if name.startswith("__main__.") or (job_class.__module__ in SESSIONS and is_typed(job_class)):
        raise EnqueueError(
            f"{job_class.__qualname__} is defined in an interactive session, in a notebook or by python -c, where no "
            f"worker can import it. {PUT_INTO_MODULE}"
        )
    if job_class.__module__ != "__main__" or (file := file_of_main()) is None:  # python -m imported it by its name
        return
    project = root()
    if (project / "pyproject.toml").is_file() and not file.is_relative_to(project.resolve()):
        raise EnqueueError(
            f"{job_class.__qualname__} is defined in {file}, which is outside of the project in {project}: its workers "
            f"cannot import it. {PUT_INTO_MODULE}"
        )


def is_typed(job_class: type) -> bool:
    """Whether the code of a class was typed into a session. Such a session may have a file, such as `python -m
    asyncio`."""
    from inspect import unwrap

    members = [getattr(member, "__func__", member) for member in vars(job_class).values()]
    codes = [code for member in members if (code := getattr(unwrap(member), "__code__", None)) is not None]
    return bool(codes) and all(code.co_filename.startswith("<") for code in codes)


# Names that may be meant


def near(name: str, known: Iterable[str]) -> list[str]:
    """The known names that may be meant: the same class by a longer or shorter path, else similar names."""
    from difflib import get_close_matches

    candidates = sorted(known)
    same = [one for one in candidates if name.endswith(f".{one}") or one.endswith(f".{name}")]
    last = name.rpartition(".")[2]
    return (
        same
        or get_close_matches(name, candidates, n=3)
        or [one for one in candidates if one.rpartition(".")[2] == last]
    )


def suggestion(name: str, known: Iterable[str]) -> str:
    """A question with the names that may be meant. Empty if no name is similar."""
    found = near(name, known)
    return f"Did you mean {' or '.join(found)}?" if found else ""

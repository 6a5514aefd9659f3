"""Imports the application's modules, and explains failures."""

import importlib
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from jobq.errors import ApplicationError, UnknownJobClass
from jobq.registry import registry

if TYPE_CHECKING:
    from jobq.base import Job


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


PACKAGE = Path(__file__).parent
CALLED = {PACKAGE, PACKAGE / "arguments"}


def is_import_machinery(filename: str) -> bool:
    """Whether a frame belongs to importing or registering: Python's own, or jobq's modules in these folders."""
    return filename.startswith("<frozen importlib") or filename == importlib.__file__ or Path(filename).parent in CALLED


def resolve(name: str) -> "type[Job]":
    """The class that a person named: registered already, or in a module that can be imported.

    For commands, never for rows. Raises UnknownJobClass, or ApplicationError if the module does not import.
    """
    module, _, attribute = name.rpartition(".")
    if registry.find(name) is None and module:
        try:
            import_module(module)
        except ApplicationError as error:
            if error.user_traceback:
                raise
            raise UnknownJobClass(f"No job class {name!r} is registered. {error}") from None
        refuse_undecorated(name, getattr(sys.modules[module], attribute, None))
    return registry.get(name)


def refuse_undecorated(name: str, found: object) -> None:
    """Raises UnknownJobClass for a job class that exists but is not registered."""
    from jobq.base import Job

    if isinstance(found, type) and issubclass(found, Job) and registry.find(name) is None:
        raise UnknownJobClass(f"{name} is not registered. Decorate the class with @register_job.")

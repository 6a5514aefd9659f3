"""Surrounds each attempt with the context managers of the application, and with the care for its frameworks.

A context manager is entered before the arguments of a job are loaded, and left after the job. Care is for processes
that run one job after another. A test keeps its connections and transactions as they are, so it gets no care.
"""

import inspect
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from typing import Any, TypeVar

from jobq.errors import ConfigurationError
from jobq.frameworks.care import Care

Result = TypeVar("Result")

ContextManagerFactory = Callable[[], AbstractContextManager[Any]]

are_needed = False
"""False: nothing surrounds the attempts of this process. A plain value, since each job reads it."""

cares: tuple[Care, ...] = ()
"""Chosen by `use_care`, once the application is loaded."""

around: list[ContextManagerFactory] = []


def around_attempts(factory: ContextManagerFactory) -> ContextManagerFactory:
    """Registers a context manager that surrounds each attempt, from the loading of its arguments on.

    `factory` is called once for each attempt, without arguments. The one that is registered first is the outermost. It
    works for ordinary jobs, coroutines, `on_aborted`, `jobq perform` and `run_due_jobs`. You can use it as a decorator
    above `@contextmanager`. Raises ConfigurationError if `factory` makes no context manager.
    """
    global are_needed
    is_manager = not isinstance(factory, type) and (hasattr(factory, "__enter__") or hasattr(factory, "__aenter__"))
    if is_manager or not callable(factory):
        raise ConfigurationError(
            f"around_attempts takes a function that makes a context manager, but got {factory!r}: pass the function "
            "itself, without calling it."
        )
    if inspect.isasyncgenfunction(inspect.unwrap(factory)) or inspect.iscoroutinefunction(factory):
        raise ConfigurationError(
            f"around_attempts takes ordinary context managers, but {getattr(factory, '__qualname__', factory)} is "
            "asynchronous: ordinary jobs have no event loop. Use an `async def` middleware for coroutines."
        )
    if factory not in around:
        around.append(factory)
    are_needed = True
    return factory


def use_care() -> None:
    """From now on this process cares for the frameworks that the application has imported, between its jobs."""
    global are_needed, cares
    cares = tuple(chosen())
    are_needed = bool(around or cares)


def chosen() -> Iterator[Care]:
    if "django.db" in sys.modules:
        from jobq.frameworks.django import DjangoCare, is_configured

        if is_configured():
            yield DjangoCare()
    if "sqlalchemy.pool" in sys.modules:
        from jobq.frameworks.sqlalchemy import SQLAlchemyCare

        yield SQLAlchemyCare()


@contextmanager
def entered() -> Iterator[None]:
    """Within it, an attempt loads its arguments and runs its job."""
    for care in cares:
        care.begin()
    with ExitStack() as stack:
        for factory in around:
            stack.enter_context(factory())
        yield


@asynccontextmanager
async def entered_beside_others() -> AsyncIterator[None]:
    """The same for a coroutine that runs beside others."""
    async with AsyncExitStack() as stack:
        for care in cares:
            await stack.enter_async_context(care.beside_others())
        for factory in around:
            stack.enter_context(factory())
        yield


def leave() -> None:
    """After an attempt, and before its report: closes what it left open."""
    for care in cares:
        care.end()


async def in_thread(function: Callable[..., Result], *arguments: Any) -> Result:
    """Runs blocking code in the thread that the frameworks require."""
    for care in cares:
        return await care.in_thread(function, *arguments)
    return await Care().in_thread(function, *arguments)


def rest() -> float | None:
    """Closes connections past their age. Returns the seconds until the next call; None: not before the next attempt."""
    waits = [wait for care in cares if (wait := care.rest()) is not None]
    return min(waits, default=None)

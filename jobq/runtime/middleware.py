"""Functions around every run, named in the settings. Each is called with the job and with the next function.

    def timed(job, call_next):
        with stopwatch(type(job).__name__):
            return call_next(job)

An `async def` function is awaited, and awaits the next one. Ordinary functions surround the asynchronous ones, whatever
their order in the settings: everything that they call has ended when it returns.
"""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from jobq.base import Job
from jobq.errors import ApplicationError
from jobq.importing import import_module
from jobq.registry import registry
from jobq.runtime import observers
from jobq.runtime.guard import Guard

CallNext = Callable[[Job], Any]
Middleware = Callable[[Job, CallNext], Any]


@dataclass(frozen=True, slots=True)
class Chain:
    """The middleware of this process, the outermost first."""

    ordinary: tuple[Middleware, ...] = ()
    asynchronous: tuple[Middleware, ...] = ()

    def call(self, job: Job, run: CallNext) -> Any:
        """Calls the ordinary functions around `run`."""
        return called(self.ordinary, job, run)

    def call_async(self, job: Job, guard: Guard) -> Any:
        """Calls the asynchronous functions around run(). A coroutine, if there are any of them, or if run() is one."""
        if not self.asynchronous:
            return job.run()
        return called(self.asynchronous, job, lambda job: run_in_loop(job, guard))


chain: Chain | None = None
"""Set by `use`; None if there is none. A process has one application."""


def use(names: Sequence[str]) -> None:
    """Makes the functions with these names the middleware of this process. Raises ApplicationError."""
    global chain
    found = [function_of(name) for name in names]
    observers.use(*filter(is_observer, found))
    functions: list[Middleware] = [function for function in found if not is_observer(function)]
    chain = None
    if functions:
        chain = Chain(
            ordinary=tuple(function for function in functions if not is_async(function)),
            asynchronous=tuple(function for function in functions if is_async(function)),
        )


def require_asynchronous() -> None:
    """An ordinary function cannot surround one of many coroutines: it would block all of them."""
    coroutines = [name for name, job_class in registry if inspect.iscoroutinefunction(job_class.run)]
    if coroutines and chain is not None and chain.ordinary:
        raise ApplicationError(
            f"With a concurrency above 1 the middleware of coroutines ({coroutines[0]}, …) must be `async def`, but "
            f"{getattr(chain.ordinary[0], '__qualname__', chain.ordinary[0])} is not."
        )


def called(functions: Sequence[Middleware], job: Job, run: CallNext) -> Any:
    if not functions:
        return run(job)
    first, *rest = functions
    return first(job, lambda job: called(rest, job, run))


async def run_in_loop(job: Job, guard: Guard) -> Any:
    """The job's run() in a task. One that is not a coroutine is interrupted as outside of any loop."""
    import asyncio

    guard.enter(None)
    try:
        value = job.run()
    finally:
        guard.enter(asyncio.current_task())
    return await value if inspect.iscoroutine(value) else value


def function_of(name: str) -> Callable[..., Any]:
    module, _, attribute = name.rpartition(".")
    if not module:
        raise ApplicationError(f"The middleware {name!r} is not a dotted name, as in shop.middleware.timed.")
    function = getattr(import_module(module), attribute, None)
    if not callable(function):
        raise ApplicationError(f"There is no function {attribute!r} in {module}: see the setting middleware.")
    found: Callable[..., Any] = function
    return found


def is_observer(function: Callable[..., Any]) -> bool:
    """Whether it watches whole attempts, as jobq.sentry does."""
    return getattr(function, "observes_attempts", False) is True


def is_async(function: Middleware) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__)

"""Runs a job in the process of the test, as a worker's child would."""

import inspect
from asyncio import _get_running_loop
from collections.abc import Callable
from concurrent.futures import Future
from contextvars import copy_context
from threading import Thread
from typing import Any, TypeVar

from jobq import references
from jobq.arguments import decode
from jobq.records import Assignment, Report
from jobq.registry import registry
from jobq.runtime import middleware
from jobq.runtime.execution import execute, in_session_of
from jobq.store.database import default_database

Result = TypeVar("Result")


def run_here(assignment: Assignment) -> tuple[Report, BaseException | None]:
    """Runs a job as a worker does, with its middleware. Returns its report, and the exception."""
    middleware.use(default_database().settings.middleware)
    return beside_loop(lambda: run(assignment)) if is_coroutine(assignment.job_class) else run(assignment)


def arguments_here(job_class: str, stored: str) -> dict[str, Any]:
    """The arguments of a waiting job, with the rows that it would get."""
    found = registry.find(job_class)
    has_session = references.SESSION.get() is not None or "sessions" in references.SQLALCHEMY
    if found is None or has_session or not references.are_of_loops(stored):
        return decode(stored)
    return beside_loop(lambda: in_session_of(found, lambda: decode(stored)))


def run(assignment: Assignment) -> tuple[Report, BaseException | None]:
    errors: list[BaseException] = []

    def keep(error: BaseException) -> None:
        if isinstance(error, KeyboardInterrupt):  # meant for the test, not for the job
            raise error
        errors.append(error)

    report = execute(assignment, registry, on_error=keep)
    return report, errors[0] if errors else None


def is_coroutine(name: str) -> bool:
    job_class = registry.find(name)
    return job_class is not None and inspect.iscoroutinefunction(job_class.run)


def beside_loop(function: Callable[[], Result]) -> Result:
    """Calls a function that runs coroutines.

    In a thread, if a loop runs already in this one, such as the test's own: one thread cannot run two.
    """
    if _get_running_loop() is None:
        return function()
    result: Future[Result] = Future()
    context = copy_context()

    def called() -> None:
        try:
            result.set_result(context.run(function))
        except BaseException as error:  # noqa: BLE001 - it is raised in the test
            result.set_exception(error)

    thread = Thread(target=called)
    thread.start()
    thread.join()
    return result.result()

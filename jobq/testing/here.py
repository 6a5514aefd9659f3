"""A job's run in the process of the test, by the worker's own executor."""

import inspect
from asyncio import _get_running_loop
from contextvars import copy_context
from threading import Thread

from jobq.records import Assignment, Report
from jobq.registry import registry
from jobq.runtime import middleware
from jobq.runtime.executor import execute
from jobq.store.database import default_database


def run_here(assignment: Assignment) -> tuple[Report, BaseException | None]:
    """Runs a job as a worker does, with its middleware; returns its report, and what it raised."""
    middleware.use(default_database().settings.middleware)
    if _get_running_loop() is not None and is_coroutine(assignment):
        return run_beside_loop(assignment)
    return run(assignment)


def run(assignment: Assignment) -> tuple[Report, BaseException | None]:
    errors: list[BaseException] = []

    def keep(error: BaseException) -> None:
        if isinstance(error, KeyboardInterrupt):  # meant for the test, not for the job
            raise error
        errors.append(error)

    report = execute(assignment, registry, on_error=keep)
    return report, errors[0] if errors else None


def is_coroutine(assignment: Assignment) -> bool:
    job_class = registry.find(assignment.job_class)
    return job_class is not None and inspect.iscoroutinefunction(job_class.run)


def run_beside_loop(assignment: Assignment) -> tuple[Report, BaseException | None]:
    """The same in a thread: in this one a loop runs already, that of the test itself, and it cannot run another."""
    results: list[tuple[Report, BaseException | None]] = []
    context = copy_context()
    thread = Thread(target=lambda: results.append(context.run(run, assignment)))
    thread.start()
    thread.join()
    (result,) = results
    return result

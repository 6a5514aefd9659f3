"""Makes the job from its class and its arguments."""

import inspect
from collections.abc import Callable
from typing import TypeVar

from jobq import arguments, references
from jobq.base import Job
from jobq.frameworks import surroundings
from jobq.records import Assignment
from jobq.registry import Registry
from jobq.runtime import loop
from jobq.runtime.execution.running import Running
from jobq.runtime.guard import Guard

Result = TypeVar("Result")


def build_in_turn(
    assignment: Assignment, registry: Registry, running: "Running | None" = None, guard: Guard | None = None
) -> Job:
    if not references.are_of_loops(assignment.arguments):
        return build(assignment, registry, running)
    job_class = registry.get(assignment.job_class)
    return in_session_of(job_class, lambda: build(assignment, registry, running), guard)


def in_session_of(job_class: type[Job], load: Callable[[], Result], guard: Guard | None = None) -> Result:
    """Calls a function that loads the rows of a job.

    If the application's sessions belong to an event loop, a coroutine's rows are loaded in the loop in which it will
    run.
    """
    if not references.belong_to_loops or not inspect.iscoroutinefunction(job_class.run):
        return load()
    result: Result = loop.run(references.in_session_of_loop(load), guard or Guard())
    return result


async def built_beside_others(assignment: Assignment, registry: Registry, running: "Running") -> Job:
    """Loads rows in a thread: a slow database must not delay the other coroutines."""
    if not references.may_be_in(assignment.arguments):
        return build(assignment, registry, running)
    if references.are_of_loops(assignment.arguments):
        return await references.in_session_of_loop(lambda: build(assignment, registry, running))
    references.OPENED.set([])  # a list that the thread's copy of this context shares
    return await surroundings.in_thread(build, assignment, registry, running)


def build(assignment: Assignment, registry: Registry, running: "Running | None" = None) -> Job:
    job_class = registry.get(assignment.job_class)
    job = arguments.rebuild(job_class, arguments.decode(assignment.arguments))
    assert isinstance(job, Job)
    object.__setattr__(job, "_attempt", running or Running(assignment, Guard()))  # also in a frozen dataclass
    return job

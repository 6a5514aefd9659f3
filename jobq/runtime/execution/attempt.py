"""Runs one attempt of a job in this process, with everything around it, and returns the report on it."""

import inspect
import os
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

from jobq import references, telemetry
from jobq.base import Job
from jobq.frameworks import surroundings
from jobq.records import Assignment, Report
from jobq.registry import Registry
from jobq.running import CURRENT
from jobq.runtime import attempts_log, middleware, observers
from jobq.runtime.execution.build import build, build_in_turn, built_beside_others
from jobq.runtime.execution.classify import ended_by
from jobq.runtime.execution.perform import call, call_hook
from jobq.runtime.execution.running import Running
from jobq.runtime.guard import Guard
from jobq.runtime.observers import Watch


def execute(
    assignment: Assignment,
    registry: Registry,
    guard: Guard | None = None,
    *,
    on_error: Callable[[BaseException], None] | None = None,
) -> Report:
    """Looks up the class, makes the job from its arguments, runs it, and decides the outcome.

    Whatever the user's code raises, SystemExit and KeyboardInterrupt included, ends in a report. A caller in a test or
    a shell may want the exception itself: `on_error` gets it, and may raise.
    """
    guard = guard or Guard()
    if not observers.chosen and (assignment.hook is not None or not telemetry.is_on()):  # as for nearly all
        return attempt(assignment, registry, guard, on_error)
    with Watch(assignment, observers.of(assignment)).begun() as watch:
        report = attempt(assignment, registry, guard, on_error, watch)
        watch.ended(report)
    return report


def attempt(
    assignment: Assignment,
    registry: Registry,
    guard: Guard,
    on_error: Callable[[BaseException], None] | None,
    watch: Watch | None = None,
) -> Report:
    job: Job | None = None
    process = os.getpid()
    running = Running(assignment, guard)
    token = CURRENT.set(running)
    try:
        try:
            try:
                guard.open(assignment.id, assignment.attempt)
                if surroundings.are_needed or references.belong_to_loops:
                    value = surrounded(assignment, registry, running, guard)
                else:  # most are plain, and short
                    job = build(assignment, registry, running)
                    value = call(job, guard) if assignment.hook is None else call_hook(job, assignment.hook, guard)
            finally:
                guard.close()
                references.close_opened()
        except BaseException as error:  # noqa: BLE001 - the edge around the user's code
            leave_if_forked(process)
            if on_error is not None:
                on_error(error)
            report = running.unsuccessful(ended_by(error, assignment, job or running.made, guard.delivered))
            note_failure(assignment, report, error, watch, process)
        else:
            report = running.successful(value)
        leave_if_forked(process)  # the report too calls the user's code, such as get_retry_delay()
        if surroundings.are_needed:
            surroundings.leave()
    finally:
        CURRENT.reset(token)
    return report


def surrounded(assignment: Assignment, registry: Registry, running: "Running", guard: Guard) -> Any:
    """The result of `run`, called inside the context managers of the application and its frameworks.

    None if a context manager swallows an error. A copy that the job forked ends in here: it must not leave its parent's
    context managers too.
    """
    process = os.getpid()
    with surroundings.entered():
        try:
            job = running.made = build_in_turn(assignment, registry, running, guard)
            return call(job, guard) if assignment.hook is None else call_hook(job, assignment.hook, guard)
        finally:
            leave_if_forked(process)
            guard.close()
            references.close_opened()


async def execute_async(assignment: Assignment, registry: Registry, guard: Guard) -> Report:
    """The same for a coroutine in an event loop, beside others."""
    if not (watching := observers.of(assignment)):
        return await attempt_async(assignment, registry, guard)
    with Watch(assignment, watching).begun() as watch:
        report = await attempt_async(assignment, registry, guard, watch)
        watch.ended(report)
    return report


async def attempt_async(assignment: Assignment, registry: Registry, guard: Guard, watch: Watch | None = None) -> Report:
    process = os.getpid()
    CURRENT.set(running := Running(assignment, guard))  # in the context of this task, which ends with it
    try:
        try:
            guard.open(assignment.id, assignment.attempt)
            value = await surrounded_beside_others(assignment, registry, running, guard)
        finally:
            guard.close()
    except BaseException as error:  # noqa: BLE001 - the edge around the user's code
        leave_if_forked(process)
        report = running.unsuccessful(ended_by(error, assignment, running.made, guard.delivered))
        note_failure(assignment, report, error, watch, process)
    else:
        report = running.successful(value)
    leave_if_forked(process)
    return report


async def surrounded_beside_others(assignment: Assignment, registry: Registry, running: "Running", guard: Guard) -> Any:
    process = os.getpid()
    async with surroundings.entered_beside_others() if surroundings.are_needed else nullcontext():
        try:
            job = running.made = await built_beside_others(assignment, registry, running)
            value = job.run() if middleware.chain is None else middleware.chain.call_async(job, guard)
            return await value if inspect.isawaitable(value) else value
        finally:
            leave_if_forked(process)
            guard.close()
            references.close_opened()


def note_failure(
    assignment: Assignment, report: Report, error: BaseException, watch: Watch | None, process: int
) -> None:
    leave_if_forked(process)  # the report called code of the user's, as below
    if watch is not None:
        watch.error = error
    attempts_log.tell_in_child(assignment, report, error)


def leave_if_forked(process: int) -> None:
    """A job that forked and returned here twice must report once: the copy ends silently."""
    if os.getpid() != process:
        os._exit(0)

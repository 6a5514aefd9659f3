"""Calls `run()` of a job, or its hook, with the middleware around it."""

import inspect
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from jobq.base import Job
from jobq.names import name_of
from jobq.records import Assignment, AttemptRecord
from jobq.running import CURRENT
from jobq.runtime import loop, middleware
from jobq.runtime.execution.running import Running
from jobq.runtime.guard import Guard


def run(job: Job, guard: Guard | None = None) -> Any:
    """Runs a job with its middleware around it, as the current job of this context."""
    token = CURRENT.set(job._attempt)
    try:
        return call(job, guard or Guard())
    finally:
        CURRENT.reset(token)


def call(job: Job, guard: Guard) -> Any:
    """Calls run() with the middleware around it; a coroutine is run to its end."""
    if (chain := middleware.chain) is None:
        return awaited(job.run(), guard)
    return chain.call(job, lambda job: awaited(chain.call_async(job, guard), guard))


def awaited(value: Any, guard: Guard) -> Any:
    """The value itself, or the result of a coroutine."""
    if not inspect.iscoroutine(value):
        return value
    return loop.run(value, guard)


def call_hook(job: Job, hook: str, guard: Guard) -> Any:
    """Tells a job about an attempt that could not report its own end."""
    result = json.loads(hook)["result"]
    for name in ("started_at", "ended_at"):
        result[name] = datetime.fromisoformat(result[name]) if result.get(name) else None
    tell: Callable[[AttemptRecord], Any] = job.on_aborted  # it may be a coroutine too
    return awaited(tell(AttemptRecord(**{"worker": None, "value": None, "traceback": None, **result})), guard)


def run_here(job: Job) -> Any:
    """Runs a job here and now, outside any worker, as attempt 1 of job 0."""
    name, now = name_of(type(job)), int(datetime.now(UTC).timestamp() * 1e6)
    assignment = Assignment(0, 1, 0, 0, 0, job.get_priority(), now, job.get_queue(), name, "{}")
    object.__setattr__(job, "_attempt", Running(assignment, Guard()))
    return run(job)

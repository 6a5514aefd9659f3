"""The options of a class that are the same for all its jobs: for enqueuers without its code."""

import inspect
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from jobq.errors import EnqueueError
from jobq.options import MAX_PRIORITY, MAX_RETRIES, checked_int, checked_key, checked_queue, checked_timeout

CHECKS: dict[str, Callable[[Any], Any]] = {
    "queue": checked_queue,
    "priority": lambda value: checked_int("priority", value, MAX_PRIORITY),
    "retries": lambda value: checked_int("retries", value, MAX_RETRIES, least=0),
    "timeout": checked_timeout,
    "unique_key": checked_key,
}
"""By the names of the options. The class's method has the same name with `get_` in front."""


def constant_options(job_class: type) -> dict[str, Any]:
    """The options that are the same for every job of a class, without those that its code computes."""
    return dict(constants(job_class))


def constants(job_class: Any) -> Iterator[tuple[str, Any]]:
    chosen = getattr(job_class, "_chosen", None)
    for name, check in CHECKS.items():
        method = getattr(job_class, f"get_{name}")
        with suppress(EnqueueError, Computed):
            if chosen is not None and getattr(method, "__module__", "") == "jobq.functions":
                yield name, check(told(getattr(chosen, name)))
            else:
                yield name, check(constant(method))


class Computed(Exception):
    """The value depends on the job."""


def told(value: Any) -> Any:
    """An option of `@job`, unless it is computed from the arguments."""
    if callable(value) or (isinstance(value, str) and "{" in value):
        raise Computed
    return value


def constant(method: Any) -> Any:
    """The return value of a method that reads nothing: no name, no attribute, no variable from outside."""
    code = getattr(method, "__code__", None)
    if code is None or code.co_names or code.co_freevars or code.co_flags & inspect.CO_GENERATOR:
        raise Computed
    if inspect.iscoroutinefunction(method) or code.co_argcount != 1 or code.co_kwonlyargcount:
        raise Computed
    return method(None)

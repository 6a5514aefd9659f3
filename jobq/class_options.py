"""What a class says of its jobs whatever their arguments are: for those who enqueue where its code is not."""

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
"""By the names of the options; the method of a class is called `get_` and that."""


def constant_options(job_class: type) -> dict[str, Any]:
    """The options that are the same for every job of a class. Those that its code computes are not in it."""
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
    """A value is not known without the job."""


def told(value: Any) -> Any:
    """What `@job` was told, unless it is to be computed from the arguments."""
    if callable(value) or (isinstance(value, str) and "{" in value):
        raise Computed
    return value


def constant(method: Any) -> Any:
    """What a method returns that reads nothing: no name, no attribute, nothing around it."""
    code = getattr(method, "__code__", None)
    if code is None or code.co_names or code.co_freevars or code.co_flags & inspect.CO_GENERATOR:
        raise Computed
    if inspect.iscoroutinefunction(method) or code.co_argcount != 1 or code.co_kwonlyargcount:
        raise Computed
    return method(None)

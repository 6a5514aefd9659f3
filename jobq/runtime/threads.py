"""In a child: which job a thread works for. Contexts do not pass into threads by themselves.

A thread that a job starts belongs to the job, and so does work that it gives to a pool of threads.
"""

import functools
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from jobq.logging import ATTEMPT_OF_THREAD, current_attempt
from jobq.running import CURRENT, Attempt


def note_attempts() -> None:
    """From now on, for all threads of this process."""
    start, submit = threading.Thread.start, ThreadPoolExecutor.submit
    if hasattr(start, "__wrapped__"):
        return

    @functools.wraps(start)
    def noting_start(self: threading.Thread) -> None:
        if (attempt := current_attempt()) is not None:
            setattr(self, ATTEMPT_OF_THREAD, attempt)
        start(self)

    @functools.wraps(submit)  # type: ignore[arg-type]  # a generic method
    def noting_submit(
        self: ThreadPoolExecutor, function: Callable[..., Any], /, *args: Any, **kwargs: Any
    ) -> "Future[Any]":
        if (attempt := current_attempt()) is None:
            return submit(self, function, *args, **kwargs)
        return submit(self, run_as, attempt, function, args, kwargs)

    threading.Thread.start = noting_start  # type: ignore[method-assign]
    ThreadPoolExecutor.submit = noting_submit  # type: ignore[method-assign,assignment]


def run_as(attempt: Attempt, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    token = CURRENT.set(attempt)
    try:
        return function(*args, **kwargs)
    finally:
        CURRENT.reset(token)

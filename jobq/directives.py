"""Exceptions that run() may raise to control the job, and those that are raised in it to end it.

Defer, Fail, Cancel     raised by the job itself: ordinary exceptions
JobInterrupted
├── JobCancelled        raised in the job: somebody cancelled it
└── JobTimedOut         raised in the job: it has run for longer than its timeout
"""

from datetime import timedelta

from jobq.errors import UsageError

MAX_DEFER_SECONDS = 100 * 365.25 * 86400


class Defer(Exception):
    """`raise Defer(60)`: put this job back, and run it again after 60 seconds (or a timedelta).

    That uses no retry. With `counts_as_attempt` it uses one, and a job without retries left fails instead.
    """

    def __init__(self, delay: float | timedelta = 0, message: str = "", *, counts_as_attempt: bool = False) -> None:
        super().__init__(message)
        seconds = delay.total_seconds() if isinstance(delay, timedelta) else delay
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds <= MAX_DEFER_SECONDS:
            raise UsageError(f"Defer({delay!r}): the delay must be seconds or a timedelta, from 0 to 100 years.")
        self.seconds = float(seconds)
        self.counts_as_attempt = counts_as_attempt


class Fail(Exception):
    """`raise Fail("why")`: this job has failed, and a retry would not help."""


class Cancel(Exception):
    """`raise Cancel("why")`: this job is no longer needed, and ends as cancelled."""


class JobInterrupted(BaseException):
    """Raised in a running job that must end. It is not an Exception, so `except Exception` lets it through.

    `finally` blocks and context managers have `cancel_grace` seconds. Then the job's process is killed.
    """


class JobCancelled(JobInterrupted):
    """Raised in a running job when somebody cancels it. In a coroutine it is asyncio.CancelledError instead."""


class JobTimedOut(JobInterrupted):
    """Raised in a job that has run for longer than its timeout. In a coroutine it is asyncio.CancelledError instead."""


for _public in (Cancel, Defer, Fail, JobCancelled, JobInterrupted, JobTimedOut):
    _public.__module__ = "jobq"  # tracebacks, results and `jobq show` use the name under which it is imported

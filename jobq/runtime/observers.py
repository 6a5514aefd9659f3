"""In a child: observers of attempts, each from its first step to its report, including the loading of arguments.

Traces, Sentry and the debug log are observers. Middleware surrounds only `run()`, and sees no report.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Protocol

from jobq import telemetry
from jobq.records import Assignment, Report
from jobq.runtime import attempts_log
from jobq.states import Outcome

log = logging.getLogger("jobq.observers")


class Observed(Protocol):
    """An observer's context of one attempt. `error` is the exception that ended it. None if none was raised."""

    def ended(self, report: Report, error: BaseException | None) -> None: ...


Observer = Callable[[Assignment], AbstractContextManager[Observed]]

chosen: tuple[Observer, ...] = ()
"""The observers of this process, the outermost first; set once the application is loaded."""


def use(*observers: Observer) -> None:
    global chosen
    chosen = observers


def of(assignment: Assignment) -> tuple[Observer, ...]:
    if assignment.hook is None and telemetry.is_on():
        return (telemetry.processing, *chosen)
    return chosen


class Watch:
    """One attempt with its observers. If one fails, that is logged and the job goes on without it."""

    def __init__(self, assignment: Assignment, observers: tuple[Observer, ...]) -> None:
        self.error: BaseException | None = None
        self._assignment = assignment
        self._observers = observers
        self._observed: list[Observed] = []

    @contextmanager
    def begun(self) -> "Iterator[Watch]":
        with ExitStack() as stack:
            for observer in self._observers:
                try:
                    self._observed.append(stack.enter_context(observer(self._assignment)))
                except Exception:
                    log.exception("an observer of attempts failed")
            yield self

    def ended(self, report: Report) -> None:
        for observed in reversed(self._observed):
            try:
                observed.ended(report, self.error)
            except Exception:
                log.exception("an observer of attempts failed")
        self.error = None  # its traceback holds all objects of the job


@contextmanager
def debug_log(assignment: Assignment) -> Iterator[Observed]:
    """Logs starts and successes. Used only with log level `debug`, so it costs nothing otherwise."""
    attempts_log.tell_start(assignment)
    yield DebugLog(assignment)


class DebugLog:
    def __init__(self, assignment: Assignment) -> None:
        self._assignment = assignment

    def ended(self, report: Report, error: BaseException | None) -> None:
        if error is None and report.outcome == Outcome.SUCCESSFUL:
            attempts_log.tell_success(self._assignment, report)

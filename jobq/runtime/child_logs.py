"""Where a child's log and output go: to the stderr that all children share with the worker."""

import logging
import sys
from functools import partial

from jobq.logging import EVENTS, TOLD
from jobq.runtime import attempts_log, observers
from jobq.runtime.logs import dropped, formatter_of
from jobq.runtime.output import Output, has_room, write_all
from jobq.runtime.threads import note_attempts


class ChildLines(logging.Handler):
    """Writes records to a descriptor, each in one piece: all children share the worker's stderr.

    A job that logs waits for the reader, as one that prints does. jobq's own lines never hold a job up: where there is
    no room they are dropped and counted.
    """

    def __init__(self, fd: int, formatter: logging.Formatter, level: int = logging.NOTSET) -> None:
        super().__init__(level)
        self._fd = fd
        self.setFormatter(formatter)
        self.addFilter(lambda record: not hasattr(record, TOLD))
        self._dropped = 0

    def emit(self, record: logging.LogRecord) -> None:
        try:
            if record.name != EVENTS:
                write_all(self._fd, f"{self.format(record)}\n")
            elif has_room(self._fd):
                write_all(self._fd, f"{self._told_dropped()}{self.format(record)}\n")
            else:
                self._dropped += 1
        except Exception:  # noqa: BLE001 - the arguments of the user's record may raise anything
            self.handleError(record)

    def _told_dropped(self) -> str:
        count, self._dropped = self._dropped, 0
        return f"{self.format(dropped(count))}\n" if count else ""


def prepare(log_format: str) -> None:
    """Before the application is loaded: it may configure logging, so that this is the last resort only."""
    logging.lastResort = ChildLines(2, formatter_of(log_format), logging.WARNING)


def configure(log_format: str, log_level: str, job_log_level: str) -> None:
    """Once the application is loaded: configures logging where it has not, and has output told in lines.

    The root logger then lets through what either the worker's log or the jobs' own lines are to have.
    """
    attempts_log.is_in_child = True
    root, events = logging.getLogger(), logging.getLogger(EVENTS)
    if not root.handlers:
        level = logging.getLevelName(log_level.upper())
        is_untouched = root.level == logging.WARNING  # as it is until somebody sets it
        root.addHandler(ChildLines(2, formatter_of(log_format), level if is_untouched else logging.NOTSET))
        if is_untouched:
            root.setLevel(min(level, logging.getLevelName(job_log_level.upper())))
    events.disabled = False  # a dictConfig disables the loggers that it does not name
    if log_level == "debug":
        events.setLevel(logging.DEBUG)
        observers.use(observers.debug_log, *observers.chosen)
    for name in ("stdout", "stderr"):
        tell_in_lines(name, formatter_of(log_format))
    note_attempts()


def tell_in_lines(name: str, formatter: logging.Formatter) -> None:
    """Unless the application has put a stream of its own in the place of this one."""
    stream = getattr(sys, name)
    if stream is None or stream is not getattr(sys, f"__{name}__"):
        return
    stream.flush()
    write = partial(write_all, stream.fileno())
    setattr(sys, name, Output(stream, name, lambda record: write(f"{formatter.format(record)}\n")))

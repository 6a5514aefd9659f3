"""The logs of the worker and of its children: where they go. `jobq.logging` says what a line looks like.

Nothing that the worker logs waits for its reader.
"""

import logging
import sys
from functools import partial

from jobq.logging import EVENTS, TOLD, JsonFormatter, TextFormatter
from jobq.runtime import attempts_log, observers
from jobq.runtime.lines import Lines
from jobq.runtime.output import Output, has_room, write_all
from jobq.runtime.threads import note_attempts
from jobq.settings import Settings

FLUSH_SECONDS = 2.0
"""How long the exit waits until the last lines are read."""

log = logging.getLogger("jobq.worker")


def configure(settings: Settings) -> None:
    """Sends the log of `jobq` to stderr in the format that the settings name."""
    handler = handler_of_stderr()
    handler.setFormatter(formatter_of(settings.log_format))
    logger = logging.getLogger("jobq")
    logger.handlers[:] = [handler]
    logger.setLevel(settings.log_level.upper())
    logger.propagate = False


def formatter_of(log_format: str) -> logging.Formatter:
    return JsonFormatter() if log_format == "json" else TextFormatter()


def handler_of_stderr() -> logging.Handler:
    """A stream without a descriptor is in this process, and cannot hang."""
    if sys.stderr is None:  # closed before the start
        return logging.NullHandler()
    try:
        return QueuedLines(sys.stderr.fileno())
    except OSError:
        return logging.StreamHandler(sys.stderr)


def write(text: str) -> None:
    """Puts text that is for people, and is no event, into the log as it is."""
    for handler in logging.getLogger("jobq").handlers:
        if isinstance(handler, QueuedLines):
            handler.lines.put(encoded(text))
            return
    sys.stderr.write(text)


def flush() -> None:
    """Waits until the last lines are written, but not for long."""
    for handler in logging.getLogger("jobq").handlers:
        handler.flush()


class QueuedLines(logging.Handler):
    """Formats a record in the thread that logs it, and leaves the rest to the thread that writes."""

    def __init__(self, fd: int) -> None:
        super().__init__()
        self.lines = Lines(fd, self._told_dropped)

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self.lines.put(encoded(f"{self.format(record)}\n"))
        except Exception:  # noqa: BLE001 - as every handler of Python's does: a record that cannot be formatted
            self.handleError(record)

    def flush(self) -> None:
        """Also called by `logging` at the exit."""
        self.lines.flush(FLUSH_SECONDS)

    def _told_dropped(self, count: int) -> bytes:
        return encoded(f"{self.format(dropped(count))}\n")


def dropped(count: int) -> logging.LogRecord:
    message = "log lines were dropped, since nobody read them or they could not be written lines=%s"
    return log.makeRecord(log.name, logging.WARNING, __file__, 0, message, (count,), None)


def encoded(text: str) -> bytes:
    return text.encode("utf-8", "backslashreplace")


# In a child


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


def prepare_child(log_format: str) -> None:
    """Before the application is loaded: it may configure logging, so that this is the last resort only."""
    logging.lastResort = ChildLines(2, formatter_of(log_format), logging.WARNING)


def configure_child(log_format: str, log_level: str) -> None:
    """Once the application is loaded: configures logging where it has not, and has output told in lines."""
    attempts_log.is_in_child = True
    root, events = logging.getLogger(), logging.getLogger(EVENTS)
    if not root.handlers:
        root.addHandler(ChildLines(2, formatter_of(log_format)))
        if root.level == logging.WARNING:  # as it is until somebody sets it
            root.setLevel(log_level.upper())
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

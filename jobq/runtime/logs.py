"""Where the worker's log goes. `jobq.logging` defines the form of a line, `child_logs` the log of its children.

Logging never waits for the reader.
"""

import logging
import sys

from jobq.logging import JsonFormatter, TextFormatter
from jobq.runtime.lines import Lines
from jobq.settings import Settings

FLUSH_SECONDS = 2.0
"""Seconds that the exit waits until the last lines are read."""

log = logging.getLogger("jobq.worker")


def configure(settings: Settings) -> None:
    """Sends the log of `jobq` to stderr in the configured format."""
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
    """Writes text for people, which is not an event, into the log unchanged."""
    for handler in logging.getLogger("jobq").handlers:
        if isinstance(handler, QueuedLines):
            handler.lines.put(encoded(text))
            return
    sys.stderr.write(text)


def flush() -> None:
    """Waits briefly until the last lines are written."""
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

"""The worker's log: one line an event on stderr, as key=value or as JSON."""

import json
import logging
import sys
import time
from typing import Any

from jobq.settings import Settings


def configure(settings: Settings) -> None:
    """Sends the log of `jobq` to stderr in the format that the settings name."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if settings.log_format == "json" else TextLines())
    logger = logging.getLogger("jobq")
    logger.handlers[:] = [handler]
    logger.setLevel(settings.log_level.upper())
    logger.propagate = False


class TextLines(logging.Formatter):
    """`2026-11-23T14:32:07.123Z INFO worker started worker=7 host=web-1`"""

    def format(self, record: logging.LogRecord) -> str:
        line = f"{timestamp(record)} {record.levelname} {printable(record.getMessage())}"
        return line + (f"\n{self.formatException(record.exc_info)}" if record.exc_info else "")


class JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        content: dict[str, Any] = {
            "time": timestamp(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            content["traceback"] = self.formatException(record.exc_info)
        return json.dumps(content)


def timestamp(record: logging.LogRecord) -> str:
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(record.created))}.{int(record.msecs):03d}Z"


def printable(message: str) -> str:
    """One line whatever was in it: a class name or an error of the user's cannot forge a line or move the cursor."""
    from jobq.clean import line

    return line(message, 4000)

"""The form of a worker's log, and the job in the log lines of an application: a filter and two formatters.

For an application that configures `logging` itself:

    "filters": {"job": {"()": "jobq.logging.JobFilter"}},
    "formatters": {"json": {"()": "jobq.logging.JsonFormatter"}},

No text can forge a record or move a cursor. One record is one line. A traceback is several lines, and each of them
begins like its record.
"""

import json
import logging
import threading
import time
from typing import Any

from jobq import log_events
from jobq.clean import json_text, line
from jobq.records import RunningJob
from jobq.running import CURRENT, Attempt

MAX_CHARACTERS = 8000
"""Maximum characters of one message, and of one line of a traceback. Containers cut lines of more than 16 kB."""

MAX_TRACEBACK_CHARACTERS = 100_000

EVENTS = "jobq.job"
"""The logger of attempts: its messages name the job in their own fields."""

ATTEMPT_OF_THREAD = "_jobq_attempt"
"""An attribute of threads that a job has started: the attempt."""

OUTPUT = "jobq_output"
"""An attribute of records of printed text: the name of the stream."""

FIELDS = "jobq_fields"
"""An attribute of jobq's own records: more fields for JSON."""

TOLD = "jobq_told"
"""An attribute of a child's records that the worker's own log repeats."""

STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", OUTPUT, FIELDS, TOLD}
"""Attributes that every record has. All others are the application's `extra`."""

JOB_ATTRIBUTES = ("job_id", "job_class", "job_queue", "job_attempt")
"""The attributes that JobFilter adds to a record."""

JOB_FIELDS = ("job", "class", "queue", "attempt")
"""The names of these fields in JSON."""


class JobFilter(logging.Filter):
    """Puts the running job on each record: `job_id`, `job_class`, `job_queue` and `job_attempt`.

    Outside a job they are `outside`. Lets every record pass. Where a QueueHandler is used, the filter belongs to it.
    """

    def __init__(self, name: str = "", outside: Any = "-") -> None:
        super().__init__(name)
        self._outside = outside

    def filter(self, record: logging.LogRecord) -> bool:
        mark(record, running_job(), self._outside)
        return True


def mark(record: logging.LogRecord, job: RunningJob | None, outside: Any = None) -> None:
    """Adds a job to a record."""
    values = values_of(job) or (outside,) * len(JOB_ATTRIBUTES)
    for attribute, value in zip(JOB_ATTRIBUTES, values, strict=True):
        setattr(record, attribute, value)


def running_job() -> RunningJob | None:
    """The job that this code runs for: also in tasks, in threads that the job has started, and in their pools."""
    attempt = current_attempt()
    return None if attempt is None else attempt.job


def current_attempt() -> Attempt | None:
    attempt = CURRENT.get()
    return attempt if attempt is not None else getattr(threading.current_thread(), ATTEMPT_OF_THREAD, None)


class TextFormatter(logging.Formatter):
    """`2026-11-23T14:32:07.123Z WARNING shop.orders job=42 class=shop.jobs.Ship | no stamps`"""

    def format(self, record: logging.LogRecord) -> str:
        event, job = event_of(record), job_of(record)
        head = f"{timestamp(record)} {record.levelname}"
        if event is not None and not job:
            first, head = f"{head} {event.text}", f"{head} |"
        else:
            named = f" job={job['job']} class={log_events.quoted(str(job['class']))}" if job else ""
            head = f"{head} {log_events.quoted(record.name)}{named} |"
            first = f"{head} {line(event.text if event else record.getMessage(), MAX_CHARACTERS)}"
        rest = traceback_of(record, self).split("\n") if has_traceback(record) else []
        return "\n".join([first, *(f"{head} {line(text, MAX_CHARACTERS)}" for text in rest)])


class JsonFormatter(logging.Formatter):
    """One JSON object a record: time, level, logger, message, the job's fields, and those of the record itself."""

    def format(self, record: logging.LogRecord) -> str:
        event = event_of(record)
        content: dict[str, Any] = {
            "time": timestamp(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": cut(record.getMessage() if event is None else event.message, MAX_CHARACTERS),
            **job_of(record),
        }
        if (output := getattr(record, OUTPUT, None)) is not None:
            content["output"] = output
        given = extras_of(record) if event is None else event.fields | getattr(record, FIELDS, {})
        for name, value in given.items():
            content[f"extra.{name}" if name in content else name] = value
        if has_traceback(record):
            content["traceback"] = traceback_of(record, self)
        return as_json(content)


def event_of(record: logging.LogRecord) -> log_events.Event | None:
    return log_events.of(record) if record.name == "jobq" or record.name.startswith("jobq.") else None


def job_of(record: logging.LogRecord) -> dict[str, Any]:
    """The job of a record. Empty outside of jobs, and if the record names the job itself."""
    if record.name == EVENTS:
        return {}
    if hasattr(record, "job_id"):  # by JobFilter, maybe in another thread
        if not isinstance(record.job_id, int):
            return {}
        values: tuple[Any, ...] | None = tuple(getattr(record, attribute, None) for attribute in JOB_ATTRIBUTES)
    else:
        values = values_of(running_job())
    return {} if values is None else dict(zip(JOB_FIELDS, values, strict=True))


def values_of(job: RunningJob | None) -> tuple[Any, ...] | None:
    return None if job is None else (job.id, job.job_class, job.queue, job.attempt)


def timestamp(record: logging.LogRecord) -> str:
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(record.created))}.{int(record.msecs):03d}Z"


def has_traceback(record: logging.LogRecord) -> bool:
    return bool(record.exc_text or record.exc_info or record.stack_info)


def traceback_of(record: logging.LogRecord, formatter: logging.Formatter) -> str:
    """The traceback of a record, and its stack if it has one."""
    parts = []
    if record.exc_text:
        parts.append(record.exc_text)
    elif record.exc_info:
        parts.append(formatter.formatException(record.exc_info))
    if record.stack_info:
        parts.append(record.stack_info)
    return cut("\n".join(parts), MAX_TRACEBACK_CHARACTERS)


def cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[:limit]}… (+{len(text) - limit:,} characters)"


def extras_of(record: logging.LogRecord) -> dict[str, Any]:
    """The application's `extra`."""
    return {name: value for name, value in vars(record).items() if name not in STANDARD and name not in JOB_ATTRIBUTES}


def as_json(content: dict[str, Any]) -> str:
    """One line. Values that JSON does not have, such as NaN and circles, become text."""
    try:
        text = json.dumps(content, ensure_ascii=False, default=shown, skipkeys=True, allow_nan=False)
    except (ValueError, RecursionError):
        plain = (str, int, type(None))
        content = {name: value if isinstance(value, plain) else shown(value) for name, value in content.items()}
        text = json.dumps(content, ensure_ascii=False)
    return json_text(text)


def shown(value: Any) -> str:
    """A value of the application that is not of a JSON type."""
    try:
        return str(value)
    except Exception as error:  # noqa: BLE001 - the user's __str__ may raise anything
        return f"<a {type(value).__name__} that cannot be shown: {type(error).__name__}>"

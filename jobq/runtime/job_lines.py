"""In a child: what jobs log and print is kept until their attempt has ended, and put into the memory shared with the
supervisor, which reads it there if the process is killed.

Nothing of it is written anywhere while all goes well. An attempt that fails brings its lines along in its report: the
first ones and the last ones, since the cause is told at the one end or the other.
"""

import functools
import json.encoder
import logging
import threading
from collections import deque
from functools import lru_cache
from time import monotonic
from typing import NamedTuple

from jobq import arguments
from jobq.logging import EVENTS, current_attempt, cut, traceback_of
from jobq.options import LOGS
from jobq.records import Assignment, Report
from jobq.registry import registry
from jobq.running import Attempt
from jobq.runtime.line_ring import MAX_LINE_BYTES, LineWriter, packed, packed_attempt, packed_names
from jobq.runtime.shared_memory import SharedMemory
from jobq.states import Outcome

MAX_FIRST, MAX_LAST = 200, 300
"""Lines of one attempt that are kept from its beginning, and from its end …"""

MAX_BYTES = 128 * 1024
"""… and the bytes of either."""

MAX_CHARACTERS = 8000
"""Of one message, and of its traceback."""

MAX_SAID = 10_000
"""Attempts whose lines are held. A thread that outlives its job may begin one that nobody ends."""

DROPPED_AT_END = (Outcome.SUCCESSFUL.value, Outcome.DEFERRED.value)
"""How attempts end whose lines nobody needs, unless their class keeps all."""

QUOTE = json.encoder.encode_basestring
FORMATTER = logging.Formatter()

said: "dict[tuple[int, int], AttemptLines]" = {}
"""Of attempts that have said something and have not ended. Asked after each job, so it is a plain dictionary."""


class Kept:
    """What is kept in this process: nothing, until `install`."""

    ring: LineWriter | None = None
    level = logging.INFO
    policy = "failed"


kept = Kept()


class Handling(threading.local):
    """Whether a thread is in a handler of logging: what that writes to a stream was captured as a record before."""

    is_on = False


handling = Handling()


class AttemptLines:
    """What one attempt has said."""

    __slots__ = ("_bytes", "_first", "_keeps_all", "_last", "_mask", "_packed", "_ring", "_said", "_started")

    def __init__(self, assignment: Assignment, started: float, ring: LineWriter, kind: "Kind") -> None:
        self._packed = packed_attempt(assignment.id, assignment.attempt, started, kind.names)
        self._keeps_all = kind.keeps_all
        self._mask = arguments.masker(assignment.arguments)
        self._started = started
        self._ring = ring
        self._said = 0
        self._first: list[bytes] = []
        self._last: deque[bytes] | None = None  # those that come after the first ones
        self._bytes = 0  # of the first ones; then of the last ones

    def add(self, level: int, source: str, text: str) -> None:
        if self._mask is not None:
            text = self._mask(text)
        ring, milliseconds = self._ring, int((monotonic() - self._started) * 1000) & 0xFFFFFFFF
        with ring.lock:
            number = self._said
            self._said = number + 1
            line = line_of(number, milliseconds, level, source, text)
            ring.write(packed(number, milliseconds, level, self._packed, line))
            if self._last is None and number < MAX_FIRST and self._bytes + len(line) <= MAX_BYTES:
                self._first.append(line)
                self._bytes += len(line)
            else:
                self._keep_among_last(line)

    def _keep_among_last(self, line: bytes) -> None:
        if self._last is None:
            self._last, self._bytes = deque(), 0
        last = self._last
        last.append(line)
        self._bytes += len(line)
        while len(last) > MAX_LAST or self._bytes > MAX_BYTES:
            self._bytes -= len(last.popleft())

    def report(self, outcome: str) -> str | None:
        """For the report: how many lines there were, and those that are kept, each on a line. None: none is to be."""
        if outcome in DROPPED_AT_END and not self._keeps_all:
            return None
        with self._ring.lock:
            lines = [str(self._said).encode(), *self._first, *(self._last or ())]
        return b"\n".join(lines).decode()


def line_of(number: int, milliseconds: int, level: int, source: str, text: str) -> bytes:
    """A line as JSON; see `jobq.records.LogLine`. What is no text, as half of a surrogate, is escaped."""
    line = f"[{number},{milliseconds},{level},{QUOTE(source)},{QUOTE(text)}]".encode("utf-8", "backslashreplace")
    if len(line) <= MAX_LINE_BYTES:
        return line
    return line_of(number, milliseconds, level, cut(source, 200), cut(text, len(text) // 2))


class Silence:
    """In the place of the lines of an attempt that keeps none."""

    def add(self, level: int, source: str, text: str) -> None:
        """Drops it."""


SILENCE = Silence()


class Kind(NamedTuple):
    """What the attempts of one class and queue have in common."""

    is_silent: bool
    keeps_all: bool
    names: tuple[int, int, bytes]


@lru_cache(maxsize=1000)
def kind_of(job_class: str, queue: str) -> Kind:
    policy = policy_of(job_class)
    return Kind(policy == "none", policy == "all", packed_names(job_class, queue))


def say(attempt: Attempt, level: int, source: str, text: str) -> None:
    """A line of this attempt, logged or printed."""
    if level < kept.level or kept.ring is None:
        return
    if (lines := attempt.lines) is None:
        lines = attempt.lines = begun(attempt, kept.ring)
    lines.add(level, source, text)


def begun(attempt: Attempt, ring: LineWriter) -> "AttemptLines | Silence":
    assignment, started = attempt.assigned
    kind = kind_of(assignment.job_class, assignment.queue)
    if kind.is_silent or assignment.id <= 0:  # no job of a worker's, or a call of on_aborted()
        return SILENCE
    ring.is_writing = False
    said[assignment.id, assignment.attempt] = lines = AttemptLines(assignment, started, ring, kind)
    if len(said) > MAX_SAID:
        del said[next(iter(said))]
    return lines


def policy_of(job_class: str) -> str:
    found = registry.find(job_class)
    logs = None if found is None else found.logs
    return logs if logs in LOGS else kept.policy


def with_lines(report: Report) -> Report:
    """The report with what its attempt has said, if that is to be kept. Only where `said` is not empty."""
    lines = said.pop((report.id, report.attempt), None)
    text = None if lines is None else lines.report(report.outcome)
    return report if text is None else report._replace(lines=text)


def install(memory: SharedMemory, level: str, policy: str) -> None:
    """From now on, for all of this process. The loggers decide first which records there are."""
    kept.level, kept.policy = logging.getLevelName(level.upper()), policy
    if policy == "none" and all(policy_of(name) == "none" for name, _ in registry):
        return
    kept.ring = LineWriter(memory)
    capture_logging()


def stop() -> None:
    """In a fork of this process: the ring has one writer."""
    kept.ring = None


def capture_logging() -> None:
    """Where every record passes that its logger lets through, whatever handlers there are and whoever replaces them."""
    original = logging.Logger.callHandlers
    if hasattr(original, "__wrapped__"):
        return

    @functools.wraps(original)
    def capturing(self: logging.Logger, record: logging.LogRecord) -> None:
        if record.levelno >= kept.level and record.name != EVENTS and (attempt := current_attempt()) is not None:
            say(attempt, min(record.levelno, 255), record.name, message_of(record))
        before, handling.is_on = handling.is_on, True
        try:
            original(self, record)
        finally:
            handling.is_on = before

    logging.Logger.callHandlers = capturing  # type: ignore[method-assign]


def message_of(record: logging.LogRecord) -> str:
    """The message with its traceback. Of a long one the beginning is kept, of a long traceback the end."""
    try:
        text = record.getMessage()
        if len(text) > MAX_CHARACTERS:
            text = cut(text, MAX_CHARACTERS)
        if record.exc_info or record.exc_text or record.stack_info:
            trace = traceback_of(record, FORMATTER)
            text = f"{text}\n{trace if len(trace) <= MAX_CHARACTERS else '… ' + trace[-MAX_CHARACTERS:]}"
    except Exception as error:  # noqa: BLE001 - the arguments of the user's record may raise anything
        text = f"<a message that cannot be shown: {type(error).__name__}> {record.msg!s:.200}"
    return text


def say_printed(attempt: Attempt, level: int, name: str, text: str) -> None:
    """A line that was written to a stream. What a handler of logging writes there has been said before."""
    if not handling.is_on:
        say(attempt, level, name, text)

"""In a child: what jobs print becomes lines of the log, each with the job that printed it.

For `print` and everything else that writes to `sys.stdout` and `sys.stderr`, bytes too. Programs that a job starts, and
libraries in C, write to the descriptors 1 and 2 themselves: that goes out as it is.
"""

import codecs
import io
import logging
import os
import select
import threading
from collections.abc import Callable
from typing import Any, TextIO

from jobq.logging import MAX_CHARACTERS, OUTPUT, current_attempt, mark
from jobq.running import Attempt
from jobq.runtime import job_lines

LEVELS = {"stdout": logging.INFO, "stderr": logging.WARNING}

unfinished: "list[Output]" = []
"""Those that hold a line without its end. Asked after each job, so it is a plain list."""


class Output(io.TextIOBase):
    """Stands in the place of `sys.stdout` or `sys.stderr`. `write_line` gets each line as a record."""

    encoding = "utf-8"
    errors = "backslashreplace"

    def __init__(self, original: TextIO, name: str, write_line: Callable[[logging.LogRecord], None]) -> None:
        super().__init__()
        self._original = original
        self._name = name
        self._write_line = write_line
        self._begun: dict[tuple[int, Attempt | None], str] = {}  # lines without an end, by thread and attempt
        self.buffer = Bytes(self)

    def write(self, text: str, /) -> int:
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        attempt = current_attempt()
        key = threading.get_ident(), attempt
        *lines, rest = (self._begun.pop(key, "") + text).split("\n")
        for line in lines:
            self._tell(line.removesuffix("\r"), attempt)
        if len(rest) > MAX_CHARACTERS:  # a line that never ends is told in pieces
            told = len(rest) - len(rest) % MAX_CHARACTERS
            self._tell(rest[:told], attempt)
            rest = rest[told:]
        if rest:
            self._begun[key] = rest
            if self not in unfinished:
                unfinished.append(self)
        return len(text)

    def finish_lines(self, ended: Attempt | None) -> None:
        """A job has ended: the line that it began is told as it is. None: no other job runs here."""
        for key in [key for key in list(self._begun) if ended is None or key[1] is ended]:
            self._tell(self._begun.pop(key, ""), key[1])
        if not self._begun and self in unfinished:
            unfinished.remove(self)

    def _tell(self, line: str, attempt: Attempt | None) -> None:
        for start in range(0, len(line) or 1, MAX_CHARACTERS):
            piece = line[start : start + MAX_CHARACTERS]
            if attempt is not None:
                job_lines.say_printed(attempt, LEVELS[self._name], self._name, piece)
            record = logging.LogRecord(self._name, LEVELS[self._name], "", 0, piece, None, None)
            setattr(record, OUTPUT, self._name)
            mark(record, None if attempt is None else attempt.job)
            self._write_line(record)

    def flush(self) -> None:
        """Whole lines are out already."""

    def close(self) -> None:
        """A job that closes it does not take it from the next one."""

    def isatty(self) -> bool:
        return False  # libraries then write without colours

    def fileno(self) -> int:
        return self._original.fileno()

    def writable(self) -> bool:
        return True

    def reconfigure(self, **_options: Any) -> None:
        """Lines go out as UTF-8, whatever a job asks for."""

    @property
    def name(self) -> str:
        return f"<{self._name}>"


class Bytes(io.BufferedIOBase):
    """`sys.stdout.buffer`: bytes that are no UTF-8 are shown as escapes."""

    def __init__(self, output: Output) -> None:
        super().__init__()
        self._output = output
        self._decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")

    def write(self, data: Any, /) -> int:
        data = bytes(data)
        self._output.write(self._decoder.decode(data))
        return len(data)

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._output.fileno()

    def close(self) -> None:
        """As above."""


def finish_lines(ended: Attempt | None = None) -> None:
    for output in list(unfinished):
        output.finish_lines(ended)


def write_all(fd: int, text: str) -> None:
    """Writes a record in one piece where the kernel takes it. A log that nobody can write does not fail a job."""
    view = memoryview(text.encode("utf-8", "backslashreplace"))
    try:
        while view:
            try:
                view = view[os.write(fd, view) :]
            except BlockingIOError:  # a program that shares the descriptor has made it so
                select.select([], [fd], [])
    except (OSError, ValueError):
        return


def has_room(fd: int) -> bool:
    """Whether a line can be written without waiting for whoever reads: a pipe has room for 4 kB or more."""
    poll = select.poll()
    poll.register(fd, select.POLLOUT)
    return bool(poll.poll(0))

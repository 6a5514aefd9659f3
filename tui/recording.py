"""Records the source's answers in a file: one line of JSON for each, with its time. `replay.py` reads it.

Only changes are written, and each line is flushed before the console gets its answer. The contents have been cleaned
and hold no secrets, but arguments and tracebacks: only the owner can read the file.
"""

import json
import os
import threading
from pathlib import Path
from time import monotonic, time
from typing import Any

from jobq.clean import line as clean_line
from jobq.errors import DatabaseError, JobqError, UsageError

from .recording_format import FORMAT, QUESTIONS, TARGET
from .source import Source


class Recorder:
    """Asks another source, and records its answers. If the file cannot be written, it says so and continues without."""

    def __init__(self, source: Source, path: Path, version: str) -> None:
        """Appends to a recording, or starts one. Raises UsageError if the file is not a recording, or cannot be
        written."""
        self.badge = "REC"
        self._source = source
        self._file = opened(path)
        self._lock = threading.Lock()
        self._last: dict[str, str] = {}  # the last line written for each question, and each part of a look
        self._began = time() - monotonic()
        self._written_at = 0.0
        target = TARGET.write(source.target)
        header = {"jobq": "recording", "format": FORMAT, "version": version, "at": self._now, "target": target}
        self._write({**header, "abilities": sorted(source.abilities)})

    def __getattr__(self, name: str) -> Any:
        """Passes on the other source's answers, and records them."""
        found = getattr(self._source, name)
        question = QUESTIONS.get(name)
        if question is None:
            return found

        def ask(*arguments: Any, **options: Any) -> Any:
            about = question.about_what(arguments, options)
            try:
                value = found(*arguments, **options)
            except DatabaseError as error:
                if name == "look":
                    self._keep(name, about, {"error": str(error)})
                raise
            self._keep(name, about, {"answer": question.answer.write(value)})
            return value

        return ask

    def close(self) -> None:
        with self._lock:
            self._file.close()

    @property
    def _now(self) -> float:
        """Seconds since 1970, strictly increasing: starts at the wall clock, and ignores later jumps of it."""
        self._written_at = max(round(self._began + monotonic(), 3), round(self._written_at + 0.001, 3))
        return self._written_at

    def _keep(self, ask: str, about: dict[str, Any], told: dict[str, Any]) -> None:
        with self._lock:
            if ask == "look" and "answer" in told:
                told = {"answer": self._changed(told["answer"])}
            elif ask != "look" and not self._is_other(key_of(ask, about), told):
                return
            given = {"with": about} if about else {}
            self._write({"at": self._now, "ask": ask, **given, **told})

    def _is_other(self, key: str, value: Any) -> bool:
        """Whether it differs from what was written last."""
        text = json.dumps(value)
        is_other = self._last.get(key) != text
        self._last[key] = text
        return is_other

    def _changed(self, look: dict[str, Any]) -> dict[str, Any]:
        """The parts of a look that have changed: figures of an hour stay the same for seconds."""
        return {name: part for name, part in look.items() if self._is_other(f"look {name}", part)}

    def _write(self, line: dict[str, Any]) -> None:
        if self._file.closed:
            return
        try:
            self._file.write(json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode() + b"\n")
        except OSError as error:
            self._file.close()
            self.badge = f"recording stopped: {error.strerror}"


def opened(path: Path) -> Any:
    """The file, opened for appending; only its owner can read it. Raises UsageError."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        file = os.fdopen(descriptor, "ab", buffering=0)
        if os.fstat(descriptor).st_size:
            header = header_of(os.pread(descriptor, 65536, 0).partition(b"\n")[0])
            if header is None:
                file.close()
                raise UsageError(f"{path} is not a recording of the console: it was left as it is.")
            if header.get("format") != FORMAT:
                file.close()
                raise UsageError(f"{path} was recorded {origin_of(header)}; record to another file.")
            os.ftruncate(descriptor, whole_lines(descriptor))
        os.fchmod(descriptor, 0o600)
    except OSError as error:
        raise UsageError(f"{path} cannot be recorded to: {error.strerror}.") from None
    return file


def whole_lines(descriptor: int) -> int:
    """The length of the file without a last line that is incomplete because its writer was killed."""
    length = os.fstat(descriptor).st_size
    while length:
        start = max(0, length - 65536)
        block = os.pread(descriptor, length - start, start)
        if (place := block.rfind(b"\n")) >= 0:
            return start + place + 1
        length = start
    return 0


def header_of(line: bytes) -> dict[str, Any] | None:
    """The first line of a recording. None if it is another file."""
    try:
        header = json.loads(line)
    except ValueError:
        return None
    return header if isinstance(header, dict) and header.get("jobq") == "recording" else None


def origin_of(header: dict[str, Any]) -> str:
    return clean_line(f"in format {header.get('format')}, by jobq {header.get('version')}", 100)


def key_of(ask: str, about: dict[str, Any]) -> str:
    """A key that is equal for equal questions."""
    return json.dumps([ask, about], sort_keys=True)


class NotRecorded(JobqError):
    """Questions with no recorded answer."""

"""What the console was told, kept in a file: a line of JSON for each answer, with its time. `replay.py` reads it.

Only what changed is written, and each line is out when the console has its answer. What is written has been cleaned and
has no secrets in it, but still arguments and tracebacks: the file is its owner's alone.
"""

import json
import os
import threading
from collections.abc import Hashable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from time import monotonic, time
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from jobq.errors import DatabaseError, JobqError, UsageError

from .source import Query, Source

FORMAT = 1

NOT_RECORDED = frozenset(
    {
        "query", "suggestions", "select", "like", "check", "enqueue", "act", "undo", "stop_workers", "migrate", "reset",
    }
)  # fmt: skip
"""Questions that a filter answers by itself, and acts: what acts did is seen in what is read after them."""


class Recorder:
    """Asks another source, and keeps what it says. Where the file cannot be written, it says so and goes on without."""

    def __init__(self, source: Source, path: Path, version: str) -> None:
        """Appends to a recording, or begins one. Raises UsageError where the file is something else, or cannot be."""
        self.badge = "REC"
        self._source = source
        self._file = opened(path)
        self._lock = threading.Lock()
        self._last: dict[str, str] = {}  # of each question, and each part of a look, what was written last
        self._began = time() - monotonic()
        self._written_at = 0.0
        target = encoded(source.target)
        header = {"jobq": "recording", "format": FORMAT, "version": version, "at": self._now, "target": target}
        self._write({**header, "abilities": sorted(source.abilities)})

    def __getattr__(self, name: str) -> Any:
        """What the other source has; its answers are kept on their way."""
        found = getattr(self._source, name)
        if not is_recorded(name) or not callable(found):
            return found

        def ask(*arguments: Any, **options: Any) -> Any:
            question = asked(name, *arguments, **options)
            try:
                value = found(*arguments, **options)
            except DatabaseError as error:
                if name == "look":
                    self._keep(question, {"error": str(error)})
                raise
            self._keep(question, {"value": encoded(value)})
            return value

        return ask

    def close(self) -> None:
        with self._lock:
            self._file.close()

    @property
    def _now(self) -> float:
        """Seconds since 1970, each time later than the last: by the wall's clock when it began, which then may jump."""
        self._written_at = max(round(self._began + monotonic(), 3), round(self._written_at + 0.001, 3))
        return self._written_at

    def _keep(self, question: list[Any], answer: dict[str, Any]) -> None:
        with self._lock:
            if question[0] == "look" and "value" in answer:
                answer = {"value": self._changed(answer["value"])}
            else:
                text = json.dumps(answer)
                if question[0] != "look" and self._last.get(key_of(question)) == text:
                    return
                self._last[key_of(question)] = text
            self._write({"at": self._now, "asked": question, **answer})

    def _changed(self, look: dict[str, Any]) -> dict[str, Any]:
        """The parts of a look that are not as they were: figures of an hour are the same for seconds."""
        changed = {}
        for name, part in look.items():
            text = json.dumps(part)
            if self._last.get(f"look {name}") != text:
                self._last[f"look {name}"] = text
                changed[name] = part
        return changed

    def _write(self, line: dict[str, Any]) -> None:
        if self._file.closed:
            return
        try:
            self._file.write(json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode() + b"\n")
        except OSError as error:
            self._file.close()
            self.badge = f"recording stopped: {error.strerror}"


def opened(path: Path) -> Any:
    """The file, to append to; its owner's alone. Raises UsageError."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        file = os.fdopen(descriptor, "ab", buffering=0)
        if os.fstat(descriptor).st_size:
            begins = os.pread(descriptor, 4096, 0)
            if not is_header(begins.partition(b"\n")[0]):
                file.close()
                raise UsageError(f"{path} is something else than a recording of the console: it was left as it is.")
            os.ftruncate(descriptor, whole_lines(descriptor))
        os.fchmod(descriptor, 0o600)
    except OSError as error:
        raise UsageError(f"{path} cannot be recorded to: {error.strerror}.") from None
    return file


def whole_lines(descriptor: int) -> int:
    """The length of a file without a line that was cut off when its writer was killed."""
    length = os.fstat(descriptor).st_size
    while length:
        start = max(0, length - 65536)
        block = os.pread(descriptor, length - start, start)
        if (place := block.rfind(b"\n")) >= 0:
            return start + place + 1
        length = start
    return 0


def is_header(line: bytes) -> bool:
    try:
        header = json.loads(line)
    except ValueError:
        return False
    return isinstance(header, dict) and header.get("jobq") == "recording"


# Questions and answers as JSON


def is_recorded(name: str) -> bool:
    return name not in NOT_RECORDED and not name.startswith("act_on_")


def asked(name: str, *arguments: Any, **options: Any) -> list[Any]:
    """A question as it is written. A filter is what was typed; the figures' period is in what a look answers."""
    if name == "look":
        return [name]
    return [name, *(encoded(argument) for argument in arguments), *([encoded(options)] if options else [])]


def key_of(question: list[Any]) -> str:
    return json.dumps(question, sort_keys=True)


def encoded(value: Any) -> Any:
    if isinstance(value, Query):
        return [value.view.name, value.text]
    if isinstance(value, datetime):
        return value.isoformat()
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: encoded(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): encoded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [encoded(item) for item in value]
    return value


class Misfit(Exception):
    """What is written is no value of the type that is wanted."""


def decoded(kind: Any, value: Any) -> Any:
    """A value of a type, from JSON. Raises Misfit, with what does not fit."""
    if kind is Any:
        return value
    origin = get_origin(kind)
    if origin in (Union, UnionType):
        if value is None and type(None) in get_args(kind):
            return None
        (kind,) = [one for one in get_args(kind) if one is not type(None)][:1]
        return decoded(kind, value)
    if origin is tuple:
        kinds = get_args(kind)
        if not isinstance(value, list) or (kinds[-1] is not ... and len(kinds) != len(value)):
            raise Misfit(f"{str(value)[:40]!r} is no list")
        if kinds[-1] is ...:
            return tuple(decoded(kinds[0], item) for item in value)
        return tuple(decoded(one, item) for one, item in zip(kinds, value, strict=True))
    if origin is not None and issubclass(origin, Mapping):
        if not isinstance(value, dict):
            raise Misfit(f"{str(value)[:40]!r} is no object")
        return {key: decoded(get_args(kind)[1], item) for key, item in value.items()}
    if is_dataclass(kind) and isinstance(kind, type):
        return record(kind, value)
    return plain_value(kind, value)


def record(kind: Any, value: Any) -> Any:
    if not isinstance(value, dict):
        raise Misfit(f"{str(value)[:40]!r} is no {kind.__name__}")
    read = {}
    for field in fields(kind):
        if field.name in value:
            read[field.name] = decoded(hints(kind)[field.name], value[field.name])
        elif field.default is MISSING and field.default_factory is MISSING:
            raise Misfit(f"{kind.__name__} has no {field.name}")
    return kind(**read)


def plain_value(kind: Any, value: Any) -> Any:
    if kind is datetime:
        try:
            return datetime.fromisoformat(value)
        except (TypeError, ValueError):
            raise Misfit(f"{str(value)[:40]!r} is no time") from None
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, kind):
        raise Misfit(f"{str(value)[:40]!r} is no {kind.__name__}")
    return value


@cache
def hints(kind: Hashable) -> dict[str, Any]:
    return get_type_hints(kind)


def answer_of(name: str) -> Any:
    """The type of the answers to a question."""
    return hints(getattr(Source, name))["return"]


class NotRecorded(JobqError):
    """Nobody asked this while it was recorded."""

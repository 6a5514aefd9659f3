"""Text about an attempt as it may be stored: without secrets, without jobq's own frames, cut to a maximum length."""

import os
import traceback
from collections.abc import Iterable
from itertools import dropwhile
from pathlib import Path
from typing import Any

from jobq import arguments
from jobq.errors import ArgumentsError
from jobq.records import Assignment

MAX_MESSAGE_CHARACTERS = 10_000
MAX_TRACEBACK_CHARACTERS = 100_000
MAX_VALUE_BYTES = 256 * 1024
MAX_NOTE_CHARACTERS = 500

PACKAGE = Path(__file__).parents[2]
OWN_CODE = (
    *(str(PACKAGE / folder) + os.sep for folder in ("runtime", "frameworks", "cli", "django")),
    str(PACKAGE / "functions.py"),
)
"""The folder of the code that calls the user's."""
ASYNCIO = str(Path(traceback.__file__).with_name("asyncio")) + os.sep
"""The folder of the event loop's code, which calls jobq's."""


def as_json(value: Any, assignment: Assignment) -> str:
    """The return value of run() as JSON, or a note if it cannot be stored."""
    try:
        return arguments.encode_value(value, max_bytes=MAX_VALUE_BYTES)
    except ArgumentsError as error:
        note = f"run() returned a value of type {kind_of(value)}, which is not kept: {error}"
        return arguments.encode_note(storable(without_secrets(note, assignment), MAX_NOTE_CHARACTERS))


def kind_of(value: Any) -> str:
    cls = type(value)
    return cls.__qualname__ if cls.__module__ == "builtins" else f"{cls.__module__}.{cls.__qualname__}"


def type_of(error: BaseException) -> str:
    return storable(kind_of(error), 500)


def message_of(error: BaseException, assignment: Assignment | None = None) -> str:
    """The error's text without the secrets of the assignment. They are masked before the text is cut."""
    try:
        text = str(error)
    except Exception as second:  # noqa: BLE001 - the user's __str__ may raise anything
        text = f"<its message cannot be shown: str() raised {type(second).__name__}>"
    return storable(without_secrets(text, assignment), MAX_MESSAGE_CHARACTERS)


def traceback_of(error: BaseException, assignment: Assignment | None = None) -> str:
    """The whole traceback with causes and contexts, from the user's first frame on. Masked like `message_of`."""
    try:
        described = traceback.TracebackException.from_exception(error, compact=True)
        described.stack = traceback.StackSummary.from_list(without_own_frames(described.stack))
        text = "".join(described.format())
    except Exception as second:  # noqa: BLE001 - formatting calls the user's __str__ and __repr__
        text = f"{type_of(error)}: {message_of(error, assignment)}\n"
        text += f"(no traceback: formatting it raised {type(second).__name__})\n"
    return storable(without_secrets(text, assignment), MAX_TRACEBACK_CHARACTERS)


def without_secrets(text: str, assignment: Assignment | None) -> str:
    return text if assignment is None else arguments.masked(text, assignment.arguments)


def without_own_frames(frames: Iterable[traceback.FrameSummary]) -> list[traceback.FrameSummary]:
    """A traceback starts with the user's code. If that was never reached, jobq's own frames are kept."""
    listed = list(frames)
    others = [frame for frame in listed if not frame.filename.startswith(OWN_CODE)]
    return list(dropwhile(lambda frame: frame.filename.startswith(ASYNCIO), others)) or listed


def storable(text: str, max_characters: int) -> str:
    """Text that PostgreSQL accepts: no NUL, no lone surrogate, limited length."""
    if len(text) > max_characters:
        half = max_characters // 2
        text = f"{text[:half]}\n… {len(text) - 2 * half:,} characters left out …\n{text[-half:]}"
    return text.replace("\0", "\\x00").encode("utf-8", "backslashreplace").decode()

"""The messages from the feed to the screens, each named after what happened."""

from typing import Any

from textual.message import Message

from jobq.errors import JobqError

from .source import Report, Snapshot


class Looked(Message):
    """The whole state has been read."""

    def __init__(self, snapshot: Snapshot) -> None:
        super().__init__()
        self.snapshot = snapshot


class Lost(Message):
    """The state could not be read. The feed tries again."""

    def __init__(self, error: JobqError, tries: int) -> None:
        super().__init__()
        self.error = error
        self.tries = tries


class Broke(Message):
    """An unexpected error in a thread of the feed: a defect. The console ends and shows it."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error


class Answered(Message):
    """The answer to a question of a screen."""

    def __init__(self, name: str, value: Any) -> None:
        super().__init__()
        self.name = name
        self.value = value


class Refused(Message):
    """A question of a screen, or an act, failed."""

    def __init__(self, name: str, error: JobqError) -> None:
        super().__init__()
        self.name = name
        self.error = error


class Progressed(Message):
    """The progress of a long act, or of the search for its jobs."""

    def __init__(self, name: str, seen: int) -> None:
        super().__init__()
        self.name = name
        self.seen = seen


class Acted(Message):
    """An act is over."""

    def __init__(self, report: Report) -> None:
        super().__init__()
        self.report = report

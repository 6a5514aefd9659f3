"""What the feed tells the screens, each named after what happened."""

from typing import Any

from textual.message import Message

from jobq.errors import JobqError

from .source import Report, Snapshot


class Looked(Message):
    """The state of everything has been read."""

    def __init__(self, snapshot: Snapshot) -> None:
        super().__init__()
        self.snapshot = snapshot


class Lost(Message):
    """It could not be read; the feed goes on trying."""

    def __init__(self, error: JobqError, tries: int) -> None:
        super().__init__()
        self.error = error
        self.tries = tries


class Broke(Message):
    """A thread of the feed met what nobody expected: a defect. The console ends and shows it."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error


class Answered(Message):
    """A question of a screen has its answer."""

    def __init__(self, name: str, value: Any) -> None:
        super().__init__()
        self.name = name
        self.value = value


class Refused(Message):
    """A question of a screen, or an act, came to nothing."""

    def __init__(self, name: str, error: JobqError) -> None:
        super().__init__()
        self.name = name
        self.error = error


class Progressed(Message):
    """A long act, or the search for what it is on, has come so far."""

    def __init__(self, name: str, seen: int) -> None:
        super().__init__()
        self.name = name
        self.seen = seen


class Acted(Message):
    """An act is over."""

    def __init__(self, report: Report) -> None:
        super().__init__()
        self.report = report

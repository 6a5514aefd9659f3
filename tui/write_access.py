"""Changes on production: allowed for a while after somebody types the target's name, and forbidden again after it."""

from collections.abc import Callable

from . import formats
from .access import WRITE_SECONDS, Access
from .notices import Notices


class WriteAccess:
    def __init__(self, access: Access, notices: Notices, changed: Callable[[], None]) -> None:
        self.is_open = False
        self._access = access
        self._notices = notices
        self._changed = changed

    def open(self) -> None:
        self._access.open()
        self.is_open = True
        self._notices.tell(f"changes are allowed for {formats.age(WRITE_SECONDS)}")
        self._changed()

    def close(self, words: str = "this is read-only again") -> None:
        self._access.close()
        self.is_open = False
        self._notices.tell(words)
        self._changed()

    def close_when_over(self) -> None:
        if self.is_open and not self._access.seconds:
            self.close(f"the {formats.age(WRITE_SECONDS)} are over: this is read-only again")

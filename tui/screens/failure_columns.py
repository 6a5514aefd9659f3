"""The columns of the groups of failures, and the text of their cells."""

from collections.abc import Callable

from rich.text import Text

from jobq.clean import line
from jobq.observe import FailureGroup

from .. import formats, theme
from ..context import Context
from ..widgets.rows import Column


class FailureColumns:
    def __init__(self, console: Context, is_wide: Callable[[], bool]) -> None:
        self._console = console
        self._is_wide = is_wide

    def all(self) -> list[Column]:
        return [
            Column("AT REST", self._at_rest, right=True,
                   order=lambda group: group.at_rest),
            Column("ATTEMPTS", lambda group: formats.count(group.attempts), right=True,
                   order=lambda group: group.attempts),
            Column("CLASS", self._class_of, most=30, order=lambda group: group.job_class),
            Column("ERROR", self._error_of, most=26, order=lambda group: group.error_type or ""),
            Column("WHERE", self._frame, most=34, least=100, fill=self._where),
            Column("FIRST", self._first, right=True, most=9, order=lambda group: group.first_at),
            Column("LAST", lambda group: formats.since(group.last_at, self._console.state.now), right=True,
                   order=lambda group: group.last_at),
            Column("MESSAGE", least=150, is_rest=True, fill=self._message),
            Column("", self._trend, most=40, least=110),
        ]  # fmt: skip

    def _at_rest(self, group: FailureGroup) -> Text:
        if group.at_rest:
            return Text(formats.count(group.at_rest))
        return Text(f"{self._console.glyphs.tick} none", theme.style(theme.GOOD))

    def _class_of(self, group: FailureGroup) -> str:
        return formats.class_name(group.job_class, is_wide=self._is_wide())

    def _error_of(self, group: FailureGroup) -> Text:
        return Text(group.error_type or "failed", theme.style(theme.DIM if group.muted_until else theme.BAD))

    def _frame(self, group: FailureGroup) -> str:
        return group.frame or self._console.glyphs.none

    def _where(self, group: FailureGroup, width: int) -> str:
        return formats.tail(self._frame(group), width, self._console.glyphs.more)

    def _message(self, group: FailureGroup, width: int) -> Text:
        message = formats.fit(line(group.error_message or ""), width, more=self._console.glyphs.more)
        return Text(message, theme.style(theme.DIM))

    def muted(self, group: FailureGroup) -> str:
        if group.muted_until is None:
            return ""
        return f"muted by {group.muted_by} until {formats.stamp(group.muted_until, self._console.state.now)}"

    def _first(self, group: FailureGroup) -> Text:
        ago = formats.since(group.first_at, self._console.state.now)
        if group.is_new and group.muted_until is None:
            return Text(f"new {ago}", theme.style(theme.WAIT, bold=True))
        return Text(formats.since(group.ever_first_at, self._console.state.now))

    def _trend(self, group: FailureGroup) -> Text:
        if group.muted_until is not None:
            return Text(self.muted(group), theme.style(theme.DIM))
        return Text(formats.spark(group.steps, len(group.steps), self._console.glyphs.blocks), theme.style(theme.BAD))

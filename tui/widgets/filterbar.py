"""The line in which a filter is typed. Shows errors and completions while it is typed."""

import re
from typing import Any, ClassVar

from rich.highlighter import Highlighter
from rich.style import Style
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.message import Message
from textual.widgets import Input

from jobq.errors import FilterError
from jobq.filters import Term

from .. import theme
from ..context import context_of
from ..messages import Answered, Refused
from .frame import Line

MOST_REMEMBERED = 50

MOST_COMPLETIONS = 3
"""Number of completions shown; a key takes the first."""

CLASS = re.compile(r"(?:^| )class:([^\s,*\"]+) ")
"""A complete class was typed."""


class FilterBar(Vertical):
    BINDINGS: ClassVar[list[Any]] = [
        Binding("escape", "leave", show=False, priority=True),
        Binding("up", "earlier(1)", show=False),
        Binding("down", "earlier(-1)", show=False),
        Binding("tab", "complete", show=False, priority=True),
    ]

    class Changed(Message):
        """A complete filter was typed."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    class Left(Message):
        """The filter stays as it was."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self.history: list[str] = []
        self._place = 0
        self._class = ""  # the class for which values were last looked up
        self._marks = Marks()

    def compose(self) -> ComposeResult:
        field = Input(
            placeholder="queue:mail class:shop.jobs.Send since:1h  or words of an error",
            highlighter=self._marks,
            select_on_focus=False,  # typing continues the existing text
        )
        field.cursor_blink = False
        yield field
        yield Line(id="filter-help")

    @property
    def field(self) -> Input:
        return self.query_one(Input)

    def open(self, text: str) -> None:
        self.add_class("-open")
        self._place = 0
        self.field.value = f"{text} " if text else ""
        self.field.cursor_position = len(self.field.value)
        self.field.focus()
        self._check()
        self._learn()

    def close(self) -> None:
        self.remove_class("-open")

    def on_input_changed(self) -> None:
        self._check()
        if (found := CLASS.search(self.field.value)) is not None and found[1] != self._class:
            self._learn(found[1])

    # Completion

    def _learn(self, job_class: str = "") -> None:
        """Looks up values beside the typing, which never waits."""
        self._class = job_class
        context_of(self).feed.ask(self, "learn", lambda source: source.learn(job_class))

    def on_answered(self, message: Answered) -> None:
        message.stop()
        self._check()

    def on_refused(self, message: Refused) -> None:
        """Nothing new was found."""
        message.stop()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        text = " ".join(self.field.value.split())
        if self._marks.mistake is not None:
            return
        if text and text not in self.history[-1:]:
            self.history = [*self.history, text][-MOST_REMEMBERED:]
        self.close()
        self.post_message(self.Changed(text))

    def action_leave(self) -> None:
        self.close()
        self.post_message(self.Left())

    def action_earlier(self, step: int) -> None:
        self._place = max(0, min(len(self.history), self._place + step))
        self.field.value = self.history[-self._place] if self._place else ""
        self.field.cursor_position = len(self.field.value)

    def action_complete(self) -> None:
        if self.completions:
            self.field.value = self.completions[0]
            self.field.cursor_position = len(self.field.value)

    @property
    def completions(self) -> list[str]:
        """Completions of the typed text."""
        value = self.field.value
        if not value or value.endswith(" "):
            return []
        return context_of(self).source.suggestions(value)

    def _check(self) -> None:
        """Errors and slow terms: marks them in place, and explains them beneath."""
        text = self.field.value
        self._marks.mistake, self._marks.slow = None, []
        try:
            self._marks.slow = self.screen.check_filter(text)  # type: ignore[attr-defined]  # that has a filter bar
        except FilterError as error:
            self._marks.mistake = error
        self.field.refresh()
        self.query_one("#filter-help", Line).put(self._help())

    def _help(self) -> Text:
        completions = "   ".join(text.rpartition(" ")[2] for text in self.completions[:MOST_COMPLETIONS])
        if self._marks.mistake is not None:
            problem = Text(f" {self._marks.mistake.problem}", theme.style(theme.BAD))
            if completions:
                problem.append("  tab", theme.style(theme.KEY, bold=True))
                problem.append(f" {completions}", theme.style(theme.DIM))
            return problem
        help_text = Text(" ")
        if self._marks.slow:
            names = ", ".join(dict.fromkeys(term.name for term in self._marks.slow))
            help_text.append(f"slow: {names}", theme.style(theme.WAIT, bold=True))
            help_text.append("  no index finds that: the newest are looked at first   ", theme.style(theme.DIM))
        tab = completions or "complete"
        for key, words in (("enter", "apply"), ("tab", tab), ("up", "earlier ones"), ("esc", "leave it")):
            help_text.append(key, theme.style(theme.KEY, bold=True))
            help_text.append(f" {words}  ", theme.style(theme.DIM))
        return help_text


class Marks(Highlighter):
    """Underlines errors and slow terms in the typed text."""

    def __init__(self) -> None:
        self.mistake: FilterError | None = None
        self.slow: list[Term] = []

    def highlight(self, text: Text) -> None:
        for term in self.slow:
            text.stylize(Style(color=theme.WAIT, underline=True), term.start, term.end)
        if self.mistake is not None:
            start = min(self.mistake.start, max(0, len(text) - 1))
            text.stylize(Style(color=theme.BAD, underline=True), start, max(self.mistake.end, start + 1))

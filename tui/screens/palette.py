"""All actions, found by their words. Those that are off say why."""

from functools import partial
from typing import Any, ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding
from textual.widgets import Input, Static

from .. import theme
from ..entries import Entry
from ..widgets.rows import Column, Rows
from .dialog import Dialog


class Palette(Dialog[None]):
    BINDINGS: ClassVar[list[Any]] = [
        Binding("down,ctrl+n", "move(1)", show=False, priority=True),
        Binding("up,ctrl+p", "move(-1)", show=False, priority=True),
    ]

    def __init__(self, entries: list[Entry], title: str) -> None:
        super().__init__()
        self.entries = entries
        self.title_words = title

    def heading(self) -> str:
        return self.title_words

    def body(self) -> ComposeResult:
        field = Input(placeholder="type to search", id="words")
        field.cursor_blink = False
        yield field
        columns = [
            Column("", self.keys, most=7),
            Column("", self.words, most=16),
            Column("", self.help, is_rest=True),
        ]
        yield Rows(
            columns,
            key=lambda entry: (entry.words, entry.help),
            has_titles=False,
            empty="nothing like that",
            id="entries",
        )
        yield Static("", id="about", markup=False)

    def on_mount(self) -> None:
        rows = self.query_one(Rows)
        rows.styles.height = min(len(self.entries) + 1, max(5, self.app.size.height - 12))
        rows.put(self.entries)
        self._say()
        self.query_one(Input).focus()

    def keys(self, entry: Entry) -> Text:
        return Text(entry.keys, theme.style(theme.FAINT if entry.off else theme.KEY, bold=True))

    def words(self, entry: Entry) -> Text:
        return Text(entry.words, theme.style(theme.DIM if entry.off else theme.TEXT))

    def help(self, entry: Entry) -> Text:
        return Text(said(entry), theme.style(theme.DIM))

    def on_rows_moved(self, message: Rows.Moved) -> None:
        self._say()

    def _say(self) -> None:
        """The full text, where a row may have no room for it."""
        entry = self.query_one(Rows).current
        self.query_one("#about", Static).update(Text(said(entry) if entry is not None else ""))

    def on_input_changed(self, event: Input.Changed) -> None:
        text = event.value.strip().lower()
        found = [entry for entry in self.entries if is_like(text, f"{entry.words} {entry.help}".lower())]
        if text.lstrip("#").isdigit():
            number = int(text.lstrip("#"))
            open_page = partial(self.console.navigation.open_job, number)
            found.insert(0, Entry("#", f"job {number}", "open its page", None, open_page))
        self.query_one(Rows).stay_on_top(found)
        self._say()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self._run(self.query_one(Rows).current)

    def on_rows_opened(self, message: Rows.Opened) -> None:
        self._run(message.rows.current)

    def action_move(self, step: int) -> None:
        self.query_one(Rows).action_move(step)

    def _run(self, entry: Entry | None) -> None:
        if entry is None:
            return
        if entry.off is not None:
            self.console.tell(f"{entry.words}: {entry.off}", is_bad=True)
            return
        self.dismiss(None)
        self.app.call_later(entry.run)


def said(entry: Entry) -> str:
    return f"off: {entry.off}" if entry.off else entry.help


def is_like(words: str, text: str) -> bool:
    """Whether it contains every word."""
    return all(word in text for word in words.split())

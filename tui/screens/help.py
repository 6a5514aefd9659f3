"""What the keys do, from the table of actions."""

from typing import Any, ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding

from .. import theme
from ..actions import BY_NAME, GROUPS, MOVES
from ..widgets.lines import Lines
from .dialog import Dialog

KEYS = 16
"""Minimum number of cells for the keys."""


class Help(Dialog[None]):
    BINDINGS: ClassVar[list[Any]] = [Binding("question_mark,q,enter", "leave", show=False)]

    def __init__(
        self, names: list[str], where: str, off: dict[str, str], filter_help: tuple[tuple[str, str], ...] = ()
    ) -> None:
        """`off` are the names of forbidden actions, with the reason."""
        super().__init__()
        self.filter_help = filter_help
        self.off = off
        self.names = names
        self.where = where
        self.width = max(KEYS, *(len(words) + 2 for words, _ in filter_help)) if filter_help else KEYS

    def heading(self) -> str:
        return f"Keys: {self.where}"

    def body(self) -> ComposeResult:
        yield Lines(hang=self.width + 2, id="help")

    def on_mount(self) -> None:
        texts = self.texts()
        lines = self.query_one(Lines)
        lines.styles.height = len(texts)
        lines.styles.max_height = max(5, self.app.size.height - 8)
        lines.put(texts)
        lines.focus()

    def texts(self) -> list[Text]:
        texts: list[Text] = []
        for group, title in GROUPS.items():
            entries: list[tuple[str, str] | tuple[str, str, str | None]] = list(MOVES) if group == "move" else []
            entries += [
                (self.console.shown_key(name), BY_NAME[name].help, self.off.get(name))
                for name in self.names
                if BY_NAME[name].group == group
            ]
            if not entries:
                continue
            texts += [Text(title, theme.style(theme.DIM, bold=True)), *(self.entry(*one) for one in entries), Text("")]
        if self.filter_help:
            head = Text("The filter", theme.style(theme.DIM, bold=True))
            texts += [head, *(self.entry(*one) for one in self.filter_help), Text("")]
        return texts[:-1]

    def entry(self, keys: str, words: str, off: str | None = None) -> Text:
        first = f"  {keys:<{self.width}}"
        if off is not None:
            return Text(f"{first}off: {off}", theme.style(theme.FAINT))
        return Text.assemble((first, theme.style(theme.KEY, bold=True)), (words, theme.style(theme.TEXT)))

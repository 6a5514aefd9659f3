"""The saved views: names the current list and filter, and lists the views to open or forget."""

from typing import Any, ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding
from textual.widgets import Input, Static

from jobq.clean import line
from jobq.errors import UsageError

from .. import theme
from ..preferences import LONGEST_NAME, SavedView
from ..widgets.rows import Column, Rows
from .dialog import Dialog


class Views(Dialog[SavedView]):
    """Its result is the view to open."""

    HEADING = "Saved views"
    BINDINGS: ClassVar[list[Any]] = [
        Binding("tab", "other", show=False, priority=True),
        Binding("D,delete", "forget", show=False),
    ]

    def __init__(self, view: str, text: str) -> None:
        super().__init__()
        self.view = view
        self.text = text

    def body(self) -> ComposeResult:
        yield Static(Text(f"{self.view} {self.text}".strip(), theme.style(theme.TEXT, bold=True)), markup=False)
        field = Input(placeholder="save this list under a name", id="name", max_length=LONGEST_NAME)
        field.cursor_blink = False
        yield field
        columns = [
            Column("", lambda saved: saved.name, most=LONGEST_NAME),
            Column("", lambda saved: f"{saved.view} {saved.filter}", is_rest=True),
        ]
        yield Rows(columns, key=lambda saved: saved.name, has_titles=False, empty="no view is saved", id="views")
        yield Static("", id="views-keys", markup=False)

    def on_mount(self) -> None:
        self._fill()
        self.query_one(Input).focus()

    def on_descendant_focus(self) -> None:
        in_list = self.query_one(Rows).has_focus
        pairs = [("enter", "go there"), ("D", "forget it")] if in_list else [("enter", "save")]
        keys = Text("\n")
        for key, words in (*pairs, ("tab", "the name" if in_list else "those there are"), ("esc", "back")):
            keys.append(key, theme.style(theme.KEY, bold=True))
            keys.append(f" {words}  ", theme.style(theme.DIM))
        self.query_one("#views-keys", Static).update(keys)

    def _fill(self) -> None:
        rows, views = self.query_one(Rows), self.console.preferences.views
        rows.styles.height = min(max(1, len(views)), max(3, self.app.size.height - 14))
        rows.put(views)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        name = line(event.value.strip(), LONGEST_NAME)
        if not name:
            return
        saved = SavedView(name, self.view, self.text)
        try:
            self.console.preferences.save_view(saved)
        except UsageError as error:
            self.console.tell(str(error), is_bad=True)
            return
        self.dismiss(saved)
        self.console.tell(f"saved as {name}")

    def on_rows_opened(self, message: Rows.Opened) -> None:
        message.stop()
        if isinstance(message.rows.current, SavedView):
            self.dismiss(message.rows.current)

    def action_other(self) -> None:
        rows = self.query_one(Rows)
        (self.query_one(Input) if rows.has_focus else rows).focus()

    def action_forget(self) -> None:
        rows = self.query_one(Rows)
        saved = rows.current
        if not rows.has_focus or not isinstance(saved, SavedView):
            return
        try:
            self.console.preferences.delete_view(saved.name)
        except UsageError as error:
            self.console.tell(str(error), is_bad=True)
            return
        self.console.tell(f"forgot the view {saved.name}")
        self._fill()

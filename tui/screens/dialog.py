"""The base of the dialogs: a box in the middle, its lines, escape to leave."""

import math
from typing import Any, ClassVar, TypeVar

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.events import Event
from textual.screen import ModalScreen

from .. import theme
from ..context import Context, context_of

Result = TypeVar("Result")


class Dialog(ModalScreen[Result]):
    AUTO_FOCUS = ""
    BINDINGS: ClassVar[list[Any]] = [Binding("escape", "leave", show=False)]
    HEADING: ClassVar[str] = ""
    IS_SEEN_FIRST: ClassVar[bool] = False  # it asks, or opens by itself: ignores keys typed before it was visible

    def __init__(self) -> None:
        super().__init__()
        self.takes_keys_since = math.inf if self.IS_SEEN_FIRST else 0.0

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog", id="box"):
            yield from self.body()

    def body(self) -> ComposeResult:
        raise NotImplementedError

    def on_mount(self) -> None:
        from textual.content import Content

        box = self.query_one("#box", Vertical)
        box.border_title = Content(f" {self.heading()} ")

    def on_screen_suspend(self) -> None:
        """Another dialog covers it now: it must become visible again before it takes keys."""
        if self.IS_SEEN_FIRST:
            self.takes_keys_since = math.inf

    def on_screen_resume(self) -> None:
        self.call_after_refresh(self._is_seen)

    def _compositor_refresh(self) -> None:
        self._is_seen()  # not after the picture was drawn: people may react fast
        super()._compositor_refresh()

    def _is_seen(self) -> None:
        if self.takes_keys_since == math.inf and self.is_current:
            self.takes_keys_since = Event().time

    def heading(self) -> str:
        return self.HEADING

    def action_leave(self) -> None:
        self.dismiss(None)

    @property
    def console(self) -> Context:
        return context_of(self)

    @property
    def glyphs(self) -> theme.Glyphs:
        return self.console.glyphs

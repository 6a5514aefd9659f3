"""Shown while a question of a person is being answered. Escape leaves it, however long the answer takes."""

from collections.abc import Callable
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Static

from ..messages import Answered, Refused
from ..source import Source
from .dialog import Dialog


def look_up(asker: Screen[Any], name: str, words: str, question: Callable[[Source], Any]) -> None:
    """Asks a question that may take long, and shows a dialog at once. `asker` gets the answer if it is still wanted."""

    def hand_on(message: Message | None) -> None:
        if message is not None:
            asker.post_message(message)

    asker.app.push_screen(Looking(name, words, question), hand_on)


class Looking(Dialog[Message]):
    """Its result is the answer or the refusal, or None if the person left it."""

    BINDINGS: ClassVar[list[Any]] = [Binding("q", "leave", show=False)]

    def __init__(self, name: str, words: str, question: Callable[[Source], Any]) -> None:
        super().__init__()
        self._question_name = name
        self._words = words
        self._question = question

    def heading(self) -> str:
        return self._words

    def body(self) -> ComposeResult:
        yield Static(f"{self.glyphs.silent} looking{self.glyphs.more}   esc leaves it", id="looking", markup=False)

    def on_mount(self) -> None:
        self.console.feed.ask(self, self._question_name, self._question)

    def on_answered(self, message: Answered) -> None:
        message.stop()
        self.dismiss(Answered(message.name, message.value))

    def on_refused(self, message: Refused) -> None:
        message.stop()
        self.dismiss(Refused(message.name, message.error))

    def action_leave(self) -> None:
        self.console.feed.forget(self, self._question_name)
        self.dismiss(None)

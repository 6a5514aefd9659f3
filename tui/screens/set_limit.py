"""Asks for a limit of a gate or a lane: how many, for how long, and why. Without a number it is as declared again."""

from dataclasses import dataclass
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.widgets import Input, Static

from jobq.filters import MAX_SECONDS, seconds_of

from .. import theme
from .dialog import Dialog

FIELDS = (("limit", "limit", "a number; nothing: as declared"), ("length", "for", "1h, 2d; nothing: until taken back"))
REASON = ("reason", "reason", "optional")
MAX_LIMIT = 2_147_483_647
INDENT = 10


@dataclass(frozen=True, slots=True)
class Wish:
    """A limit as it was asked for; None: as declared."""

    limit: int | None
    seconds: float | None
    reason: str | None


class SetLimit(Dialog[Wish]):
    IS_SEEN_FIRST: ClassVar[bool] = True

    def __init__(self, what: str, lines: tuple[tuple[str, str], ...], target: str | None) -> None:
        """`target` is production's name, which must be typed; None: nothing is asked."""
        super().__init__()
        self.what = what
        self.lines = lines
        self.target = target

    def heading(self) -> str:
        return f"Limit of {self.what}"

    def body(self) -> ComposeResult:
        yield Static("", id="plan", markup=False)
        proof = (("target", "target", f"type {self.target}"),) if self.target is not None else ()
        for name, words, hint in (*FIELDS, REASON, *proof):
            with Horizontal(classes="asked"):
                yield Static(words, markup=False)
                field = Input(id=name, max_length=200, placeholder=hint, select_on_focus=False)
                field.cursor_blink = False
                yield field
        yield Static("", id="problem", markup=False)

    def on_mount(self) -> None:
        drawn = Text("\n").join(
            Text.assemble((f"{name:<{INDENT}}", theme.style(theme.DIM)), (words, theme.style(theme.TEXT)))
            for name, words in self.lines
        )
        self.query_one("#box").set_class(self.target is not None, "-bad")
        self.query_one("#plan", Static).update(drawn)
        self._say("", "enter next   tab field   esc leaves")
        self.query_one("#limit").focus()

    def _typed(self, name: str) -> str:
        return self.query_one(f"#{name}", Input).value.strip()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """From field to field; after the last one it is done."""
        event.stop()
        fields = list(self.query(Input))
        place = fields.index(event.input)
        if place + 1 < len(fields):
            fields[place + 1].focus()
        else:
            self._go()

    def _go(self) -> None:
        limit, length = self._typed("limit"), self._typed("length")
        seconds = seconds_of(length) if length else None
        if limit and not (limit.isascii() and limit.isdigit() and int(limit) <= MAX_LIMIT):
            self._say("limit", "The limit is a whole number, 0 or more, or nothing.")
        elif length and (seconds is None or not 0 < seconds <= MAX_SECONDS):
            self._say("length", "That is no length of time: 30m, 1h, 2d.")
        elif self.target is not None and self._typed("target") != self.target:
            self._say("target", "That is not the target's name.")
        else:
            number = int(limit) if limit else None
            self.dismiss(Wish(number, seconds if limit else None, self._typed("reason") or None))

    def _say(self, field: str, words: str) -> None:
        self.query_one("#problem", Static).update(Text(words, theme.style(theme.BAD if field else theme.DIM)))
        if field:
            self.query_one(f"#{field}", Input).focus()

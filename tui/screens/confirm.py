"""Asks for confirmation of an act. The set is fixed: the act is on the jobs that were counted here."""

from typing import Any, ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal
from textual.widgets import Button, Input, Static

from .. import theme
from ..actions import Tier
from ..plans import Plan
from .dialog import Dialog

INDENT = 8

REASON_LENGTH = 200


class Confirm(Dialog[bool]):
    """Prevents accidents: the focus is on leaving, or on a number that must be typed."""

    IS_SEEN_FIRST: ClassVar[bool] = True
    BINDINGS: ClassVar[list[Any]] = [
        Binding("y", "yes", show=False),
        Binding("n", "leave", show=False),
        Binding("left,right,h,l", "other", show=False),
    ]

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        self.plan = plan
        self.reason = ""  # as it was typed, if the act takes one

    def heading(self) -> str:
        return self.plan.title

    def body(self) -> ComposeResult:
        yield Static("", id="plan", markup=False)
        if self.plan.asks_reason:
            with Horizontal(id="because"):
                yield Static("reason", markup=False)
                field = Input(id="reason", max_length=REASON_LENGTH, placeholder="optional", select_on_focus=False)
                field.cursor_blink = False
                yield field
        if self.plan.tier is Tier.TYPED:
            with Horizontal(id="typed"):
                yield Static(self._prompt(), id="prompt", markup=False)
                field = Input(id="count", max_length=12, select_on_focus=False)
                field.cursor_blink = False
                yield field
        else:
            with Horizontal(id="buttons"):
                yield Button(Text("Leave"), id="leave")
                yes = "enter" if self.plan.asks_reason else "y"
                yield Button(Text(f"{self.plan.verb.capitalize()}  {yes}"), id="yes")

    def on_mount(self) -> None:
        plan = self.plan
        self.query_one("#box").set_class(plan.is_bad, "-bad")
        self.query_one("#plan", Static).update(self.text())
        first = "#reason" if plan.asks_reason else "#count" if plan.tier is Tier.TYPED else "#leave"
        self.query_one(first).focus()

    def text(self) -> Text:
        drawn = Text()
        for name, words in self.plan.lines:
            look = theme.BAD if (name, words) == ("undo", "none") else theme.TEXT
            drawn.append(f"{name:<{INDENT}}", theme.style(theme.DIM))
            for place, line in enumerate(Text(words).wrap(self.app.console, self.line_width - INDENT)):
                drawn.append(" " * INDENT if place else "")
                drawn.append(f"{line.plain.rstrip()}\n", theme.style(look))
        drawn.right_crop()
        return drawn

    @property
    def line_width(self) -> int:
        """The width inside the box, computed from its style: it is needed before there is a layout."""
        return max(INDENT + 10, min(78, self.app.size.width * 96 // 100) - 6)

    def _prompt(self) -> Text:
        return Text.assemble(
            "Type ",
            (str(self.plan.number), theme.style(theme.KEY, bold=True)),
            f" to {self.plan.verb}, esc to leave: ",
        )

    def _go_on(self) -> None:
        """The reason is complete."""
        if self.plan.tier is Tier.TYPED:
            self.query_one("#count", Input).focus()
        else:
            self.dismiss(True)

    def action_yes(self) -> None:
        if self.plan.tier is Tier.YES:
            self.dismiss(True)

    def action_leave(self) -> None:
        self.dismiss(False)

    def action_other(self) -> None:
        if self.plan.tier is Tier.YES:
            self.query_one("#yes" if self.query_one("#leave").has_focus else "#leave").focus()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.id == "yes")

    def on_input_changed(self, event: Input.Changed) -> None:
        if event.input.id == "reason":
            self.reason = event.value.strip()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        if event.input.id == "reason":
            self._go_on()
        elif event.value.strip().replace(",", "") == str(self.plan.number):
            self.dismiss(True)
        else:
            self.query_one("#prompt", Static).update(
                Text.assemble((f"That is not {self.plan.number}. ", theme.style(theme.BAD)), self._prompt())
            )
            self.query_one("#count", Input).value = ""

"""What an act will do, said before it is done. The set is fixed: what was counted here is what it is done to."""

from dataclasses import dataclass
from typing import Any, ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal
from textual.widgets import Button, Input, Static

from .. import formats, theme
from ..actions import Act, Tier
from ..source import Query, Selected, Target
from .dialog import Dialog

SAMPLES = 3


@dataclass(frozen=True, slots=True)
class Plan:
    """An act on jobs that were counted, and what is known of them."""

    act: Act
    selected: Selected
    query: Query | None
    names: dict[int, str]
    tier: Tier
    target: Target

    @property
    def number(self) -> int:
        return len(self.selected.ids)


class Confirm(Dialog[bool]):
    """Nothing happens by accident: the focus is on leaving, or on a number that must be typed."""

    BINDINGS: ClassVar[list[Any]] = [
        Binding("y", "yes", show=False),
        Binding("n", "leave", show=False),
        Binding("left,right,h,l", "other", show=False),
    ]

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        self.plan = plan

    def heading(self) -> str:
        plan = self.plan
        where = f" on PROD {plan.target.name}" if plan.target.is_production else ""
        return f"{plan.act.verb.capitalize()} {formats.plural(plan.number, 'job')}{where}"

    def body(self) -> ComposeResult:
        yield Static("", id="plan", markup=False)
        if self.plan.tier is Tier.TYPED:
            with Horizontal(id="typed"):
                yield Static(self._prompt(), id="prompt", markup=False)
                field = Input(id="count", max_length=12, select_on_focus=False)
                field.cursor_blink = False
                yield field
        else:
            with Horizontal(id="buttons"):
                yield Button(Text("Leave"), id="leave")
                yield Button(Text(f"{self.plan.act.verb.capitalize()}  y"), id="yes")

    def on_mount(self) -> None:
        super().on_mount()
        plan = self.plan
        self.query_one("#box").set_class(plan.target.is_production or plan.act.undo is None, "-bad")
        self.query_one("#plan", Static).update(self.text())
        self.query_one("#count" if plan.tier is Tier.TYPED else "#leave").focus()

    def text(self) -> Text:
        lines = [
            *self._which(),
            *self._class_lines(),
            ("effect", self.plan.act.effect),
            ("undo", self.plan.act.undo or "none"),
        ]
        drawn = Text()
        for name, words in lines:
            look = theme.BAD if name == "undo" and self.plan.act.undo is None else theme.TEXT
            drawn.append(f"{name:<8}", theme.style(theme.DIM))
            drawn.append(f"{words}\n", theme.style(look))
        drawn.right_crop()
        return drawn

    def _which(self) -> list[tuple[str, str]]:
        plan = self.plan
        if plan.query is not None:
            lines = [("which", f"every match of {plan.query}")]
            lines.append(("", f"as counted now, up to #{max(plan.selected.ids)}: what comes later is not touched"))
            return lines
        shown = plan.selected.ids[:SAMPLES]
        lines = [
            ("which" if not place else "", f"#{job_id}  {plan.names.get(job_id, '')}")
            for place, job_id in enumerate(shown)
        ]
        if plan.number > len(shown):
            lines.append(("", f"and {formats.count(plan.number - len(shown))} more"))
        return lines

    def _class_lines(self) -> list[tuple[str, str]]:
        classes = self.plan.selected.classes
        if not classes:
            return []
        shown = [f"{formats.count(number)} {name}" for name, number in classes[:SAMPLES]]
        if len(classes) > SAMPLES:
            others = sum(number for _, number in classes[SAMPLES:])
            shown.append(f"{formats.count(others)} of {formats.plural(len(classes) - SAMPLES, 'other class')}")
        return [("class" if not place else "", words) for place, words in enumerate(shown)]

    def _prompt(self) -> Text:
        return Text.assemble(
            "Type ",
            (str(self.plan.number), theme.style(theme.KEY, bold=True)),
            f" to {self.plan.act.verb}, esc to leave: ",
        )

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

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        if event.value.strip().replace(",", "") == str(self.plan.number):
            self.dismiss(True)
        else:
            self.query_one("#prompt", Static).update(
                Text.assemble((f"That is not {self.plan.number}. ", theme.style(theme.BAD)), self._prompt())
            )
            self.query_one("#count", Input).value = ""

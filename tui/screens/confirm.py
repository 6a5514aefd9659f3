"""What an act will do, said before it is done. The set is fixed: what was counted here is what it is done to."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal
from textual.widgets import Button, Input, Static

from jobq.observe import Selected
from jobq.records import JobRecord

from .. import formats, theme
from ..actions import Act, Tier
from ..source import Snapshot
from ..troubles import SILENT_SECONDS
from .dialog import Dialog

if TYPE_CHECKING:
    from ..app import Console, Scope

SAMPLES = 3
INDENT = 8


@dataclass(frozen=True, slots=True)
class Plan:
    """An act that is about to be done: to how many, and in named lines what it will do."""

    verb: str
    title: str
    lines: tuple[tuple[str, str], ...]
    number: int
    tier: Tier
    is_bad: bool = False  # it cannot be taken back, or it is on production


def plan_for_jobs(console: "Console", act: Act, selected: Selected, scope: "Scope", tier: Tier) -> Plan:
    """An act on jobs that were counted."""
    number, target = len(selected.ids), console.source.target
    where = f" on PROD {target.name}" if target.is_production else ""
    what = class_lines(selected) if scope.about is None else [("what", scope.about)]
    lines = [*which_lines(selected, scope), *what]
    lines.append(("effect", act.effect))
    if act.is_work and (work := work_words(selected, console.snapshot)) is not None:
        lines.append(("work", work))
    lines.append(("undo", f"{console.shown_key('undo')}, {act.undo}" if act.undo else "none"))
    title = f"{act.verb.capitalize()} {formats.plural(number, 'job')}{where}"
    return Plan(act.verb, title, tuple(lines), number, tier, target.is_production or act.undo is None)


def which_lines(selected: Selected, scope: "Scope") -> list[tuple[str, str]]:
    number = len(selected.ids)
    if scope.query is not None:
        shown = [f"every match of {scope.query}"]
        seen = len({job.id for job in scope.jobs}.intersection(selected.ids))
        if scope.jobs and seen < number:
            shown.append(f"{formats.count(seen)} on the screen, the other {formats.count(number - seen)} not")
        shown.append(f"as counted now, up to #{max(selected.ids)}: what comes later is not touched")
    else:
        loaded = {job.id: job for job in scope.jobs}
        shown = [f"#{job_id}  {named(loaded.get(job_id))}" for job_id in selected.ids[:SAMPLES]]
        if number > SAMPLES:
            shown.append(f"and {formats.count(number - SAMPLES)} more")
    return [("which" if not place else "", words) for place, words in enumerate(shown)]


def named(job: JobRecord | None) -> str:
    return "not loaded here" if job is None else f"{job.job_class}  {formats.arguments(job.arguments, 60)}"


def class_lines(selected: Selected) -> list[tuple[str, str]]:
    """How many of each class, unless those that are shown are all."""
    classes, number = selected.classes, len(selected.ids)
    if number <= SAMPLES:
        return []
    named = classes if len(classes) == SAMPLES + 1 else classes[:SAMPLES]
    shown = [f"{formats.count(count)} {name}" for name, count in named]
    if others := classes[len(named) :]:
        total = sum(count for _, count in others)
        shown.append(f"{formats.count(total)} of {formats.plural(len(others), 'other class')}")
    if unknown := number - sum(count for _, count in classes):
        shown.append(f"{formats.count(unknown)} not loaded here")
    return [("class" if not place else "", words) for place, words in enumerate(shown)]


def work_words(selected: Selected, snapshot: Snapshot | None) -> str | None:
    """How long the workers that are heard of will be busy with it, by what attempts of its classes took in the period.

    None where that is not known of each class, or nobody is there to work.
    """
    if snapshot is None:
        return None
    usual = {one.name: one.mean_run for one in snapshot.period.classes}
    takes = [usual.get(name) for name, _ in selected.classes]
    known = [seconds for seconds in takes if seconds is not None]
    processes = sum(one.processes for one in snapshot.stats.workers if one.heartbeat_seconds <= SILENT_SECONDS)
    counts = [number for _, number in selected.classes]
    if len(known) < len(takes) or sum(counts) < len(selected.ids) or not processes:
        return None
    total = sum(number * seconds for number, seconds in zip(counts, known, strict=True))
    busy = max(total / processes, max(known))
    for_all = f"{formats.duration(busy)} or more for {formats.plural(processes, 'process')}"
    return f"about {formats.duration(total)} of run time: {for_all}"


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
        return self.plan.title

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
                yield Button(Text(f"{self.plan.verb.capitalize()}  y"), id="yes")

    def on_mount(self) -> None:
        plan = self.plan
        self.query_one("#box").set_class(plan.is_bad, "-bad")
        self.query_one("#plan", Static).update(self.text())
        self.query_one("#count" if plan.tier is Tier.TYPED else "#leave").focus()

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
        """The room inside the box, as its style has it: it is asked for before there is a layout."""
        return max(INDENT + 10, min(78, self.app.size.width * 96 // 100) - 6)

    def _prompt(self) -> Text:
        return Text.assemble(
            "Type ",
            (str(self.plan.number), theme.style(theme.KEY, bold=True)),
            f" to {self.plan.verb}, esc to leave: ",
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

"""A new job of a class that a worker knows. Its fields are checked while they are typed."""

import json
import os
import shlex
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from rich.text import Text
from textual.app import ComposeResult, SuspendNotSupported
from textual.binding import Binding
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.suggester import Suggester
from textual.widgets import Input, Static

from jobq import commands
from jobq.clean import line
from jobq.records import ClassRecord, JobRecord, ParameterRecord, ScheduleRecord

from .. import formats, theme
from ..formats import fit
from ..messages import Answered, Refused
from ..ordering import as_json, words_of
from ..source import OPTIONS, NewJob, PlannedJob
from .dialog import Dialog


@dataclass(frozen=True, slots=True)
class Model:
    """The model of the new job: its values apply where nothing else is typed."""

    heading: str
    job_class: str
    arguments: dict[str, Any]
    options: dict[str, str]  # as words, like those of the class
    job_id: int | None = None

    def differing(self, own: dict[str, str]) -> dict[str, str]:
        """The options that differ from the class's own choice, as far as that is known."""
        return {name: text for name, text in self.options.items() if text not in (formats.NO_OPTION, own.get(name))}


def model_of_job(job: JobRecord) -> Model:
    heading = f"Run again, as a new job, like #{job.id}"
    options = {name: formats.option(getattr(job, name)) for name in OPTIONS}
    return Model(heading, job.job_class, job.arguments, options, job.id)


def model_of_schedule(record: ScheduleRecord) -> Model:
    heading = f"Run once, as a job of its own, like {record.name}"
    return Model(heading, record.job_class, record.arguments, {"queue": record.queue})


FIELDS = (
    ("queue", "queue", "the class's own"),
    ("delay", "in", "60, 5m, 1h30m, or a time"),
    ("priority", "priority", "the class's own; higher first"),
    ("retries", "retries", "the class's own; after errors"),
    ("timeout", "timeout", "the class's own; 60, 5m"),
    ("unique_key", "unique key", "the class's own; '' for none"),
)
LABEL = 16


class Field(Horizontal):
    """A label, the typed text, and the error in it."""

    def __init__(self, name: str, label: str, hint: str, value: str = "", suggester: Suggester | None = None) -> None:
        super().__init__(classes="field")
        self.field_name = name
        self.label = label
        self.hint = hint
        self.value = value
        self.suggester = suggester

    def compose(self) -> ComposeResult:
        yield Static(Text(fit(self.label, LABEL - 1), theme.style(theme.DIM)), classes="label", markup=False)
        field = Input(self.value, placeholder=self.hint, suggester=self.suggester, select_on_focus=False)
        field.cursor_blink = False
        yield field
        yield Static("", classes="problem", markup=False)

    @property
    def text(self) -> str:
        return self.query_one(Input).value.strip()

    def say(self, problem: str | None, own: str | None = None) -> None:
        """Shows the error in the field, or what the class chooses if the field is left open."""
        if problem is None and own is not None and not self.text:
            self.query_one(".problem", Static).update(Text(f"= {own}", theme.style(theme.TEAL), no_wrap=True))
            return
        mark = self.app.glyphs.cross if problem else self.app.glyphs.tick  # type: ignore[attr-defined]
        look = theme.BAD if problem else theme.GOOD
        words = f"{mark} {problem}" if problem else (mark if self.text else "")
        self.query_one(".problem", Static).update(Text(words, theme.style(look), no_wrap=True, overflow="ellipsis"))


class Enqueue(Dialog[None]):
    """Classes and their parameters come from the workers' heartbeats. The console imports none of them."""

    BINDINGS: ClassVar[list[Any]] = [
        Binding("ctrl+s", "enqueue", show=False, priority=True),
        Binding("ctrl+e", "edit", show=False, priority=True),
        Binding("down", "field(1)", show=False),
        Binding("up", "field(-1)", show=False),
    ]

    def __init__(self, like: Model | None = None) -> None:
        super().__init__()
        self.like = like
        self.known: dict[str, ClassRecord] = {}
        self.chosen: ClassRecord | None = None
        self.planned: tuple[NewJob, PlannedJob] | None = None  # what the form, as it was, would enqueue
        self._asked: NewJob | None = None
        self._sending: NewJob | None = None  # enqueued as soon as its plan is known
        self._is_like = like is None or like.job_id is None  # the fields have the options of the model

    def heading(self) -> str:
        return "Enqueue" if self.like is None else self.like.heading

    def body(self) -> ComposeResult:
        like = self.like
        with VerticalScroll(id="form"):
            yield Field("class", "class", "module.Class", like.job_class if like else "", Known(self))
            yield Static("", id="about", markup=False)
            yield Vertical(id="parameters")
            values = like.options if like is not None and like.job_id is None else {}
            for name, label, hint in FIELDS:
                yield Field(name, label, hint, values.get(name, ""))
        yield Static("", id="by", markup=False)
        yield Static("", id="command", markup=False)
        yield Static("", id="keys", markup=False)

    def on_mount(self) -> None:
        self.query_one(Input).focus()
        self.console.feed.ask(self, "classes", lambda source: source.classes())
        self._check()

    def on_answered(self, message: Answered) -> None:
        message.stop()
        if message.name == "classes":
            self.known = {record.name: record for record in message.value}
            self.call_later(self._choose)
        elif message.name == "plan":
            self.planned = message.value
            if not self._is_like:
                self._take_options()
            self._check()
            if self._sending is not None and self._sending == self.planned[0]:
                self.action_enqueue()

    def on_refused(self, message: Refused) -> None:
        message.stop()
        self._asked = self._sending = None
        self.console.tell(str(message.error), is_bad=True)

    def _take_options(self) -> None:
        """Fills in the options of the old job that differ from the class's choice for its arguments, once that is
        known."""
        assert self.like is not None
        assert self.planned is not None
        self._is_like = True
        for name, text in self.like.differing(self.planned[1].options).items():
            if not self._field(name).text:
                self._field(name).query_one(Input).value = text

    async def _choose(self) -> None:
        """Shows the parameters of the typed class, once it is known."""
        chosen = self.known.get(self._field("class").text)
        if chosen is not self.chosen or chosen is None:
            self.chosen = chosen
            box = self.query_one("#parameters", Vertical)
            await box.remove_children()
            if chosen is not None:
                await box.mount_all([self._parameter(parameter) for parameter in chosen.parameters])
        self._check()

    def _parameter(self, parameter: ParameterRecord) -> Field:
        star = {"rest": "*", "named rest": "**"}.get(parameter.kind, "")
        hint = parameter.annotation or "text, or JSON"
        if not parameter.required and parameter.default is not None:
            hint += f", else {parameter.default}"
        value = ""
        if self.like is not None and self.like.job_class == (self.chosen.name if self.chosen else None):
            value = typed(self.like.arguments.get(star + parameter.name))
        return Field(f"argument {parameter.name}", star + parameter.name, hint, value)

    def new(self) -> NewJob:
        texts = {
            field.field_name.removeprefix("argument "): field.text
            for field in self.query(Field)
            if field.field_name.startswith("argument ")
        }
        options = {name: self._field(name).text for name, _, _ in FIELDS}
        return NewJob(self._field("class").text, texts, like=self.like.job_id if self.like else None, **options)

    def _field(self, name: str) -> Field:
        return next(field for field in self.query(Field) if field.field_name == name)

    def _check(self) -> dict[str, str]:
        new = self.new()
        problems = self.console.source.check(new)
        if not problems:
            problems = self._plan(new)
        own = self.planned[1].options if self.planned is not None else {}
        for field in self.query(Field):
            field.say(problems.get(field.field_name), own.get(field.field_name))
        about = self.chosen.summary or "" if self.chosen else self._nearest(new.job_class)
        self.query_one("#about", Static).update(Text(f"{'':{LABEL + 1}}{about}", theme.style(theme.DIM), no_wrap=True))
        self.query_one("#command", Static).update(
            Text.assemble(
                ("= ", theme.style(theme.DIM)),
                (commands.command(*words_of(new, self.chosen)), theme.style(theme.TEAL)),
            )
        )
        by = f"the rest by {self.planned[1].by}" if self.planned is not None else ""
        self.query_one("#by", Static).update(Text(by, theme.style(theme.DIM)))
        look = theme.DIM if problems else theme.KEY
        keys = Text.assemble(("ctrl+s", theme.style(look, bold=not problems)), (" enqueue   ", theme.style(theme.DIM)))
        for key, words in (("ctrl+e", "$EDITOR"), ("tab", "next"), ("right", "complete"), ("esc", "leave")):
            keys.append(key, theme.style(theme.KEY, bold=True))
            keys.append(f" {words}   ", theme.style(theme.DIM))
        self.query_one("#keys", Static).update(keys)
        return problems

    def _plan(self, new: NewJob) -> dict[str, str]:
        """The errors according to its class. Asks for them if they are not known."""
        if self.planned is not None and self.planned[0] == new:
            return self.planned[1].problems
        if new != self._asked:
            self._asked = new
            self.console.feed.ask(self, "plan", lambda source: (new, source.plan(new)))
        return {}

    def _nearest(self, begun: str) -> str:
        """Some known classes, first those that contain the typed text."""
        if not self.known:
            return ""
        near = [name for name in self.known if begun.lower() in name.lower()] or list(self.known)
        return "known: " + ", ".join(near[:4]) + (f" and {len(near) - 4} more" if len(near) > 4 else "")

    def on_input_changed(self, event: Input.Changed) -> None:
        field = event.input.parent
        if isinstance(field, Field) and field.field_name == "class":
            self.call_later(self._choose)
        elif self.is_mounted:
            self._check()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.action_field(1)

    def action_field(self, step: int) -> None:
        fields = list(self.query(Input))
        places = [place for place, field in enumerate(fields) if field.has_focus]
        fields[((places[0] if places else -1) + step) % len(fields)].focus()

    def action_edit(self) -> None:
        """Opens the arguments as JSON in the person's editor, and puts the result into the fields."""
        if self.chosen is None:
            self.console.tell("choose a class first", is_bad=True)
            return
        given = {name: as_json(text) for name, text in self.new().texts.items() if text}
        whole = {parameter.name: given.get(parameter.name) for parameter in self.chosen.parameters}
        try:
            with self.app.suspend():
                edited = edited_json(whole)
        except SuspendNotSupported:
            self.console.tell("there is no editor in a browser", is_bad=True)
        except (OSError, ValueError) as error:
            self.console.tell(f"the arguments stay as they were: {error}", is_bad=True)
        else:
            for name in edited.keys() - whole.keys():
                self.console.tell(f"there is no argument {line(name, 40)}", is_bad=True)
            for name in edited.keys() & whole.keys():
                self._field(f"argument {name}").query_one(Input).value = typed(edited[name])

    def action_enqueue(self) -> None:
        if (why := self.console.acting.why_not()) is not None:
            self.console.tell(why, is_bad=True)
            return
        problems = self._check()
        if problems:
            name, problem = next(iter(problems.items()))
            self._field(name).query_one(Input).focus()
            self.console.tell(f"{name}: {problem}", is_bad=True)
            return
        new = self.new()
        if self.planned is None or self.planned[0] != new:
            self._sending = new
            return
        self.dismiss(None)
        self.console.acting.enqueue(new)


class Known(Suggester):
    """The classes that workers know. The typed text may be the start of the name, or of its last part."""

    def __init__(self, form: Enqueue) -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self._form = form

    async def get_suggestion(self, value: str) -> str | None:
        return next((name for name in sorted(self._form.known) if name.startswith(value)), None) if value else None


def edited_json(value: dict[str, Any]) -> dict[str, Any]:
    """Edits a JSON object with $VISUAL or $EDITOR. Raises OSError, or ValueError if the result is not a JSON object."""
    editor = shlex.split(os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi")
    with tempfile.NamedTemporaryFile("w+", prefix="jobq-", suffix=".json", encoding="utf-8") as file:
        json.dump(value, file, ensure_ascii=False, indent=2)
        file.flush()
        if code := subprocess.call([*editor, file.name]):
            raise OSError(f"{editor[0]} ended with code {code}")
        edited = json.loads(Path(file.name).read_text(encoding="utf-8"))  # many editors replace the file by another one
    if not isinstance(edited, dict):
        raise ValueError("it must be a JSON object")
    return edited


def typed(value: Any) -> str:
    """A stored argument as a person would type it."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)

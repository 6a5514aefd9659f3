"""The new job of the form: errors in it, the equivalent command line, and the resulting job.

The class's own methods choose the options that are left open, as for `jobq enqueue`. If the application's code is here,
a process of its own calls them. Otherwise only what the workers report of the class is known, and the form must be
given the rest.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from jobq import operate
from jobq.clean import line
from jobq.errors import ArgumentsError, JobqError, UnknownJobClass, UsageError
from jobq.records import ClassRecord, JobRecord, ParameterRecord
from jobq.records import NewJob as Row

from . import formats, search
from .source import OPTIONS, NewJob, PlannedJob

COMPUTED = "its code computes it: say it"

NONE = ('""', "''")
"""Typed for a text option that shall be empty, whatever the class says."""


class Ordering:
    def __init__(self, database: Any, raw: Mapping[str, str]) -> None:
        """`raw` maps shown names to original ones, where they differ."""
        self.known: dict[str, ClassRecord] = {}  # the classes that live workers know, by their shown names
        self._database = database
        self._raw = raw

    def check(self, new: NewJob) -> dict[str, str]:
        """The errors of each field that can be found without the application."""
        problems: dict[str, str] = {}
        record = self.known.get(new.job_class)
        if record is None:
            known = f"workers know {len(self.known)} others" if self.known else "no worker runs"
            problems["class"] = f"no live worker knows it ({known})" if new.job_class else "which class?"
        for parameter in record.parameters if record else ():
            try:
                argument(parameter, new.texts.get(parameter.name, ""))
            except ArgumentsError as error:
                problems[f"argument {parameter.name}"] = line(str(error), 120)
        for name, read in READERS.items():
            try:
                read(getattr(new, name))
            except ValueError as error:
                problems[name] = str(error)
        try:
            call_of(new, record)
        except ArgumentsError as error:
            problems.setdefault(f"argument {error}", "must be given, for one that comes after it is")
        return problems

    def words(self, new: NewJob) -> tuple[str, ...]:
        """The `jobq` command that does what the form does, with original names."""
        given = replace(new, queue=self._raw.get(new.queue, new.queue))
        return words_of(given, self.known.get(new.job_class))

    def plan(self, new: NewJob) -> PlannedJob:
        """The job that would be enqueued. Where that is unknown: which options are unknown, and why."""
        try:
            return planned(operate.plan(self._database.settings, self.words(new)), "its code, in this folder")
        except UnknownJobClass as error:
            return self._by_workers(new, str(error))
        except JobqError as error:
            return PlannedJob({}, {"class": line(str(error), 300)}, "its code, in this folder")

    def _by_workers(self, new: NewJob, why: str) -> PlannedJob:
        record, by = self.known[new.job_class], f"its workers: its code is not in this folder ({line(why, 200)})"
        computed = [name for name in operate.unknown_options(record) if not getattr(new, name)]
        if computed:
            shown = {name: formats.option(value) for name, value in record.options.items()}
            return PlannedJob(shown, dict.fromkeys(computed, COMPUTED), by)
        try:
            return planned(self._row(new, record), by)
        except JobqError as error:
            return PlannedJob({}, {"class": line(str(error), 300)}, by)

    def enqueue(self, new: NewJob) -> JobRecord | None:
        """Raises UsageError, EnqueueError."""
        if problems := self.check(new):
            raise UsageError("; ".join(f"{name}: {problem}" for name, problem in problems.items()))
        try:
            row = operate.plan(self._database.settings, self.words(new))
        except UnknownJobClass:
            row = self._row(new, self.known[new.job_class])
        return operate.add(self._database, row, like=new.like)

    def _row(self, new: NewJob, record: ClassRecord) -> Row:
        arguments = {}
        for parameter in record.parameters:
            text = new.texts.get(parameter.name, "")
            if text or parameter.required:
                arguments[operate.stored_name(parameter)] = argument(parameter, text)
        texts = texts_of(replace(new, queue=self._raw.get(new.queue, new.queue)))
        options: dict[str, Any] = {name: READERS.get(name, plainly)(text) for name, text in texts.items() if text}
        max_bytes = self._database.settings.max_arguments_bytes
        return operate.plan_without_code(record, arguments, max_bytes=max_bytes, **options)


def words_of(new: NewJob, record: ClassRecord | None) -> tuple[str, ...]:
    """The `jobq` command of the form, as far as it is filled in."""
    try:
        positional, named = call_of(new, record)
    except ArgumentsError:
        positional, named = [], {}
    words = ["enqueue", record.name if record else new.job_class or "CLASS"]
    if named:
        words += ["--kwargs", json.dumps(named, ensure_ascii=False)]
    for option, text in texts_of(new).items():
        if text:
            words += [f"--{option.replace('_', '-')}", "" if text in NONE else text]
    return (*words, *(["--", *positional] if positional else []))


def texts_of(new: NewJob) -> dict[str, str]:
    """The typed options."""
    return {"delay": new.delay.removeprefix("in "), **{name: getattr(new, name) for name in OPTIONS}}


def planned(row: Row, by: str) -> PlannedJob:
    return PlannedJob({name: formats.option(getattr(row, name)) for name in OPTIONS}, {}, by)


def call_of(new: NewJob, record: ClassRecord | None) -> tuple[list[str], dict[str, Any]]:
    """The arguments as the command line takes them: those that have no name in order, the others by name.

    Raises ArgumentsError for a parameter that was left out, if one after it can be given only by position.
    """
    parameters = record.parameters if record else ()
    given = {name: text for name, text in new.texts.items() if text}
    in_order = [one for one in parameters if one.kind in ("positional", "any", "rest")]
    last = max((place for place, one in enumerate(in_order, 1) if one.kind != "any" and one.name in given), default=0)
    positional: list[str] = []
    for parameter in in_order[:last]:
        if parameter.name not in given:
            raise ArgumentsError(parameter.name)
        text = given.pop(parameter.name)
        positional += [text] if parameter.kind != "rest" else [as_text(item) for item in as_list(text)]
    named: dict[str, Any] = {}
    kinds = {parameter.name: parameter.kind for parameter in parameters}
    for name, text in given.items():
        value = as_json(text)
        named.update(value if kinds.get(name) == "named rest" and isinstance(value, dict) else {name: value})
    return positional, named


def as_list(text: str) -> list[Any]:
    value = as_json(text)
    return value if isinstance(value, list) else [value]


def as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def as_json(text: str) -> Any:
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return text if isinstance(value, str) else value


def argument(parameter: ParameterRecord, text: str) -> Any:
    """The typed value of a parameter, as it is stored. Raises ArgumentsError."""
    if not text:
        if parameter.required:
            raise ArgumentsError("is missing")
        return None
    return operate.argument_of(parameter, text)


def seconds(text: str) -> float | None:
    """Raises ValueError, whose text says what is allowed."""
    if not text:
        return None
    try:
        return search.seconds(text.removeprefix("in "))
    except UsageError as error:
        raise ValueError(str(error)) from None


def whole(text: str) -> int | None:
    if not text:
        return None
    try:
        return int(text)
    except ValueError:
        raise ValueError("must be a whole number") from None


def plainly(text: str) -> str:
    return "" if text in NONE else text


READERS = {"delay": seconds, "timeout": seconds, "priority": whole, "retries": whole}

"""Makes everything from the database fit to be shown: every text in it passes `jobq.clean`."""

from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass, replace
from datetime import datetime, timedelta
from functools import cache
from operator import is_
from sys import maxsize
from typing import Any, TypeVar

from jobq.clean import deep, line, plain
from jobq.records import JobRecord

Shown = TypeVar("Shown")

LINE = 400
LONG = {"traceback": 200_000, "error_message": 4000, "text": 200_000, "message": 20_000}
"""Texts of several lines, and the number of characters after which they are cut. All others are shown as one LINE."""

CLEAN_KINDS = frozenset({int, float, bool, type(None), datetime, timedelta})
"""Types that contain no text."""


Names = Mapping[str, str]
"""Current names of classes, by the names under which their jobs are stored."""

CLASS_FIELDS = frozenset({"job_class", "classes"})
"""Records whose texts or keys are names of classes."""


def cleaned(value: Shown, *, is_cut: bool = True, names: Names | None = None) -> Shown:
    """The same value with every text cleaned. A text that is too long is cut, unless the database cut it already."""
    return _cleaned(value, None, is_cut, names or {})  # type: ignore[no-any-return]  # of the same type


def _cleaned(value: Any, field: str | None, is_cut: bool, names: Names) -> Any:
    """A value that needs no change stays the same object: nearly all of thousands are clean."""
    kind: Any = type(value)
    if kind in CLEAN_KINDS:
        return value
    if isinstance(value, str):
        return _cleaned_text(names.get(value, value) if field in CLASS_FIELDS else value, field, is_cut)
    if isinstance(value, dict | list):
        shown = deep(value) if is_cut else deep(value, maxsize)
        return value if shown == value else shown
    if isinstance(value, tuple):
        items = tuple(_cleaned(item, field, is_cut, names) for item in value)
        return value if all(map(is_, items, value)) else items
    if (fields_of_it := names_of(kind)) is None:
        return value
    before = {name: getattr(value, name) for name in fields_of_it}
    of_class = field in CLASS_FIELDS  # figures, by the names of classes
    after = {
        name: _cleaned(was, "job_class" if of_class and name == "name" else name, is_cut, names)
        for name, was in before.items()
    }
    changed = {name: shown for name, shown in after.items() if shown is not before[name]}
    return replace(value, **changed) if changed else value


def _cleaned_text(text: str, field: str | None, is_cut: bool) -> str:
    limit = (LONG.get(field, LINE) if field is not None else LINE) if is_cut else maxsize
    if len(text) <= limit and text.isascii() and text.isprintable():
        return text
    return plain(text, limit) if field in LONG else line(text, limit)


@cache
def names_of(kind: type) -> tuple[str, ...] | None:
    """The fields of a dataclass; None for anything else."""
    return tuple(field.name for field in fields(kind)) if is_dataclass(kind) else None


class SameJobs:
    """Cleans a list of jobs that is read each second. A job that has not changed stays the same object."""

    def __init__(self) -> None:
        self._last: dict[int, tuple[JobRecord, JobRecord]] = {}
        self._names: Names = {}

    def cleaned(self, jobs: Iterable[JobRecord], names: Names) -> tuple[JobRecord, ...]:
        if names != self._names:
            self._last, self._names = {}, names
        pairs = [(job, self._shown(job)) for job in jobs]
        self._last = {job.id: (job, shown) for job, shown in pairs}
        return tuple(shown for _, shown in pairs)

    def _shown(self, job: JobRecord) -> JobRecord:
        last = self._last.get(job.id)
        return last[1] if last is not None and last[0] == job else cleaned(job, names=self._names)

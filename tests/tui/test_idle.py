"""What has not changed is not sent to the terminal again."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import canned
import pytest
from driving import look, opened, press, run, settle, text_of
from jobq.tui.app import Console
from jobq.tui.drawing import CellsUpdate, cells_only, parts_of
from jobq.tui.widgets.canvas import changed_parts
from rich.console import Console as RichConsole
from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region
from textual.strip import Strip

SIZE = (200, 50)
"""All columns and charts are shown."""

SCREENS: dict[str, tuple[str, ...]] = {
    "overview": (),
    "jobs": ("2",),
    "running": ("2", "right", "right"),
    "errored": ("2", *["right"] * 5, "j"),
    "failures": ("3",),
    "queues": ("4",),
    "workers": ("5",),
    "schedules": ("6",),
    "activity": ("7",),
    "job": ("2", "right", "right", "enter"),
    "job-that-failed": ("2", *["right"] * 5, "enter"),
    "history": ("2", "enter", "tab"),
}


class Sent:
    """Where on the screen something was drawn, as Textual has it sent to the terminal."""

    def __init__(self) -> None:
        self.parts: list[tuple[int, int, str]] = []

    def __call__(self, update: Any) -> None:
        if isinstance(update, CellsUpdate):
            for y, start, end in update.spans:
                parts = parts_of(update.chops[y], update.chop_ends[y], start, end)
                self.parts += [(y, x, strip.text) for x, strip in parts]
        elif update is not None:
            self.parts.append((0, 0, f"all of it: {update!r}"))


@contextmanager
def sent(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sent]:
    """What is sent meanwhile."""
    found, display = Sent(), Console._display

    def watched(console: Console, screen: Any, renderable: Any) -> None:
        found(cells_only(renderable))
        display(console, screen, renderable)

    with monkeypatch.context() as patch:
        patch.setattr(Console, "_display", watched)
        yield found


@pytest.mark.parametrize("screen", SCREENS)
def test_a_second_look_at_the_same_world_sends_nothing(screen: str, monkeypatch: pytest.MonkeyPatch) -> None:
    source = canned.CannedSource(canned.trouble())

    async def flow() -> None:
        async with opened(source, SIZE) as pilot:
            await press(pilot, *SCREENS[screen])
            await look(pilot)
            with sent(monkeypatch) as found:
                await look(pilot)
            assert found.parts == []

    run(flow)


def test_of_a_job_that_runs_only_its_age_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    source = canned.CannedSource(canned.calm())

    async def flow() -> None:
        async with opened(source, SIZE) as pilot:
            await press(pilot, "2", "right", "right")
            await look(pilot)
            pilot.app.state._clock = lambda: 1.0  # type: ignore[attr-defined]  # a second later
            with sent(monkeypatch) as found:
                pilot.app.paint()  # type: ignore[attr-defined]
                await settle(pilot)
            lines = text_of(pilot.app).splitlines()
            ages = [(y, text) for y, _, text in found.parts if y > 0]
            assert ages
            assert all(len(text) < 10 and text in lines[y] for y, text in ages)

    run(flow)


def test_a_screen_that_is_covered_is_not_painted_and_is_up_to_date_when_it_is_seen_again() -> None:
    source = canned.CannedSource(canned.calm())

    async def flow() -> None:
        async with opened(source, SIZE) as pilot:
            await press(pilot, "2", "enter")
            assert pilot.app._background_screens == []
            source.stats, source.all = canned.empty()
            await look(pilot)
            await press(pilot, "escape")
            assert "no pending jobs" in text_of(pilot.app)

    run(flow)


def test_a_dialog_lets_the_screen_behind_it_be_seen() -> None:
    source = canned.CannedSource(canned.calm())

    async def flow() -> None:
        async with opened(source, SIZE) as pilot:
            await press(pilot, "2", "w")
            assert len(pilot.app._background_screens) == 1
            source.stats, source.all = canned.empty()
            await look(pilot)
            assert "no pending jobs" in text_of(pilot.app)

    run(flow)


RED, BLUE = Style(color="red"), Style(color="blue")


@pytest.mark.parametrize(
    ("before", "after", "parts"),
    [
        ("all the same", "all the same", []),
        ("age 12s of it", "age 13s of it", [(5, 6)]),
        ("1 and, far away from it, 2", "3 and, far away from it, 4", [(0, 1), (25, 26)]),
        ("close 1 and 2", "close 3 and 4", [(6, 13)]),
        ("日本 1", "日光 2", [(2, 6)]),
        ("one cell, e\u0301 too", "one cell, e\u0300 too", [(10, 11)]),
    ],
)
def test_a_line_is_different_where_its_cells_are(before: str, after: str, parts: list[tuple[int, int]]) -> None:
    found = changed_parts(Strip([Segment(before, RED)]), Strip([Segment(after, RED)]), 3)
    assert found == [Region(start, 3, end - start, 1) for start, end in parts]


def test_another_colour_is_a_difference() -> None:
    found = changed_parts(Strip([Segment("ab", RED)]), Strip([Segment("a", RED), Segment("b", BLUE)]), 0)
    assert found == [Region(1, 0, 1, 1)]


def test_an_update_has_the_cells_between_its_columns_and_no_others() -> None:
    strips = {0: Strip([Segment("left part ")]), 10: Strip([Segment("right part")])}
    update = CellsUpdate([strips], [(0, 5, 15)], [[10, 20]])
    written = update.render_segments(RichConsole(color_system=None))
    assert written == "\x1b[1;6Hpart \x1b[1;11Hright"

"""What the screens and dialogs look like, in each state that matters, at two sizes."""

import os
from pathlib import Path
from typing import Any

import canned
import pytest
import pytest_textual_snapshot
from driving import opened, press, run, settle, type_text
from textual.pilot import Pilot

ROOT = Path(__file__).resolve().parents[2]


class TopLevelSVG(pytest_textual_snapshot.SVGImageExtension):
    """Accepted pictures are in snapshots/, in a folder for each module of tests."""

    @classmethod
    def dirname(cls, *, test_location: Any) -> str:
        test = Path(test_location.filepath).resolve()
        target = ROOT / "snapshots" / test.relative_to(ROOT / "tests").with_suffix("")
        # Left with its "..": syrupy decides by the test's folder in this text whether a run of one test may call the
        # pictures of the others unused, and would else delete them.
        return os.path.join(test.parent, os.path.relpath(target, test.parent))


@pytest.fixture
def picture(snapshot: Any) -> Any:
    """What a screen is compared with; `pytest --snapshot-update` accepts what is there."""
    return snapshot.use_extension(TopLevelSVG)


SIZES = {"120x40": (120, 40), "80x24": (80, 24)}

TO_ERRORED = ("2", *["right"] * 5)

SCREENS: dict[str, tuple[str, ...]] = {
    "overview": (),
    "pending": ("2", "j", "j", "space"),
    "running": ("2", "right", "right", "j"),
    "errored": (*TO_ERRORED, "j", "j", "space", "space"),
    "job": (*TO_ERRORED, "j", "enter"),
    "failures": ("3", "j"),
    "queues": ("4",),
    "workers": ("5",),
    "schedules": ("6", "j"),
    "activity": ("7",),
}

STATES = ("busy", "empty", "trouble", "lost", "read-only")

DIALOGS: dict[str, tuple[str, ...]] = {
    "confirm": (*TO_ERRORED, "space", "space", "space", "r"),
    "confirm-typed": (*TO_ERRORED, "asterisk", "r"),
    "confirm-delete": (*TO_ERRORED, "j", "D"),
    "cancel-queue": ("4", "c"),
    "retry-group": ("3", "r"),
    "muted": ("3", "m"),
    "why": ("2", "w"),
    "stack": ("2", "right", "right", "l"),
    "run-now": ("6", "t"),
    "coming": ("6", "w"),
    "help": ("2", "question_mark"),
    "palette": ("2", "colon"),
    "actions": (*TO_ERRORED, "full_stop"),
    "history": (*TO_ERRORED, "j", "enter", "tab", "tab"),
    "stop-worker": ("5", "S"),
    "copy": (*TO_ERRORED, "y"),
    "columns": ("2", "v", "j", "j", "space"),
    "views": (*TO_ERRORED, "b", "type night", "enter", "b", "tab"),
    "enqueue": ("n", "type billing.jobs.SyncInvoice", "tab", "x"),
    "edit": (*TO_ERRORED, "j", "e"),
    "filter": (*TO_ERRORED, "slash", "type queue:mail tag:x"),
}

SEVERAL = {
    "test_a_screen_in_a_state": [f"{name}-{state}-{size}" for name in SCREENS for state in STATES for size in SIZES],
    "test_a_dialog": [f"{name}-{size}" for name in DIALOGS for size in SIZES],
}

sizes = pytest.mark.parametrize("size", SIZES)


def source_in(state: str) -> canned.CannedSource:
    if state == "busy":
        return canned.CannedSource(canned.calm())
    if state == "empty":
        return canned.CannedSource(canned.empty())
    if state == "read-only":
        target = canned.replace(canned.PRODUCTION, is_read_only=True)
        return canned.CannedSource(canned.calm(), target)
    return canned.CannedSource(canned.trouble())


async def do(pilot: Pilot[Any], *steps: str) -> None:
    for step in steps:
        if step.startswith("type "):
            await type_text(pilot, step.removeprefix("type "))
        else:
            await press(pilot, step)


def drawn(source: canned.CannedSource, size: str, *steps: str, is_lost: bool = False, **options: Any) -> str:
    async def flow() -> str:
        async with opened(source, SIZES[size], has_past=True, **options) as pilot:
            await do(pilot, *steps)
            if is_lost:
                source.lose()
                pilot.app.feed.look()  # type: ignore[attr-defined]
                await settle(pilot)
            return pilot.app.export_screenshot(simplify=True)

    picture = run(flow)
    assert isinstance(picture, str)
    return picture


@sizes
@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("name", SCREENS)
def test_a_screen_in_a_state(name: str, state: str, size: str, picture: Any) -> None:
    assert drawn(source_in(state), size, *SCREENS[name], is_lost=state == "lost") == picture


@sizes
@pytest.mark.parametrize("name", DIALOGS)
def test_a_dialog(name: str, size: str, picture: Any) -> None:
    assert drawn(source_in("trouble"), size, *DIALOGS[name]) == picture


@sizes
def test_a_deletion_on_production(size: str, picture: Any) -> None:
    source = canned.CannedSource(canned.trouble(), canned.PRODUCTION)
    source.access.open()
    assert drawn(source, size, *TO_ERRORED, "r") == picture


@sizes
def test_changes_on_production_take_its_name(size: str, picture: Any) -> None:
    source = canned.CannedSource(canned.trouble(), canned.PRODUCTION)
    assert drawn(source, size, "2", "colon", "type write", "enter", "type db-2", "enter") == picture


@sizes
@pytest.mark.parametrize("where", ["footer", "palette", "help"])
def test_what_the_role_may_not_do(size: str, where: str, picture: Any) -> None:
    source = source_in("trouble")
    source.forbidden = dict.fromkeys(("retry", "cancel", "purge", "undo"), "role app_ro may not UPDATE jobq.jobs")
    keys = {"footer": (), "palette": ("full_stop",), "help": ("question_mark",)}
    assert drawn(source, size, *TO_ERRORED, *keys[where]) == picture


@sizes
def test_what_was_left_alone_and_why(size: str, picture: Any) -> None:
    source = source_in("trouble")
    source.refused = {918_244: "another unfinished job holds its unique key", 918_238: "it is running"}
    assert drawn(source, size, *TO_ERRORED, "space", "space", "space", "r", "y") == picture


@sizes
def test_a_database_without_tables(size: str, picture: Any) -> None:
    source = source_in("empty")
    source.have_no_tables()
    assert drawn(source, size) == picture


@sizes
def test_a_database_that_is_not_there(size: str, picture: Any) -> None:
    source = source_in("empty")
    source.lose()
    assert drawn(source, size) == picture


@sizes
def test_plain_characters(size: str, picture: Any) -> None:
    assert drawn(source_in("trouble"), size, is_ascii=True) == picture


@sizes
def test_no_colour(size: str, picture: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    assert drawn(source_in("trouble"), size, *SCREENS["errored"]) == picture


def test_every_picture_belongs_to_a_test() -> None:
    """Under several processes, pictures that no test compares with are not found otherwise."""
    folder = ROOT / "snapshots" / "tui" / "test_snapshots"
    expected = {f"{test}[{case}].svg" for test, cases in SEVERAL.items() for case in cases}
    names = {path.name for path in folder.glob("*.svg")}
    alone = {name for name in names - expected if name.partition("[")[0] in globals()}
    assert names - alone == expected
    modules = {path.stem for path in (ROOT / "tests" / "tui").glob("test_*.py")}
    assert {path.name for path in (ROOT / "snapshots" / "tui").iterdir() if path.is_dir()} <= modules

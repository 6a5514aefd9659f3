"""What the screens and dialogs look like, in each state that matters, at two sizes."""

import os
from pathlib import Path
from typing import Any

import canned
import pytest
import pytest_textual_snapshot
from driving import look, opened, press, run, settle, type_text
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

    @classmethod
    def get_snapshot_name(cls, *, test_location: Any, index: Any = 0) -> str:
        return f"{test_location.methodname}[{index}]"


@pytest.fixture
def picture(snapshot: Any) -> Any:
    """What a screen is compared with; `pytest --snapshot-update` accepts what is there."""
    return snapshot.use_extension(TopLevelSVG)


SIZES = {"80x24": (80, 24), "120x40": (120, 40)}
"""From small to large: what a window of this size has no room for has not been asked for, either."""

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

ONE_THAT_WENT_WELL = ("2", *["right"] * 4, "j", "enter")
"""The job that is opened where none has failed."""

STATES = ("busy", "empty", "trouble", "lost", "read-only")

DIALOGS: dict[str, tuple[str, ...]] = {
    "confirm": (*TO_ERRORED, "space", "space", "space", "r"),
    "confirm-typed": (*TO_ERRORED, "asterisk", "r"),
    "confirm-delete": (*TO_ERRORED, "j", "D"),
    "cancel-queue": ("4", "c"),
    "pause": ("4", "p", "type smtp is down"),
    "retry-group": ("3", "r"),
    "muted": ("3", "m"),
    "why": ("2", "w"),
    "stack": ("2", "right", "right", "l"),
    "log": (*TO_ERRORED, "L"),
    "run-now": ("6", "t"),
    "coming": ("6", "w"),
    "help": ("2", "question_mark"),
    "palette": ("2", "colon"),
    "actions": (*TO_ERRORED, "full_stop"),
    "history": (*TO_ERRORED, "j", "enter", "tab", "tab", "tab"),
    "why-pending": ("2", "j", "enter"),
    "stop-worker": ("5", "S"),
    "copy": (*TO_ERRORED, "y"),
    "columns": ("2", "v", "j", "j", "space"),
    "views": (*TO_ERRORED, "b", "type night", "enter", "b", "tab"),
    "enqueue": ("n", "type billing.jobs.SyncInvoice", "tab", "x"),
    "edit": (*TO_ERRORED, "j", "e"),
    "filter": (*TO_ERRORED, "slash", "type queue:mail tag:x"),
    "completion": ("slash", "type error:"),
    "search": ("slash", "type outcome:errored queue:mail", "enter"),
    "barred": ("slash", "type outcome:errored queue:mail", "enter", "left"),
    "sorted": (*TO_ERRORED, "s", "s", "s"),
    "marked-groups": ("3", "space", "j", "V"),
}

BROAD = {"200x50": (200, 50)}
"""A window in which every screen shows all that it has."""

GATES: dict[str, tuple[str, ...]] = {
    "gates": ("4", "tab"),
    "lanes": ("4", "tab", "enter", "j"),
    "limit": ("4", "tab", "l", "type 5", "enter", "type 1h"),
    "pause-lane": ("4", "tab", "enter", "p", "type they asked"),
    "jobs": ("2", "right"),
    "needs": (),
}
"""What there is to see of gates; nothing of it is shown where there is none."""

GATE_SIZES = {**SIZES, **BROAD}

BROAD_SCREENS = ("overview", "failures", "queues")

SEVERAL = {
    "test_a_broad_window": [f"{name}-{size}" for name in BROAD_SCREENS for size in BROAD],
    "test_a_screen_in_a_state": [f"{name}-{state}-{size}" for name in SCREENS for state in STATES for size in SIZES],
    "test_what_there_is_to_see_of_gates": [f"{name}-{size}" for name in GATES for size in GATE_SIZES],
    "test_a_dialog": [f"{name}-{size}" for name in DIALOGS for size in SIZES],
}


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


async def lost(pilot: Pilot[Any], source: canned.CannedSource) -> None:
    source.lose()
    await look(pilot)


async def found(pilot: Pilot[Any], source: canned.CannedSource) -> None:
    source.error = None
    await look(pilot)


def drawn(
    source: canned.CannedSource,
    *steps: str,
    is_lost: bool = False,
    sizes: dict[str, tuple[int, int]] = SIZES,
    **options: Any,
) -> dict[str, str]:
    """The picture at each size, of one console: to open one is most of the work."""

    async def flow() -> dict[str, str]:
        pictures = {}
        async with opened(source, next(iter(sizes.values())), has_past=True, **options) as pilot:
            await do(pilot, *steps)
            for name, size in sizes.items():
                await pilot.resize_terminal(*size)
                await settle(pilot)
                if is_lost:
                    await lost(pilot, source)
                pictures[name] = pilot.app.export_screenshot(simplify=True)
                if is_lost:
                    await found(pilot, source)
        return pictures

    pictures = run(flow)
    assert isinstance(pictures, dict)
    return pictures


def assert_accepted(pictures: dict[str, str], picture: Any, name: str = "") -> None:
    for size, drawing in pictures.items():
        assert drawing == picture(name=f"{name}-{size}" if name else size)


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("name", SCREENS)
def test_a_screen_in_a_state(name: str, state: str, picture: Any) -> None:
    steps = ONE_THAT_WENT_WELL if name == "job" and state in ("busy", "read-only") else SCREENS[name]
    assert_accepted(drawn(source_in(state), *steps, is_lost=state == "lost"), picture, f"{name}-{state}")


@pytest.mark.parametrize("name", BROAD_SCREENS)
def test_a_broad_window(name: str, picture: Any) -> None:
    assert_accepted(drawn(source_in("trouble"), *SCREENS[name], sizes=BROAD), picture, name)


@pytest.mark.parametrize("name", GATES)
def test_what_there_is_to_see_of_gates(name: str, picture: Any) -> None:
    source = canned.CannedSource(canned.gated())
    assert_accepted(drawn(source, *GATES[name], sizes=GATE_SIZES), picture, name)


@pytest.mark.parametrize("name", DIALOGS)
def test_a_dialog(name: str, picture: Any) -> None:
    assert_accepted(drawn(source_in("trouble"), *DIALOGS[name]), picture, name)


def test_a_form_whose_code_is_not_in_this_folder(picture: Any) -> None:
    """Its options are those that the workers tell; what the code computes must be typed."""
    source = source_in("trouble")
    source.plan = source.plan_without_code  # type: ignore[method-assign]  # as where the code cannot be imported
    assert_accepted(drawn(source, "n", "type mail.jobs.SendReceipt", "tab", "type 7"), picture)


def test_a_deletion_on_production(picture: Any) -> None:
    source = canned.CannedSource(canned.trouble(), canned.PRODUCTION)
    source.access.open()
    assert_accepted(drawn(source, *TO_ERRORED, "r"), picture)


def test_changes_on_production_take_its_name(picture: Any) -> None:
    source = canned.CannedSource(canned.trouble(), canned.PRODUCTION)
    assert_accepted(drawn(source, "2", "colon", "type write", "enter", "type db-2", "enter"), picture)


@pytest.mark.parametrize("where", ["footer", "palette", "help"])
def test_what_the_role_may_not_do(where: str, picture: Any) -> None:
    source = source_in("trouble")
    source.forbidden = dict.fromkeys(("retry", "cancel", "purge", "undo"), "role app_ro may not UPDATE jobq.jobs")
    keys = {"footer": (), "palette": ("full_stop",), "help": ("question_mark",)}
    assert_accepted(drawn(source, *TO_ERRORED, *keys[where]), picture, where)


def test_what_was_left_alone_and_why(picture: Any) -> None:
    source = source_in("trouble")
    source.refused = {918_244: "another unfinished job holds its unique key", 918_238: "it is running"}
    assert_accepted(drawn(source, *TO_ERRORED, "space", "space", "space", "r", "y"), picture)


def test_a_database_without_tables(picture: Any) -> None:
    source = source_in("empty")
    source.have_no_tables()
    assert_accepted(drawn(source), picture)


def test_a_database_that_is_not_there(picture: Any) -> None:
    source = source_in("empty")
    source.lose()
    assert_accepted(drawn(source), picture)


def test_plain_characters(picture: Any) -> None:
    assert_accepted(drawn(source_in("trouble"), is_ascii=True), picture)


def test_no_colour(picture: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    assert_accepted(drawn(source_in("trouble"), *SCREENS["errored"]), picture)


def test_every_picture_belongs_to_a_test() -> None:
    """Under several processes, pictures that no test compares with are not found otherwise."""
    folder = ROOT / "snapshots" / "tui" / "test_snapshots"
    expected = {f"{test}[{case}].svg" for test, cases in SEVERAL.items() for case in cases}
    names = {path.name for path in folder.glob("*.svg")}
    alone = {name for name in names - expected if name.partition("[")[0] in globals()}
    assert names - alone == expected
    modules = {path.stem for path in (ROOT / "tests" / "tui").glob("test_*.py")}
    assert {path.name for path in (ROOT / "snapshots" / "tui").iterdir() if path.is_dir()} <= modules

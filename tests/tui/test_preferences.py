"""What one person likes is kept in their own file: saved views, columns left out, other keys."""

from pathlib import Path
from typing import Any

import canned
import pytest
from driving import line_with, opened, press, run, strips_of, text_of, type_text
from jobq.tui import keys, preferences
from jobq.tui.actions import BY_NAME
from jobq.tui.preferences import SavedView

from jobq.errors import UsageError

WRITTEN = """# mine
[keys]
retry = "R"  # as it was elsewhere
range_less = "x"
freeze = "ctrl+g"
top = "T"
cancel = "z"
mark = "5"
fold = "hmm"
rety = "u"

[views.bad]
list = "errored"
filter = "colour:red"
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "jobq" / "console.toml"


def written(path: Path, text: str) -> preferences.Preferences:
    path.parent.mkdir()
    path.write_text(text)
    return preferences.load(path)


def test_other_keys_work_and_are_shown_and_those_that_cannot_be_are_told(path: Path) -> None:
    liked = written(path, WRITTEN)
    source = canned.CannedSource(canned.trouble())

    async def flow() -> None:
        async with opened(source, preferences=liked) as pilot:
            told = "".join(notice.message for notice in pilot.app._notifications)
            for problem in (
                "cancel: z is the key of undo: it stays c", "mark: 5 leads to a screen", "fold: there is no key 'hmm'",
                "there is no action 'rety': did you mean retry?", "the view 'bad' is ignored: There is no colour:",
            ):  # fmt: skip
                assert problem in told
            pilot.app.clear_notifications()
            await press(pilot, "2", *["right"] * 5)
            assert "R retry" in text_of(pilot.app).splitlines()[-1]
            await press(pilot, "j", "space", "r")
            assert source.acts == []
            await press(pilot, "R")
            assert [verb for verb, _ in source.acts] == ["retry"]
            await press(pilot, "escape", "ctrl+g")
            assert "frozen" in text_of(pilot.app)
            await press(pilot, "question_mark")
            assert "R " in line_with(pilot.app, "Retry: queue finished jobs again.")
            await press(pilot, "escape", "full_stop")
            assert "R " in line_with(pilot.app, "retry")

    run(flow)


@pytest.mark.parametrize("text", ["a", "A", "ü", "%", "f5", "ctrl+r", "space", "F12"])
def test_a_key_is_a_character_or_has_a_name(text: str) -> None:
    changed, problems = keys.keymap({"retry": text}, [["retry", "cancel"]])
    assert problems == []
    assert keys.shown(changed["retry"]) == text or len(text) > 1 or text == "ü"


def test_two_keys_change_places_and_three_do_not_get_one() -> None:
    screens = [["retry", "cancel", "sort"]]
    assert keys.keymap({"retry": "c", "cancel": "r"}, screens) == ({"retry": "c", "cancel": "r"}, [])
    changed, problems = keys.keymap({"retry": "X", "cancel": "X", "sort": "r"}, screens)
    assert len(set({name: changed.get(name, BY_NAME[name].key) for name in screens[0]}.values())) == 3
    assert problems


def test_views_and_columns_are_kept_and_what_else_is_in_the_file_stays(path: Path) -> None:
    liked = written(path, "# mine\n[keys]\nretry = 'R' # yes\n")

    async def flow() -> None:
        async with opened(canned.CannedSource(canned.trouble()), preferences=liked) as pilot:
            await press(pilot, "2", *["right"] * 5, "slash")
            await type_text(pilot, "queue:mail")
            await press(pilot, "enter", "b")
            await type_text(pilot, "night")
            await press(pilot, "enter")
            assert " night " in line_with(pilot.app, "queue:mail")
            assert "TRY" in text_of(pilot.app)
            await press(pilot, "v", "j", "j", "j", "space", "escape")
            assert "TRY" not in text_of(pilot.app)

    run(flow)
    assert path.read_text().startswith("# mine\n[keys]\nretry = 'R' # yes\n")
    again = preferences.load(path)
    assert again == preferences.Preferences(
        path, (SavedView("night", "errored", "queue:mail"),), {"errored": ("TRY",)}, {"retry": "R"}, []
    )

    async def later() -> None:
        async with opened(canned.CannedSource(canned.trouble()), preferences=again) as pilot:
            await press(pilot, "colon")
            await type_text(pilot, "view night")
            await press(pilot, "enter")
            assert "queue:mail" in line_with(pilot.app, "match")
            assert "TRY" not in text_of(pilot.app)
            await press(pilot, "b", "tab", "D")
            assert "no view is saved" in text_of(pilot.app)

    run(later)
    assert "night" not in path.read_text()


@pytest.mark.parametrize("text", ["[keys", "\xff"])
def test_a_file_that_cannot_be_read_is_told_and_never_written_over(path: Path, text: str) -> None:
    path.parent.mkdir()
    path.write_text(text, encoding="latin-1")
    liked = preferences.load(path)
    assert "cannot be read, and is ignored" in liked.problems[0]
    with pytest.raises(UsageError, match="nothing is kept"):
        liked.hide("pending", ("TRY",))
    assert path.read_text(encoding="latin-1") == text


def test_what_makes_no_sense_in_the_file_is_told_and_the_rest_holds(path: Path) -> None:
    liked = written(path, 'x = 1\nkeys = 1\n[views.a]\nlist = "lost"\n[views.b]\n[hidden]\nx = 1\n')
    assert [view.name for view in liked.views] == ["a"]
    assert len(liked.problems) == 4


def test_a_mistake_is_underlined_in_its_place_and_what_is_slow_is_marked_before_it_runs() -> None:
    source = canned.CannedSource(canned.trouble())
    source.stats = canned.replace(source.stats, pending=1_000_000)

    async def flow() -> None:
        async with opened(source) as pilot:
            await press(pilot, "2", "slash")
            await type_text(pilot, "queue:mail colour:red")
            assert underlined(pilot.app) == "colour:"
            assert "There is no colour:" in text_of(pilot.app)
            await press(pilot, *["backspace"] * 10)
            await type_text(pilot, "args.n:4")
            assert underlined(pilot.app) == "args.n:4"
            assert "slow: args.n" in text_of(pilot.app)
            await type_text(pilot, " since:1h")
            assert underlined(pilot.app) == ""
            assert "slow" not in text_of(pilot.app)

    run(flow)


def underlined(console: Any) -> str:
    return "".join(
        segment.text for strip in strips_of(console) for segment in strip if segment.style and segment.style.underline
    )

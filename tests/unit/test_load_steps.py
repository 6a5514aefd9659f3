"""What the loading of an application is doing, step by step."""

import importlib
import sys
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobq.load_steps import followed, step


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith("stepped_")]:
        del sys.modules[name]


def test_an_import_is_told_with_those_that_import_it_and_again_when_it_goes_on(package: Path) -> None:
    package.joinpath("stepped_outer.py").write_text("import stepped_inner\n")
    package.joinpath("stepped_inner.py").write_text("")
    told: list[str] = []
    with followed(told.append), step("trying"):
        importlib.import_module("stepped_outer")
    assert told == [
        "trying",
        "trying: importing stepped_outer",
        "trying: importing stepped_inner (imported by stepped_outer)",
        "trying: importing stepped_outer",
        "trying",
        "",
        "",
    ]


def test_a_long_chain_is_cut_in_its_middle(package: Path) -> None:
    for number in range(10):
        text = f"import stepped_{number + 1}\n" if number < 9 else ""
        package.joinpath(f"stepped_{number}.py").write_text(text)
    told: list[str] = []
    with followed(told.append):
        importlib.import_module("stepped_0")
    assert "importing stepped_9 (imported by stepped_0, stepped_1, …, stepped_6, stepped_7, stepped_8)" in told


def test_what_another_thread_imports_is_its_own(package: Path) -> None:
    package.joinpath("stepped_beside.py").write_text("")
    told: list[str] = []
    with followed(told.append):
        thread = threading.Thread(target=importlib.import_module, args=["stepped_beside"])
        thread.start()
        thread.join()
    assert told == [""]


@pytest.mark.parametrize("text", ["1 / 0\n", "import stepped_missing\n"])
def test_a_failed_import_has_the_traceback_that_it_has_otherwise(package: Path, text: str) -> None:
    package.joinpath("stepped_failing.py").write_text(text)

    def frames() -> list[tuple[str, str]]:
        try:
            import stepped_failing  # type: ignore[import-not-found]  # noqa: F401
        except Exception as error:  # noqa: BLE001 - either of the two
            return [(frame.filename, frame.name) for frame in traceback.extract_tb(error.__traceback__)]
        return []

    plain = frames()
    with followed(lambda _doing: None):
        assert frames() == plain


def test_a_step_that_nobody_follows_costs_nothing_and_changes_nothing() -> None:
    before = importlib._bootstrap._find_and_load  # type: ignore[attr-defined]
    with step("alone"):
        pass
    with followed(lambda _doing: None):
        assert importlib._bootstrap._find_and_load is not before  # type: ignore[attr-defined]
    assert importlib._bootstrap._find_and_load is before  # type: ignore[attr-defined]

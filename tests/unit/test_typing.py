"""What mypy and pyright say of a user's code: the errors that its comments expect, and no others."""

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

FIXTURES = sorted((Path(__file__).parents[1] / "typing").glob("*.py"))

every_fixture = pytest.mark.parametrize("fixture", FIXTURES, ids=lambda fixture: fixture.stem)


def expected(fixture: Path, checker: str) -> dict[int, str]:
    """The code of the error that each line expects, by its number."""
    found = {}
    for number, line in enumerate(fixture.read_text(encoding="utf-8").splitlines(), 1):
        if match := re.search(rf"# .*\b{checker}: ([\w-]+)", line):
            found[number] = match[1]
    assert found
    return found


def output_of(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *arguments], cwd=FIXTURES[0].parents[2], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stdout


@every_fixture
def test_mypy_finds_what_is_wrong_and_nothing_else(fixture: Path) -> None:
    output = output_of("mypy", "--cache-dir", "/dev/null", "--output", "json", str(fixture))
    found = [json.loads(line) for line in output.splitlines()]
    assert {each["line"]: each["code"] for each in found if each["severity"] == "error"} == expected(fixture, "mypy")


@pytest.mark.skipif(importlib.util.find_spec("basedpyright") is None, reason="basedpyright is not installed")
@every_fixture
def test_pyright_finds_what_is_wrong_and_nothing_else(fixture: Path) -> None:
    output = output_of("basedpyright", "--pythonpath", sys.executable, "--outputjson", str(fixture))
    found = [each for each in json.loads(output)["generalDiagnostics"] if each["severity"] == "error"]
    assert {each["range"]["start"]["line"] + 1: each["rule"] for each in found} == expected(fixture, "pyright")

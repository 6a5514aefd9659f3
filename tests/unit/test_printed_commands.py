"""Printed command lines stay command lines, whatever is in the names that they carry."""

import ast
import re
import shlex
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobq.cli import COMMANDS
from jobq.commands import CALLED_AS, command, psql_command, term
from jobq.filters import parse

ROOT = Path(__file__).parents[2]
SOURCES = [*sorted((ROOT / "jobq").rglob("*.py")), *sorted((ROOT / "tui").rglob("*.py"))]
COMMAND = re.compile(rf"\bjobq ({'|'.join(COMMANDS)})( [^.;,(]*)?[ '\"=]$|\\b(psql|pip install|kill|rm) [^.]*$")

names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)


@given(names)
def test_a_name_stays_one_word_of_the_command(name: str) -> None:
    assert shlex.split(command("pause", name)) == ["jobq", "pause", name]
    assert shlex.split(psql_command(name)) == ["psql", "$JOBQ_DATABASE_URL", "-c", name]


def test_commands_begin_as_this_process_was_called(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CALLED_AS, "python manage.py jobq")
    assert command("run", "--queue", "a b") == "python manage.py jobq run --queue 'a b'"
    assert command("a", program="export") == "export a"


@given(names)
def test_a_term_stands_for_exactly_this_value(name: str) -> None:
    (found,) = parse(term("class", name)).terms
    assert [value.parts for value in found.values] == [(name,)]  # type: ignore[union-attr]


@pytest.mark.parametrize("name", ["x';touch a;'", "$(touch a)", "`touch a`", '";touch a;"', "a\ntouch a"])
def test_a_pasted_command_runs_nothing_but_jobq(tmp_path: Path, name: str) -> None:
    line = command("cancel", term("class", name), program="echo")
    done = subprocess.run(["sh", "-c", line], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("cancel class:")
    assert list(tmp_path.iterdir()) == []


def puts_a_value_into_a_command(node: ast.AST) -> bool:
    """An f-string in which a value follows the beginning of a command line."""
    if not isinstance(node, ast.JoinedStr):
        return False
    text = ""
    for part in node.values:
        if isinstance(part, ast.Constant):
            text += str(part.value)
        elif COMMAND.search(text) and not is_quoted_by_us(part):
            return True
        else:
            text += "_"
    return False


def is_quoted_by_us(part: ast.expr) -> bool:
    if not isinstance(part, ast.FormattedValue) or not isinstance(part.value, ast.Call):
        return False
    return ast.unparse(part.value.func) in ("command", "commands.command", "quote")


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_command_lines_are_put_together_in_one_place(path: Path) -> None:
    if path.name == "commands.py":
        return
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert [ast.unparse(node) for node in ast.walk(tree) if puts_a_value_into_a_command(node)] == []
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module == "shlex"
                for alias in node.names}  # fmt: skip
    assert imported & {"join", "quote"} == set()
    assert "shlex.join" not in path.read_text(encoding="utf-8")

"""The README says what is true: its code runs; and the commands that any page types exist."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest
from click.testing import CliRunner

from jobq.cli import COMMANDS, cli
from pages import README, ROOT, Page, typed

if TYPE_CHECKING:
    from conftest import Application, Store

code, commands = README.code, README.commands


def test_the_smallest_job_is_enqueued_run_and_seen_as_the_readme_types_it(
    application: "Application", store: "Store"
) -> None:
    definition, use = code("The smallest job")
    application.write("jobs.py", definition)
    application.python(use)

    shown = []
    for command in commands("The smallest job"):
        assert command[0] == "jobq"
        finished = application.jobq(*command[1:], *(["--drain"] if command[1] == "run" else []))
        assert finished.returncode == 0, finished.stderr
        shown.append(finished.stdout)

    assert [result.outcome for result in store.results()] == ["successful"]
    assert [(job.id, job.state) for job in store.unfinished()] == [(2, "scheduled"), (3, "scheduled")]
    assert store.job(2).unique_key == "welcome-2"
    assert "jobs.WelcomeUser" in shown[-1]


def test_the_catalogue_of_what_fails_names_tests_that_there_are() -> None:
    tests = Path(__file__).parent
    catalogue = (tests / "faults" / "README.md").read_text(encoding="utf-8")
    rows = [line for line in catalogue.splitlines() if line.startswith("| ") and not line.startswith("| what |")]
    assert len(rows) > 40
    for row in rows:
        named = re.findall(r"`([\w/]+\.py)::(\w+)`", row)
        assert named, f"no test in: {row}"
        for file, test in named:
            assert f"def {test}(" in (tests / file).read_text(encoding="utf-8"), f"{file}::{test} is not there"
    for module in re.findall(r"python -m ([\w.]+)", catalogue):
        path = tests.parent / module.replace(".", "/")
        assert path.with_suffix(".py").exists() or (path / "__main__.py").exists(), f"{module} is not there"


PAGES = [README, *map(Page, sorted((ROOT / "docs").rglob("*.md")))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.path.name)
def test_every_command_and_option_that_a_page_types_exists(page: Page) -> None:
    known = set(options_of(cli))
    for words in typed(*[block.text for block in page.blocks() if block.language == "console"]):
        if words[:1] == ["jobq"]:
            assert words[1] in COMMANDS, words
            assert {word.partition("=")[0] for word in words if word.startswith("--")} <= known, words
    assert set(re.findall(r"`jobq ([a-z]+)", page.text)) <= set(COMMANDS)


def options_of(command: click.Command) -> Iterator[str]:
    """The options of a command and of those below it."""
    yield from ("--help", "--version")
    for parameter in command.params:
        yield from parameter.opts
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from options_of(below)


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_explains_itself(command: str) -> None:
    finished = CliRunner().invoke(cli, [command, "--help"], prog_name="jobq")
    assert finished.exit_code == 0
    assert finished.output.startswith(f"Usage: jobq {command}")

"""What a shell does with jobq: it completes, its help has examples, and one option is spelled one way."""

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import pytest

from jobq.cli import COMMANDS, GROUPS, cli
from jobq.cli.completing import PATIENCE
from jobq.cli.completion import SHELLS, script_for
from jobq.cli.examples import EXAMPLES
from jobq.records import ClassRecord

if TYPE_CHECKING:
    from conftest import Application, Store


def every_command() -> Iterator[tuple[str, click.Command]]:
    def walk(name: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
        yield name, command
        if isinstance(command, click.Group):
            for below, one in command.commands.items():
                yield from walk(f"{name} {below}", one)

    for name in COMMANDS:
        command = cli.get_command(click.Context(cli), name)
        assert command is not None
        yield from walk(name, command)


ALL = dict(every_command())


@pytest.fixture
def shop(application: "Application", store: "Store", database_url: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A database with jobs in two queues, and the `jobq` of these tests on the path."""
    monkeypatch.setenv("JOBQ_DATABASE_URL", database_url)
    program = application.path / "bin" / "jobq"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m jobq "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    classes = ("shop.jobs.Mail", "shop.jobs.Export")
    store.worker(classes=[ClassRecord(name, aliases=(), parameters=(), summary=None) for name in classes])
    store.add(queue="mail", job_class="shop.jobs.Mail")
    store.add(queue="maps", job_class="shop.jobs.Mail")
    return application


def bash_offers(shop: "Application", *words: str) -> list[str]:
    """What bash offers at Tab behind these words, the last of which is incomplete; it splits words at colons."""
    script = f"""
        {script_for("bash")}
        COMP_WORDS=({" ".join(map(shlex.quote, words))}); COMP_CWORD={len(words) - 1}
        _jobq_completion jobq
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False, cwd=shop.path)
    assert done.stderr == ""
    return done.stdout.split()


def test_bash_completes_what_jobq_and_the_database_know(shop: "Application", monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PATIENCE, "60")  # however busy this machine is
    assert bash_offers(shop, "jobq", "fail") == ["failures"]
    assert bash_offers(shop, "jobq", "list", "queue", ":", "ma") == ["mail", "maps"]


def offered(name: str, parameter: str, typed: str) -> list[str]:
    command = ALL[name]
    with click.Context(cli, info_name="jobq") as parent, click.Context(command, info_name=name, parent=parent) as ctx:
        (found,) = [one for one in command.params if one.name == parameter]
        return [item.value for item in found.shell_complete(ctx, typed)]


COMPLETED = [
    ("list", "queue", "mai", ["mail"]),
    ("list", "words", "pend", ["pending"]),
    ("list", "words", "queue:ma", ["queue:mail", "queue:maps"]),
    ("list", "words", "outcome:e", ["outcome:errored"]),
    ("enqueue", "job_class", "shop.jobs.E", ["shop.jobs.Export"]),
    ("retry", "words", "", ["2", "1"]),
    ("show", "job_id", "", ["2", "1"]),
    ("stop", "workers", "he", ["here/1"]),
]


def test_each_kind_of_word_is_completed(shop: "Application", monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PATIENCE, "60")
    for command, parameter, typed, names in COMPLETED:
        assert offered(command, parameter, typed)[: len(names)] == names


def test_without_a_database_completion_offers_nothing_and_is_silent(
    shop: "Application", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JOBQ_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    assert bash_offers(shop, "jobq", "show", "") == []
    monkeypatch.setenv("JOBQ_DATABASE_URL", "not an address")
    assert offered("show", "job_id", "") == []


def test_completion_starts_no_embedded_server(shop: "Application", monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOBQ_DATABASE_URL", "embedded")
    monkeypatch.chdir(shop.path)
    assert offered("pause", "queues", "") == []
    assert not (shop.path / ".jobq").exists()


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_of_each_shell_is_one_that_it_can_read(shell: str, tmp_path: Path) -> None:
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"there is no {shell} on this machine")
    script = tmp_path / "script"
    script.write_text(script_for(shell))
    assert "_JOBQ_COMPLETE" in script.read_text()
    done = subprocess.run([program, "-n", str(script)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_help_lists_each_command_in_one_group() -> None:
    listed = [name for names in GROUPS.values() for name in names]
    assert sorted(listed) == sorted(COMMANDS)


def test_every_command_has_examples_in_its_help() -> None:
    assert set(EXAMPLES) == set(ALL)
    for name, command in ALL.items():
        assert f"jobq {EXAMPLES[name][0]}" in command.get_help(click.Context(command, info_name=name))


@pytest.mark.parametrize("example", [example for examples in EXAMPLES.values() for example in examples])
def test_an_example_is_a_command_line_that_is_understood(example: str) -> None:
    words = shlex.split(example.replace(" >> ", " > ").partition(" > ")[0].partition(" || ")[0].partition(" | ")[0])
    command: click.Command = cli
    context = click.Context(cli, info_name="jobq")
    while isinstance(command, click.Group) and words and command.get_command(context, words[0]) is not None:
        below = command.get_command(context, words.pop(0))
        assert below is not None
        command = below
    command.make_parser(context := click.Context(command, parent=context)).parse_args(list(words))
    command.make_context(command.name, words, parent=context.parent)


SPELLED = {
    # An option by its name: what it is called everywhere, in short, and the word for its value.
    "--delay": "WHEN",
    "--expires": "WHEN",
    "--for": "DURATION",
    "--limit": "N",
    "--max-processes": "N",
    "--queue": "NAME",
    "--since": "WHEN",
    "--timeout": "DURATION",
    "--until": "WHEN",
}


def test_options_that_mean_the_same_are_spelled_the_same() -> None:
    spellings: dict[str, set[tuple[Any, ...]]] = {}
    for command in ALL.values():
        for option in command.params:
            if isinstance(option, click.Option) and not option.hidden:
                long = max(option.opts, key=len)
                metavar = None if option.is_flag else option.metavar or option.type.name
                spellings.setdefault(long, set()).add((*sorted(option.opts), metavar))
    twice = {option: sorted(map(str, found)) for option, found in spellings.items() if len(found) > 1}
    assert twice == {}
    for option, metavar in SPELLED.items():
        assert [spelled[-1] for spelled in spellings[option]] == [metavar]
    shorts = [spelled[0] for found in spellings.values() for spelled in found if len(spelled[0]) == 2]
    assert len(shorts) == len(set(shorts)), "one letter stands for two options"

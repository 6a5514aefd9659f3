"""`jobq init`: the smallest section and a first job, added to whatever is there without harming it."""

import os
import tomllib
from pathlib import Path

import pytest

from conftest import Application, Store

FILES = {
    "none": "",
    "plain": '[project]\nname = "shop"  # ours\n\n[tool.ruff]\nline-length = 100\n',
    "without an end of line": '[project]\nname = "shop"',
    "ends of lines of Windows": '[project]\r\nname = "shop"\r\n',
    "dotted": 'tool.ruff.line-length = 100\n[[tool.mypy.overrides]]\nmodule = "x"\n',
}


@pytest.fixture
def folder(application: Application) -> Application:
    """A folder in which there is nothing."""
    (application.path / "pyproject.toml").unlink()
    return application


@pytest.mark.parametrize("before", FILES.values(), ids=FILES)
def test_the_section_is_added_and_every_byte_before_it_stays(folder: Application, before: str) -> None:
    pyproject = folder.path / "pyproject.toml"
    if before:
        pyproject.write_bytes(before.encode())
    done = folder.jobq("init")
    assert done.returncode == 0, done.stderr
    after = pyproject.read_bytes().decode()
    assert after.startswith(before)
    document = tomllib.loads(after)
    assert document["tool"].pop("jobq") == {}
    expected = tomllib.loads(before)
    assert document == {**expected, "tool": expected.get("tool", {})}
    assert after.count("\r\n") in (0, after.count("\n"))

    again = folder.jobq("init")
    assert again.returncode == 0
    assert "has a section [tool.jobq] already" in again.stderr
    assert "the project's jobs are in jobs" in again.stderr
    assert pyproject.read_bytes().decode() == after


def test_what_it_says_to_type_next_works(folder: Application, database_url: str, store: Store) -> None:
    environment = {"JOBQ_DATABASE_URL": database_url}
    said = folder.jobq("init", environment=environment).stderr.splitlines()
    commands = [line.split() for line in said[said.index("next:") + 1 :]]
    assert commands == [
        ["jobq", "migrate"], ["jobq", "enqueue", "jobs.Greet", "you"], ["jobq", "run"], ["jobq", "tui"]
    ]  # fmt: skip
    for _, *arguments in commands[:-1]:
        ran = folder.jobq(*arguments, *(["--drain"] if arguments == ["run"] else []), environment=environment)
        assert ran.returncode == 0, ran.stderr
    assert "Hello, you!" in ran.stdout
    assert [result.outcome for result in store.results()] == ["successful"]


def test_nothing_is_ever_overwritten(folder: Application) -> None:
    folder.write("jobs.py", "from jobq import Job\n")
    assert folder.jobq("init").returncode == 0
    assert (folder.path / "jobs.py").read_text() == "from jobq import Job\n"
    (folder.path / "jobs.py").unlink()
    folder.write("shop/jobs.py", "")
    assert "the project's jobs are in shop.jobs" in folder.jobq("init").stderr
    assert not (folder.path / "jobs.py").exists()
    (folder.path / "shop" / "jobs.py").unlink()
    folder.write("jobs/__init__.py", "")
    assert "there is a folder jobs already" in folder.jobq("init").stderr
    assert not (folder.path / "jobs.py").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tool = {ruff = {}}\n", r"has a table `tool` that cannot be added to. Add [tool.jobq] to it by hand"),
        ("not [ toml", "cannot be read"),
    ],
)
def test_a_file_that_cannot_be_added_to_stays_as_it_is(folder: Application, text: str, message: str) -> None:
    folder.write("pyproject.toml", text)
    refused = folder.jobq("init")
    assert refused.returncode == 2
    assert message in refused.stderr
    assert (folder.path / "pyproject.toml").read_text() == text
    assert not (folder.path / "jobs.py").exists()


def test_from_a_folder_within_a_project_it_adds_to_the_project(folder: Application) -> None:
    folder.write("pyproject.toml", "")
    (folder.path / "package").mkdir()
    done = Application(folder.path / "package").jobq("init")
    assert f"the project is {folder.path}" in done.stderr
    assert "[tool.jobq]" in (folder.path / "pyproject.toml").read_text()
    assert list((folder.path / "package").iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to others")
def test_it_adds_nothing_to_a_folder_of_somebody_else(folder: Application) -> None:
    os.chown(folder.path, 65534, 65534)
    refused = folder.jobq("init")
    assert refused.returncode == 2
    assert "belongs to" in refused.stderr
    assert list(Path(folder.path).iterdir()) == []

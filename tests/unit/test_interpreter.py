"""Processes of jobq's own find the modules that this one finds."""

import importlib
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

from jobq import interpreter
from jobq.errors import ConfigurationError

PROGRAM = "import os, sys\nprint(__name__, sys.argv[1:], 'JOBQ_IMPORT_PATH' in os.environ, sys.path)\n"


@pytest.fixture
def zipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A module that is in an archive alone, which only this process has on its path."""
    archive = tmp_path / "app.pyz"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("in_archive.py", PROGRAM)
    monkeypatch.syspath_prepend(archive)
    monkeypatch.delitem(sys.modules, "in_archive", raising=False)
    return importlib.import_module("in_archive")


def output_of(command: list[str], **environment: str) -> str:
    done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, check=True)
    return done.stdout


def test_a_module_of_an_archive_runs_with_the_path_of_this_process(zipped: ModuleType) -> None:
    said = output_of(interpreter.run_module("in_archive", "1", "b c"), **interpreter.environment())
    assert said == f"__main__ ['1', 'b c'] False {[os.path.abspath(entry) for entry in sys.path]}\n"


def test_a_module_that_needs_nothing_runs_out_of_an_archive(zipped: ModuleType) -> None:
    assert output_of(interpreter.run_alone(zipped, "1")).startswith("__main__ ['1'] False ")


@pytest.mark.parametrize(("name", "value"), [("frozen", True), ("executable", "")])
def test_a_program_with_a_python_inside_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: object) -> None:
    monkeypatch.setattr(sys, name, value, raising=False)
    with pytest.raises(ConfigurationError, match="no interpreter with which a worker could start its processes"):
        interpreter.run_module("jobq.runtime.child")

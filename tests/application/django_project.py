"""A project of Django with jobq.django installed, to run its manage.py in."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Application, Started

FILES = Path(__file__).parent / "shops" / "django_app"

SET_UP = "import django; django.setup()\n"

READ = """
import asyncio, json, sys
from jobq.django.backend import JobqBackend
from jobq.django.task_api import base

async def read(id):
    return await JobqBackend("default", {}).aget_result(id)

found = {}
for name, id in json.loads(sys.argv[1]).items():
    result = asyncio.run(read(id))
    found[name] = {
        "status": result.status, "attempts": result.attempts, "args": result.args, "kwargs": result.kwargs,
        "value": result._return_value, "errors": [error.exception_class.__name__ for error in result.errors],
        "told": "".join(error.traceback for error in result.errors), "workers": result.worker_ids,
        "times": [result.enqueued_at and 1, result.started_at and 1, result.finished_at and 1],
        "task": [result.task.name, result.task.queue_name, result.task.priority, bool(result.task.run_after)],
    }
print(json.dumps(found))
"""


class Project:
    """A project of Django, in a folder of its own, with a database of its own."""

    def __init__(self, application: "Application") -> None:
        self.application = application
        self.path = application.path
        shutil.copytree(FILES, application.path, dirs_exist_ok=True)
        application.write("pyproject.toml", "[tool.jobq]\n")

    def manage(
        self, *arguments: str, environment: Mapping[str, str] | None = None, code: int = 0, cwd: Path | None = None
    ) -> "subprocess.CompletedProcess[str]":
        """Runs manage.py; it must end with this exit code."""
        done = subprocess.run(
            [sys.executable, str(self.path / "manage.py"), *arguments],
            cwd=cwd or self.path,
            env={**os.environ, **(environment or {})},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done

    def start(self, *arguments: str, environment: Mapping[str, str] | None = None) -> "AbstractContextManager[Started]":
        """Runs manage.py in the background; at the end of the block it is killed with all that it started."""
        return self.application.start(*arguments, environment=environment, program=["manage.py"])

    def shell(self, program: str) -> Any:
        """Runs a program in which Django is set up, and returns what it printed, as JSON."""
        lines = self.application.python(f"{SET_UP}{program}").stdout.splitlines()
        return json.loads(lines[-1]) if lines else None

    def read(self, ids: dict[str, str]) -> Any:
        """The results of tasks, as Django reads them."""
        return json.loads(self.application.python("-c", f"{SET_UP}{READ}", json.dumps(ids)).stdout)

    def work(self, *arguments: str, code: int = 0) -> "subprocess.CompletedProcess[str]":
        """Runs a worker until nothing is due. It ends with 1 where a job has failed."""
        return self.manage("jobq", "run", "--drain", "--max-processes", "1", *arguments, code=code)


def prepared(project: Project, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Project:
    """The project, with its tables in the test's own database; its jobs by no settings of jobq's."""
    monkeypatch.setenv("SHOP_DATABASE_URL", database_url)
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "project.settings")
    project.manage("migrate")
    return project

"""`manage.py jobq …`: the command line of jobq, with the database of this project."""

import argparse
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from jobq.commands import CALLED_AS
from jobq.errors import JobqError
from jobq.settings import environment_of
from jobq.store.database import default_database


class Command(BaseCommand):
    help = "Runs jobq with this project's database: manage.py jobq run, manage.py jobq tui, manage.py jobq --help."
    requires_system_checks = ()

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("arguments", nargs=argparse.REMAINDER, help="What follows `jobq` at the shell.")

    def run_from_argv(self, argv: list[str]) -> None:
        """Becomes `python -m jobq`, so that signals and the exit code are its own.

        A process of its own: the supervisor of a worker never imports the application.
        """
        command, environment = prepared(self, without_djangos(argv[2:]))
        sys.stdout.flush()
        sys.stderr.flush()
        os.execve(command[0], command, environment)  # noqa: S606 - no shell is wanted

    def handle(self, *_args: Any, arguments: list[str], **_options: Any) -> None:
        """For `call_command`, which must return."""
        command, environment = prepared(self, arguments)
        if code := subprocess.run(command, env=environment, check=False).returncode:
            raise CommandError(f"jobq {' '.join(arguments[:1])} ended with exit code {code}.", returncode=code)


def prepared(command: BaseCommand, arguments: list[str]) -> tuple[list[str], dict[str, str]]:
    """The arguments and the environment of that process. The password of the database stays in the environment."""
    try:
        return [sys.executable, "-m", "jobq", *with_reload(command, arguments)], environment()
    except JobqError as error:
        raise CommandError(str(error), returncode=error.exit_code) from None


def environment() -> dict[str, str]:
    added = {
        "DJANGO_SETTINGS_MODULE": settings.SETTINGS_MODULE,
        "PYTHONPATH": os.pathsep.join(import_path()),
        CALLED_AS: called_as(),
    }
    return {**os.environ, **added, **environment_of(default_database().settings)}


def called_as() -> str:
    """The start of the commands that jobq prints for pasting: they need this project's database, too."""
    program = Path(sys.argv[0]).name
    return f"{program} jobq" if program == "django-admin" else "python manage.py jobq"


def import_path() -> list[str]:
    """The first entry of this process's import path: the folder of manage.py, and the one that --pythonpath named."""
    given = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    return list(dict.fromkeys(os.path.abspath(path) for path in [*sys.path[:2], *given] if os.path.isdir(path)))


def with_reload(command: BaseCommand, arguments: list[str]) -> list[str]:
    """With DEBUG on, a worker reloads new code by itself, like `runserver`; --noreload turns that off."""
    if arguments[:1] != ["run"]:
        return arguments
    if "--noreload" in arguments:
        return [argument for argument in arguments if argument != "--noreload"]
    if not settings.DEBUG or {"--reload", "--drain", "--help", "-h"} & set(arguments):
        return arguments
    if find_spec("watchfiles") is None:
        command.stderr.write("The worker does not see changes of the code. Run: pip install 'jobq[reload]'")
        return arguments
    return [*arguments, "--reload"]


def without_djangos(arguments: list[str]) -> list[str]:
    """Without the options that manage.py itself has handled."""
    rest = iter(arguments)
    left = []
    for argument in rest:
        if argument in ("--settings", "--pythonpath"):
            next(rest, None)
        elif not argument.startswith(("--settings=", "--pythonpath=")):
            left.append(argument)
    return left

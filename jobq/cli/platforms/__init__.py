"""The files that `jobq init docker|compose|systemd|kubernetes` writes, and the values in them."""

import re
import sys
from dataclasses import dataclass
from getpass import getuser
from importlib import resources
from pathlib import Path

from jobq.grace import MAX_SECONDS
from jobq.projects import pyproject_of
from jobq.settings import Settings

KILL_LATER_SECONDS = 15
"""Seconds between the grace and the platform's kill: for cutting off jobs and recording the last results."""

IMAGE = {
    "Dockerfile": "Dockerfile",
    "dockerignore": ".dockerignore",
    "migrate.sh": "deploy/migrate.sh",
}

PLATFORMS: dict[str, dict[str, str]] = {
    "docker": IMAGE,
    "compose": {**IMAGE, "compose.yaml": "compose.yaml", "roles.sql": "deploy/roles.sql"},
    "systemd": {
        "worker.service": "deploy/{{name}}-worker.service",
        "migrate.service": "deploy/{{name}}-migrate.service",
        "migrate.sh": "deploy/migrate.sh",
    },
    "kubernetes": {**IMAGE, "kubernetes.yaml": "deploy/kubernetes.yaml"},
}
"""The files of each platform: the template, and its place in the project."""


@dataclass(frozen=True, slots=True)
class Written:
    """One file of a platform, with its text."""

    path: Path
    text: str
    is_new: bool  # there is no such file yet


def files_for(platform: str, settings: Settings) -> list[Written]:
    facts = facts_of(settings)
    found = []
    for template, place in PLATFORMS[platform].items():
        text = resources.files(__package__).joinpath(template).read_text(encoding="utf-8")
        path = settings.root / filled(place, facts)
        given = facts if path.suffix != ".service" else {key: fact.replace("%", "%%") for key, fact in facts.items()}
        found.append(Written(path, filled(text, given), is_new=not path.exists()))
    return found


def filled(text: str, facts: dict[str, str]) -> str:
    return re.sub(r"{{(\w+)}}", lambda match: facts[match[1]], text)


def facts_of(settings: Settings) -> dict[str, str]:
    folder, grace = Path(sys.executable).parent, settings.shutdown_grace
    grace = MAX_SECONDS if grace is None else grace
    user = getuser()
    return {
        "name": name_of(settings.root),
        "root": str(settings.root),
        "user": "jobq" if user == "root" else user,
        "folder": str(folder),
        "jobq": str(folder / "jobq"),
        "python": f"{sys.version_info.major}.{sys.version_info.minor}",
        "install": install_of(settings.root),
        "grace": f"{grace:g}",
        "kill_after": f"{grace + KILL_LATER_SECONDS:.0f}",
    }


def name_of(root: Path) -> str:
    """The project's folder as a name that every platform accepts."""
    return re.sub(r"[^a-z0-9]+", "-", root.name.lower()).strip("-")[:40].rstrip("-") or "app"


def install_of(root: Path) -> str:
    """The command by which an image installs the application's packages, and jobq."""
    pip = "pip install --no-cache-dir"
    if (root / "requirements.txt").exists():
        return f"{pip} -r requirements.txt 'jobq[prometheus]'"
    if (pyproject := pyproject_of(root)) and "[project]" in pyproject.read_text(encoding="utf-8", errors="replace"):
        return f"{pip} . 'jobq[prometheus]'"
    return f"{pip} 'jobq[prometheus]'"

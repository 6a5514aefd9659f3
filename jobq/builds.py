"""The build of an application: which state of its code a worker runs, as its commit or its version names it."""

import re
from pathlib import Path

from jobq.errors import ConfigurationError
from jobq.projects import pyproject_of, require_trusted
from jobq.settings import Settings

SHORT = 7
"""Characters of a commit, as git shortens it."""

MAX_CHARACTERS = 100

COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")

MAX_BYTES = 10 << 20
"""A file of git that is larger is not read."""


def build_of(settings: Settings) -> str | None:
    """What the settings say, else the commit of the application's folder, else the version of its distribution."""
    return settings.build or commit_of(settings.root) or version_of(settings.root)


# Git's files are read, and git is not run: it may not be there, and would run what the folder configures.


def commit_of(folder: Path) -> str | None:
    """The commit that is checked out in the folder, shortened; None where it is in no repository of our own."""
    repository = next((one for one in (folder, *folder.parents) if (one / ".git").exists()), None)
    if repository is None:
        return None
    try:
        require_trusted(repository / ".git")
        commit = resolved(git_folder_of(repository / ".git"))
    except (OSError, UnicodeDecodeError, ConfigurationError):
        return None
    return commit[:SHORT] if commit and COMMIT.fullmatch(commit) else None


def git_folder_of(path: Path) -> Path:
    """A worktree or a submodule has a file, which names the folder."""
    if path.is_dir():
        return path
    return path.parent / content_of(path).removeprefix("gitdir:").strip()


def resolved(git: Path) -> str | None:
    head = content_of(git / "HEAD")
    if not head.startswith("ref:"):
        return head
    name = head.removeprefix("ref:").strip()
    common = git / content_of(git / "commondir") if (git / "commondir").is_file() else git
    for folder in (git, common):
        if (folder / name).is_file():
            return content_of(folder / name)
    packed = content_of(common / "packed-refs") if (common / "packed-refs").is_file() else ""
    return next((line.partition(" ")[0] for line in packed.splitlines() if line.endswith(f" {name}")), None)


def content_of(path: Path) -> str:
    with path.open(encoding="utf-8") as file:
        return file.read(MAX_BYTES).strip()


def version_of(folder: Path) -> str | None:
    """The version under which the project of the folder is installed."""
    import tomllib
    from importlib import metadata

    try:
        pyproject = pyproject_of(folder)
        project = tomllib.loads(content_of(pyproject)).get("project") if pyproject else None
        name = project.get("name") if isinstance(project, dict) else None
        return metadata.version(name)[:MAX_CHARACTERS] if isinstance(name, str) and name else None
    except (OSError, ValueError, ConfigurationError, metadata.PackageNotFoundError):
        return None

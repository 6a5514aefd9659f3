"""The release before this one, as a tree that `PYTHONPATH` can name: from the last tag on its real code."""

import io
import shutil
import subprocess
import tarfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
MIGRATIONS = "jobq/sql/migrations"


def make_release_before(folder: Path) -> Path:
    """The code of the last release, unpacked into the folder.

    Until there is a first tag, and where there is no history: a copy of this code that does not know the newest
    migration, as the release before does not.
    """
    tag = last_tag()
    if tag is not None:
        with tarfile.open(fileobj=io.BytesIO(git("archive", tag, "jobq"))) as archive:
            archive.extractall(folder, filter="data")
        return folder
    shutil.copytree(ROOT / "jobq", folder / "jobq", ignore=shutil.ignore_patterns("__pycache__"))
    max((folder / MIGRATIONS).glob("*.sql")).unlink()
    return folder


def last_released_version() -> int | None:
    """The newest migration of the last release; None until there is a first tag."""
    tag = last_tag()
    if tag is None:
        return None
    names = git("ls-tree", "--name-only", tag, f"{MIGRATIONS}/").decode().split()
    return max(int(Path(name).name[:4]) for name in names if name.endswith(".sql"))


def last_tag() -> str | None:
    """The tag of the newest release that is an ancestor of this code."""
    try:
        return git("describe", "--tags", "--abbrev=0", "HEAD").decode().strip()
    except (subprocess.CalledProcessError, FileNotFoundError):  # no tag, no history, or no git
        return None


def git(*arguments: str) -> bytes:
    return subprocess.run(["git", "-C", str(ROOT), *arguments], check=True, capture_output=True).stdout

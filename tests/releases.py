"""Two releases, one after the other, as trees that `PYTHONPATH` can name: each on its real code and migrations."""

import io
import re
import shutil
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
MIGRATIONS = "jobq/sql/migrations"

NEXT_MIGRATION = """-- min_version: {newest}
-- As the next release may have one: additive, on the tables that workers write.

ALTER TABLE {{schema}}.jobs ADD COLUMN of_the_next_release text;
ALTER TABLE {{schema}}.results ADD COLUMN of_the_next_release text;
"""


@dataclass(frozen=True, slots=True)
class Releases:
    """The environments of processes of two releases, and the newest migration that each knows."""

    before: dict[str, str]
    after: dict[str, str]
    version_before: int
    version_after: int


def make_releases(folder: Path) -> Releases:
    """The last release and this code.

    Until there is a first tag, and where there is no history: this code and a copy of it with one migration more.
    """
    tag = last_tag()
    if tag is not None:
        unpack(tag, folder)
        return Releases({"PYTHONPATH": str(folder)}, {}, newest_migration(folder), newest_migration(ROOT))
    make_next_release(folder)
    return Releases({}, {"PYTHONPATH": str(folder)}, newest_migration(ROOT), newest_migration(folder))


def make_next_release(folder: Path) -> Path:
    """A copy of this code with one migration more: returns that."""
    shutil.copytree(ROOT / "jobq", folder / "jobq", ignore=shutil.ignore_patterns("__pycache__"))
    newest = newest_migration(ROOT)
    migration = folder / MIGRATIONS / f"{newest + 1:04}_of_the_next_release.sql"
    migration.write_text(NEXT_MIGRATION.format(newest=newest))
    return migration


def unpack(commit: str, folder: Path) -> None:
    """The code of a commit."""
    with tarfile.open(fileobj=io.BytesIO(git("archive", commit, "jobq"))) as archive:
        archive.extractall(folder, filter="data")


def newest_migration(tree: Path) -> int:
    return max(int(file.name[:4]) for file in (tree / MIGRATIONS).glob("*.sql"))


def released_migrations() -> dict[str, bytes]:
    """The migrations of the last release, by name; none until there is a first tag."""
    tag = last_tag()
    if tag is None:
        return {}
    names = git("ls-tree", "--name-only", tag, f"{MIGRATIONS}/").decode().split()
    return {Path(name).name: git("show", f"{tag}:{name}") for name in names if re.search(r"/\d+_\w+\.sql$", name)}


def last_tag() -> str | None:
    """The tag of the newest release that is an ancestor of this code."""
    try:
        return git("describe", "--tags", "--abbrev=0", "HEAD").decode().strip()
    except (subprocess.CalledProcessError, FileNotFoundError):  # no tag, no history, or no git
        return None


def git(*arguments: str) -> bytes:
    return subprocess.run(["git", "-C", str(ROOT), *arguments], check=True, capture_output=True).stdout

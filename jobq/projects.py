"""The project of a folder, and whether its files may be trusted: like git, jobq uses no files of other users."""

import os
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jobq.errors import ConfigurationError

TABLE = "[tool.jobq]"

MARKERS = ("pyproject.toml", "manage.py")

SAFE = "JOBQ_SAFE_DIRECTORY"
"""Trusted folders, whoever owns them. Only a variable: a file there could not vouch for itself."""


def find_project(start: Path, *, is_trusted: bool = False) -> Path | None:
    """The folder of the project that contains `start`. None if nothing marks one.

    The nearest pyproject.toml with [tool.jobq] marks it, so that the members of a workspace share one; else the nearest
    pyproject.toml or manage.py. The search stops at the top of a repository, and a folder that unrelated projects share
    (home, /tmp, /) counts only if `start` is that folder. Raises ConfigurationError if the folder belongs to another
    user, unless its code runs already, and so is trusted.
    """
    nearest = None
    for folder in candidates(start):
        if not any((folder / marker).is_file() for marker in MARKERS):
            continue
        try:
            if not is_trusted:
                require_trusted(folder)
            if has_table(folder, is_trusted=is_trusted):
                return folder
        except ConfigurationError:
            if nearest is None:  # otherwise this one is not needed: the nearest counts
                raise
        nearest = nearest or folder
    return nearest


def candidates(start: Path) -> Iterator[Path]:
    shared = shared_folders()
    for folder in (start, *start.parents):
        if folder == start or not (folder in shared or is_open_to_all(folder)):
            yield folder
        if (folder / ".git").exists():
            return


def shared_folders() -> set[Path]:
    """Folders that hold unrelated projects."""
    try:
        home = Path.home().resolve()
    except (RuntimeError, OSError):  # a uid without an entry, as in containers
        return {Path("/")}
    return {home, *home.parents, Path(tempfile.gettempdir()).resolve()}


def is_open_to_all(folder: Path) -> bool:
    """A folder like /tmp: everybody may put files there, and each file stays its owner's."""
    return folder.stat().st_mode & (stat.S_ISVTX | stat.S_IWOTH) == stat.S_ISVTX | stat.S_IWOTH


def pyproject_of(folder: Path, *, is_trusted: bool = False) -> Path | None:
    """The project's pyproject.toml. Raises ConfigurationError if another user may have put it there."""
    path = folder / "pyproject.toml"
    if not path.is_file():
        return None
    if not is_trusted:
        require_trusted(path)
    return path


def has_table(folder: Path, *, is_trusted: bool) -> bool:
    """Whether its pyproject.toml has a section for jobq. Raises ConfigurationError if that cannot be read."""
    pyproject = pyproject_of(folder, is_trusted=is_trusted)
    return pyproject is not None and "jobq" in tool_tables(pyproject)


def tool_tables(pyproject: Path) -> dict[str, Any]:
    import tomllib  # imported here: not every process reads settings

    try:
        document = tomllib.loads(pyproject.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigurationError(f"{pyproject} cannot be read: {error}.") from None
    tool = document.get("tool", {})
    return tool if isinstance(tool, dict) else {"jobq": tool}


def read_table(pyproject: Path) -> dict[str, Any]:
    table = tool_tables(pyproject).get("jobq", {})
    if not isinstance(table, dict):
        raise ConfigurationError(f"tool.jobq in {pyproject} must be a table, {TABLE}.")
    return table


def import_roots(root: Path) -> list[Path]:
    """The folders from which an application's modules are imported, the first one first."""
    return [root / "src", root] if (root / "src").is_dir() else [root]


def put_on_import_path(root: Path) -> list[Path]:
    """Makes the application's modules importable. Raises ConfigurationError if another user may control them."""
    roots = import_roots(root)
    for folder in reversed(roots):
        require_own_imports(folder)
        if str(folder) not in sys.path:
            sys.path.insert(0, str(folder))
    return roots


# Whose files


def require_trusted(path: Path) -> None:
    """Refuses a file or a folder with settings or code if another user may control it.

    Its owner must be root or the user of this process (under sudo: the one who called it). A file in a folder of such
    an owner is trusted, too, unless everybody may write there. Raises ConfigurationError, which says how to allow it.
    """
    folder = path if path.is_dir() else path.parent
    if is_allowed(folder):
        return
    strangers = {path.stat().st_uid, path.lstat().st_uid} - trusted_users()  # of the file, and of a link to it
    if strangers and (path == folder or folder.stat().st_mode & stat.S_IWOTH):
        raise ConfigurationError(
            f"{path} belongs to {name_of_user(min(strangers))}, and you are {name_of_user(os.geteuid())}: jobq takes "
            f"no settings, code or data from somebody else. If you trust all that is in it: {allowing(folder)}"
        )


def require_own_imports(folder: Path) -> None:
    """Refuses to add a folder to the import path if everybody may write into it. Raises ConfigurationError."""
    require_trusted(folder)
    if is_open_to_all(folder) and not is_allowed(folder):
        raise ConfigurationError(
            f"Everybody may put files into {folder}, so jobq imports no code from there. Keep your jobs in a folder of "
            f"their own, or, if you trust all that is in it: {allowing(folder)}"
        )


def require_own_place(path: Path) -> None:
    """Refuses a folder for data that another user has made, or could replace.

    In a folder such as /tmp each entry is safe from all but its owner. Raises ConfigurationError.
    """
    for place in {path, path.resolve()}:
        found = next(folder for folder in (place, *place.parents) if folder.exists())
        if found == place or not is_open_to_all(found):
            require_trusted(found)
        if place.parent.exists() and not is_open_to_all(place.parent):
            require_trusted(place.parent)


def trusted_users() -> set[int]:
    users = {0, os.geteuid()}
    if os.geteuid() == 0 and (caller := os.environ.get("SUDO_UID", "")).isdecimal():
        users.add(int(caller))
    return users


def is_allowed(folder: Path) -> bool:
    """Whether JOBQ_SAFE_DIRECTORY names it: itself, `/srv/*` for everything below /srv, or `*` for all."""
    for named in os.environ.get(SAFE, "").split(os.pathsep):
        if named == "*" or (named.endswith("/*") and folder.is_relative_to(Path(named[:-2]).resolve())):
            return True
        if named and folder == Path(named).resolve():
            return True
    return False


def allowing(folder: Path) -> str:
    """The command that allows a folder. Its name may be any text."""
    from jobq.commands import command  # imported here: few folders are refused

    return command(f"{SAFE}={folder}", program="export")


def name_of_user(uid: int) -> str:
    import pwd

    try:
        return f"{pwd.getpwuid(uid).pw_name} (uid {uid})"
    except KeyError:
        return f"uid {uid}"

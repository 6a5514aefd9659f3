"""One person's preferences: saved views, hidden columns, changed keys. In a file of that person, not of the project.

The file may be edited by hand. The console keeps comments and everything else when it writes. A mistake is reported,
and only the entry that contains it is ignored.
"""

import os
import tempfile
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jobq.clean import line
from jobq.errors import FilterError, UsageError

from . import search
from .source import VIEW_BY_NAME

LONGEST_NAME = 24


@dataclass(frozen=True, slots=True)
class SavedView:
    name: str
    view: str  # one of VIEWS
    filter: str


@dataclass(slots=True)
class Preferences:
    """The valid contents of the file. Without a path nothing is stored."""

    path: Path | None = None
    views: tuple[SavedView, ...] = ()
    hidden: dict[str, tuple[str, ...]] = field(default_factory=dict)  # titles of columns, by the name of a list
    keys: dict[str, str] = field(default_factory=dict)  # by the name of an action
    problems: list[str] = field(default_factory=list)

    def save_view(self, saved: SavedView) -> None:
        """Adds a view, or replaces the one of that name. Raises UsageError if it cannot be stored."""
        self._write(lambda document: table(document, "views").update({saved.name: view_as_written(saved)}))
        self.views = (*(view for view in self.views if view.name != saved.name), saved)

    def delete_view(self, name: str) -> None:
        self._write(lambda document: table(document, "views").pop(name, None))
        self.views = tuple(view for view in self.views if view.name != name)

    def hide(self, view: str, titles: tuple[str, ...]) -> None:
        """Hides these columns of a list."""
        self._write(lambda document: table(document, "hidden").update({view: list(titles)}))
        self.hidden = {**self.hidden, view: titles}

    def _write(self, change: Callable[[Any], object]) -> None:
        """Changes the current file, all or nothing: another console may have written meanwhile."""
        if self.path is None:
            return
        import tomlkit
        from tomlkit.exceptions import TOMLKitError

        try:
            text = self.path.read_text(encoding="utf-8") if self.path.exists() else ""
            document = tomlkit.parse(text)
            change(document)
            replace_file(self.path, tomlkit.dumps(document))
        except (TOMLKitError, UnicodeDecodeError) as error:
            raise UsageError(f"nothing is kept: {self.path} cannot be read: {line(str(error), 200)}") from None
        except OSError as error:
            raise UsageError(f"nothing is kept: {self.path} cannot be written: {error.strerror}") from None


def default_path() -> Path:
    folder = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(folder).expanduser() / "jobq" / "console.toml"


def load(path: Path) -> Preferences:
    """The contents of the file; empty if there is none. Mistakes in it are listed in `problems`."""
    found = Preferences(path)
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return found
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        found.problems.append(f"{path} cannot be read, and is ignored: {line(str(error), 200)}")
        return found
    readers = {"views": read_views, "hidden": read_hidden, "keys": read_keys}
    for name, value in document.items():
        if name not in readers:
            found.problems.append(f"{path}: there is no [{line(name, 40)}]: it has {', '.join(readers)}")
        elif not isinstance(value, dict):
            found.problems.append(f"{path}: {name} is a table: [{name}]")
        else:
            readers[name](found, value)
    return found


def read_views(found: Preferences, value: dict[str, Any]) -> None:
    for name, saved in value.items():
        if (problem := problem_of(name, saved)) is not None:
            found.problems.append(f"{found.path}: the view {line(name, 40)!r} is ignored: {problem}")
        else:
            found.views = (*found.views, SavedView(name, saved["list"], saved.get("filter", "")))


def problem_of(name: str, saved: Any) -> str | None:
    if name != line(name, LONGEST_NAME) or not name.strip():
        return f"its name has more than {LONGEST_NAME} characters, or some that cannot be shown"
    if not isinstance(saved, dict) or saved.get("list") not in VIEW_BY_NAME:
        return f"its list is one of {', '.join(VIEW_BY_NAME)}"
    text = saved.get("filter", "")
    if not isinstance(text, str):
        return "its filter is a text"
    try:
        search.query(VIEW_BY_NAME[saved["list"]], text)
    except FilterError as error:
        return error.problem
    return None


def read_hidden(found: Preferences, value: dict[str, Any]) -> None:
    for name, titles in value.items():
        if name in VIEW_BY_NAME and isinstance(titles, list) and all(isinstance(title, str) for title in titles):
            found.hidden[name] = tuple(titles)
        else:
            lists = ", ".join(VIEW_BY_NAME)
            found.problems.append(f"{found.path}: [hidden] has titles of columns, by the list: one of {lists}")


def read_keys(found: Preferences, value: dict[str, Any]) -> None:
    for name, key in value.items():
        if isinstance(key, str):
            found.keys[name] = key
        else:
            found.problems.append(f'{found.path}: [keys] has texts: {line(name, 40)} = "x"')


def view_as_written(saved: SavedView) -> dict[str, str]:
    return {"list": saved.view, "filter": saved.filter}


def table(document: Any, name: str) -> Any:
    """A table of the document, created if missing."""
    import tomlkit

    if name not in document:
        document[name] = tomlkit.table()
    return document[name]


def replace_file(path: Path, text: str) -> None:
    """Replaces the file in one step: readers see the old or the new one, and a full disk leaves the old one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    target = path.resolve()  # keeps a link to the place where a person stores such files
    mode = target.stat().st_mode & 0o777 if target.exists() else 0o600
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=".console-")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        os.replace(name, target)
    except BaseException:
        os.unlink(name)
        raise

"""The database of an application that has configured none for jobq: Django's, else that of DATABASE_URL."""

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import Any

from jobq import addresses, interpreter
from jobq.errors import ConfigurationError
from jobq.projects import require_own_imports

ASKING = "JOBQ_ASKING"
"""Set in the process that is asked: the settings that it imports may import jobq, which must not ask again."""

ASK_SECONDS = 20.0

NOT_FOR_LIBPQ = {
    "assume_role", "autocommit", "client_encoding", "context", "cursor_factory", "isolation_level", "pool",
    "prepare_threshold", "row_factory", "server_side_binding",
}  # fmt: skip
"""OPTIONS that are Django's or psycopg's own, and do not say which database it is."""

CONFIGURE = "set JOBQ_DATABASE_URL, or database_url in [tool.jobq] of pyproject.toml"


@dataclass(frozen=True, slots=True)
class Found:
    """The database found when none is configured for jobq. Without an address, jobq uses its embedded database."""

    url: str | None = field(default=None, repr=False)
    source: str = ""
    """The origin of the address, in words."""
    notes: tuple[str, ...] = ()
    """Why other places were skipped, in words."""
    alias: str = ""
    """The name of Django's connection, if this process has it."""
    name: str | None = None
    """The name of the database that it led to."""
    is_chosen: bool = False
    """Whether this process has "jobq.django" among its applications: then its jobs belong into Django's database."""


def find_database(root: Path, start: Path) -> Found:
    """The database that the application in `root` uses, seen from `start`, a folder in it.

    Raises ConfigurationError if Django's settings cannot be read: any other database would be the wrong one.
    """
    django = of_this_process() or of_project(root, start)
    if django is not None and django.url is not None:
        return django
    notes = django.notes if django is not None else ()
    variable = os.environ.get("DATABASE_URL", "").strip()
    if addresses.is_postgresql(variable):
        return Found(addresses.understood(variable), "DATABASE_URL", notes)
    if variable:
        notes += ("DATABASE_URL is not an address of PostgreSQL",)
    return Found(notes=notes)


# Django in this process


def of_this_process() -> Found | None:
    """The database of Django's connection, as it is now (in tests the test database). None if Django is not set up
    here."""
    conf = sys.modules.get("django.conf")
    if conf is None or not conf.settings.configured:
        return None
    alias = getattr(conf.settings, "JOBQ_DATABASE_ALIAS", None) or "default"
    if alias not in conf.settings.DATABASES:
        if alias == "default":
            return Found(notes=("Django's DATABASES has no entry 'default'",))
        raise ConfigurationError(
            f"Django's setting JOBQ_DATABASE_ALIAS is {alias!r}, but DATABASES has only: "
            f"{', '.join(map(repr, conf.settings.DATABASES))}."
        )
    connection = import_module("django.db").connections[alias]
    module = getattr(conf.settings, "SETTINGS_MODULE", None) or os.environ.get("DJANGO_SETTINGS_MODULE", "")
    found = of_django(connection.settings_dict, vendor=connection.vendor, alias=alias, module=module)
    return replace(found, is_chosen="jobq.django" in conf.settings.INSTALLED_APPS)


def has_moved(found: Found) -> bool:
    """Whether Django's connection leads to another database now, as when a test runner has made its own."""
    if not found.alias:
        return False
    name: str | None = import_module("django.db").connections[found.alias].settings_dict.get("NAME")
    return name != found.name


def of_django(
    database: Mapping[str, Any], *, vendor: str = "postgresql", alias: str = "default", module: str = ""
) -> Found:
    """One entry of Django's DATABASES as an address, or why that is impossible. `vendor` is that of Django's
    connection."""
    source = f'Django\'s DATABASES["{alias}"]' + (f" ({module})" if module else "")
    if vendor != "postgresql":
        return Found(notes=(f"{source} is {vendor}, not PostgreSQL",), alias=alias)
    parameters = parameters_of(database)
    if not parameters.keys() & {"dbname", "service"}:
        return Found(notes=(f"{source} has no NAME",), alias=alias)
    if unfit := sorted(name for name, value in parameters.items() if not isinstance(value, str | int | os.PathLike)):
        return Found(notes=(f"{source}: {', '.join(unfit)} is made by code, which jobq cannot repeat",), alias=alias)
    return Found(addresses.conninfo(parameters), source, alias=alias, name=database.get("NAME"))


def parameters_of(database: Mapping[str, Any]) -> dict[str, Any]:
    """Django's parameters for libpq, by the names of libpq's options."""
    options = dict(database.get("OPTIONS") or {})
    parameters = {name: value for name, value in options.items() if name not in NOT_FOR_LIBPQ and value is not None}
    if role := options.get("assume_role"):
        parameters["options"] = f"{parameters.get('options', '')} -c role={escaped(role)}".strip()
    name = database.get("NAME")
    if name is None:
        parameters.pop("service", None)
        parameters["dbname"] = "postgres"
    elif name:
        parameters.setdefault("dbname", name)
    for option, key in (("user", "USER"), ("password", "PASSWORD"), ("host", "HOST"), ("port", "PORT")):
        if database.get(key):
            parameters[option] = database[key]
    return parameters


def escaped(word: str) -> str:
    """A word in libpq's `options`, which are separated by blanks."""
    return word.replace("\\", "\\\\").replace(" ", "\\ ")


# Django in another process


def of_project(root: Path, start: Path) -> Found | None:
    """The database of the Django project in `root`. None if there is no sign of a project.

    A process of its own imports the settings, since they are the user's code.
    """
    if ASKING in os.environ:
        return None
    sites = django_sites(root, start)
    module = os.environ.get("DJANGO_SETTINGS_MODULE") or (sites[0][1] if len(sites) == 1 else None)
    if module is None:
        return Found(notes=(several(sites),)) if sites else None
    folders = [folder for folder, named in sites if named == module] or [folder for folder, _ in sites] or [root]
    for folder in folders:
        require_own_imports(folder)
    answer = ask(root, folders, module)
    if "error" in answer:
        raise unanswered(module, answer["error"])
    return Found(answer["url"], answer["source"], tuple(answer["notes"]))


def django_sites(root: Path, start: Path) -> list[tuple[Path, str]]:
    """Folders with a manage.py of Django, and the settings that it names: the nearest one, else those just below."""
    above = [folder for folder in (start, *start.parents) if folder.is_relative_to(root)]
    for folder in above:
        if module := settings_module_of(folder / "manage.py"):
            return [(folder, module)]
    below = sorted(root.glob("*/manage.py"))
    return [(path.parent, module) for path in below if (module := settings_module_of(path))]


def several(sites: list[tuple[Path, str]]) -> str:
    return f"DJANGO_SETTINGS_MODULE is not set, and could be {' or '.join(module for _, module in sites)}"


def settings_module_of(manage: Path) -> str | None:
    """The settings that a manage.py names. None if it is not Django's."""
    import re

    try:
        text = manage.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    named = re.search(r"""DJANGO_SETTINGS_MODULE["']\]?\s*[,=]\s*["']([\w.]+)["']""", text)
    return named[1] if named else None


def ask(root: Path, folders: list[Path], module: str) -> dict[str, Any]:
    """The answer of the process. It comes through a pipe: the settings may print, and a command line can be read by
    all."""
    import subprocess  # imported here: rarely needed

    reader, writer = os.pipe()
    command = interpreter.run_module("jobq.django_child", str(writer), *map(str, folders))
    environment = {**os.environ, **interpreter.environment(), "DJANGO_SETTINGS_MODULE": module, ASKING: "1"}
    with os.fdopen(reader, encoding="utf-8") as answer:
        try:
            ended = subprocess.run(
                command,
                cwd=root,
                env=environment,
                pass_fds=[writer],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                timeout=ASK_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return {"error": f"they were not imported within {ASK_SECONDS:g} s"}
        finally:
            os.close(writer)
        text = answer.readline()
    if not text:
        last = ended.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        return {"error": f"the process {how_it_ended(ended.returncode)}: {addresses.redacted(last)}".rstrip(": ")}
    found: dict[str, Any] = json.loads(text)
    return found


def how_it_ended(code: int) -> str:
    import signal

    return f"ended with exit code {code}" if code >= 0 else f"was killed by {signal.Signals(-code).name}"


def unanswered(module: str, what: str) -> ConfigurationError:
    return ConfigurationError(
        f"No database is configured for jobq, and Django's settings ({module}) could not be asked for theirs: {what}. "
        f"Put that right, or {CONFIGURE}."
    )

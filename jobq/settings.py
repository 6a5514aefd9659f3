"""One frozen `Settings`: `[tool.jobq]` in pyproject.toml, then JOBQ_* variables, then flags; the last one wins."""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, get_type_hints

from jobq import addresses
from jobq.errors import ConfigurationError, ScheduleError
from jobq.found_database import Found, find_database
from jobq.projects import TABLE, find_project, pyproject_of, read_table
from jobq.records import MAX_ARGUMENTS_BYTES

SCHEDULES = "schedules"
"""A table within it that holds schedules, and is not a setting."""

EMBEDDED = "embedded"
"""The database_url that selects the embedded database, whatever else could be found."""


def setting(default: Any, help: str) -> Any:  # noqa: A002 - the word that the reader looks for
    if isinstance(default, tuple):
        return field(default_factory=lambda: default, metadata={"help": help, "default": default})
    return field(default=default, metadata={"help": help, "default": default})


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings. Durations are in seconds."""

    root: Path = field(default_factory=Path.cwd)
    """The application's folder: that of its project, else the working directory."""

    found: Found | None = field(default=None, compare=False)
    """The result of the search for a database. None if one is configured, or `embedded` is."""

    database_url: str | None = setting(
        None, "Address of the PostgreSQL database, or `embedded`. Default: the application's database, else embedded."
    )
    schema: str = setting("jobq", "Schema that holds jobq's tables.")
    app: tuple[str, ...] = setting((), "Modules that define jobs, in addition to jobs.py and {package}/jobs.py.")
    middleware: tuple[str, ...] = setting((), "Functions that surround every run. The first is the outermost.")
    build: str | None = setting(
        None, "The build of the application. Default: the short git commit of its folder, else its installed version."
    )
    alerts: str | None = setting(
        None, "A job class that is enqueued with an Alert when something needs somebody, and when that is over."
    )
    alert_command: str | None = setting(None, "A shell command that a worker runs instead, or as well.")
    env: str = setting("development", "With `production`, the embedded PostgreSQL is refused.")
    transaction_pooler: bool = setting(
        False, "The address is that of a pooler in transaction mode. jobq also detects this by itself."
    )
    listen: bool = setting(True, "Workers wake up by LISTEN/NOTIFY. Without it they only poll.")
    poll_every: float = setting(5.0, "How often an idle worker looks for jobs by itself.")
    max_processes: int | None = setting(None, "Child processes of a worker. Default: one for each CPU that it may use.")
    concurrency: int = setting(1, "Maximum number of coroutines (`async def run`) that one child runs at once.")
    max_jobs_per_process: int | None = setting(None, "Replace a child after this number of jobs. Default: never.")
    max_memory_per_process: int | None = setting(
        None, "Replace a child after a job if its memory exceeds this number of MB. Default: never."
    )
    max_memory_per_job: int | None = setting(
        None, "End a job whose process exceeds this number of MB. Default: no limit."
    )
    max_pending_per_process: int = setting(500, "Maximum number of jobs claimed ahead for each child.")
    heartbeat_every: float = setting(10.0, "How often a worker writes its heartbeat.")
    heartbeat_timeout: float = setting(60.0, "A worker silent for this long is declared dead, and its jobs run again.")
    max_losses: int = setting(3, "A job whose process or worker died this often rests as lost.")
    shutdown_grace: float | None = setting(
        None,
        "How long running jobs may continue after the first signal to stop. "
        "Default: what the platform allows, at most 30 s.",
    )
    cancel_grace: float = setting(
        10.0, "How long a job may continue after a cancel or timeout. Then its process is killed."
    )
    job_history_days: int = setting(30, "How many days results are kept. 0 keeps all.")
    max_arguments_bytes: int = setting(256 * 1024, "Maximum size of a job's arguments, in bytes of JSON.")
    timezone: str = setting("UTC", "Time zone of schedules that name none.")
    health: str | None = setting(
        None, "Where a worker answers /livez, /readyz and /metrics: 127.0.0.1:8080, :8080, or a path. Default: nowhere."
    )
    stats_every: float = setting(60.0, "How often a worker logs its figures. 0: never.")
    log_format: str = setting("text", "`text` (key=value) or `json`.")
    log_level: str = setting("info", "`debug`, `info`, `warning` or `error`.")
    job_logs: str = setting(
        "failed", "Whose lines of log and output are kept: those of `failed` attempts, of `all`, or of `none`."
    )
    job_log_level: str = setting("info", "The lowest level of these lines: `debug`, `info`, `warning` or `error`.")
    job_logs_megabytes_per_day: int = setting(1000, "Maximum size of the lines that are kept of one day, in MB.")

    def __post_init__(self) -> None:
        for name in NAMES:
            check(name, getattr(self, name), "Settings")
        if self.heartbeat_timeout < 2 * self.heartbeat_every:
            raise ConfigurationError(
                f"heartbeat_timeout ({self.heartbeat_timeout:g} s) must be at least twice heartbeat_every "
                f"({self.heartbeat_every:g} s), or workers that are alive would be declared dead."
            )

    @property
    def silent_after(self) -> float:
        """Seconds without a heartbeat after which a worker is called silent: half of the time after which it is
        declared dead, but always a heartbeat and a half, so that no legal setting calls a live worker silent."""
        return max(self.heartbeat_timeout / 2, self.heartbeat_every * 1.5)

    def __repr__(self) -> str:
        shown = (
            f"{f.name}={addresses.shown(value) if f.name == 'database_url' and value else value!r}"
            for f in fields(self)
            if f.name != "found" and (value := getattr(self, f.name)) != f.metadata.get("default")
        )
        return f"Settings({', '.join(shown)})"


MINIMA: Mapping[str, float] = {
    "poll_every": 0.05,
    "max_processes": 1,
    "concurrency": 1,
    "max_jobs_per_process": 1,
    "max_memory_per_process": 1,
    "max_memory_per_job": 1,
    "max_pending_per_process": 1,
    "heartbeat_every": 0.05,
    "max_losses": 1,
    "shutdown_grace": 0,
    "cancel_grace": 0,
    "job_history_days": 0,
    "max_arguments_bytes": 2,
    "stats_every": 0,
    "job_logs_megabytes_per_day": 1,
}

MOST_SECONDS = 2_000_000.0
"""Some three weeks. PostgreSQL keeps waiting times as milliseconds in 32 bits, and threads cannot wait longer."""

MAXIMA: Mapping[str, float] = {"job_history_days": 36_500, "max_arguments_bytes": MAX_ARGUMENTS_BYTES}

CHOICES: Mapping[str, tuple[str, ...]] = {
    "log_format": ("text", "json"),
    "log_level": ("debug", "info", "warning", "error"),
    "job_logs": ("failed", "all", "none"),
    "job_log_level": ("debug", "info", "warning", "error"),
}


def load(start: Path | None = None, **flags: Any) -> Settings:
    """The settings for the working directory `start`. Flags that are None count as not given.

    Raises ConfigurationError, which names the setting and its origin.
    """
    start = working_directory(start)
    project = find_project(start)
    root = project or start
    chosen: dict[str, Any] = {}
    for _, values in sources(project):
        chosen |= values
    given = {name: value for name, value in flags.items() if value is not None and value != ()}
    chosen |= converted(given, lambda name: f"--{name.replace('_', '-')}")
    if "database_url" not in chosen:
        found = find_database(root, start)
        chosen |= {"found": found, "database_url": found.url}
    elif chosen["database_url"] == EMBEDDED:
        chosen["database_url"] = None
    return Settings(root=root, **chosen)


def working_directory(start: Path | None) -> Path:
    try:
        return (start or Path.cwd()).resolve()
    except FileNotFoundError:
        raise ConfigurationError("The working directory is not there any more. Change to one that is.") from None


def sources(project: Path | None) -> list[tuple[str, dict[str, Any]]]:
    """The sources of settings, the weaker first, with their values."""
    found = []
    if project and (pyproject := pyproject_of(project)):
        where = f"{TABLE} in {pyproject}"
        found.append((where, from_table(read_table(pyproject), where)))
    found += [(f"JOBQ_{name.upper()}", {name: value}) for name, value in from_environment(os.environ).items()]
    return found


def environment_of(settings: Settings) -> dict[str, str]:
    """The variables that lead another process to the same tables, whatever the origin of the settings.

    Variables, since everybody on the machine can read a command line.
    """
    return {"JOBQ_SCHEMA": settings.schema, "JOBQ_DATABASE_URL": settings.database_url or EMBEDDED}


@dataclass(frozen=True, slots=True)
class Origin:
    """One setting: its value, its origin, its meaning."""

    name: str
    value: Any
    origin: str
    help: str


def origins(start: Path | None = None) -> list[Origin]:
    """Every setting with its origin; passwords are hidden."""
    settings = load(start)
    made = {name: where for where, values in sources(find_project(working_directory(start))) for name in values}
    if settings.found is not None and settings.found.source:
        made["database_url"] = settings.found.source
    return [
        Origin(
            name=f.name,
            value=addresses.shown(value) if f.name == "database_url" and value else value,
            origin=made.get(f.name, "default"),
            help=f.metadata["help"],
        )
        for f in fields(Settings)
        if f.name in NAMES
        for value in [getattr(settings, f.name)]
    ]


def from_table(table: Mapping[str, Any], where: str) -> dict[str, Any]:
    return converted(table, lambda _: where)


def from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    given = {name: environment.get(f"JOBQ_{name.upper()}", "") for name in NAMES}
    return converted({name: value for name, value in given.items() if value != ""}, lambda name: f"JOBQ_{name.upper()}")


def converted(given: Mapping[str, Any], where: Callable[[str], str]) -> dict[str, Any]:
    """The settings of one source. An address of only blanks and quotes is a variable without a value."""
    found = {name: convert(name, value, where(name)) for name, value in given.items() if name != SCHEDULES}
    return {name: value for name, value in found.items() if name != "database_url" or value}


def convert(name: str, value: Any, where: str) -> Any:
    """A setting's value in its type, from TOML, a variable's text, or a flag."""
    if name not in NAMES:
        raise ConfigurationError(f"{where}: there is no setting {name!r}. Settings are: {', '.join(sorted(NAMES))}.")
    wanted = TYPES[name]
    try:
        result = CONVERTERS[wanted](value)
    except (TypeError, ValueError):
        shown = "something else" if name == "database_url" else repr(value)  # there may be a password in it
        raise ConfigurationError(f"{where}: {name} is {shown}, but must be {WORDS[wanted]}.") from None
    if name == "database_url":
        result = addresses.understood(result)
    check(name, result, where)
    return result


def check(name: str, value: Any, where: str) -> None:
    """Limits beyond the type of a setting: its range, or its allowed words."""
    least, words = MINIMA.get(name), CHOICES.get(name)
    most = MAXIMA.get(name, MOST_SECONDS if TYPES[name] in (float, float | None) else 2**31 - 1)
    if least is not None and value is not None and value < least:
        raise ConfigurationError(f"{where}: {name} is {value}, but must be at least {least}.")
    if isinstance(value, int | float) and value > most:
        raise ConfigurationError(f"{where}: {name} is {value}, but must be at most {most:,.0f}.")
    if words is not None and value not in words:
        raise ConfigurationError(f"{where}: {name} is {value!r}, but must be one of: {', '.join(words)}.")
    if name == "timezone" and value != "UTC":
        from jobq.ticks import zone_of  # whoever only enqueues needs no calendar

        try:
            zone_of(value)
        except ScheduleError as error:
            raise ConfigurationError(f"{where}: timezone: {error}") from None
    if name == "build" and value is not None and not is_build(value):
        raise ConfigurationError(
            f"{where}: build is {value!r}, but must be 1 to 100 characters without spaces; the first is none of <>=."
        )
    if name == "schema":
        if not is_identifier(value):
            raise ConfigurationError(
                f"{where}: schema is {value!r}, but must be a name of 1 to 63 bytes, as PostgreSQL's names are."
            )
        if value.startswith("pg_"):
            raise ConfigurationError(f"{where}: schema is {value!r}, but PostgreSQL keeps names with pg_ for itself.")


def is_build(name: str) -> bool:
    return 0 < len(name) <= 100 and name.isprintable() and " " not in name and name[0] not in "<>="


def is_identifier(name: str) -> bool:
    """Whether PostgreSQL would accept it, quoted, and keep all of it."""
    try:
        return 0 < len(name.encode()) <= 63 and "\0" not in name
    except UnicodeEncodeError:  # bytes of the environment that are not UTF-8
        return False


def to_bool(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    word = str(value).strip().lower()
    if word in ("1", "true", "yes", "on"):
        return True
    if word in ("0", "false", "no", "off"):
        return False
    raise ValueError(word)


def to_int(value: Any) -> int:
    if isinstance(value, bool | float):
        raise TypeError(value)
    return int(value)


def to_float(value: Any) -> float:
    if isinstance(value, bool):
        raise TypeError(value)
    number = float(value)
    if number != number or number in (float("inf"), float("-inf")):
        raise ValueError(value)
    return number


def to_text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def to_names(value: Any) -> tuple[str, ...]:
    names = re.split(r"[,\s]+", value.strip()) if isinstance(value, str) else list(value)
    return tuple(to_text(name) for name in names if name)


CONVERTERS: Mapping[Any, Any] = {
    bool: to_bool,
    int: to_int,
    int | None: to_int,
    float: to_float,
    float | None: to_float,
    str: to_text,
    str | None: to_text,
    tuple[str, ...]: to_names,
}

WORDS: Mapping[Any, str] = {
    bool: "true or false",
    int: "a whole number",
    int | None: "a whole number",
    float: "a number of seconds",
    float | None: "a number of seconds",
    str: "text",
    str | None: "text",
    tuple[str, ...]: "a list of names",
}

TYPES = get_type_hints(Settings)
NAMES = {f.name for f in fields(Settings)} - {"root", "found"}

"""Options that several commands share, and the values they take."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

import click

from jobq.settings import Settings, load

if TYPE_CHECKING:
    from jobq.store.database import Database

Command = TypeVar("Command", bound=Callable[..., Any])

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


def database_options(function: Command) -> Command:
    """--database-url and --schema; the command gets `settings`."""

    @click.option("--database-url", metavar="URL", help="Address of the database (JOBQ_DATABASE_URL).")
    @click.option("--schema", metavar="NAME", help="Schema that holds jobq's tables (JOBQ_SCHEMA).")
    @wraps(function)
    def with_settings(*args: Any, database_url: str | None, schema: str | None, **kwargs: Any) -> Any:
        return function(*args, settings=load(database_url=database_url, schema=schema), **kwargs)

    return with_settings  # type: ignore[return-value]  # click passes everything by name


def json_option(function: Command) -> Command:
    return click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")(function)


def app_option(function: Command) -> Command:
    return click.option(
        "--app", "app", multiple=True, metavar="MODULE", help="A module that defines jobs (JOBQ_APP). Repeatable."
    )(function)


def selection_options(function: Command) -> Command:
    """Which jobs are meant; the command gets them as keyword arguments for `select`."""
    for option in reversed(
        [
            click.option("--outcome", metavar="OUTCOME", help="Finished with this outcome: errored, lost, …"),
            click.option("-q", "--queue", metavar="NAME", help="Of this queue."),
            click.option("--class", "job_class", metavar="CLASS", help="Of this class: module.Class."),
            click.option("--unique-key", metavar="KEY", help="With this unique key."),
            click.option("--error", metavar="TEXT", help="With this in the type or message of its error."),
            click.option("--since", metavar="WHEN", help="Enqueued, or ended, since: 1h, 2d, or a time."),
            click.option("--until", metavar="WHEN", help="Enqueued, or ended, before: 1h, 2d, or a time."),
        ]
    ):
        function = option(function)
    return function


def select(which: str | None, chosen: dict[str, Any]) -> Any:
    """The selection that the options make."""
    from jobq.observe import Selection
    from jobq.states import FINISHED

    if which is None and chosen.get("outcome"):
        which = FINISHED
    return Selection(
        which=which,
        **{name: value for name, value in chosen.items() if name not in ("since", "until")},
        since=moment("--since", chosen["since"]),
        until=moment("--until", chosen["until"]),
    )


def is_given(chosen: dict[str, Any]) -> bool:
    return any(value is not None for value in chosen.values())


def moment(option: str, text: str | None) -> datetime | None:
    """A time, or so long ago."""
    if text is None:
        return None
    value = delay_of(option, text)
    return value if isinstance(value, datetime) else datetime.now(UTC) - timedelta(seconds=value)


def delay_of(option: str, text: str) -> float | datetime:
    """Seconds (60), a duration (5m, 1h30m), or a time with its zone (2026-12-01T09:00Z)."""
    if re.fullmatch(r"-?\d+(\.\d+)?", text):
        return float(text)
    if re.fullmatch(r"(\d+(\.\d+)?[smhdw])+", text):
        return sum(float(number) * UNITS[unit] for number, unit in re.findall(r"(\d+(?:\.\d+)?)([smhdw])", text))
    try:
        value = datetime.fromisoformat(text)
    except ValueError:
        raise click.BadParameter(
            f"{text!r} is neither seconds (60), nor a duration (5m, 1h30m), nor a time (2026-12-01T09:00Z).",
            param_hint=option,
        ) from None
    if value.tzinfo is None:
        full = value.isoformat(timespec="minutes")
        raise click.BadParameter(f"{text!r} has no time zone. Add one: {full}Z, or {full}+02:00.", param_hint=option)
    return value


def open_database(settings: Settings) -> "Database":
    """The database of a command; it becomes that of `run_in_worker()` too."""
    from jobq.store.database import Database, use_database

    database = Database(settings)
    use_database(database)
    click.get_current_context().call_on_close(database.close)
    return database

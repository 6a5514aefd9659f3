"""Options that several commands share, and their types."""

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

import click

from jobq.cli import completing
from jobq.commands import command
from jobq.errors import ArgumentsError, UsageError
from jobq.filters import seconds_of
from jobq.settings import Settings, load

if TYPE_CHECKING:
    from jobq.filters import Filter
    from jobq.store.database import Database

Command = TypeVar("Command", bound=Callable[..., Any])


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


def refuse_misplaced(ctx: click.Context) -> None:
    """An option before the subcommand would be ignored: the act could then go to another database."""
    for parameter in ctx.command.params:
        name = parameter.name
        if name is not None and ctx.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE:
            raise click.UsageError(f"Put {parameter.opts[0]} after {ctx.invoked_subcommand!r}.", ctx)


def selection_options(function: Command) -> Command:
    """Options that select jobs, besides the words of a filter. The command gets them as keyword arguments for
    `select`."""
    for option in reversed(
        [
            click.option(
                "--outcome",
                metavar="OUTCOME",
                help="Finished with this outcome: errored, lost, …",
                shell_complete=completing.outcomes,
            ),
            click.option("-q", "--queue", metavar="NAME", help="Of this queue.", shell_complete=completing.queues),
            click.option(
                "--class",
                "job_class",
                metavar="CLASS",
                help="Of this class: module.Class.",
                shell_complete=completing.classes,
            ),
            click.option("--unique-key", metavar="KEY", help="With this unique key."),
            click.option("--error", metavar="TEXT", help="With this in the type or message of its error."),
            click.option(
                "--group",
                metavar="GROUP",
                help="Of this group of failures: jobq failures.",
                shell_complete=completing.groups,
            ),
            click.option("--since", metavar="WHEN", help="Enqueued, or ended, since: 1h, 2d, or a time."),
            click.option("--until", metavar="WHEN", help="Enqueued, or ended, before: 1h, 2d, or a time."),
        ]
    ):
        function = option(function)
    return function


KEYS = {"job_class": "class", "unique_key": "key"}
"""Options whose names differ from the filter's keys."""


def select(words: Sequence[str], chosen: dict[str, Any]) -> "Filter":
    """The filter from words and options. A state may stand alone as the first word."""
    from jobq import filters

    if words and words[0] in filters.OUTCOMES:
        word, *more = words
        meant = command(click.get_current_context().info_name or "list", f"outcome:{word}", *more)
        raise UsageError(f"{word} is an outcome, not a state. Say: {meant}, or '\"{word}\"' for the word itself.")
    if words and words[0] in filters.STATES:
        parts = [filters.of("state", words[0]), filters.parse(" ".join(words[1:]))]
    else:
        parts = [filters.parse(" ".join(words))]
    parts += [option_filter(KEYS.get(name, name), value) for name, value in chosen.items() if value is not None]
    return filters.joined(parts)


def option_filter(key: str, value: str) -> "Filter":
    """One option as a filter. Its value is taken literally."""
    from jobq import filters

    if value == "":  # probably an unset variable of the shell; as part of an error it would match everything
        raise UsageError(f"--{key} is empty.")
    if key in ("since", "until"):
        try:
            return filters.Filter((filters.Term(key, (filters.moment(value),)),))
        except ValueError as error:
            raise click.BadParameter(str(error), param_hint=f"--{key}") from None
    if key == "outcome" and value not in filters.OUTCOMES:
        raise UsageError(f"There is no outcome {value!r}. Outcomes are: {', '.join(filters.OUTCOMES)}.")
    return filters.of(key, value)


def is_id(word: str) -> bool:
    return word.isascii() and word.isdigit()


def id_of(word: str) -> int:
    from jobq.filters import MAX_NUMBER

    if len(word) > 19 or int(word) > MAX_NUMBER:
        raise UsageError(f"There is no job {word[:40]}: ids are smaller.")
    return int(word)


def is_given(chosen: dict[str, Any]) -> bool:
    return any(value is not None for value in chosen.values())


def since_option(default: str | None, help: str = "1h, 2d, or a time.") -> Callable[[Command], Command]:  # noqa: A002
    """--since for commands that read a period. The command gets it as a `Moment`."""

    def read(_ctx: click.Context, _parameter: click.Parameter, text: str | None) -> Any:
        from jobq.filters import moment

        if text is None:
            return None
        try:
            return moment(text)
        except ValueError as error:
            raise click.BadParameter(str(error)) from None

    return click.option(
        "--since", metavar="WHEN", default=default, show_default=default is not None, callback=read, help=help
    )


def delay_of(option: str, text: str) -> float | datetime:
    """Seconds (60), a duration (5m, 1h30m), or a time with its zone (2026-12-01T09:00Z)."""
    if (seconds := seconds_of(text.removeprefix("-"))) is not None:
        return -seconds if text.startswith("-") else seconds
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


def duration_of(option: str, text: str) -> float:
    """Seconds (60), or a duration (5m, 1h30m)."""
    value = delay_of(option, text)
    if isinstance(value, datetime):
        raise click.BadParameter(f"{text!r} is a time, not how long: 60, 5m, 1h30m.", param_hint=option)
    return value


def json_object(option: str, text: str) -> dict[str, Any]:
    """Arguments by name. Raises ArgumentsError if the text is not a JSON object."""
    from jobq.arguments import read_json

    try:
        named = read_json(text)
    except ValueError as error:
        raise ArgumentsError(f"{option} is not JSON: {error}. Its form is '{{\"user_id\": 1}}'.") from None
    if not isinstance(named, dict):
        raise ArgumentsError(f"{option} is not a JSON object. Its form is '{{\"user_id\": 1}}'.")
    return named


def hush_driver() -> None:
    """Keeps warnings of the driver off a terminal. A log that the process has set up still gets them.

    Ctrl-C in the middle of a statement had psycopg report a rollback that it could not send.
    """
    import logging

    driver = logging.getLogger("psycopg")
    if not driver.handlers:
        driver.addHandler(logging.NullHandler())


def open_database(settings: Settings) -> "Database":
    """The database of a command. `run_in_worker()` uses it too."""
    from jobq.store.database import Database, use_database

    hush_driver()
    database = Database(settings)
    use_database(database)
    click.get_current_context().call_on_close(database.close)
    database.tell()  # before a console takes the terminal
    return database

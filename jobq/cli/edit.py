"""`jobq retry ID --arguments JSON`: a new job like an old one, with other arguments."""

from typing import TYPE_CHECKING, Any

import click

from jobq.clean import line
from jobq.cli.options import id_of, is_given, is_id, json_object, open_database
from jobq.cli.render import say, show_json
from jobq.errors import ApplicationError, UsageError
from jobq.settings import Settings

if TYPE_CHECKING:
    from jobq.records import ClassRecord
    from jobq.store.database import Database


def run_again(
    text: str,
    app: tuple[str, ...],
    *,
    words: tuple[str, ...],
    yes: bool,
    settings: Settings,
    as_json: bool,
    attempt: int | None,
    **chosen: Any,
) -> None:
    """Enqueues the new job without confirmation: it is one job, and the old one stays as it is."""
    from jobq import operate

    if len(words) != 1 or not is_id(words[0]) or is_given(chosen) or attempt is not None:
        raise UsageError("--arguments goes with the ID of one job: jobq retry 4711 --arguments '{\"user_id\": 1}'")
    arguments = json_object("--arguments", text)
    database = open_database(settings)
    record = operate.run_again(database, id_of(words[0]), arguments, known=known_classes(database, settings, app))
    if as_json:
        show_json(record)
    if record is None:
        say("nothing was enqueued: an unfinished job of this class holds the unique key")
        click.get_current_context().exit(1)
    elif not as_json:
        click.echo(record.id)
        say(f"enqueued {line(record.job_class)} as job {record.id} in queue {line(record.queue)}")
        say(f"job {words[0]} is as it was")


def known_classes(database: "Database", settings: Settings, app: tuple[str, ...]) -> "tuple[ClassRecord, ...]":
    """The classes that live workers know, and those of the application in this folder, if there is one."""
    from jobq import observe
    from jobq.application import describe
    from jobq.cli.loading import load_application

    try:
        load_application(settings, app)
    except ApplicationError as error:
        say(f"this folder's application does not import: {error}")
    return (*observe.classes(database), *describe())

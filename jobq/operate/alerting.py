"""Alerts: tells once that something needs somebody, and once that it is over, by a job or a command of the user's.

What is told is what `observe.needs_now` finds: the console's list, without what is muted.
"""

import logging
import os
import subprocess

from jobq import observe
from jobq.arguments import encode
from jobq.commands import command as command_line
from jobq.errors import JobqError
from jobq.observe.needs import written_place
from jobq.observe.words import spoken
from jobq.operate.editing import class_of, stored_name
from jobq.operate.enqueueing import plan_without_code
from jobq.records import Alert, ClassRecord
from jobq.store import alerts, enqueueing
from jobq.store.alerts import Due
from jobq.store.database import Connection, Database

log = logging.getLogger("jobq.worker.alerts")

QUIET_SECONDS = 60.0
"""A need that is not seen for this long is over. A single look may miss it, as while a queue is being emptied."""

COMMAND_SECONDS = 30.0

MAX_AT_ONCE = 100


def look_and_tell(database: Database) -> None:
    """Workers call this in turns. An alert that could not be delivered is tried again the next time."""
    now = [(need.key, alert_of(need)) for need in observe.needs_now(database)]
    with database.connection(changes=True) as connection:
        alerts.note(connection, database.schema, now, quiet_seconds=QUIET_SECONDS)
    failed: list[str] = []
    for _ in range(MAX_AT_ONCE):
        if not tell_next(database, failed):
            return


def alert_of(need: observe.Need) -> Alert:
    return Alert(need.kind.value, need.text, written_place(need))


def tell_next(database: Database, failed: list[str]) -> bool:
    """Delivers one due alert, in the transaction that records it. False: none is left."""
    key = ""
    try:
        with database.connection(changes=True) as connection, connection.transaction():
            due = alerts.next_due(connection, database.schema, but=failed)
            if due is None:
                return False
            key = due.key
            tell(database, connection, told_of(due))
            alerts.told(connection, database.schema, due)
    except (JobqError, OSError) as error:
        log.warning("an alert could not be told; it is tried again alert=%s error=%s", key, error)
        failed.append(key)
    return True


def told_of(due: Due) -> Alert:
    if due.over_at is None:
        return Alert(due.kind, due.text, due.place, due.since)
    text = f"over after {spoken(due.lasted_seconds or 0.0)}: {due.text}"
    return Alert(due.kind, text, due.place, due.since, is_over=True)


def tell(database: Database, connection: Connection, alert: Alert) -> None:
    """Enqueues the job, then runs the command. If the job cannot be enqueued, the command must not run at each look."""
    settings = database.settings
    if settings.alerts is not None:
        known = class_of(settings.alerts, observe.classes(database))
        # Its arguments are encoded here: the database's side has no other values of this type.
        planned = plan_without_code(known, {parameter_of(known): None}, max_bytes=settings.max_arguments_bytes)
        text = encode({parameter_of(known): alert}, max_bytes=settings.max_arguments_bytes)
        enqueueing.enqueue(connection, database.schema, planned._replace(arguments=text))
    if settings.alert_command is not None:
        run(settings.alert_command, alert)


def parameter_of(known: ClassRecord) -> str:
    """The parameter that gets the alert. Raises JobqError if the class has none."""
    if not known.parameters:
        raise JobqError(f"{known.name} takes no argument, but is called with an Alert. Give it one: alert")
    return stored_name(known.parameters[0])


def run(command: str, alert: Alert) -> None:
    """Runs the command in a shell. The shell prints the exit code: a worker reaps orphans, and may take the status.

    Raises JobqError.
    """
    fields = {name.upper(): str(value) for name, value in alert.as_text().items()}
    environment = {**os.environ, **{f"JOBQ_ALERT_{name}": value for name, value in fields.items()}}
    try:
        done = subprocess.run(
            ["/bin/sh", "-c", f"(\n{command}\n) >&2; printf %s $?"],
            input=f"{alert.text}\n{command_line('tui', alert.place)}\n",
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise JobqError(f"alert_command did not end within {COMMAND_SECONDS:g} s") from None
    if done.stdout != "0":
        raise JobqError(f"alert_command ended with exit code {done.stdout or 'unknown'}")

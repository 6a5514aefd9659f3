"""`jobq enqueue` and `jobq perform`: a job from a shell."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from functools import partial
from typing import Any

import click

from jobq.base import Job
from jobq.clean import plain
from jobq.cli import completing
from jobq.cli.options import (
    app_option,
    database_options,
    delay_of,
    duration_of,
    json_object,
    json_option,
    open_database,
)
from jobq.cli.render import say, show_json, show_value
from jobq.enqueueing import added_to_database, new_job
from jobq.errors import ApplicationError, JobqError
from jobq.records import NewJob
from jobq.registry import registry
from jobq.settings import Settings

ARGUMENTS_HELP = """\b
    ARG… are the constructor's arguments in order, read as its annotations say; without one, as JSON where they are.
    Negative numbers go after two dashes: jobq enqueue jobs.Add -- -1 2
    By name: --kwargs '{"user_id": 1}'"""


@click.command(help=f"Enqueue the job CLASS, named as module.Class.\n\n{ARGUMENTS_HELP}")
@click.argument("job_class", metavar="CLASS", shell_complete=completing.classes)
@click.argument("positional", metavar="[ARG]...", nargs=-1)
@click.option("--kwargs", "named", metavar="JSON", help="Arguments by name, as a JSON object.")
@click.option("--delay", metavar="WHEN", help="Run it after this: 60, 5m, 1h30m, or a time like 2026-12-01T09:00Z.")
@click.option("-q", "--queue", metavar="NAME", help="Instead of the job's own queue.", shell_complete=completing.queues)
@click.option("--priority", type=int, metavar="N", help="Higher first.")
@click.option("--retries", type=int, metavar="N", help="Attempts that may follow the first after an error.")
@click.option("--timeout", metavar="DURATION", help="Maximum run time of each attempt: 60, 5m.")
@click.option("--expires", metavar="WHEN", help="Cancel it if it has not begun by then: 60, 5m, or a time.")
@click.option("--unique-key", metavar="KEY", help="Enqueue nothing while an unfinished job of the class has this key.")
@click.option("--plan", "is_plan", is_flag=True, hidden=True, help="For the console: show what would be enqueued.")
@app_option
@database_options
@json_option
def enqueue(
    job_class: str,
    positional: tuple[str, ...],
    named: str | None,
    delay: str | None,
    timeout: str | None,
    expires: str | None,
    app: tuple[str, ...],
    settings: Settings,
    as_json: bool,
    is_plan: bool,
    **chosen: Any,
) -> None:
    from jobq.cli.loading import load_application

    open_database(settings)
    load = partial(load_application, settings, app)
    options: dict[str, Any] = {
        "delay": None if delay is None else delay_of("--delay", delay),
        "timeout": None if timeout is None else duration_of("--timeout", timeout),
        "expires": None if expires is None else delay_of("--expires", expires),
    }
    make = partial(made, job_class, positional, named, {**options, **chosen})
    if is_plan:
        click.echo(planned(job_class, load, make))
        return
    load()
    new = make()
    (record,) = added_to_database([new], None)
    if record is None:
        say("nothing was enqueued: another job of this class holds the unique key")
    if as_json:
        show_json(record)
    elif record is not None:
        click.echo(f"{record.id}")
        say(MET.get(record.on_held, MET[None]).format(job=record))


def made(job_class: str, positional: tuple[str, ...], named: str | None, options: dict[str, Any]) -> NewJob:
    """The job in the form of a table row. Raises like `build`, and EnqueueError."""
    from jobq.store.database import who_am_i

    job = build(job_class, positional, named)
    with code_of(job_class):  # its methods choose the other options
        return new_job(job, **options, source=who_am_i())


def planned(job_class: str, load: Callable[[], object], make: Callable[[], NewJob]) -> str:
    """The job that would be enqueued, or why none would be, as JSON for `operate.plan`."""
    from jobq.operate.planning import as_json

    try:
        with redirect_stdout(sys.stderr):
            load()
        registry.get(job_class)  # otherwise `build` would import the module that the name says
    except JobqError as error:
        return json.dumps({"not_here": str(error)})
    try:
        with redirect_stdout(sys.stderr):
            return as_json(make())
    except JobqError as error:
        return json.dumps({"error": str(error)})


@click.command(help=f"Run the job CLASS here and now, in this process: no queue, no worker.\n\n{ARGUMENTS_HELP}")
@click.argument("job_class", metavar="CLASS", shell_complete=completing.classes)
@click.argument("positional", metavar="[ARG]...", nargs=-1)
@click.option("--kwargs", "named", metavar="JSON", help="Arguments by name, as a JSON object.")
@app_option
@database_options
@click.pass_context
def perform(
    ctx: click.Context,
    job_class: str,
    positional: tuple[str, ...],
    named: str | None,
    app: tuple[str, ...],
    settings: Settings,
) -> None:
    from jobq.cli.loading import load_application, told_if_slow
    from jobq.frameworks import surroundings
    from jobq.runtime import middleware

    open_database(settings)  # for jobs that the job itself enqueues
    load_application(settings, app)
    with told_if_slow():
        middleware.use(settings.middleware)
    with surroundings.entered():
        perform_here(ctx, build(job_class, positional, named))


def perform_here(ctx: click.Context, job: Job) -> None:
    from jobq.directives import Cancel, Defer, JobInterrupted
    from jobq.runtime import execution

    try:
        value = execution.run_here(job)
    except Defer as directive:
        say(f"the job asked to be put back for {directive.seconds:g} s")
        return
    except (Cancel, JobInterrupted) as directive:
        say(f"the job cancelled itself: {directive}".rstrip(": "))
        return
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the edge around the user's code
        sys.stderr.write(plain(execution.traceback_of(error), execution.MAX_TRACEBACK_CHARACTERS))
        ctx.exit(1)
    show_value(value)


MET = {
    None: "enqueued {job.job_class} as job {job.id} in queue {job.queue}: {job.state}",
    "returned": "nothing was enqueued: job {job.id} holds the unique key: {job.state}",
    "replaced": "job {job.id} held the unique key, and has these arguments now: {job.state}",
    "followed": "job {job.id} holds the unique key and is running; another run with these arguments follows",
}
"""What happened to the job, according to the `on_held` of its record."""


def build(name: str, positional: tuple[str, ...], named: str | None) -> Job:
    """The typed job. Raises UnknownJobClass, ApplicationError or ArgumentsError."""
    from jobq import arguments
    from jobq.importing import resolve
    from jobq.runtime.execution import in_session_of

    job_class = resolve(name)
    by_name = {} if named is None else json_object("--kwargs", named)

    def made() -> Job:
        args, kwargs = arguments.from_command_line(job_class, positional, by_name)  # may load rows
        return job_class(*args, **kwargs)

    with code_of(name):
        return in_session_of(job_class, made)


@contextmanager
def code_of(name: str) -> Iterator[None]:
    """Around a user's constructor and methods: their errors are shown with their own traceback only."""
    from jobq.runtime.execution import message_of, traceback_of

    try:
        yield
    except JobqError:
        raise
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the edge around the user's code
        raise ApplicationError(
            f"{name} raised {type(error).__name__}: {message_of(error)}".rstrip(": "), traceback_of(error)
        ) from None

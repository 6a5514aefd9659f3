"""`jobq run`: the worker."""

from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from jobq.cli import completing
from jobq.cli.options import app_option
from jobq.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jobq.queue_choice import QueueChoice
    from jobq.records import Load
    from jobq.store.database import Database

MAX_WANTED = 20
"""Maximum number of queues for which /metrics says how many processes they want: each costs one question."""


@click.command()
@click.option(
    "-q",
    "--queue",
    "queues",
    multiple=True,
    metavar="NAME",
    help="Work these queues: a,b or 'mail*'. With a minus in front: all others. Repeatable. Default: all.",
    shell_complete=completing.queues,
)
@click.option("-p", "--max-processes", metavar="N", help="Child processes. Default: one for each CPU that it may use.")
@click.option("--concurrency", metavar="N", help="Coroutines that one child runs at once, at most. Default: 1.")
@click.option("--max-jobs-per-process", metavar="N", help="Replace a child after this number of jobs.")
@click.option("--max-memory-per-process", metavar="MB", help="Replace a child after a job if its memory exceeds this.")
@click.option("--max-memory-per-job", metavar="MB", help="End a job if the memory of its process exceeds this.")
@click.option("--max-pending-per-process", metavar="N", help="Maximum number of jobs claimed ahead for each child.")
@click.option("--stats-every", metavar="SECONDS", help="How often to log figures. 0: never.")
@click.option("--drain", is_flag=True, help="Stop when nothing is due, with 1 if a job failed.")
@click.option("--reload", is_flag=True, help="Replace the children when code or settings change.")
@click.option("--shutdown-grace", metavar="SECONDS", help="How long running jobs may continue after the first signal.")
@click.option("--cancel-grace", metavar="SECONDS", help="How long a job may continue after it was told to stop.")
@click.option("--health", metavar="ADDRESS", help="Answer /livez, /readyz, /metrics at HOST:PORT, :PORT or a path.")
@click.option("--log-format", metavar="FORMAT", help="text (key=value) or json.")
@click.option("--log-level", metavar="LEVEL", help="debug, info, warning or error.")
@app_option
@click.option("--database-url", metavar="URL", help="Address of the database (JOBQ_DATABASE_URL).")
@click.option("--schema", metavar="NAME", help="Schema that holds jobq's tables (JOBQ_SCHEMA).")
@click.pass_context
def run(ctx: click.Context, /, queues: tuple[str, ...], drain: bool, reload: bool, **flags: Any) -> None:
    """Work the queues until stopped.

    Across all queues, jobs of higher priority run first. Within a priority, queues take turns, and each is worked in
    the order of arrival. The first SIGTERM or Ctrl-C lets running jobs finish; a second one cuts them off and gives
    them back. The log goes to stderr.
    """
    from jobq.queue_choice import QueueChoice, parsed
    from jobq.runtime.supervisor import Duties
    from jobq.runtime.supervisor import run as work
    from jobq.settings import load

    settings = load(**flags)
    observe_queues(settings)
    read_again = partial(load, **flags) if reload else None
    choice = QueueChoice(parsed(queues))
    figures = partial(database_figures, settings, choice) if settings.health else None
    duties = Duties(partial(do_waiting_retries, settings), partial(tell_alerts, settings))
    ctx.exit(work(settings, queues=choice, drain=drain, reload=read_again, read_figures=figures, duties=duties))


def do_waiting_retries(settings: Settings) -> None:
    """Those that somebody left to the workers until a build lives."""
    from jobq import operate

    with database_for_a_while(settings) as database:
        operate.do_waiting_retries(database)


def tell_alerts(settings: Settings) -> None:
    from jobq import operate

    with database_for_a_while(settings) as database:
        operate.look_and_tell(database)


@contextmanager
def database_for_a_while(settings: Settings) -> "Iterator[Database]":
    """One of its own, with a pool that goes with it."""
    from jobq.store.database import Database

    database = Database(settings)
    try:
        yield database
    finally:
        database.close()


def observe_queues(settings: Settings) -> None:
    """If this process has an SDK of OpenTelemetry, it exports the state of the queues and workers."""
    from jobq import telemetry

    if telemetry.is_on():
        from jobq import observe
        from jobq.store.database import Database

        database = Database(settings)
        telemetry.observe_queues(lambda: observe.stats(database))


def database_figures(settings: Settings, choice: "QueueChoice") -> "Load":
    """The database's figures in /metrics."""
    from jobq import observe
    from jobq.records import Load

    with database_for_a_while(settings) as database:
        queues = observe.queues(database)
        worked = sorted(queue.name for queue in queues if queue.name in choice)[:MAX_WANTED]
        wanted = observe.wanted_processes(database, worked)
        return Load(queues, observe.workers(database), wanted, observe.gates(database))

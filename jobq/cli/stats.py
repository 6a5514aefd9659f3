"""`jobq stats`, `queues`, `workers` and `jobs`: the state of everything."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from jobq.clean import line
from jobq.cli import completing
from jobq.cli.gates import show_gates
from jobq.cli.options import app_option, database_options, json_option, open_database, since_option
from jobq.cli.render import ago, duration, say, show_json, table
from jobq.commands import command
from jobq.errors import UsageError
from jobq.observe.words import many, waiting_text
from jobq.records import ClassRecord, QueueStats, Stats, WorkerRecord
from jobq.settings import Settings
from jobq.states import Outcome

if TYPE_CHECKING:
    from jobq.filters import Moment
    from jobq.store.database import Database


@click.command()
@click.option("-w", "--watch", is_flag=True, help="Look again every two seconds, until Ctrl-C.")
@since_option(None, "What ended since then, and how fast: 1h, 2d, or a time.")
@click.option("-q", "--queue", metavar="NAME", help="With --since: of this queue.", shell_complete=completing.queues)
@click.option(
    "--class", "job_class", metavar="CLASS", help="With --since: of this class.", shell_complete=completing.classes
)
@database_options
@json_option
def stats(
    watch: bool,
    since: "Moment | None",
    queue: str | None,
    job_class: str | None,
    settings: Settings,
    as_json: bool,
) -> None:
    """Show the state of everything: jobs by state and outcome, queues, workers.

    With --since, the jobs that ended in that time by queue and class: their number, outcomes, waiting times and run
    times.
    """
    if since is None and (queue or job_class):
        raise UsageError("--queue and --class go with --since: jobq stats --since 1h --queue mail")
    database = open_database(settings)

    def show_once() -> None:
        if since is None:
            show_now(database, as_json=as_json)
        else:
            show_period(database, since, queue, job_class, as_json=as_json)

    show_once()
    while watch:
        time.sleep(2)
        if not as_json:
            click.clear()
        show_once()


def show_now(database: "Database", *, as_json: bool) -> None:
    from jobq import observe

    seen = observe.stats(database)
    if as_json:
        show_json(asdict(seen))
    else:
        show_stats(seen)


def show_period(
    database: "Database", since: "Moment", queue: str | None, job_class: str | None, *, as_json: bool
) -> None:
    from jobq import observe
    from jobq.cli.figures import json_of, show_figures

    found = observe.figures(database, since, queue=queue, job_class=job_class)
    if as_json:
        show_json(json_of(found))
    else:
        show_figures(found)


def show_stats(seen: Stats) -> None:
    counted = counted_of(seen)

    def text(name: str, number: int) -> str:
        if name not in seen.estimated:
            return f"{number:,}"
        return f"about {number:,}" if number > counted[name] else f"{number:,}+"

    def line_of(figures: Mapping[str, int]) -> str:
        return "  ".join(f"{name} {text(name, number)}" for name, number in figures.items())

    ended = {name: number for name, number in seen.finished.items() if name != Outcome.DEFERRED}
    states = {"scheduled": seen.scheduled, "pending": seen.pending, "running": seen.running}
    if seen.gates:
        states = {"scheduled": seen.scheduled, "pending": seen.pending, "gated": seen.gated, "running": seen.running}
    click.echo(f"jobs      {line_of(states | ended)}")
    click.echo(f"attempts  {line_of(seen.outcomes)}")
    show_queues(seen.queues)
    if seen.gates:
        show_gates(seen.gates)
    if seen.workers:
        show_workers(seen.workers)
    else:
        say(f"no worker runs: start one with {command('run')}")
    for unknown in seen.unknown_classes:
        where = ", ".join(line(queue) for queue in unknown.queues)
        say(f"no worker knows {line(unknown.job_class)}: {many(unknown.jobs, 'job')} cannot run in {where}")


def counted_of(seen: Stats) -> dict[str, int]:
    """The limit of each figure that was too large to count.

    Statistics may show less: they may be missing, or from a time when there were fewer jobs.
    """
    from jobq.observe.overview import OUTCOME_LIMIT

    is_whole_history = sum(seen.outcomes.values()) <= OUTCOME_LIMIT
    return {
        **seen.outcomes,
        "scheduled": sum(queue.scheduled for queue in seen.queues),
        "pending": sum(queue.pending for queue in seen.queues),
        "gated": seen.gated,
        Outcome.SUCCESSFUL.value: seen.outcomes[Outcome.SUCCESSFUL.value] if is_whole_history else 0,
    }


def show_queues(queues: Sequence[QueueStats]) -> None:
    from jobq.observe.overview import COUNT_LIMIT

    scheduled_more = "+" if sum(queue.scheduled for queue in queues) >= COUNT_LIMIT else ""
    rows = [
        (
            queue.name,
            f"{queue.pending:,}{'+' if queue.pending >= COUNT_LIMIT else ''}",
            f"{queue.running:,}",
            f"{queue.scheduled:,}{scheduled_more}",
            duration(queue.oldest_seconds),
            paused_text(queue),
        )
        for queue in queues
    ]
    if rows:
        columns = ["QUEUE", "PENDING", "RUNNING", "SCHEDULED", "OLDEST", "NOTE"]
        table(columns, rows, right=["PENDING", "RUNNING", "SCHEDULED", "OLDEST"], elastic=["NOTE"])


def paused_text(queue: QueueStats) -> str:
    if not queue.paused:
        return ""
    reason = f": {queue.pause_reason}" if queue.pause_reason else ""
    return f"paused {ago(queue.paused_at)} by {queue.paused_by or 'somebody'}{reason}"


def show_workers(workers: tuple[WorkerRecord, ...]) -> None:
    rows = [
        (
            worker.name,
            worker.processes,
            worker.running,
            ", ".join(worker.queues) or "all",
            f"{duration(worker.heartbeat_seconds)} ago{' (silent)' if worker.is_silent else ''}",
            ago(worker.started_at),
            worker.build or "",
            worker.version,
            "; ".join(filter(None, (stopping_text(worker), waiting_text(worker.waiting)))),
        )
        for worker in workers
    ]
    columns = ["WORKER", "PROCESSES", "RUNNING", "QUEUES", "HEARD OF", "STARTED", "BUILD", "VERSION", "NOTE"]
    table(columns, rows, right=["PROCESSES", "RUNNING"], elastic=["NOTE"])


def stopping_text(worker: WorkerRecord) -> str:
    asked = f"{ago(worker.stop_requested_at)} by {worker.stop_requested_by}" if worker.stop_requested_at else ""
    if worker.is_stopping:
        return f"stopping, asked {asked}" if asked else "stopping"
    return f"asked to stop {asked}" if asked else ""


@click.command()
@database_options
@json_option
def queues(settings: Settings, as_json: bool) -> None:
    """List the queues that have jobs or settings."""
    from jobq import observe

    database = open_database(settings)
    found = observe.queues(database)
    if as_json:
        show_json([asdict(queue) for queue in found])
    else:
        show_queues(found)


@click.command()
@database_options
@json_option
def workers(settings: Settings, as_json: bool) -> None:
    """List the workers, and the time of each one's last heartbeat."""
    from jobq import observe

    found = observe.workers(open_database(settings))
    if as_json:
        show_json([asdict(worker) for worker in found])
    elif found:
        show_workers(found)
    else:
        say(f"no worker runs: start one with {command('run')}")


@click.command()
@click.option("--local", "is_local", is_flag=True, help="Import this folder's application, instead of asking workers.")
@app_option
@database_options
@json_option
def jobs(is_local: bool, app: tuple[str, ...], settings: Settings, as_json: bool) -> None:
    """List the registered job classes with their parameters, as live workers know them."""
    found = local_classes(settings, app) if is_local or app else known_classes(settings)
    if as_json:
        show_json([asdict(record) for record in found])
        return
    if not found:
        say("no live worker knows a job class: start one, or look into this folder with --local")
        return
    rows = [
        (
            record.name,
            ", ".join(parameter.shown_as(parameter.name) for parameter in record.parameters),
            ", ".join(record.aliases),
            record.summary or "",
        )
        for record in found
    ]
    table(["CLASS", "PARAMETERS", "ALIASES", "WHAT IT DOES"], rows, elastic=["PARAMETERS", "WHAT IT DOES"])


def known_classes(settings: Settings) -> tuple[ClassRecord, ...]:
    from jobq import observe

    return observe.classes(open_database(settings))


def local_classes(settings: Settings, app: tuple[str, ...]) -> tuple[ClassRecord, ...]:
    from jobq.application import describe
    from jobq.cli.loading import load_application

    load_application(settings, app)
    return describe()

"""`jobq top`: a screen of what the fleet does now."""

import shutil
import sys
import time
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from jobq.clean import line
from jobq.cli.options import database_options, json_option, open_database
from jobq.cli.render import duration, say, show_json, table, took
from jobq.commands import command
from jobq.observe.words import many
from jobq.settings import Settings

if TYPE_CHECKING:
    from jobq.observe import Top, Usage

MAX_QUEUES = 10
MAX_WORKERS = 10
HEADINGS = 9
"""Lines of the screen that are no rows of jobs, queues or workers."""


@click.command()
@click.option("--once", is_flag=True, help="Show it once. So it is where stdout is no terminal.")
@click.option(
    "--interval",
    "every",
    type=click.FloatRange(0.5, 3600),
    metavar="SECONDS",
    default=2.0,
    show_default=True,
    help="How often it looks.",
)
@database_options
@json_option
def top(once: bool, every: float, settings: Settings, as_json: bool) -> None:
    """Show what the workers do now, until Ctrl-C: the jobs that have run longest, queues, workers.

    CPU and MEMORY are those of the job's process at the last heartbeat of its worker, every ten seconds. 1.00 CPU is
    one that is busy all the time.
    """
    from jobq import observe

    database = open_database(settings)
    if as_json:
        show_json(asdict(observe.top(database)))
        return
    is_once = once or not sys.stdout.isatty()
    while True:
        lines = 60 if is_once else shutil.get_terminal_size().lines
        seen = observe.top(database, limit=max(3, lines - HEADINGS - MAX_QUEUES - MAX_WORKERS))
        if not is_once:
            click.clear()
        show(seen)
        if is_once:
            return
        time.sleep(every)


def show(seen: "Top") -> None:
    processes = sum(worker.processes for worker in seen.workers)
    busy = f"{many(seen.running_in_all, 'job')} on {many(processes, 'process')} of {many(len(seen.workers), 'worker')}"
    click.echo(f"{seen.at:%H:%M:%S} UTC  running {busy}, {seen.pending:,} pending")
    if not seen.workers:
        say(f"no worker runs: start one with {command('run')}")
    if seen.running:
        rows = [
            (
                job.id,
                took(job.started_at, seen.at),
                *usage_texts(usage),
                job.queue,
                line(job.worker or ""),
                job.job_class,
            )
            for job, usage in seen.running
        ]
        columns = ["JOB", "FOR", "CPU", "MEMORY", "QUEUE", "WORKER", "CLASS"]
        table(columns, rows, right=["JOB", "FOR", "CPU", "MEMORY"], elastic=["CLASS"])
    show_queues_and_workers(seen)


def usage_texts(usage: "Usage | None") -> tuple[str, str]:
    if usage is None:
        return "", ""
    memory = "" if usage.memory_bytes is None else f"{usage.memory_bytes / 1e6:,.0f} MB"
    return "" if usage.cpus is None else f"{usage.cpus:.2f}", memory


def show_queues_and_workers(seen: "Top") -> None:
    queues = sorted(seen.queues, key=lambda queue: -queue.pending)[:MAX_QUEUES]
    if queues:
        rows = [(one.name, f"{one.pending:,}", f"{one.running:,}", duration(one.oldest_seconds)) for one in queues]
        table(["QUEUE", "PENDING", "RUNNING", "OLDEST"], rows, right=["PENDING", "RUNNING", "OLDEST"])
    workers = sorted(seen.workers, key=lambda worker: -worker.running)[:MAX_WORKERS]
    if workers:
        told = [
            (one.name, f"{one.running}/{one.processes}", f"{duration(one.heartbeat_seconds)} ago") for one in workers
        ]
        table(["WORKER", "BUSY", "HEARD OF"], told, right=["BUSY"])

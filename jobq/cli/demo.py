"""`jobq demo`: the demonstration for newcomers."""

import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from jobq.clean import line
from jobq.cli.options import database_options, open_database
from jobq.cli.render import duration, say
from jobq.commands import command
from jobq.settings import Settings

if TYPE_CHECKING:
    from jobq.demo.course import Summary, Work, Worker
    from jobq.store.database import Database

DEMO_SCHEMA = "jobq_demo"


@click.command()
@click.option("--jobs", "most_files", type=click.IntRange(1), metavar="N", help="Maximum number of files.")
@click.option("-p", "--max-processes", type=click.IntRange(1), metavar="N", help="Child processes of the worker.")
@click.option("--keep-running", is_flag=True, help="Leave a worker and a steady trickle of jobs, until Ctrl-C.")
@database_options
def demo(most_files: int | None, max_processes: int | None, keep_running: bool, settings: Settings) -> None:
    """Run thousands of real jobs, and show the results.

    They analyse the source files of Python's own standard library, one job per file. If a database is configured, the
    demonstration uses a schema of its own there (jobq_demo).
    """
    from jobq import observe
    from jobq.demo import course

    settings = apart(settings)
    database = migrated(settings)
    files = course.source_files(most_files)
    work = course.enqueue(files)
    say(f"enqueued {len(work.ids):,} jobs: {len(work.files):,} source files of {sys.version.split()[0]}'s library to "
        f"analyse, {len(work.summaries)} packages to sum up, and a report")  # fmt: skip
    with course.worker(settings, max_processes) as worker:
        with progress() as on_progress:
            summary = course.follow(work, worker, on_progress, pause=lambda: time.sleep(0.2))
        processes = sum(worker.processes for worker in observe.workers(database))
        show(summary, work, settings, processes)
        if keep_running:
            keep_going(course.trickle(files), worker)


def apart(settings: Settings) -> Settings:
    """In the user's database the demonstration gets a schema of its own.

    In a database that was only found, nothing is created without asking.
    """
    if settings.found is not None:
        return replace(settings, database_url=None, found=None)
    if settings.database_url is None or settings.schema != Settings().schema:
        return settings
    return replace(settings, schema=DEMO_SCHEMA)


def migrated(settings: Settings) -> "Database":
    from jobq.store import migrations

    database = open_database(settings)
    migrations.migrate(database)
    say(f"the database: {database.shown_url}, schema {settings.schema}")
    return database


@contextmanager
def progress() -> Iterator[Callable[[int, int], None]]:
    """A bar on a terminal; elsewhere a line about every second."""
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        with Progress(
            TextColumn("running"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=Console(stderr=True)
        ) as bar:
            task = bar.add_task("running")
            yield lambda done, total: bar.update(task, completed=done, total=total)
        return
    said_at = 0.0

    def tell(done: int, total: int) -> None:
        nonlocal said_at
        if done == total or time.monotonic() - said_at > 1:
            said_at = time.monotonic()
            say(f"{done:,} of {total:,} jobs have ended")

    yield tell


def show(summary: "Summary", work: "Work", settings: Settings, processes: int) -> None:
    count = len(summary.ended)
    report = summary.report.value or {}
    lines = [
        f"\n{count:,} jobs in {duration(summary.seconds)} on {processes} child processes, "
        f"{count / summary.seconds:,.0f} a second: "
        + ", ".join(f"{number:,} {line(outcome)}" for outcome, number in sorted(summary.outcomes.items())),
        "\nThe report job added up what the others returned:",
        "  " + ", ".join(f"{value:,} {line(name)}" for name, value in report.items() if isinstance(value, int)),
        f"\n{len(summary.retried)} jobs came too early for what they build on, were retried, and succeeded:",
        *(f"  #{job.id}  {line(work.summaries.get(job.id, 'the report'))}, at attempt {job.attempt}"
          for job in summary.retried[:5]),
        f"\n{failed} jobs failed, and truly: the library ships files that do not parse, for its own tests."
        if (failed := sum(map(len, summary.failures.values())))
        else "\nNo job failed: none of these files is one of those that do not parse.",
        *(f"  {len(jobs):4} × {line(name)}, as #{jobs[0].id}: {line(jobs[0].error_message or '', 90)}"
          for name, jobs in sorted(summary.failures.items())),
        "\nLook around:",
        *(f"  {command}" for command in next_steps(summary, settings)),
    ]  # fmt: skip
    click.echo("\n".join(lines))


def next_steps(summary: "Summary", settings: Settings) -> list[str]:
    """Commands that can be pasted here."""
    jobq = "jobq" if shutil.which("jobq") or Path(sys.argv[0]).name != "jobq" else sys.argv[0]
    schema = ["--schema", settings.schema] if settings.schema != Settings().schema else []
    failed = next((jobs[0].id for jobs in summary.failures.values()), summary.report.id)
    return [
        command("show", failed, *schema, program=jobq),
        command("list", "finished", "--outcome", "errored", *schema, program=jobq),
        command("stats", *schema, program=jobq),
        command("demo", "--keep-running", *schema, program=jobq),
    ]


def keep_going(trickle: "Iterable[int]", worker: "Worker") -> None:
    say("\na few jobs a second keep coming; Ctrl-C ends it")
    try:
        for _ in trickle:
            worker.require_alive()
            time.sleep(1)
    except KeyboardInterrupt:
        say("stopping")

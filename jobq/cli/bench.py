"""`jobq bench`: the speed of this database and this machine."""

import signal
import sys
from dataclasses import asdict
from types import FrameType
from typing import NoReturn

import click

from jobq.cli.options import database_options, json_option, open_database
from jobq.cli.render import say, show_json
from jobq.settings import Settings


@click.command()
@click.argument("measure", type=click.Choice(["all", "enqueue", "drain", "latency"]), default="all")
@click.option(
    "--jobs", type=click.IntRange(1, 10**8), default=20_000, show_default=True, metavar="N", help="Number of jobs."
)
@click.option("-p", "--max-processes", type=click.IntRange(1), metavar="N", help="Child processes of the worker.")
@database_options
@json_option
def bench(measure: str, jobs: int, max_processes: int | None, settings: Settings, as_json: bool) -> None:
    """Measure how fast your database takes and gives jobs.

    It uses a schema of its own, which is dropped at the end, even after an interruption. It is real work for the
    server: choose the time with care.
    """
    from jobq.bench import measure as measures

    signal.signal(signal.SIGTERM, leave)
    database = open_database(settings)
    say(f"measuring on {database.shown_url}, in a schema of its own")
    figures = measures.measure(database, measure, jobs, max_processes)
    if as_json:
        show_json([asdict(figure) for figure in figures])
        return
    for figure in figures:  # as they come: each takes a while
        click.echo(f"{figure.measure:45}{shown(figure.value):>10} {figure.unit}")


def shown(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"


def leave(number: int, _frame: FrameType | None) -> NoReturn:
    """Ends like Ctrl-C, so that everything is cleaned up."""
    sys.exit(128 + number)

"""`jobq stack`, `jobq pause` and `jobq resume`: what a job is doing, and which queues are worked."""

from dataclasses import asdict

import click

from jobq.clean import line, plain
from jobq.cli import completing
from jobq.cli.options import database_options, duration_of, json_option, open_database
from jobq.cli.render import say, show_json, told
from jobq.settings import Settings


@click.command()
@click.argument("job_id", metavar="ID", type=int, shell_complete=completing.jobs)
@click.option(
    "--timeout",
    default="10",
    show_default=True,
    metavar="DURATION",
    help="How long to wait for the worker's answer: 10, 1m.",
)
@click.option("--attempt", type=click.IntRange(1), metavar="N", help="Only while this attempt runs.")
@database_options
@json_option
def stack(job_id: int, timeout: str, attempt: int | None, settings: Settings, as_json: bool) -> None:
    """Show the Python stack of a running job, on any machine.

    The job continues meanwhile. If it runs C code, the stack shows the Python code that called it.
    """
    from jobq import operate

    seconds = duration_of("--timeout", timeout)
    if seconds <= 0:
        raise click.BadParameter(f"{timeout!r} is not longer than 0 seconds.", param_hint="--timeout")
    found = operate.stack(open_database(settings), job_id, timeout=seconds, attempt=attempt)
    if as_json:
        show_json(asdict(found))
        return
    say(f"job {found.job_id}, attempt {found.attempt}, on {line(found.worker or 'an unknown worker')}")
    click.echo(plain(found.text, 200_000).rstrip("\n"))


@click.command()
@click.argument("queues", metavar="QUEUE...", nargs=-1, required=True, shell_complete=completing.queues)
@click.option("--reason", metavar="TEXT", help="The reason, which is shown to others.")
@database_options
@json_option
def pause(queues: tuple[str, ...], reason: str | None, settings: Settings, as_json: bool) -> None:
    """Start no more jobs of QUEUE, on any worker, until it is resumed. Running jobs continue."""
    from jobq import operate

    done = operate.pause_queues(open_database(settings), queues, reason=reason)
    told("paused", queues, done, "was paused already", as_json=as_json)


@click.command()
@click.argument("queues", metavar="QUEUE...", nargs=-1, required=True, shell_complete=completing.queues)
@database_options
@json_option
def resume(queues: tuple[str, ...], settings: Settings, as_json: bool) -> None:
    """Resume a paused QUEUE."""
    from jobq import operate

    done = operate.resume_queues(open_database(settings), queues)
    told("resumed", queues, done, "was not paused", as_json=as_json)

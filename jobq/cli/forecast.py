"""`jobq forecast`: when queues will be empty."""

from dataclasses import asdict

import click

from jobq.clean import line
from jobq.cli import completing
from jobq.cli.options import database_options, json_option, open_database
from jobq.cli.render import say, show_json
from jobq.settings import Settings


@click.command()
@click.argument("queues", metavar="[QUEUE]...", nargs=-1, shell_complete=completing.queues)
@click.option(
    "-p",
    "--processes",
    type=click.IntRange(1, 100_000),
    metavar="N",
    help="Also with this number. Default: twice as many.",
)
@database_options
@json_option
def forecast(queues: tuple[str, ...], processes: int | None, settings: Settings, as_json: bool) -> None:
    """Say when each QUEUE will be empty with the processes it has and with others, and how many keep up.

    Without QUEUE, of all that hold something. What comes in is as in the last ten minutes, and jobs run as long as
    in the last week. An autoscaler asks the same: SELECT jobq.wanted_processes('mail').
    """
    from jobq import observe

    found = observe.forecasts(open_database(settings), queues or None, processes=processes)
    if as_json:
        show_json([{**asdict(one), "text": one.text} for one in found])
        return
    for one in found:
        click.echo(f"{line(one.queue)}: {line(one.text, 300)}")
    if not found:
        say("no queue holds a job")

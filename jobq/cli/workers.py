"""`jobq stop`: stops workers, from any machine."""

from dataclasses import asdict

import click

from jobq.clean import line
from jobq.cli import completing
from jobq.cli.options import database_options, json_option, open_database
from jobq.cli.render import say, show_json
from jobq.settings import Settings


@click.command()
@click.argument("workers", metavar="WORKER...", nargs=-1, required=True, shell_complete=completing.workers)
@click.option("--wait", is_flag=True, help="Wait until they have stopped.")
@click.option("--dead", is_flag=True, help="Declare a silent WORKER dead: others take over its jobs now.")
@database_options
@json_option
def stop(workers: tuple[str, ...], wait: bool, dead: bool, settings: Settings, as_json: bool) -> None:
    """Stop each WORKER like a first SIGTERM, on any machine: `jobq workers` lists them.

    It claims nothing more, gives back unstarted jobs, lets running jobs finish within its shutdown_grace, and exits
    with 0. A supervisor such as systemd may start it again.
    """
    from jobq import operate

    database = open_database(settings)
    acted = (operate.declare_dead if dead else operate.stop_workers)(database, workers)
    if wait and acted.ids and not dead:
        say(f"waiting for {len(acted.ids)} workers to stop; Ctrl-C ends the waiting, not the request")
        operate.wait_until_stopped(database, acted.ids)
    if as_json:
        show_json(asdict(acted))
    else:
        done = "declared dead:" if dead else "stopped" if wait else "asked to stop:"
        click.echo(f"{done} {', '.join(map(line, acted.done)) or 'nothing'}")
    for name, why in acted.skipped.items():
        say(f"{line(name)} was left alone: {line(why)}")
    if not acted.done:
        click.get_current_context().exit(1)

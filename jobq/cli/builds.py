"""`jobq builds`: the builds that workers ran, and what waits for one."""

from dataclasses import asdict

import click

from jobq.clean import line
from jobq.cli.options import database_options, json_option, open_database
from jobq.cli.render import ago, say, show_json, table
from jobq.commands import command
from jobq.settings import Settings


@click.command()
@click.option(
    "-n", "--limit", type=click.IntRange(1, 1000), metavar="N", default=20, show_default=True, help="Builds at most."
)
@database_options
@json_option
def builds(limit: int, settings: Settings, as_json: bool) -> None:
    """List the builds of the application that workers ran, the youngest first, and the retries that wait for one.

    Filters know them: build:a41c9e2 are attempts of that build, since:deploy what ended since the last one came.
    """
    from jobq import observe

    database = open_database(settings)
    found, waiting = observe.builds(database, limit=limit), observe.waiting_retries(database)
    if as_json:
        show_json({"builds": [asdict(one) for one in found], "waiting": [asdict(one) for one in waiting]})
        return
    if found:
        rows = [(one.name, ago(one.last_at), ago(one.first_at), one.workers) for one in found]
        table(["BUILD", "CAME", "FIRST", "WORKERS"], rows, right=["WORKERS"])
    else:
        say("no worker has said which build it runs: set JOBQ_BUILD, or run workers from a git repository")
    for one in waiting:
        which = f"a build younger than {one.build}" if one.is_younger else f"build {one.build}"
        click.echo(
            f"act {one.act} of {line(one.left_by)} waits for {line(which)}: retry {line(one.selection, 200)}; "
            f"{command('undo', one.act)} calls it off"
        )

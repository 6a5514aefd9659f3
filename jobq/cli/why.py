"""`jobq why`: why a job has not run yet."""

from dataclasses import asdict

import click

from jobq.clean import line
from jobq.cli import completing
from jobq.cli.options import database_options, json_option, open_database
from jobq.cli.render import console, show_json, state_text
from jobq.observe import Why
from jobq.settings import Settings


@click.command()
@click.argument("job_id", metavar="ID", type=int, shell_complete=completing.jobs)
@database_options
@json_option
def why(job_id: int, settings: Settings, as_json: bool) -> None:
    """Explain why the job ID has not run yet, and name the command that helps."""
    from jobq import observe

    found = observe.why(open_database(settings), job_id)
    if as_json:
        show_json(asdict(found))
    else:
        show_why(found)


def show_why(found: Why) -> None:
    from rich.text import Text

    job, out = found.job, console()
    out.print(Text.assemble((f"#{job.id} {line(job.job_class)}  ", "bold"), state_text(job.state, job.outcome)))
    for reason in found.reasons:
        out.print(Text(f"  {line(reason.text, 1000)}"), soft_wrap=True)
        if reason.remedy is not None:
            out.print(Text(f"    → {line(reason.remedy, 1000)}", style="bold"), soft_wrap=True)

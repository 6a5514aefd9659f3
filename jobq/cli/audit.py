"""`jobq audit` and `jobq undo`: what operators did, and how to undo it."""

from dataclasses import asdict
from typing import Any

import click

from jobq.clean import line
from jobq.cli import completing
from jobq.cli.acts import show_acted
from jobq.cli.options import database_options, json_option, open_database
from jobq.cli.render import ago, say, show_json, table
from jobq.records import ActRecord
from jobq.settings import Settings


@click.command()
@click.option(
    "--job",
    "job_id",
    type=click.IntRange(1, 2**63 - 1),
    metavar="ID",
    help="Acts on this job.",
    shell_complete=completing.jobs,
)
@click.option("--who", metavar="USER@HOST", help="Acts of this person.")
@click.option(
    "-n", "--limit", type=click.IntRange(1, 10_000), metavar="N", default=50, show_default=True, help="Maximum."
)
@database_options
@json_option
def audit(job_id: int | None, who: str | None, limit: int, settings: Settings, as_json: bool) -> None:
    """Show what operators did, the latest first."""
    from jobq import observe

    acts = observe.audit(open_database(settings), who=who, job_id=job_id, limit=limit)
    if as_json:
        show_json([{name: value for name, value in asdict(act).items() if name != "remaining"} for act in acts])
    elif acts:
        show_acts(acts)
    else:
        say("no operator has done anything yet")


def show_acts(acts: tuple[ActRecord, ...]) -> None:
    rows = [
        (
            act.id,
            ago(act.at),
            act.database_user,
            act.who,
            act.verb if act.undoes is None else f"{act.verb} of {act.undoes}",
            f"{act.affected:,}",
            what(act),
            f"undone {ago(act.undone_at)}" if act.undone_at else "",
        )
        for act in acts
    ]
    columns = ["ACT", "BEGAN", "ROLE", "PERSON (CLAIMED)", "WHAT", "JOBS", "WHICH", ""]
    table(columns, rows, right=["ACT", "JOBS"], elastic=["WHICH"])


def what(act: ActRecord) -> str:
    """The target: the filter, or the first jobs. For queues also the reason of a pause."""
    named = act.names or tuple(str(job) for job in act.ids)
    if act.names and act.selection is not None:
        return f"{', '.join(act.names)}: {act.selection}"
    if act.selection is not None:
        return act.selection
    more = f" … +{act.affected - len(named):,}" if act.affected > len(named) else ""
    return ", ".join(named) + more


@click.command()
@click.argument("act", metavar="[ACT]", required=False, type=click.IntRange(1, 2**63 - 1))
@database_options
@json_option
def undo(act: int | None, settings: Settings, as_json: bool) -> None:
    """Undo the last action, or the one with the number ACT, within a minute.

    Retried jobs that have not started return to the history. Cancelled jobs are queued again. Purged jobs are in the
    history again. Paused queues are resumed, and resumed ones are paused as they were.
    """
    from jobq import operate

    undone, acted = operate.undo(open_database(settings), act)
    say(f"act {undone.id}: {line(undone.verb)} {line(what(undone), 200)}")
    show_undone(undone, acted, as_json=as_json)


def show_undone(undone: ActRecord, acted: Any, *, as_json: bool) -> None:
    if undone.ids or as_json:
        show_acted(acted, "undone", as_json=as_json)
    elif acted.act is not None:
        click.echo(f"undone {line(', '.join(undone.names))}")
    else:
        say("nothing was left to undo")
        click.get_current_context().exit(1)

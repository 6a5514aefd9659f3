"""`jobq failures`: what broke, in groups of what is alike."""

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from jobq.clean import line
from jobq.cli.options import database_options, json_option, open_database, since_option
from jobq.cli.render import ago, compact, console, say, show_json, sparkline, table
from jobq.settings import Settings

if TYPE_CHECKING:
    from jobq.filters import Moment
    from jobq.observe import FailureGroup


@click.command()
@since_option("24h")
@click.option("-n", "--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="Groups at most.")
@click.option("-x", "--examples", is_flag=True, help="With the traceback of the last failure of each.")
@database_options
@json_option
def failures(since: "Moment", limit: int, examples: bool, settings: Settings, as_json: bool) -> None:
    """Show the failures of a period in groups: same class, same exception, same place, same message but for numbers.

    Then, for one of them: jobq retry --group GROUP, jobq list --group GROUP, jobq purge --group GROUP.
    """
    from jobq import observe

    groups = observe.failures(open_database(settings), since, limit=limit)
    if as_json:
        show_json([asdict(group) for group in groups])
    elif groups:
        show_groups(groups)
        if examples:
            show_examples(groups)
    else:
        say("nothing failed")


def show_groups(groups: "tuple[FailureGroup, ...]") -> None:
    rows = [
        (
            group.group,
            f"{group.attempts:,}",
            f"{group.at_rest:,}",
            sparkline(group.steps),
            ago(group.ever_first_at) + (" new" if group.is_new else ""),
            ago(group.last_at),
            group.example_id,
            line(group.job_class, 50),
            line(group.frame or "", 50),
            f"{group.error_type}: {group.error_message}",
        )
        for group in groups
    ]
    columns = ["GROUP", "FAILED", "AT REST", "", "FIRST", "LAST", "EXAMPLE", "CLASS", "PLACE", "ERROR"]
    table(columns, rows, right=["FAILED", "AT REST", "EXAMPLE"], elastic=["ERROR", "PLACE"])


def show_examples(groups: "tuple[FailureGroup, ...]") -> None:
    from rich.text import Text

    from jobq.tracebacks import told_apart

    out = console()
    for group in groups:
        heading = f"\n{line(group.group)}  {line(group.job_class)}  job {group.example_id}  {compact(group.arguments)}"
        out.print(Text(heading, style="bold"), soft_wrap=True)
        for text, is_own in told_apart(group.traceback or f"{group.error_type}: {group.error_message}"):
            out.print(Text(text, style="" if is_own else "dim"), soft_wrap=True)

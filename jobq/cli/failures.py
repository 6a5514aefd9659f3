"""`jobq failures`: failures, in groups of similar ones."""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from jobq.clean import line
from jobq.cli import completing
from jobq.cli.options import database_options, json_option, open_database, refuse_misplaced, since_option
from jobq.cli.render import ago, compact, console, say, show_json, sparkline, table, told
from jobq.errors import UsageError
from jobq.filters import MAX_SECONDS, seconds_of
from jobq.settings import Settings

if TYPE_CHECKING:
    from jobq.filters import Moment
    from jobq.observe import FailureGroup


@click.group(invoke_without_command=True)
@since_option("24h")
@click.option(
    "-n", "--limit", type=click.IntRange(1, 1000), metavar="N", default=20, show_default=True, help="Maximum."
)
@click.option("-x", "--examples", is_flag=True, help="Show the traceback of the last failure of each.")
@database_options
@json_option
@click.pass_context
def failures(
    ctx: click.Context, since: "Moment", limit: int, examples: bool, settings: Settings, as_json: bool
) -> None:
    """Show the failures of a period in groups: same class, same exception, same place, same message except for numbers.

    Then, for one of them: jobq retry --group GROUP, jobq list --group GROUP, jobq purge --group GROUP.
    """
    if ctx.invoked_subcommand is not None:
        refuse_misplaced(ctx)
        return
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


@failures.command()
@click.argument("groups", metavar="GROUP...", nargs=-1, required=True, shell_complete=completing.groups)
@click.option("--for", "seconds", metavar="DURATION", default="24h", show_default=True, help="For how long: 2h, 7d.")
@database_options
@json_option
def mute(groups: tuple[str, ...], seconds: str, settings: Settings, as_json: bool) -> None:
    """Mute GROUP for a while, for everybody: it leaves the list of problems. Its jobs stay as they are."""
    from jobq import operate

    length = seconds_of(seconds)
    if length is None or not 0 < length <= MAX_SECONDS:
        raise UsageError(f"{line(seconds, 40)!r} is not a duration: write 2h, 7d, 1h30m")
    done = operate.mute_failures(open_database(settings), groups, seconds=length)
    told("muted", groups, done, "is not a group of failures in the history", as_json=as_json)


@failures.command()
@click.argument("groups", metavar="GROUP...", nargs=-1, required=True, shell_complete=completing.groups)
@database_options
@json_option
def unmute(groups: tuple[str, ...], settings: Settings, as_json: bool) -> None:
    """Show GROUP in the list of problems again."""
    from jobq import operate

    done = operate.unmute_failures(open_database(settings), groups)
    told("unmuted", groups, done, "is not muted", as_json=as_json)


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
    columns = ["GROUP", "ATTEMPTS", "AT REST", "", "FIRST", "LAST", "EXAMPLE", "CLASS", "PLACE", "ERROR"]
    table(columns, rows, right=["ATTEMPTS", "AT REST", "EXAMPLE"], elastic=["ERROR", "PLACE"])
    say_origins(groups)
    for group in groups:
        if group.muted_until is not None:
            until = f"{group.muted_until:%Y-%m-%d %H:%M %Z}"
            say(f"{line(group.group)} is muted by {line(group.muted_by or '')} until {until}")


def say_origins(groups: "tuple[FailureGroup, ...]") -> None:
    """Since which build each is there, where builds are known."""
    from jobq.observe import origin_text

    now = datetime.now(UTC)
    for group in groups:
        origin = group.origin
        if origin is not None and (origin.build or origin.builds):
            click.echo(f"{line(group.group)}  {line(origin_text(origin, now), 300)}")


def show_examples(groups: "tuple[FailureGroup, ...]") -> None:
    from rich.text import Text

    from jobq.tracebacks import told_apart

    out = console()
    for group in groups:
        heading = f"\n{line(group.group)}  {line(group.job_class)}  job {group.example_id}  {compact(group.arguments)}"
        out.print(Text(heading, style="bold"), soft_wrap=True)
        for text, is_own in told_apart(group.traceback or f"{group.error_type}: {group.error_message}"):
            out.print(Text(text, style="" if is_own else "dim"), soft_wrap=True)

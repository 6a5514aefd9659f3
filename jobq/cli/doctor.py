"""`jobq doctor`: problems, and what helps."""

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from jobq.clean import line
from jobq.cli.options import database_options, json_option, open_database
from jobq.cli.render import console, show_json
from jobq.observe import Finding, Verdict
from jobq.settings import Settings

if TYPE_CHECKING:
    from jobq.store.database import Database

GLYPHS = {Verdict.FINE: ("✓", "green"), Verdict.WRONG: ("✗", "red")}


NO_WORKER_LIVES = 4
"""The exit code of `--check` then: nobody tells alerts."""


@click.command()
@click.option(
    "--check", is_flag=True, help="For cron: say only what needs somebody. 0: nothing. 1: something. 4: no worker."
)
@database_options
@json_option
@click.pass_context
def doctor(ctx: click.Context, check: bool, settings: Settings, as_json: bool) -> None:
    """Find problems, from the connection to the queues. Exit code 1 if there are any."""
    from jobq import observe

    if check:
        ctx.exit(say_needs(open_database(settings), as_json=as_json))
    findings = observe.doctor(open_database(settings))
    if as_json:
        show_json([asdict(finding) for finding in findings])
    else:
        for finding in findings:
            show(finding)
    ctx.exit(1 if any(finding.verdict is Verdict.WRONG for finding in findings) else 0)


def say_needs(database: "Database", *, as_json: bool) -> int:
    """What workers would tell as alerts, and the exit code."""
    from jobq import observe

    needs = observe.needs_now(database)
    lives = any(not worker.is_silent for worker in observe.workers(database))
    if as_json:
        show_json([{"kind": need.kind.value, "text": need.text, "remedy": need.remedy} for need in needs])
    else:
        for need in needs:
            click.echo(line(f"{need.text} → {need.remedy}", 1000))
        if not lives and not any(need.kind is observe.Kind.NO_WORKER for need in needs):
            click.echo("no worker lives")
    if not lives:
        return NO_WORKER_LIVES
    return 1 if needs else 0


def show(finding: Finding) -> None:
    from rich.text import Text

    glyph, style = GLYPHS[finding.verdict]
    out = console()
    out.print(
        Text.assemble((f"{glyph} {finding.verdict:<5}  ", style), f"{finding.check:<11} {line(finding.text, 1000)}"),
        soft_wrap=True,
    )
    if finding.remedy is not None:
        out.print(Text(f"                      → {line(finding.remedy, 1000)}", style="bold"), soft_wrap=True)

"""`jobq doctor`: what is wrong, and what helps."""

from dataclasses import asdict

import click

from jobq.clean import line
from jobq.cli.options import database_options, json_option, open_database
from jobq.cli.render import console, show_json
from jobq.observe import Finding, Verdict
from jobq.settings import Settings

GLYPHS = {Verdict.FINE: ("✓", "green"), Verdict.WRONG: ("✗", "red")}


@click.command()
@database_options
@json_option
@click.pass_context
def doctor(ctx: click.Context, settings: Settings, as_json: bool) -> None:
    """Find problems, from the connection to the queues. Exit code 1 if there are any."""
    from jobq import observe

    findings = observe.doctor(open_database(settings))
    if as_json:
        show_json([asdict(finding) for finding in findings])
    else:
        for finding in findings:
            show(finding)
    ctx.exit(1 if any(finding.verdict is Verdict.WRONG for finding in findings) else 0)


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

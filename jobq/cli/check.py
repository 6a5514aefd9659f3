"""`jobq check --pending`: whether the code at hand can load what is queued, for use before it is deployed."""

import json
from dataclasses import dataclass
from typing import Any

import click

from jobq.clean import line
from jobq.cli.options import app_option, database_options, json_option, open_database
from jobq.cli.render import say, show_json, table
from jobq.errors import ArgumentsError, UnknownJobClass
from jobq.records import Shape
from jobq.settings import Settings


@dataclass(frozen=True, slots=True)
class Finding:
    """One shape of arguments, and why it would not load; None: it would."""

    shape: Shape
    trouble: str | None


@click.command("check")
@click.option("--pending", is_flag=True, help="Bind the arguments of every unfinished job to the code at hand.")
@app_option
@database_options
@json_option
@click.pass_context
def check_command(
    ctx: click.Context, /, pending: bool, app: tuple[str, ...], settings: Settings, as_json: bool
) -> None:
    """Find out whether the code at hand can load what is queued.

    Every combination of class and arguments that is queued is bound to the constructor once; no job is made, and
    no row that an argument refers to is loaded. Exits 1 when one would not load.
    """
    if not pending:
        raise click.UsageError("Say what to check: jobq check --pending")
    from jobq import observe
    from jobq.application import load_application

    load_application(settings.root, [*settings.app, *app])
    findings = [Finding(shape, trouble_of(shape)) for shape in observe.shapes(open_database(settings))]
    bad = [finding for finding in findings if finding.trouble is not None]
    if as_json:
        show_json([json_of(finding) for finding in findings])
    elif bad:
        show(bad)
    jobs = sum(finding.shape.jobs for finding in bad)
    if bad:
        say(f"{len(bad)} of {len(findings)} shapes would not load: {jobs} jobs")
        ctx.exit(1)
    say(f"all {len(findings)} shapes load")


def trouble_of(shape: Shape) -> str | None:
    from jobq import arguments
    from jobq.registry import registry

    try:
        arguments.check_stored(registry.get(shape.job_class), shape.arguments)
    except (ArgumentsError, UnknownJobClass) as error:
        return str(error)
    except Exception as error:  # noqa: BLE001 - the user's migrate_arguments may raise anything
        return f"{arguments.MIGRATE}() raised {type(error).__name__}: {error}"
    return None


def show(findings: list[Finding]) -> None:
    rows = [
        (
            finding.shape.job_class,
            finding.shape.jobs,
            finding.shape.first_id,
            ", ".join(finding.shape.names),
            finding.trouble or "",
        )
        for finding in findings
    ]
    table(["CLASS", "JOBS", "FIRST", "ARGUMENTS", "TROUBLE"], rows, right=["JOBS", "FIRST"], elastic=["TROUBLE"])


def json_of(finding: Finding) -> dict[str, Any]:
    from jobq.arguments import without_secrets

    shape = finding.shape
    return {
        "job_class": shape.job_class,
        "names": list(shape.names),
        "tags": list(shape.tags),
        "jobs": shape.jobs,
        "first_id": shape.first_id,
        "arguments": without_secrets(json.loads(shape.arguments)),
        "loads": finding.trouble is None,
        "trouble": None if finding.trouble is None else line(finding.trouble, 2000),
    }

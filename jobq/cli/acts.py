"""`jobq retry`, `jobq cancel` and `jobq purge`: acts on jobs by id, or on all that a filter selects."""

import sys
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import click

from jobq.clean import line
from jobq.cli.options import database_options, is_given, json_option, open_database, select, selection_options
from jobq.cli.render import compact, say, show_json
from jobq.errors import UsageError
from jobq.settings import Settings
from jobq.states import FINISHED, State


def act_options(function: Callable[..., Any]) -> Callable[..., Any]:
    function = click.option("-y", "--yes", is_flag=True, help="Do not ask.")(function)
    function = json_option(database_options(selection_options(function)))
    return click.argument("ids", metavar="[ID]...", nargs=-1, type=int)(function)


@click.command()
@act_options
def retry(**chosen: Any) -> None:
    """Queue finished jobs again, by ID or by filter.

    A job keeps its id, its arguments and its history, and gets one more attempt.
    """
    from jobq import operate

    act("retry", "retried", operate.retry, FINISHED, **chosen)


@click.command()
@click.option("--scheduled", "is_scheduled", is_flag=True, help="With a filter: those whose time has not come.")
@click.option("--running", "is_running", is_flag=True, help="With a filter: those that run.")
@click.option("--wait", is_flag=True, help="Wait until the running ones have ended, and say how.")
@act_options
def cancel(is_scheduled: bool, is_running: bool, wait: bool, **chosen: Any) -> None:
    """Call off jobs that wait, and stop jobs that run, by ID or by filter.

    In a running job an exception is raised; where it has not ended within cancel_grace, its process is killed.
    """
    from jobq import operate

    if is_scheduled and is_running:
        raise UsageError("Say either --scheduled or --running.")
    which = State.RUNNING if is_running else State.SCHEDULED if is_scheduled else State.PENDING
    act("cancel", "cancelled", operate.cancel, which, wait=wait, **chosen)


@click.command()
@act_options
def purge(**chosen: Any) -> None:
    """Delete finished jobs from the history, by ID or by filter. This cannot be undone."""
    from jobq import operate

    act("purge", "purged", operate.purge, FINISHED, **chosen)


def act(
    verb: str,
    done: str,
    operation: Callable[..., Any],
    which: str,
    *,
    ids: tuple[int, ...],
    yes: bool,
    settings: Settings,
    as_json: bool,
    wait: bool = False,
    **chosen: Any,
) -> None:
    """Finds the jobs, says how many they are and shows a few, asks, acts, and says what came of it."""
    if bool(ids) == is_given(chosen):
        raise UsageError(f"Say which jobs to {verb}: either ids, or a filter such as --queue or --class.")
    database = open_database(settings)
    if not ids:
        ids = confirmed(database, verb, which, chosen, is_sure=yes)
    with click.progressbar(
        length=len(ids), label=verb, file=sys.stderr, hidden=len(ids) < 1000 or not sys.stderr.isatty()
    ) as bar:
        acted = operation(database, ids, progress=lambda seen: bar.update(seen - bar.pos))
    ended = wait_for(database, acted.asked) if wait else {}
    if as_json:
        skipped = {str(job): why for job, why in acted.skipped.items()}
        document = {"done": acted.done, "asked": acted.asked, "skipped": skipped}
        show_json(document | ({"ended": {str(job): asdict(how) for job, how in ended.items()}} if wait else {}))
    else:
        click.echo(f"{done} {len(acted.done)}" + (f", asked {len(acted.asked)} to stop" if acted.asked else ""))
    for job, how in list(ended.items())[:20]:
        why = line(how.error_message or "it was done before it could be stopped")
        say(f"job {job} has ended as {how.outcome}: {why}")
    for job, why in list(acted.skipped.items())[:20]:
        say(f"job {job} was left alone: {why}")
    if len(acted.skipped) > 20:
        say(f"… and {len(acted.skipped) - 20} more")
    if not acted.done and not acted.asked and acted.skipped:
        click.get_current_context().exit(1)


def wait_for(database: Any, ids: list[int]) -> dict[int, Any]:
    from jobq import operate

    if ids:
        say(f"waiting for {len(ids)} running jobs to end; Ctrl-C ends the waiting, not the request")
    return operate.wait_for_end(database, ids)


def confirmed(database: Any, verb: str, which: str, chosen: dict[str, Any], *, is_sure: bool) -> tuple[int, ...]:
    """The ids that the filter selects now: what was counted and confirmed is what is acted on."""
    from jobq import observe, operate

    selection = select(which, chosen)
    ids = tuple(operate.select(database, selection))
    say(f"{len(ids)} {which} jobs match")
    for job in observe.list_jobs(database, selection, limit=3).jobs if ids else ():
        say(f"  {job.id}  {line(job.job_class)}  {line(job.queue)}  {compact(job.arguments)}")
    if ids and not is_sure:
        click.confirm(f"{verb} {len(ids)} jobs?", abort=True, err=True)
    return ids

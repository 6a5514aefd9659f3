"""`jobq retry`, `jobq cancel` and `jobq purge`: acts on jobs by id, or on all that match a filter."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from jobq import filters
from jobq.clean import line
from jobq.cli import completing
from jobq.cli.options import (
    app_option,
    database_options,
    id_of,
    is_given,
    is_id,
    json_option,
    open_database,
    select,
    selection_options,
)
from jobq.cli.render import compact, say, show_json
from jobq.commands import command
from jobq.errors import UsageError
from jobq.settings import Settings
from jobq.states import FINISHED, State

if TYPE_CHECKING:
    from jobq.observe import Selected
    from jobq.records import AttemptRecord

CLASSES_SHOWN = 3


def act_options(function: Callable[..., Any]) -> Callable[..., Any]:
    function = click.option(
        "--attempt", type=click.IntRange(0), metavar="N", help="With one ID: only if N is still the job's last attempt."
    )(function)
    function = click.option("-y", "--yes", is_flag=True, help="Do not ask.")(function)
    function = json_option(database_options(selection_options(function)))
    return click.argument("words", metavar="[ID|FILTER]...", nargs=-1, shell_complete=completing.words)(function)


@click.command()
@click.option(
    "--arguments", metavar="JSON", help="Enqueue a new job like ID with these arguments. The old one stays as it is."
)
@click.option(
    "--on-build",
    metavar="BUILD",
    help="Not now, but once a worker of this build lives; of one that came after it: '>BUILD'.",
    shell_complete=completing.builds,
)
@app_option
@act_options
def retry(arguments: str | None, on_build: str | None, app: tuple[str, ...], **chosen: Any) -> None:
    """Queue finished jobs again, by ID or by filter: jobq retry 'outcome:errored since:1h'.

    A job keeps its id, its arguments and its history, and gets one more attempt.
    """
    from jobq import operate

    if arguments is not None:
        from jobq.cli.edit import run_again

        run_again(arguments, app, **chosen)
        return
    if on_build is not None:
        from jobq.cli.on_build import retry_on_build

        retry_on_build(on_build, **chosen)
        return
    act("retry", "retried", operate.retry, [FINISHED], **chosen)


@click.command()
@click.option("--scheduled", "is_scheduled", is_flag=True, help="With a filter: only scheduled jobs.")
@click.option("--running", "is_running", is_flag=True, help="With a filter: only running jobs.")
@click.option("--wait", is_flag=True, help="Wait until the running ones have ended, and say how.")
@act_options
def cancel(is_scheduled: bool, is_running: bool, wait: bool, **chosen: Any) -> None:
    """Cancel jobs that wait and jobs that run, by ID or by filter: jobq cancel 'queue:mail since:1h'.

    A filter that says no state means pending and gated jobs. In a running job an exception is raised; where it has not
    ended within cancel_grace, its process is killed.
    """
    from jobq import operate

    if is_scheduled and is_running:
        raise UsageError("Say either --scheduled or --running.")
    which = [State.RUNNING] if is_running else [State.SCHEDULED] if is_scheduled else [State.PENDING, State.GATED]
    act("cancel", "cancelled", operate.cancel, list(which), wait=wait, **chosen)


@click.command()
@act_options
def purge(**chosen: Any) -> None:
    """Delete finished jobs from the history, by ID or by filter: jobq purge 'outcome:successful until:7d'.

    They disappear at once, and are deleted some minutes later.
    """
    from jobq import operate

    act("purge", "purged", operate.purge, [FINISHED], **chosen)


def act(
    verb: str,
    done: str,
    operation: Callable[..., Any],
    states: list[str],
    *,
    words: tuple[str, ...],
    yes: bool,
    settings: Settings,
    as_json: bool,
    attempt: int | None = None,
    wait: bool = False,
    **chosen: Any,
) -> None:
    """Finds the jobs, shows their number and a few of them, asks, acts, and prints the result."""
    by_id = bool(words) and all(map(is_id, words))
    by_filter = is_given(chosen) or not all(map(is_id, words))
    # An empty argument is probably an unset variable of the shell.
    if by_id == by_filter or not all(word.strip() for word in words):
        raise UsageError(f"Say which jobs to {verb}: either ids, or a filter such as --queue or 'outcome:errored'.")
    if attempt is not None and (not by_id or len(words) != 1):
        raise UsageError(f"--attempt goes with the ID of one job: jobq {verb} 4711 --attempt 2")
    database = open_database(settings)
    selection = None
    seen: Mapping[int, int] | None = None
    if by_id:
        ids = tuple(id_of(word) for word in words)
        seen = None if attempt is None else {ids[0]: attempt}
    else:
        selection = select(words, chosen).among(*states).checked()
        check_states(done, selection, states)
        selected = confirmed(database, verb, selection, is_sure=yes)
        ids, seen = selected.ids, selected.seen
    with click.progressbar(
        length=len(ids), label=verb, file=sys.stderr, hidden=len(ids) < 1000 or not sys.stderr.isatty()
    ) as bar:
        acted = operation(
            database,
            ids,
            selection=None if selection is None else str(selection),
            progress=lambda done: bar.update(done - bar.pos),
            seen=seen,
        )
    ended = wait_for(acted.asked) if wait else None
    show_acted(acted, done, ended, as_json=as_json)
    if acted.act is not None and acted.done:
        say(f"{command('undo')} takes it back, within {operate_seconds():g} s")


def operate_seconds() -> float:
    from jobq.operate import UNDO_SECONDS

    return UNDO_SECONDS


def show_acted(acted: Any, done: str, ended: "dict[int, AttemptRecord] | None" = None, *, as_json: bool) -> None:
    """The changed jobs, and why the others were left alone. Exit code 1 if none was changed.

    `ended` are the ends of the running jobs that were waited for.
    """
    if as_json:
        document = {
            "done": acted.done,
            "asked": acted.asked,
            "skipped": {str(job): why for job, why in acted.skipped.items()},
            "act": acted.act,
        }
        if ended is not None:
            document["ended"] = {str(job): asdict(how) for job, how in ended.items()}
        show_json(document)
    else:
        click.echo(f"{done} {len(acted.done)}" + (f", asked {len(acted.asked)} to stop" if acted.asked else ""))
    for job, how in list((ended or {}).items())[:20]:
        why = line(how.error_message or "it was done before it could be stopped")
        say(f"job {job} has ended as {how.outcome}: {why}")
    for job, why in list(acted.skipped.items())[:20]:
        say(f"job {job} was left alone: {line(why)}")
    if len(acted.skipped) > 20:
        say(f"… and {len(acted.skipped) - 20} more")
    if not acted.done and not acted.asked and acted.skipped:
        click.get_current_context().exit(1)


def wait_for(ids: list[int]) -> "dict[int, AttemptRecord]":
    from jobq import handles

    if ids:
        say(f"waiting for {len(ids)} running jobs to end; Ctrl-C ends the waiting, not the request")
    return handles.wait_for_ends(ids)


def check_states(done: str, selection: filters.Filter, states: list[str]) -> None:
    """If an act is possible for none of the selected jobs, the filter is wrong: the error names the place in it."""
    possible = {FINISHED} if FINISHED in states else {state.value for state in State}
    for term in selection.terms:
        if term.key in ("state", "outcome", "group") and not set(selection.states or ()) <= possible:
            raise selection.mistake(f"Only {' and '.join(sorted(possible))} jobs can be {done}.", term)


def confirmed(database: Any, verb: str, selection: filters.Filter, *, is_sure: bool) -> "Selected":
    """The jobs that match now. The act is then on exactly the jobs that were counted and confirmed."""
    from jobq import observe

    selected = observe.select(database, selection)
    ids = selected.ids
    say(f"{len(ids):,} {' or '.join(selection.states or ())} jobs match{': ' if ids else ''}{counted(selected)}")
    for job in observe.list_jobs(database, selection, limit=3).jobs if ids else ():
        error = f"  {line(job.error_type)}: {line(job.error_message or '', 80)}" if job.error_type else ""
        say(f"  {job.id}  {line(job.job_class)}  {line(job.queue)}  {compact(job.arguments)}{error}")
    if ids and not is_sure:
        click.confirm(f"{verb} {len(ids):,} jobs?", abort=True, err=True)
    return selected


def counted(selected: "Selected") -> str:
    """The number of jobs of each class. The largest ones are named."""
    shown = [f"{number:,} {line(name)}" for name, number in selected.classes[:CLASSES_SHOWN]]
    if others := selected.classes[CLASSES_SHOWN:]:
        shown.append(f"{sum(number for _, number in others):,} of {len(others):,} more classes")
    return ", ".join(shown)

"""`jobq wait`: waits until jobs have ended, and reports the result by its exit code."""

from dataclasses import asdict

import click

from jobq.cli import completing
from jobq.cli.options import database_options, duration_of, id_of, is_id, json_option, open_database
from jobq.cli.render import show_json, state_text, table, took
from jobq.errors import JobNotFinished, UsageError
from jobq.records import AttemptRecord
from jobq.settings import Settings
from jobq.states import Outcome

UNSUCCESSFUL = 1


@click.command()
@click.argument("ids", metavar="ID...", nargs=-1, required=True, shell_complete=completing.jobs)
@click.option("--timeout", metavar="DURATION", help="Wait no longer than this: 60, 10m, 1h30m. 0: look once.")
@click.option("--any", "is_any", is_flag=True, help="Until one of them has ended, instead of all.")
@database_options
@json_option
@click.pass_context
def wait(
    ctx: click.Context, ids: tuple[str, ...], timeout: str | None, is_any: bool, settings: Settings, as_json: bool
) -> None:
    """Wait until the jobs ID... have ended for good. A job that will be retried has not ended.

    Exit codes: 0 all were successful, 1 one was not, 124 the timeout was reached first.
    """
    from jobq import handles

    chosen = [checked_id(word) for word in ids]
    seconds = None if timeout is None else duration_of("--timeout", timeout)
    open_database(settings)
    handles.require_all_there(chosen)
    try:
        ended = handles.wait_for_ends(chosen, timeout=seconds, first=is_any)
    except JobNotFinished as late:
        show(late.finished, late.unfinished, as_json=as_json)
        raise
    show(ended, {}, as_json=as_json)
    if any(attempt.outcome != Outcome.SUCCESSFUL for attempt in ended.values()):
        ctx.exit(UNSUCCESSFUL)


def checked_id(word: str) -> int:
    if not is_id(word):
        raise UsageError(f"{word[:40]!r} is not the id of a job: ids are numbers. jobq enqueue and list print them.")
    return id_of(word)


def show(ended: dict[int, AttemptRecord], unfinished: dict[int, str], *, as_json: bool) -> None:
    if as_json:
        attempts = {str(job_id): asdict(attempt) for job_id, attempt in ended.items()}
        show_json({"ended": attempts, "unfinished": {str(job_id): why for job_id, why in unfinished.items()}})
        return
    rows = [
        (job_id, state_text(one.outcome, one.outcome), one.attempt, took(one.started_at, one.ended_at), error_of(one))
        for job_id, one in ended.items()
    ]
    if rows:
        table(["ID", "OUTCOME", "TRY", "RAN", "ERROR"], rows, right=["ID", "TRY", "RAN"], elastic=["ERROR"])


def error_of(attempt: AttemptRecord) -> str:
    return ": ".join(part for part in (attempt.error_type, attempt.error_message) if part)

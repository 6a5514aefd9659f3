"""`jobq replay`: runs a finished job's exact arguments here, in this checkout."""

import sys
from typing import TYPE_CHECKING, Any

import click

from jobq.clean import line, plain
from jobq.cli import completing
from jobq.cli.options import app_option, database_options, open_database
from jobq.cli.render import compact, say, show_value
from jobq.errors import UsageError
from jobq.records import Assignment, JobRecord
from jobq.settings import Settings
from jobq.states import FINISHED

if TYPE_CHECKING:
    from types import TracebackType


@click.command()
@click.argument("job_id", metavar="ID", type=int, shell_complete=completing.jobs)
@click.option("--pdb", "is_debugged", is_flag=True, help="Open the debugger where it raises.")
@app_option
@database_options
@click.pass_context
def replay(ctx: click.Context, job_id: int, is_debugged: bool, app: tuple[str, ...], settings: Settings) -> None:
    """Run the finished job ID again here, in this process, with the arguments it had.

    Its row and its history do not change, and nothing is recorded. The effects of the job itself are real. Exits with 1
    if it raises.
    """
    from jobq import observe
    from jobq.cli.loading import load_application
    from jobq.frameworks import surroundings
    from jobq.registry import registry
    from jobq.runtime.execution import MAX_TRACEBACK_CHARACTERS, build_in_turn, run, traceback_of

    database = open_database(settings)
    job = observe.show(database, job_id).job
    if job.state != FINISHED:
        raise UsageError(f"Job {job_id} is {job.state}: a worker may run it meanwhile. jobq perform runs a new one.")
    load_application(settings, app)
    say(f"replaying job {job.id}: {line(job.job_class)} {compact(job.arguments)}")
    say(f"then, it was {job.outcome}{f', {line(job.error_type)}' if job.error_type else ''}")
    assignment = assignment_of(job, observe.stored_arguments(database, job_id))
    try:
        with surroundings.entered():
            value = run(build_in_turn(assignment, registry))
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the edge around the user's code
        sys.stderr.write(plain(traceback_of(error, assignment), MAX_TRACEBACK_CHARACTERS))
        if is_debugged:
            debug(error.__traceback__)
        ctx.exit(1)
    say("here, it is successful")
    show_value(value)


def assignment_of(job: JobRecord, arguments: str) -> Assignment:
    return Assignment(
        id=job.id,
        attempt=job.attempt,
        excused=0,
        losses=0,
        retries=job.retries,
        priority=job.priority,
        enqueued_microseconds=int(job.enqueued_at.timestamp() * 1e6),
        queue=job.queue,
        job_class=job.job_class,
        arguments=arguments,
    )


def debug(traceback: "TracebackType | None") -> Any:
    """The debugger at the place of the exception; `up` leads to the job."""
    import pdb

    pdb.post_mortem(traceback)

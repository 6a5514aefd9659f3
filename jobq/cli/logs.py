"""`jobq logs` and `jobq tail`: what jobs have logged and printed."""

import json
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING

import click

from jobq.clean import json_text, line
from jobq.cli import completing
from jobq.cli.options import database_options, json_option, open_database
from jobq.cli.render import console, plain_json, say
from jobq.commands import command
from jobq.errors import NotRunning
from jobq.settings import Settings
from jobq.states import FINISHED, State

if TYPE_CHECKING:
    from jobq.observe import AttemptLog, LeftOut, LoggedLine
    from jobq.store.database import Database

LOOK_SECONDS = 0.5
MAX_CHARACTERS = 20_000
LEVEL_STYLES = {"warning": "yellow", "error": "red", "critical": "bold red", "debug": "dim"}


@click.command("logs")
@click.argument("job_id", metavar="ID", type=int, shell_complete=completing.jobs)
@click.option("--attempt", type=click.IntRange(1), metavar="N", help="This attempt. Default: the last that has lines.")
@click.option("-f", "--follow", is_flag=True, help="Go on with what the running job says, until it has ended.")
@database_options
@json_option
def logs_command(job_id: int, attempt: int | None, follow: bool, settings: Settings, as_json: bool) -> None:
    """Show what a job has logged and printed.

    Kept are the lines of attempts that failed, were killed, run for longer than 5 seconds, or were followed. With
    --json each line is one JSON object.
    """
    from jobq import observe

    database = open_database(settings)
    job = observe.show(database, job_id).job
    if follow:
        if attempt is not None and attempt != job.attempt:
            raise NotRunning(f"Attempt {attempt} of job {job_id} runs no more: leave out --follow to see its lines.")
        with suppress(KeyboardInterrupt):
            follow_job(database, job_id, as_json=as_json)
        return
    counts = [one for one in observe.log_counts(database, job_id) if one.is_kept]
    chosen = attempt if attempt is not None else counts[-1].attempt if counts else None
    if chosen is None or chosen not in [one.attempt for one in counts]:
        say(no_lines(job_id, attempt, is_running=job.state == State.RUNNING))
        return
    show_log(observe.attempt_log(database, job_id, chosen), as_json=as_json)
    if others := [str(one.attempt) for one in counts if one.attempt != chosen]:
        say(f"these are the lines of attempt {chosen}; attempts with lines too: {', '.join(others)} (--attempt)")


def no_lines(job_id: int, attempt: int | None, *, is_running: bool) -> str:
    of = f"job {job_id}" if attempt is None else f"attempt {attempt} of job {job_id}"
    if is_running:
        return f"no lines of {of} are kept yet; see what it says from now on: {command('logs', job_id, '-f')}"
    return (
        f"no lines of {of} are kept: it said nothing, or it was successful (job_logs, or logs of its class, says which)"
    )


def follow_job(database: "Database", job_id: int, *, as_json: bool) -> None:
    """Its lines as they come, of each attempt, until the job has ended."""
    from jobq import observe, operate

    shown: dict[int, int] = {}  # by attempt, the lines
    with operate.Following(database, job_id=job_id) as following:
        tell_if_not(following.why_not)
        while True:
            following.keep_up()
            state = observe.show(database, job_id).job.state
            show_new(database, job_id, shown, as_json=as_json)
            if state == FINISHED:
                time.sleep(2 * LOOK_SECONDS)  # its last lines come by another way than its end
                show_new(database, job_id, shown, as_json=as_json)
                return
            time.sleep(LOOK_SECONDS)


def show_new(database: "Database", job_id: int, shown: dict[int, int], *, as_json: bool) -> None:
    from jobq import observe

    for count in observe.log_counts(database, job_id):
        before = shown.get(count.attempt, 0)
        if count.said > before:
            log = observe.attempt_log(database, job_id, count.attempt)
            show_lines([one for one in log.lines if one.number >= before], as_json=as_json, with_job=False)
            shown[count.attempt] = max((one.number + 1 for one in log.lines), default=before)


@click.command("tail")
@click.argument("words", metavar="[FILTER]...", nargs=-1)
@database_options
@json_option
def tail_command(words: tuple[str, ...], settings: Settings, as_json: bool) -> None:
    """Show what jobs log and print, on all workers, as it comes. Ctrl-C ends it.

    A FILTER says of which: jobq tail 'class:mail.* level:warning'. Its words: class: queue: id: level: and free text,
    which is looked for in the lines. While this runs, workers send the lines of these jobs, and they are kept. With
    --json each line is one JSON object.
    """
    from jobq import observe, operate

    chosen = observe.line_filter(" ".join(words))
    database = open_database(settings)
    tail = observe.Tail(database, chosen)
    follow = operate.Following(
        database, job_id=chosen.job_id, classes=chosen.classes, queues=chosen.queues, level=chosen.level
    )
    with suppress(KeyboardInterrupt):
        tail.new_lines()
        with follow:
            tell_if_not(follow.why_not)
            while True:
                show_lines(tail.new_lines(), as_json=as_json, with_job=True)
                time.sleep(LOOK_SECONDS)
                follow.keep_up()


def tell_if_not(why_not: str | None) -> None:
    if why_not is not None:
        say(f"shown is what workers send anyway, of long and of failed attempts. {why_not}")


# Lines


def show_log(log: "AttemptLog", *, as_json: bool) -> None:
    from jobq import observe

    for entry in log.entries:
        if isinstance(entry, observe.LeftOut):
            show_left_out(log, entry, as_json=as_json)
        else:
            show_lines([entry], as_json=as_json, with_job=False)


def show_left_out(log: "AttemptLog", entry: "LeftOut", *, as_json: bool) -> None:
    if as_json:
        show_object({"job": log.job_id, "attempt": log.attempt, "left_out": entry.lines})
    else:
        console().print(f"… {entry.lines:,} lines are not kept …", style="dim")


def show_lines(lines: "Iterable[LoggedLine]", *, as_json: bool, with_job: bool) -> None:
    from rich.text import Text

    out = console()
    for one in lines:
        if as_json:
            show_object(object_of(one))
            continue
        text = Text(f"{one.at:%H:%M:%S}.{one.at.microsecond // 1000:03d} ", style="dim")
        text.append(f"{one.level_name:<8}", LEVEL_STYLES.get(one.level_name, ""))
        if with_job:
            text.append(f" #{one.job_id}/{one.attempt} {line(one.job_class, 100)}", "cyan")
        text.append(f" {line(one.source, 100)} | ", "dim")
        first, *more = one.message.split("\n")
        out.print(text.append(line(first, MAX_CHARACTERS)), soft_wrap=True)
        for rest in more:
            out.print(Text(f"    {line(rest, MAX_CHARACTERS)}"), soft_wrap=True)


def object_of(one: "LoggedLine") -> dict[str, object]:
    return {
        "time": one.at,
        "job": one.job_id,
        "class": one.job_class,
        "queue": one.queue,
        "attempt": one.attempt,
        "line": one.number,
        "level": one.level_name,
        "logger": one.source,
        "message": one.message,
    }


def show_object(content: dict[str, object]) -> None:
    click.echo(json_text(json.dumps(content, default=plain_json)))

"""`jobq schedules`: the schedules, the results of their ticks, and acts on them."""

from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import click

from jobq.clean import line
from jobq.cli import completing
from jobq.cli.options import database_options, delay_of, json_option, open_database, refuse_misplaced
from jobq.cli.render import ago, console, duration, say, show_json, state_text, table
from jobq.records import ScheduleRecord, TickRecord
from jobq.settings import Settings


@click.group(invoke_without_command=True)
@database_options
@json_option
@click.pass_context
def schedules(ctx: click.Context, settings: Settings, as_json: bool) -> None:
    """List the schedules: when they are due, in words, their next tick, their last tick and its outcome."""
    if ctx.invoked_subcommand is not None:
        refuse_misplaced(ctx)
        return
    from jobq import observe

    found = observe.schedules(open_database(settings))
    if as_json:
        show_json([document_of(record) for record in found])
    elif found:
        show_schedules(found)
    else:
        say("no schedule is declared: give a job class one, or write it into [tool.jobq.schedules], and start a worker")


def document_of(record: ScheduleRecord) -> dict[str, Any]:
    """As JSON, with derived values."""
    return {
        **asdict(record),
        "next_at": record.next_at,
        "is_declared": record.undeclared_at is None,
        "is_paused": record.paused_at is not None,
        "runs": [{**asdict(tick), "run_seconds": tick.run_seconds} for tick in record.runs],
    }


WIDE_ENOUGH = 140
"""With fewer columns the list shows only the essential ones; `--json` has all."""


def show_schedules(found: tuple[ScheduleRecord, ...]) -> None:
    is_wide = console().width >= WIDE_ENOUGH
    rows = [row_of(record, is_wide=is_wide) for record in found]
    columns = list(rows[0])
    if not is_wide:
        columns = [column for column in columns if column not in ("EXPRESSION", "ZONE", "TOOK")]
    table(columns, [[row[column] for column in columns] for row in rows], right=["TOOK"], elastic=["MEANING", "NOTE"])


def row_of(record: ScheduleRecord, *, is_wide: bool) -> dict[str, Any]:
    last = record.last
    return {
        "SCHEDULE": record.name,
        "EXPRESSION": record.expression,
        "MEANING": record.words or record.expression,
        "ZONE": record.timezone,
        "NEXT": next_text(record) if is_wide else ago(record.next_at),
        "LAST": ago(last.tick_at) if last else "",
        "OUTCOME": standing_text(last),
        "TOOK": duration(last.run_seconds) if last else "",
        "NOTE": remark(record),
    }


def next_text(record: ScheduleRecord) -> str:
    if record.next_at is None:
        return ""
    return f"{local(record.next_at, record.timezone)} ({ago(record.next_at)})"


def local(moment: datetime, timezone: str) -> str:
    """A time in the schedule's own time zone."""
    try:
        return f"{moment.astimezone(ZoneInfo(timezone)):%Y-%m-%d %H:%M}"
    except (ZoneInfoNotFoundError, ValueError):
        return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M}Z"


def standing_text(tick: TickRecord | None) -> Any:
    if tick is None:
        return ""
    return state_text(tick.standing or "gone", None)


def remark(record: ScheduleRecord) -> str:
    if record.undeclared_at is not None:
        return f"no longer declared, {ago(record.undeclared_at)}"
    if record.paused_at is not None:
        return f"paused by {record.paused_by} {ago(record.paused_at)}"
    return ""


@schedules.command()
@click.argument("names", metavar="NAME...", nargs=-1, required=True, shell_complete=completing.schedules)
@database_options
@json_option
def run(names: tuple[str, ...], settings: Settings, as_json: bool) -> None:
    """Enqueue the job of each schedule now, in addition to its ticks."""
    from jobq import operate

    acted = act("enqueued", operate.run_schedule, names, settings, as_json=as_json)
    for name, job in acted.jobs.items():
        say(f"{line(name)}: job {job}")


@schedules.command()
@click.argument("names", metavar="NAME...", nargs=-1, required=True, shell_complete=completing.schedules)
@database_options
@json_option
def pause(names: tuple[str, ...], settings: Settings, as_json: bool) -> None:
    """Pause each schedule: its ticks enqueue no job until it is resumed."""
    from jobq import operate

    act("paused", operate.pause_schedule, names, settings, as_json=as_json)


@schedules.command()
@click.argument("names", metavar="NAME...", nargs=-1, required=True, shell_complete=completing.schedules)
@database_options
@json_option
def resume(names: tuple[str, ...], settings: Settings, as_json: bool) -> None:
    """Resume each schedule, from its next tick on."""
    from jobq import operate

    act("resumed", operate.resume_schedule, names, settings, as_json=as_json)


def act(done: str, operation: Callable[..., Any], names: tuple[str, ...], settings: Settings, *, as_json: bool) -> Any:
    """Acts, and prints the result. Exit code 1 if nothing was done."""
    acted = operation(open_database(settings), names)
    if as_json:
        show_json(asdict(acted))
    else:
        click.echo(f"{done} {len(acted.done)}")
    for name, why in acted.skipped.items():
        say(f"{line(name)} was left alone: {why}")
    if not acted.done:
        click.get_current_context().exit(1)
    return acted


@schedules.command()
@click.argument("names", metavar="[NAME]...", nargs=-1, shell_complete=completing.schedules)
@click.option("--next", "window", metavar="DURATION", default="24h", show_default=True, help="How far ahead: 24h, 7d.")
@database_options
@json_option
def preview(names: tuple[str, ...], window: str, settings: Settings, as_json: bool) -> None:
    """List the next ticks, in order."""
    from jobq import observe

    coming = observe.preview(open_database(settings), window_of(window), names or None)
    if as_json:
        show_json([asdict(tick) for tick in coming])
        return
    if not coming:
        say(f"no tick comes within {window}")
        return
    rows = [
        (when(tick.tick_at), ago(tick.tick_at), tick.schedule, "paused" if tick.is_paused else "") for tick in coming
    ]
    table(["TICK", "", "SCHEDULE", ""], rows)
    if len(coming) == observe.PREVIEW_LIMIT:
        say(f"… and more: the first {observe.PREVIEW_LIMIT:,} are shown")


def when(moment: datetime) -> str:
    """In this shell's time zone: each schedule may have its own."""
    return f"{moment.astimezone():%Y-%m-%d %H:%M %Z}"


def window_of(text: str) -> timedelta:
    seconds = delay_of("--next", text)
    if isinstance(seconds, datetime):
        seconds = (seconds - datetime.now(UTC)).total_seconds()
    if not 0 < seconds <= 10 * 366 * 86400:
        raise click.BadParameter(f"{text!r} must be between now and ten years from now.", param_hint="--next")
    return timedelta(seconds=seconds)

"""`jobq list` and `jobq show`: jobs, waiting, running and finished."""

import json
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from jobq.clean import line, plain
from jobq.cli import completing
from jobq.cli.options import database_options, json_option, open_database, select, selection_options
from jobq.cli.render import ago, compact, console, duration, say, show_json, state_text, table, took
from jobq.commands import command
from jobq.records import AttemptRecord, JobActs, JobDetail, JobRecord, Progress
from jobq.settings import Settings
from jobq.states import FINISHED, State
from jobq.tracebacks import told_apart

if TYPE_CHECKING:
    from jobq.observe import Event, Tried


@click.command("list")
@click.argument("words", metavar="[STATE] [FILTER]...", nargs=-1, shell_complete=completing.words)
@selection_options
@click.option(
    "-n", "--limit", type=click.IntRange(1, 100_000), metavar="N", default=50, show_default=True, help="Maximum."
)
@database_options
@json_option
def list_command(words: tuple[str, ...], limit: int, settings: Settings, as_json: bool, **chosen: Any) -> None:
    """List jobs, newest first.

    STATE is pending, gated, scheduled, running or finished; without it, all that have not ended. A FILTER says more:
    jobq list 'outcome:errored queue:mail,default since:1h -error:Deadlock'. A space means and, a comma or, - not;
    quotes take text as it is, * stands for anything. Its words: state: outcome: queue: class: error: group: worker:
    key: gate: lane: id: args.NAME: since: until: tries: ran: wait: and free text.
    """
    from jobq import observe

    database = open_database(settings)
    selection = select(words, chosen)
    page = observe.list_jobs(database, selection, limit=limit)
    unknown = () if selection.is_finished else observe.unknown_classes(database)
    if as_json:
        show_json([json_of(job) for job in page.jobs])
    elif selection.is_finished:
        show_finished(page.jobs)
    else:
        show_unfinished(page.jobs)
    for job_class in unknown:
        say(f"no worker knows {line(job_class.job_class)}: {job_class.jobs} jobs cannot run until one does")
    if page.slow and not as_json:
        say(f"no index serves {line(', '.join(page.slow))}: jobs were looked at one by one (since: narrows it)")
    if page.next is not None and not as_json:
        say(f"these are the first {limit}; there are more (--limit)")


def show_unfinished(jobs: tuple[JobRecord, ...]) -> None:
    rows = [
        (
            job.id,
            state_text(job.state, None),
            job.job_class,
            job.queue,
            job.priority,
            f"{job.attempt}/{job.retries + 1}",
            ago(job.run_at),
            compact(job.arguments),
            progress_text(job.progress),
            f"{job.error_type}: {job.error_message}" if job.error_type else "",
        )
        for job in jobs
    ]
    columns = ["ID", "STATE", "CLASS", "QUEUE", "PRIO", "TRY", "DUE", "ARGUMENTS", "PROGRESS", "LAST ERROR"]
    table(columns, rows, right=["ID", "PRIO"], elastic=["ARGUMENTS", "PROGRESS", "LAST ERROR"])


def show_finished(jobs: tuple[JobRecord, ...]) -> None:
    rows = [
        (
            job.id,
            state_text(job.state, job.outcome),
            job.job_class,
            job.queue,
            f"{job.attempt}/{job.retries + 1}",
            ago(job.ended_at),
            took(job.started_at, job.ended_at),
            compact(job.arguments),
            f"{job.error_type}: {job.error_message}" if job.error_type else "",
        )
        for job in jobs
    ]
    columns = ["ID", "OUTCOME", "CLASS", "QUEUE", "TRY", "ENDED", "RAN", "ARGUMENTS", "ERROR"]
    table(columns, rows, right=["ID", "RAN"], elastic=["ARGUMENTS", "ERROR"])


@click.command("show")
@click.argument("job_id", metavar="ID", type=int, shell_complete=completing.jobs)
@database_options
@json_option
def show_command(job_id: int, settings: Settings, as_json: bool) -> None:
    """Show one job: its history in order, with the traceback of every attempt."""
    from jobq import observe

    database = open_database(settings)
    detail = observe.show(database, job_id)
    acts = observe.acts_on(database, job_id, since=observe.first_enqueued_at(detail))
    said = {count.attempt: count.said for count in observe.log_counts(database, job_id) if count.is_kept}
    if as_json:
        attempts = [{**attempt_json(one), "lines": said.get(one.attempt, 0)} for one in detail.attempts]
        show_json({**json_of(detail.job), "attempts": attempts, "acts": [asdict(act) for act in acts.named]})
    else:
        show_detail(detail, acts)
        show_said(job_id, said)


def json_of(job: JobRecord) -> dict[str, Any]:
    return asdict(job)


def attempt_json(attempt: AttemptRecord) -> dict[str, Any]:
    return asdict(attempt)


def show_detail(detail: JobDetail, acts: JobActs) -> None:
    from rich.text import Text

    from jobq.observe import first_enqueued_at, happened

    job, out, enqueued_at = detail.job, console(), first_enqueued_at(detail)
    out.print(Text.assemble((f"#{job.id} {line(job.job_class)}  ", "bold"), state_text(job.state, job.outcome)))
    facts = {
        "queue": job.queue,
        "priority": job.priority,
        "unique key": job.unique_key,
        "gate": gate_text(job),
        "enqueued": f"{moment(enqueued_at)} ({ago(enqueued_at)})",
        "due": f"{job.run_at:%Y-%m-%d %H:%M:%S %Z} ({ago(job.run_at)})" if job.state != FINISHED else None,
        "attempts": f"{begun(detail)} begun, {job.retries} retries allowed",
        "timeout": duration(job.timeout) if job.timeout else None,
        "expires": f"{job.expires_at:%Y-%m-%d %H:%M:%S %Z} ({ago(job.expires_at)})" if job.expires_at else None,
        "progress": progress_text(job.progress) or None,
        "to stop": stop_text(job),
        "then": "another run follows with newer arguments" if job.is_followed else None,
        "worker": job.worker,
        "enqueued by": job.source,
        "trace": job.trace_id,
        "arguments": json.dumps(job.arguments, ensure_ascii=False),
    }
    for name, fact in facts.items():
        if fact is not None:
            out.print(Text(f"  {name:<12} {line(str(fact), 2000)}"), soft_wrap=True)
    if job.state == State.PENDING and not detail.known:
        out.print(Text(f"  no worker knows {line(job.job_class)}: it cannot run until one does", style="yellow"))
    for event in happened(detail, acts):
        show_event(event)


def show_said(job_id: int, said: dict[int, int]) -> None:
    """Of which attempts there are lines, and how to see them."""
    from rich.text import Text

    for attempt, lines in said.items():
        words = f"attempt {attempt} said {lines:,} {'line' if lines == 1 else 'lines'}"
        console().print(Text(f"\n{words}: {command('logs', job_id, '--attempt', attempt)}"), soft_wrap=True)


def begun(detail: JobDetail) -> int:
    """A job cancelled before it began has the number of an attempt, but no attempt."""
    return detail.job.attempt - sum(attempt.started_at is None for attempt in detail.attempts)


def moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S %Z}"


def show_event(event: "Event") -> None:
    """One event of a job; an attempt with its traceback."""
    from rich.text import Text

    from jobq import observe

    if isinstance(event, observe.Tried):
        show_attempt(event)
        return
    text = Text.assemble((f"\n{event_words(event)}  ", "bold"), moment(event.at))
    match event:
        case observe.Enqueued(by=by, due_at=due_at):
            text.append(f"  by {line(by)}" if by else "")
            text.append(f"  due {moment(due_at)}" if due_at else "")
        case observe.Acted(act=act):
            text.append(f"  by {line(act.who)}")
            text.append("  undone" if act.undone_at else "")
        case observe.Asked(by=by):
            text.append(f"  by {line(by or 'somebody')}")
        case observe.Begun(waited=waited):
            text.append(f"  waited {duration(waited)}")
    console().print(text, soft_wrap=True)


def event_words(event: "Event") -> str:
    from jobq import observe

    match event:
        case observe.Enqueued(is_again=False):
            return "enqueued"
        case observe.Enqueued(act=act):
            return "queued again by hand" if act is None else f"{act.verb}, queued again"
        case observe.Acted(act=act):
            return act.verb
        case observe.Asked():
            return "asked to end"
        case observe.Begun(attempt=attempt):
            return f"attempt {attempt}  running since"
        case observe.Tried(attempt=tried):
            return f"attempt {tried.attempt}"


def progress_text(progress: Progress | None) -> str:
    """`12 of 40 (30%), sorting`, or the parts that the job reported."""
    if progress is None:
        return ""
    done = f"{progress.done:,.10g}"
    if progress.total:
        done += f" of {progress.total:,.10g} ({100 * progress.done / progress.total:.0f}%)"
    return f"{done}, {progress.message}" if progress.message else done


def gate_text(job: JobRecord) -> str | None:
    return f"{job.gate}, lane {job.lane}" if job.gate and job.lane else job.gate


def stop_text(job: JobRecord) -> str | None:
    if job.cancel_requested_at is None:
        return None
    return f"asked for by {job.cancel_requested_by or 'somebody'} {ago(job.cancel_requested_at)}"


def used_text(attempt: AttemptRecord) -> str:
    """CPU time and memory, as far as they are known."""
    cpu = "" if attempt.cpu_seconds is None else f"{duration(attempt.cpu_seconds)} CPU"
    memory = "" if attempt.peak_memory_bytes is None else f"{attempt.peak_memory_bytes / 2**20:,.0f} MB"
    return ", ".join(text for text in (cpu, memory) if text)


def show_attempt(event: "Tried") -> None:
    from rich.text import Text

    out, attempt = console(), event.attempt
    ran = took(attempt.started_at, attempt.ended_at)
    heading = Text.assemble((f"\n{event_words(event)}  ", "bold"), state_text(attempt.outcome, attempt.outcome))
    heading.append(f"  {moment(attempt.ended_at)}")
    heading.append("" if event.waited is None else f"  waited {duration(event.waited)}")
    used = used_text(attempt)
    heading.append((f"  ran {ran}" + (f" ({used})" if used else "")) if ran else "  never began")
    heading.append(f"  on {line(attempt.worker)}" if attempt.worker else "")
    heading.append("  another attempt followed" if attempt.retried else "")
    heading.append(f" after {duration(event.backoff)}" if event.backoff else "")
    out.print(heading)
    if attempt.error_type and (attempt.error_message or "") not in (attempt.traceback or ""):
        out.print(Text(f"  {line(attempt.error_type)}: {plain(attempt.error_message or '')}"), soft_wrap=True)
    if attempt.traceback:
        for text, is_own in told_apart(attempt.traceback):
            out.print(Text(text, style="" if is_own else "dim"), soft_wrap=True)
    elif attempt.error_type and not attempt.error_message:
        out.print(Text(f"  {line(attempt.error_type)}"))
    if attempt.value is not None:
        out.print(Text(f"  returned {line(json.dumps(attempt.value, ensure_ascii=False), 4000)}"), soft_wrap=True)
    if attempt.value_note is not None:
        out.print(Text(f"  {line(attempt.value_note, 1000)}", style="yellow"), soft_wrap=True)

"""`jobq gates`: how full they are, who waits, and what operators set on them."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from jobq.clean import line
from jobq.cli import completing
from jobq.cli.options import (
    database_options,
    duration_of,
    json_option,
    open_database,
    refuse_misplaced,
    select,
    since_option,
)
from jobq.cli.render import ago, duration, say, show_json, table
from jobq.errors import UsageError
from jobq.filters import MAX_SECONDS
from jobq.observe.words import many
from jobq.records import WAITING_LIMIT, GateStats, LaneStats
from jobq.settings import Settings

if TYPE_CHECKING:
    from jobq.filters import Moment
    from jobq.observe import GateAudit, Peak
    from jobq.operate import ActedOnGate

AS_DECLARED = "--as-declared"


@click.group(invoke_without_command=True)
@database_options
@json_option
@click.pass_context
def gates(ctx: click.Context, settings: Settings, as_json: bool) -> None:
    """List the gates: what runs through each, its limits, what waits there, and who paused it."""
    if ctx.invoked_subcommand is not None:
        refuse_misplaced(ctx)
        return
    from jobq import observe

    found = observe.gates(open_database(settings))
    if as_json:
        show_json([document_of(one) for one in found])
    elif found:
        show_gates(found)
    else:
        say("there is no gate: give a job class one, as gate = Gate('crm', limit=20), and start a worker")


def document_of(gate: GateStats) -> dict[str, Any]:
    return {**asdict(gate), "limit": gate.limit, "is_full": gate.is_full}


def show_gates(found: tuple[GateStats, ...]) -> None:
    from jobq.observe.gates import GATE_LANES_LIMIT

    rows = [
        (
            gate.name,
            of_limit(gate.running, gate.limit),
            rate_text(gate),
            counted(gate.lanes, GATE_LANES_LIMIT) if gate.has_lanes else "",
            counted(gate.waiting, WAITING_LIMIT),
            duration(gate.oldest_seconds),
            note(gate),
        )
        for gate in found
    ]
    columns = ["GATE", "RUNNING", "RATE", "LANES WAITING", "JOBS WAITING", "OLDEST", "NOTE"]
    table(columns, rows, right=["RUNNING", "LANES WAITING", "JOBS WAITING", "OLDEST"], elastic=["NOTE"])


def of_limit(running: int, limit: int | None) -> str:
    return f"{running:,}" if limit is None else f"{running:,}/{limit:,}"


def counted(number: int, limit: int) -> str:
    return f"{number:,}{'+' if number >= limit else ''}"


def rate_text(gate: GateStats) -> str:
    """`100 in 60s`, and when the next may start."""
    if gate.rate is None:
        return ""
    told = f"{gate.rate:,} in {duration(gate.rate_seconds)}"
    return f"{told}, next in {duration(gate.next_start_seconds)}" if gate.next_start_seconds else told


def note(gate: GateStats) -> str:
    notes = [set_text(gate), paused_text(gate)]
    if not gate.is_known:
        notes.append("no worker has declared it: nothing starts here")
    elif not gate.is_declared:
        notes.append("no live worker declares it")
    return "; ".join(filter(None, notes))


def set_text(one: GateStats | LaneStats) -> str:
    if one.set_limit is None:
        return ""
    declared = one.declared_limit if isinstance(one, GateStats) else None
    instead = f" instead of {declared:,}" if declared is not None else ""
    until = f" until {one.set_until:%Y-%m-%d %H:%M %Z}" if one.set_until else ""
    reason = f": {one.set_reason}" if one.set_reason else ""
    return f"limit {one.set_limit:,}{instead}{until}, set {ago(one.set_at)} by {one.set_by or 'somebody'}{reason}"


def paused_text(one: GateStats | LaneStats) -> str:
    if one.paused_at is None:
        return ""
    until = f" until {one.paused_until:%Y-%m-%d %H:%M %Z}" if one.paused_until else ""
    reason = f": {one.pause_reason}" if one.pause_reason else ""
    return f"paused {ago(one.paused_at)}{until} by {one.paused_by or 'somebody'}{reason}"


gate_argument = click.argument("gate", metavar="GATE", shell_complete=completing.gates)
lane_option = click.option("--lane", metavar="LANE", help="Of this lane alone.")
for_option = click.option(
    "--for", "length", metavar="DURATION", help="For how long: 30m, 1h, 2d. Default: until it is taken back."
)
reason_option = click.option("--reason", metavar="TEXT", help="The reason, which is shown to others.")


@gates.command("show")
@gate_argument
@click.option(
    "-n", "--limit", type=click.IntRange(1, 1000), metavar="N", default=20, show_default=True, help="Lanes at most."
)
@database_options
@json_option
def show(gate: str, limit: int, settings: Settings, as_json: bool) -> None:
    """Show GATE with its lanes, those with the most waiting jobs first."""
    from jobq import observe
    from jobq.observe.gates import LANE_LIMIT, LANES_LIMIT

    found = observe.gate(open_database(settings), gate)
    if as_json:
        lanes = [asdict(lane) for lane in found.lanes[:limit]]
        show_json({**document_of(found.gate), "shown_lanes": lanes, "is_more": found.is_more})
        return
    show_gates((found.gate,))
    for words in declared_text(found.gate):
        click.echo(f"  {line(words)}")
    if found.lanes:
        show_lanes(found.lanes[:limit], found.gate, LANE_LIMIT)
    if found.is_more:
        say(f"the first {LANES_LIMIT:,} lanes were looked at; there are more")
    elif len(found.lanes) > limit:
        say(f"these are the first {limit:,} of {len(found.lanes):,} lanes (--limit)")


def declared_text(gate: GateStats) -> list[str]:
    """What the code says, beyond what the table has."""
    parts = []
    if gate.lane_parameter is not None:
        parts.append(f"lanes by {gate.lane_parameter}")
    if gate.is_strict:
        parts.append("each lane in strict order")
    elif gate.lane_limit is not None:
        parts.append(f"{gate.lane_limit:,} at once in each lane")
    if gate.lane_rate is not None:
        parts.append(f"{gate.lane_rate:,} in {duration(gate.lane_rate_seconds)} in each lane")
    return [", ".join(parts)] if parts else []


def show_lanes(lanes: tuple[LaneStats, ...], gate: GateStats, counted_to: int) -> None:
    rows = [
        (
            lane.name or "(none)",
            of_limit(lane.running, lane.set_limit if lane.set_limit is not None else gate.lane_limit),
            counted(lane.waiting, counted_to),
            duration(lane.oldest_seconds),
            "; ".join(filter(None, (set_text(lane), paused_text(lane)))),
        )
        for lane in lanes
    ]
    columns = ["LANE", "RUNNING", "JOBS WAITING", "OLDEST", "NOTE"]
    table(columns, rows, right=["RUNNING", "JOBS WAITING", "OLDEST"], elastic=["NOTE"])


@gates.command()
@gate_argument
@click.argument("number", metavar="[LIMIT]", type=click.IntRange(0), required=False)
@click.option(AS_DECLARED, "is_as_declared", is_flag=True, help="Take the limit back: what the code declares holds.")
@lane_option
@for_option
@reason_option
@database_options
@json_option
def limit(
    gate: str,
    number: int | None,
    is_as_declared: bool,
    lane: str | None,
    length: str | None,
    reason: str | None,
    settings: Settings,
    as_json: bool,
) -> None:
    """Set how many jobs of GATE run at once, above what the code declares. What runs goes on; 0 starts nothing."""
    from jobq import operate

    if (number is None) is not is_as_declared:
        raise UsageError(f"Say either a limit or {AS_DECLARED}: jobq gates limit crm 5 --for 1h")
    seconds = seconds_for(length)
    done = operate.limit_gate(open_database(settings), gate, number, lane=lane, seconds=seconds, reason=reason)
    words = "is as declared" if number is None else f"has limit {number:,}"
    tell(done, f"{words}{for_words(length)}", as_json=as_json)


@gates.command()
@gate_argument
@lane_option
@for_option
@reason_option
@database_options
@json_option
def pause(
    gate: str, lane: str | None, length: str | None, reason: str | None, settings: Settings, as_json: bool
) -> None:
    """Start no more jobs through GATE, or through one lane of it, on any worker. Running jobs go on."""
    from jobq import operate

    seconds = seconds_for(length)
    done = operate.pause_gate(open_database(settings), gate, lane=lane, seconds=seconds, reason=reason)
    tell(done, f"is paused{for_words(length)}", as_json=as_json)


@gates.command()
@gate_argument
@lane_option
@database_options
@json_option
def resume(gate: str, lane: str | None, settings: Settings, as_json: bool) -> None:
    """Let jobs start through GATE again, or through one lane of it."""
    from jobq import operate

    tell(operate.resume_gate(open_database(settings), gate, lane=lane), "is resumed", as_json=as_json)


def seconds_for(length: str | None) -> float | None:
    if length is None:
        return None
    seconds = duration_of("--for", length)
    if not 0 < seconds <= MAX_SECONDS:
        raise click.BadParameter(f"{length!r} is no length of time: 30m, 1h, 2d.", param_hint="--for")
    return seconds


def for_words(length: str | None) -> str:
    return f" for {length}" if length is not None else ""


def tell(done: "ActedOnGate", words: str, *, as_json: bool) -> None:
    """Says what was done; exit code 1 where nothing was."""
    what = line(done.gate) if done.lane is None else f"lane {line(done.lane)} of {line(done.gate)}"
    if as_json:
        show_json(asdict(done))
    elif done.done:
        click.echo(f"{what} {words}")
    if not done.done:
        say(f"{what} was left alone: {done.why_not}")
        click.get_current_context().exit(1)


@gates.command()
@gate_argument
@click.argument("words", metavar="[FILTER]...", nargs=-1, shell_complete=completing.words)
@click.option("--lane", metavar="LANE", help="The lane that all of them take. Default: by the gate's parameter.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@database_options
@json_option
def adopt(gate: str, words: tuple[str, ...], lane: str | None, yes: bool, settings: Settings, as_json: bool) -> None:
    """Put waiting jobs before GATE that were enqueued before their class had it; a FILTER chooses among them."""
    from jobq import operate
    from jobq.cli.acts import confirmed, show_acted

    database = open_database(settings)
    planned = operate.adoption(database, gate, select(words, {}), lane=lane)
    selected = confirmed(database, "adopt", planned.selection, is_sure=yes)
    show_acted(operate.adopt(database, planned, selected.ids), "adopted", as_json=as_json)


@gates.command("audit")
@gate_argument
@since_option("30d")
@database_options
@json_option
def audit(gate: str, since: "Moment", settings: Settings, as_json: bool) -> None:
    """Prove from the history that the limits of GATE were kept: the most that ever ran at once, and when.

    The exit code is 1 where more ran at once than the limits that hold now.
    """
    from jobq import observe

    found = observe.audit_gate(open_database(settings), gate, since)
    if as_json:
        show_json({**asdict(found), "limit": found.gate.limit, "is_kept": found.is_kept})
    else:
        show_audit(found)
    if not found.is_kept:
        click.get_current_context().exit(1)


def show_audit(found: "GateAudit") -> None:
    gate = found.gate
    click.echo(f"{line(gate.name)} since {found.since:%Y-%m-%d %H:%M %Z}: {found.attempts:,} attempts")
    rows = [
        ("at once", peak_text(found.overlap), limit_text(gate.limit), verdict(found.overlap, gate.limit)),
        (
            "at once in a lane",
            peak_text(found.lane_overlap),
            limit_text(gate.lane_limit),
            verdict(found.lane_overlap, gate.lane_limit),
        ),
    ]
    if gate.rate is not None:
        where = f"starts in {duration(gate.rate_seconds)}"
        rows.append((where, peak_text(found.starts), limit_text(gate.rate), verdict(found.starts, gate.rate)))
    if found.lost:
        rows.append((f"with {found.lost:,} lost", peak_text(found.overlap_with_lost), limit_text(gate.limit), ""))
    table(["LARGEST", "NUMBER", "LIMIT", ""], rows, right=["LIMIT"])
    if found.limits_set:
        say(f"operators changed the limit since then, in {many(found.limits_set, 'act')}: {AUDIT_HINT}")
    if gate.rate is not None and found.starts.attempts > gate.rate:
        say("the rate counts claims; run() begins some milliseconds later, and these times are its own")
    if found.lost:
        say("a lost attempt may have run until its worker heard that it was declared dead: it is counted apart")


AUDIT_HINT = "jobq audit says when, by whom and why"


def peak_text(peak: "Peak") -> str:
    lane = f" in {line(peak.lane)}" if peak.lane else ""
    return f"{peak.attempts:,}{lane}, first at {peak.at:%Y-%m-%d %H:%M:%S %Z}" if peak.at else "0"


def limit_text(limit: int | None) -> str:
    return "none" if limit is None else f"{limit:,}"


def verdict(peak: "Peak", limit: int | None) -> str:
    if limit is None:
        return ""
    return "kept" if peak.attempts <= limit else "EXCEEDED"

"""Why a job has not passed its gate yet: limits, lanes, rates, pauses, and the order of a strict lane."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, NamedTuple

from jobq.commands import command
from jobq.observe.words import many

LANES_COUNTED = 200
"""Lanes that wait too are counted up to here."""

JOBS_COUNTED = 10_000
"""Jobs before it in its lane are counted up to here."""


class Wait(NamedTuple):
    """One thing that keeps a job at its gate: the kind, the words, a command that helps."""

    kind: str
    text: str
    remedy: str | None = None


def waits_at_gate(facts: dict[str, Any]) -> Iterator[Wait]:
    """What operators and the code have said first, then what is full, then what merely takes its time."""
    yield from not_declared(facts)
    yield from paused(facts)
    yield from full(facts)
    yield from held_back(facts)
    yield from later(facts)


def not_declared(facts: dict[str, Any]) -> Iterator[Wait]:
    gate = facts["gate"]
    if not facts["is_known"]:
        yield Wait(
            "gate not declared",
            f"no worker has declared its gate {gate!r}: deploy the code that has it, and start a worker",
            command("gates"),
        )
    elif not facts["is_declared"]:
        yield Wait("gate not declared", f"no live worker declares its gate {gate!r}: its last limits hold")


def paused(facts: dict[str, Any]) -> Iterator[Wait]:
    gate, lane = facts["gate"], facts["lane"]
    if facts["paused_at"] is not None:
        yield Wait("gate paused", f"its gate {gate!r} is {paused_words(facts, '')}", command("gates", "resume", gate))
    if facts["lane_paused_at"] is not None:
        remedy = command("gates", "resume", gate, "--lane", lane)
        yield Wait("lane paused", f"its lane {lane!r} of gate {gate!r} is {paused_words(facts, 'lane_')}", remedy)


def paused_words(facts: dict[str, Any], prefix: str) -> str:
    until = f" until {moment(facts[prefix + 'paused_until'])}" if facts[prefix + "paused_until"] else ""
    by = f" by {facts[prefix + 'paused_by']}" if facts[prefix + "paused_by"] else ""
    reason = f": {facts[prefix + 'pause_reason']}" if facts[prefix + "pause_reason"] else ""
    return f"paused since {moment(facts[prefix + 'paused_at'])}{until}{by}{reason}"


def full(facts: dict[str, Any]) -> Iterator[Wait]:
    """Where both are full the lane comes first: room at the gate would not help."""
    gate, lane = facts["gate"], facts["lane"]
    lane_limit, gate_limit = facts["lane_limit"], facts["gate_limit"]
    if lane_limit is not None and facts["running_in_lane"] >= lane_limit:
        oldest = oldest_words(facts["lane_oldest_id"], facts["lane_oldest_since"], facts["lane_oldest_owner"])
        runs = f"{facts['running_in_lane']:,} of {lane_limit:,} run{oldest}"
        yield Wait("lane full", f"lane full: in lane {lane!r} of gate {gate!r} {runs}", command("gates", "show", gate))
    if gate_limit is not None and facts["running"] >= gate_limit:
        oldest = oldest_words(facts["oldest_id"], facts["oldest_since"], facts["oldest_owner"])
        runs = f"{facts['running']:,} of {gate_limit:,} run{oldest}"
        more = command("gates", "limit", gate, max(1, 2 * gate_limit), "--for", "1h")
        yield Wait("gate full", f"gate {gate!r} full: {runs}", more)


def oldest_words(job_id: int | None, since: datetime | None, owner: str | None) -> str:
    if job_id is None or since is None:
        return ""
    return f", the oldest since {moment(since)}, job {job_id} on {owner or 'a worker that is not known'}"


def held_back(facts: dict[str, Any]) -> Iterator[Wait]:
    """By the order of a strict lane, and by the rates."""
    if facts["is_strict"] and facts["resting_id"] is not None:
        other = facts["resting_id"]
        until = f" until {moment(facts['resting_until'])}" if facts["resting_state"] == "scheduled" else ""
        state = "in backoff" if facts["resting_state"] == "scheduled" else "about to run again"
        text = f"its lane is strict, and job {other} of it is {state}{until}: it ends first"
        yield Wait("strict", text, command("why", other))
    gate, lane = facts["gate"], facts["lane"]
    if (seconds := facts["next_start_seconds"] or 0.0) > 0:
        yield Wait("rate", f"gate {gate!r} has used up its rate: next start in {seconds:.1f} s")
    if (seconds := facts["lane_next_start_seconds"] or 0.0) > 0:
        yield Wait("rate", f"lane {lane!r} has used up its rate: next start in {seconds:.1f} s")


def later(facts: dict[str, Any]) -> Iterator[Wait]:
    gate = facts["gate"]
    if facts["ahead_in_lane"]:
        where = f"its lane {facts['lane']!r}" if facts["lane"] else f"gate {gate!r}"
        jobs = many(facts["ahead_in_lane"], "job", JOBS_COUNTED)
        come = "comes" if facts["ahead_in_lane"] == 1 else "come"
        yield Wait("behind", f"{jobs} of {where} {come} before it", command("gates", "show", gate))
    if facts["other_lanes"]:
        lanes = many(facts["other_lanes"], "lane", LANES_COUNTED)
        words = "waits too, and takes its turn" if facts["other_lanes"] == 1 else "wait too, and take turns"
        yield Wait("turn", f"{lanes} of gate {gate!r} {words}", command("gates", "show", gate))


def moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S %Z}"

"""Acts on gates and their lanes: pause, resume, a limit for a time; and on jobs that are to go through one."""

from collections.abc import Sequence
from dataclasses import dataclass

from jobq import observe
from jobq.errors import UsageError
from jobq.filters import Filter, of, parse
from jobq.operate.acting import Act, Part, acting, who_acts
from jobq.operate.jobs import Acted, Progress, in_chunks
from jobq.records import ClassRecord, GateStats
from jobq.states import State
from jobq.store import gate_acts
from jobq.store.database import Database

MAX_LIMIT = 2_147_483_647

WITHOUT_GATE = parse("-gate:*")


@dataclass(frozen=True, slots=True)
class ActedOnGate:
    """Whether an act on a gate, or on a lane of it, did something, and why not."""

    gate: str
    lane: str | None
    done: bool
    why_not: str | None = None
    act: int | None = None


def pause_gate(
    database: Database,
    gate: str,
    *,
    lane: str | None = None,
    seconds: float | None = None,
    reason: str | None = None,
) -> ActedOnGate:
    """Starts nothing through a gate, or in one lane of it, for so long or until it is resumed. What runs goes on.

    Raises GateNotFound.
    """
    declared(database, gate)
    reason = (reason or "").strip() or None
    with acting(database, "pause gate", selection=told(lane, reason)) as act:
        done = gate_acts.pause(
            act.connection, database.schema, gate, lane, act=act.act, by=who_acts(), seconds=seconds, reason=reason
        )
        act.did(names=[gate] if done else [])
    return acted(gate, lane, done, act, "it is paused already")


def resume_gate(database: Database, gate: str, *, lane: str | None = None) -> ActedOnGate:
    """Lets jobs start through a gate again, or in one lane of it. Raises GateNotFound."""
    declared(database, gate)
    with acting(database, "resume gate", selection=told(lane, None)) as act:
        done = gate_acts.resume(act.connection, database.schema, gate, lane, act=act.act)
        act.did(names=[gate] if done else [])
    return acted(gate, lane, done, act, "it is not paused")


def limit_gate(
    database: Database,
    gate: str,
    number: int | None,
    *,
    lane: str | None = None,
    seconds: float | None = None,
    reason: str | None = None,
) -> ActedOnGate:
    """Sets how many jobs run at once, above what the code declares, for so long or until it is taken back (None).

    More that run already go on: nothing new starts until they are fewer. Raises GateNotFound, UsageError.
    """
    declared(database, gate)
    if number is not None and not 0 <= number <= MAX_LIMIT:
        raise UsageError(f"A limit is a whole number from 0 to {MAX_LIMIT:,}, not {number:,}.")
    reason = (reason or "").strip() or None
    words = "as declared" if number is None else str(number)
    with acting(database, "limit gate", selection=told(lane, f"{words}: {reason}" if reason else words)) as act:
        done = gate_acts.limit(
            act.connection,
            database.schema,
            gate,
            lane,
            number=number,
            act=act.act,
            by=who_acts(),
            seconds=seconds,
            reason=reason,
        )
        act.did(names=[gate] if done else [])
    return acted(gate, lane, done, act, "no limit is set on it")


def declared(database: Database, gate: str) -> GateStats:
    """A gate that some worker declared: only that has a row to set something on. Raises GateNotFound, UsageError."""
    (found,) = observe.require_gates(database, [gate])
    if not found.is_known:
        raise UsageError(f"No worker has declared gate {gate!r} yet, and so nothing can be set on it: start one.")
    return found


def told(lane: str | None, words: str | None) -> str | None:
    """As the audit has it: the lane, and the reason or the limit."""
    parts = [f"lane {lane}" if lane is not None else None, words]
    return ", ".join(part for part in parts if part) or None


def acted(gate: str, lane: str | None, done: bool, part: Part, why_not: str) -> ActedOnGate:
    return ActedOnGate(gate, lane, done, None if done else why_not, part.act if done else None)


# Jobs that were enqueued before


@dataclass(frozen=True, slots=True)
class Adoption:
    """The jobs that a gate would adopt, and how their lanes are found."""

    gate: str
    classes: tuple[str, ...]
    parameter: str | None
    lane: str | None
    selection: Filter


def adoption(database: Database, gate: str, chosen: Filter, *, lane: str | None = None) -> Adoption:
    """What `adopt` will do: waiting jobs of the gate's classes that have no gate. Raises GateNotFound, UsageError."""
    found = declared(database, gate)
    classes = observe.classes_of(database, gate)
    if not classes:
        raise UsageError(f"No live worker knows a class with gate {gate!r}: start one with the code that has it.")
    if lane is None:
        require_computable(found, classes)
    names = tuple(name for one in classes for name in one.names)
    waiting = of("class", *names) + of("state", State.PENDING, State.SCHEDULED) + WITHOUT_GATE + chosen
    return Adoption(gate, names, found.lane_parameter, lane, waiting)


def require_computable(gate: GateStats, classes: Sequence[ClassRecord]) -> None:
    """Raises UsageError where only code knows the lane of a job."""
    by = gate.lane_parameter
    needs_lanes = gate.is_strict or gate.lane_limit is not None or gate.lane_rate is not None
    odd = [one.name for one in classes if by not in [parameter.name for parameter in one.parameters]]
    if (by is None and needs_lanes) or (by is not None and odd):
        name = odd[0] if odd else classes[0].name
        raise UsageError(
            f"The lane of {name} comes from its get_lane(), which the database cannot call. Adopt a part of the jobs "
            "at a time and name its lane, with a filter and --lane; or cancel the jobs and enqueue them again."
        )


def adopt(database: Database, planned: Adoption, ids: Sequence[int], *, progress: Progress | None = None) -> Acted:
    """Puts jobs that wait before a gate: they were enqueued before their class had it."""
    act = Act(database, "adopt", selection=f"gate {planned.gate}: {planned.selection}")

    def do(part: Part, chunk: Sequence[int]) -> list[int]:
        return gate_acts.adopt(
            part.connection,
            database.schema,
            chunk,
            gate=planned.gate,
            classes=planned.classes,
            parameter=planned.parameter,
            lane=planned.lane,
            act=part.act,
        )

    return in_chunks(act, ids, do, why_not_adopted, progress)


def why_not_adopted(state: str) -> str:
    if state in (State.PENDING, State.SCHEDULED, State.GATED):
        return "it has a gate already"
    return f"it is {state}: only jobs that wait can be put before a gate"

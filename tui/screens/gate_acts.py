"""What keys do to a gate or a lane, wherever it is shown: pause it or let it go on, and set its limit."""

from jobq.records import GateStats, LaneStats

from ..actions import UNDO_FOR, Action, Tier
from ..context import Context
from ..plans import Plan
from .gate_columns import gate_paused_words
from .set_limit import SetLimit, Wish


def named(gate: GateStats, lane: LaneStats | None) -> str:
    return gate.name if lane is None else f"lane {lane.name} of {gate.name}"


def plan_of_gate_pause(console: Context, gate: GateStats, lane: LaneStats | None) -> Plan:
    one, target = lane or gate, console.source.target
    where = f" on PROD {target.name}" if target.is_production else ""
    tier = Tier.TYPED if target.is_production else Tier.YES
    undo = f"{console.shown_key('undo')}, {UNDO_FOR}"
    if one.paused_at is not None:
        lines: tuple[tuple[str, str], ...] = (
            ("now", gate_paused_words(one, console.state.now)),
            ("effect", "jobs start through it again"),
            ("undo", f"{undo}: it is paused again as it was"),
        )
        return Plan("resume", f"Resume {named(gate, lane)}{where}", lines, 1, tier, target.is_production)
    lines = (("effect", "nothing starts through it; what runs goes on"), ("undo", undo))
    return Plan("pause", f"Pause {named(gate, lane)}{where}", lines, 1, tier, target.is_production, asks_reason=True)


def pause_gate(console: Context, gate: GateStats, lane: LaneStats | None = None) -> None:
    """Asks, and pauses it for a reason; or resumes it where it is paused."""
    plan, name = plan_of_gate_pause(console, gate, lane), None if lane is None else lane.name
    console.acting.do_for_reason(
        plan, lambda source, reason: source.act_on_gate(plan.verb, gate.name, lane=name, reason=reason or None)
    )


def limit_gate(console: Context, dialog: "type[SetLimit]", gate: GateStats, lane: LaneStats | None = None) -> SetLimit:
    """The dialog that asks for the limit."""
    set_limit = gate.set_limit if lane is None else lane.set_limit
    declared = gate.declared_limit if lane is None else gate.lane_limit
    words = "without a limit" if declared is None else str(declared)
    lines = [("declared", words)]
    if set_limit is not None:
        lines.append(("now", str(set_limit)))
    lines.append(("effect", "more that run go on; nothing starts until they are fewer"))
    lines.append(("undo", f"{console.shown_key('undo')}, {UNDO_FOR}"))
    target = console.source.target
    padded = tuple((name, text) for name, text in lines)
    return dialog(named(gate, lane), padded, target.name if target.is_production else None)


def set_limit(console: Context, wish: Wish | None, gate: GateStats, lane: LaneStats | None = None) -> None:
    """Does what was asked for in the dialog; None: it was left."""
    if wish is None:
        return
    name = None if lane is None else lane.name
    console.acting.do_named(
        None,
        lambda source: source.act_on_gate(
            "limit", gate.name, lane=name, limit=wish.limit, seconds=wish.seconds, reason=wish.reason
        ),
    )


def why_not_gate(console: Context, action: Action, gate: GateStats) -> str | None:
    """Why an action cannot be done on a gate."""
    if action.name in ("pause", "limit") and not gate.is_known:
        return "no worker has declared this gate yet"
    if action.name in ("pause", "limit") and (why := console.state.forbidden(f"{action.name} gate")):
        return why
    if action.name == "cancel" and not gate.waiting:
        return "no job waits at this gate"
    return "gates are in the order of their names" if action.name == "sort" else None

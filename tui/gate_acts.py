"""Acts on gates and lanes, and what came of them as the console tells it."""

from typing import Any

from jobq import operate
from jobq.clean import line

from .source import NamedReport


def act_on_gate(
    database: Any,
    verb: str,
    gate: str,
    lane: str | None,
    *,
    limit: int | None,
    seconds: float | None,
    reason: str | None,
) -> NamedReport:
    if verb == "limit":
        acted = operate.limit_gate(database, gate, limit, lane=lane, seconds=seconds, reason=reason)
    elif verb == "pause":
        acted = operate.pause_gate(database, gate, lane=lane, seconds=seconds, reason=reason)
    else:
        acted = operate.resume_gate(database, gate, lane=lane)
    return report_of(verb, acted)


def report_of(verb: str, acted: operate.ActedOnGate) -> NamedReport:
    shown = line(acted.gate) if acted.lane is None else f"lane {line(acted.lane)} of {line(acted.gate)}"
    words = {"limit": "set the limit of", "pause": "paused", "resume": "resumed"}[verb]
    done = (shown,) if acted.done else ()
    skipped = {} if acted.why_not is None else {shown: acted.why_not}
    return NamedReport(words, done, skipped, {}, len(done))

"""How far an act can be undone, in words. The one place that offers an undo. Pure."""

from jobq.operate import GONE
from jobq.states import State

from . import formats
from .actions import UNDO_FOR, Act
from .scope import Scope
from .source import NamedReport, Report


def offer(report: Report | NamedReport, key: str) -> str:
    """After an act, from its result: the key for undo, and how much it covers. Empty if it cannot be undone."""
    number = report.undoable
    if not number:
        return ""
    what = "it"
    if isinstance(report, Report) and report.verb == "retry":
        what = "it until it has started" if number == 1 else "those that have not started"
    elif isinstance(report, Report) and report.asked:
        what = f"the {formats.plural(number, 'job')} that waited"
    return f"   {key} undoes {what}, {UNDO_FOR}"


def prospect(act: Act, scope: Scope, key: str) -> str:
    """Before an act on jobs, from its target."""
    if act.undo is None:
        return "none"
    if act.verb == "cancel" and all_run(scope):
        return f"none: {GONE['cancel']}"
    return f"{key}, {act.undo}"


def all_run(scope: Scope) -> bool:
    if scope.query is not None:
        return scope.query.view.which == State.RUNNING
    return len(scope.jobs) == len(scope.ids) and all(job.state == State.RUNNING for job in scope.jobs)

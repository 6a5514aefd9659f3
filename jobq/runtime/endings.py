"""Reports on attempts that could not report their own end. All such reports are made here. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any

from jobq.commands import command
from jobq.fingerprints import fingerprint
from jobq.records import MAX_ARGUMENTS_BYTES, TOO_LARGE, Assignment, Report
from jobq.retries import exponential
from jobq.runtime.child_state import Blames, CutOff, Fate, Ordered, Unexplained
from jobq.runtime.interruption import Running
from jobq.runtime.process import Death
from jobq.runtime.protocol import CANCELLED, CUT_OFF, MEMORY_LIMIT, TIMED_OUT, OrderKind
from jobq.states import Outcome, is_loss, may_retry, may_run_again


@dataclass(frozen=True, slots=True)
class DeadChild:
    """A dead child, as the reports on its jobs describe it."""

    pid: int
    death: Death
    max_losses: int

    def __str__(self) -> str:
        return f"child process {self.pid} {self.death}"


@dataclass(frozen=True, slots=True)
class Ended:
    """A job that ran in a child that died, and why it ended."""

    running: Running
    fate: Fate
    child: DeadChild


def endings(together: Sequence[Ended]) -> list[Report]:
    """The reports on jobs that ended together: a shared loss is not evidence against each of them."""
    lost_jobs = [one.running.assignment for one in together if isinstance(one.fate, Unexplained)]
    apart = sum(1 for assignment in lost_jobs if assignment.suspected)
    return [
        lost_together(one.running, one.child)
        if isinstance(one.fate, Unexplained) and not counts(one, lost_together=len(lost_jobs), apart=apart)
        else ending(one.running, one.fate, one.child)
        for one in together
    ]


def counts(ended: Ended, *, lost_together: int, apart: int) -> bool:
    """Whether the job counts as lost; a suspected job ran alone."""
    assignment = ended.running.assignment
    return is_loss(
        ran_apart=bool(assignment.suspected),
        lost_together=lost_together,
        apart=apart,
        losses=assignment.losses,
        max_losses=ended.child.max_losses,
    )


def ending(running: Running, fate: Fate, child: DeadChild) -> Report:
    """The report on a job that ran in a child that died."""
    match fate:
        case CutOff(reason):
            return cut_off(running.assignment, running.since, reason)
        case Blames(job_id, reason):
            reason = f"its process was ended for another job in it, {job_id}: {reason}"
            return cut_off(running.assignment, running.since, reason)
        case Ordered():
            return stopped(running, fate, child)
        case Unexplained():
            return lost(running.assignment, running.since, child)


def lost(assignment: Assignment, started: float | None, child: DeadChild) -> Report:
    """The report on the job that a dead child was running."""
    losses = assignment.losses + 1
    return aborted(
        assignment,
        Outcome.LOST,
        started,
        "ProcessDied",
        f"{child}; loss {losses} of {child.max_losses}",
        fingerprint=fingerprint(assignment.job_class, "ProcessDied"),
        retry_delay=0.0 if may_run_again(losses=losses, max_losses=child.max_losses) else None,
        excused=True,
        loss=True,
        peak_memory_kilobytes=child.death.peak_memory_bytes // 1024,
    )


def lost_together(running: Running, child: DeadChild) -> Report:
    """The report on one of several jobs that were lost at the same time, in one process or in several."""
    report = lost(running.assignment, running.since, child)
    message = f"{child}; other jobs were lost with it, so this does not count as a loss, and it will run apart"
    return report._replace(error_message=message, fingerprint=None, retry_delay=0.0, loss=False)


def lost_before_it_began(assignment: Assignment, child: DeadChild, deaths: int) -> Report:
    """The report on a job whose processes all died before it began."""
    message = f"{child}; {deaths} times its process died before the job began"
    report = lost(assignment, None, child)
    return report._replace(error_message=message, retry_delay=None, peak_memory_kilobytes=None)


def may_have_run(assignment: Assignment, child: DeadChild) -> Report:
    """The report on a job that may or may not have begun."""
    return cut_off(assignment, None, f"{child}; it may have run this job")


def stopped(running: Running, fate: Ordered, child: DeadChild) -> Report:
    """The report on a job that was told to end, and whose process died before it did."""
    assignment, interruption, order = running.assignment, fate.interruption, fate.interruption.order
    outcome, error_type, retry_delay = Outcome.ERRORED, TIMED_OUT, None
    if order.kind is OrderKind.CANCEL:
        outcome, error_type = Outcome.CANCELLED, CANCELLED
    elif order.kind is OrderKind.MEMORY:
        error_type = MEMORY_LIMIT
    if outcome is Outcome.ERRORED and may_retry(tries=assignment.tries, retries=assignment.retries):
        retry_delay = exponential(assignment.tries)  # only the child could call get_retry_delay(), and it is dead
    return aborted(
        assignment,
        outcome,
        running.since,
        error_type,
        f"{order.message}; {how_it_stopped(fate, child)}",
        traceback=interruption.stack or None,
        fingerprint=fingerprint(assignment.job_class, error_type) if outcome is Outcome.ERRORED else None,
        retry_delay=retry_delay,
        peak_memory_kilobytes=child.death.peak_memory_bytes // 1024,
    )


def how_it_stopped(fate: Ordered, child: DeadChild) -> str:
    if fate.interruption.order.kind is OrderKind.MEMORY:
        return "it was killed"
    if fate.was_killed:
        grace = fate.interruption.grace
        return f"it had not stopped {grace:g} s after it was told to, and its process was killed"
    return f"when it was told to stop, its process {child.death}"


def cancelled_unstarted(assignment: Assignment, message: str) -> Report:
    """The report on a job that was cancelled after its claim, before it began."""
    return aborted(assignment, Outcome.CANCELLED, None, CANCELLED, message)


def cut_off(assignment: Assignment, started: float | None, reason: str) -> Report:
    """The report on a job that the supervisor cut off: it runs again elsewhere, and the attempt does not count."""
    return aborted(assignment, Outcome.LOST, started, CUT_OFF, reason, retry_delay=0.0, excused=True)


def unreadable(assignment: Assignment) -> Report:
    """The report on a job that never began, since its arguments cannot be read."""
    message = (
        f"its arguments are more than {MAX_ARGUMENTS_BYTES >> 20} MB, so it was not run: jobq enqueues no such job, "
        f"somebody wrote its row by hand. To remove it: {command('purge', assignment.id)}"
    )
    report = aborted(assignment, Outcome.ERRORED, None, TOO_LARGE, message)
    return report._replace(aborted=False, fingerprint=fingerprint(assignment.job_class, TOO_LARGE))


def aborted(
    assignment: Assignment, outcome: Outcome, started: float | None, error_type: str, message: str, **more: Any
) -> Report:
    """A report on an attempt that ends now, made on its behalf."""
    return Report(
        id=assignment.id,
        attempt=assignment.attempt,
        outcome=outcome.value,
        started=started,
        ended=monotonic(),
        error_type=error_type,
        error_message=message,
        aborted=True,
        assignment=assignment,
        **more,
    )

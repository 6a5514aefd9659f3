"""States of a job, outcomes of an attempt, and the legal transitions: the one place that defines them.

The SQL in `jobq/sql/`, the CHECK constraints and the diagram in docs/how-it-works.md are tested against this module.
"""

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """The state of an unfinished job. A job that has ended has left the table of jobs."""

    SCHEDULED = "scheduled"  # its time has not come
    PENDING = "pending"  # it may be claimed
    GATED = "gated"  # it is due, and waits at its gate
    RUNNING = "running"  # a worker has claimed it


class Outcome(StrEnum):
    """How one attempt ended."""

    SUCCESSFUL = "successful"  # run() returned
    ERRORED = "errored"  # run() raised, or the job could not be built
    CANCELLED = "cancelled"  # somebody cancelled it
    DEFERRED = "deferred"  # it asked to be put back
    LOST = "lost"  # its process, its worker or the machine died under it


FINISHED = "finished"
"""The word for a job that has left `jobs`: lists and commands use it beside the states."""


@dataclass(frozen=True, slots=True)
class Transition:
    """One legal transition of a job: its name, its source, its target, and the outcome that it records.

    `source` or `target` is None if the job is not in the table of jobs before or after it.
    """

    name: str
    source: State | None
    target: State | None
    outcome: Outcome | None = None


TRANSITIONS = (
    Transition("enqueue", None, State.PENDING),
    Transition("schedule", None, State.SCHEDULED),
    Transition("promote", State.SCHEDULED, State.PENDING),
    Transition("put off", State.PENDING, State.SCHEDULED),
    Transition("bring forward", State.SCHEDULED, State.PENDING),
    Transition("claim", State.PENDING, State.RUNNING),
    Transition("give back", State.RUNNING, State.PENDING),
    Transition("succeed", State.RUNNING, None, Outcome.SUCCESSFUL),
    Transition("fail", State.RUNNING, None, Outcome.ERRORED),
    Transition("retry", State.RUNNING, State.SCHEDULED, Outcome.ERRORED),
    Transition("retry at once", State.RUNNING, State.PENDING, Outcome.ERRORED),
    Transition("rescue", State.RUNNING, State.PENDING, Outcome.LOST),
    Transition("rescue later", State.RUNNING, State.SCHEDULED, Outcome.LOST),
    Transition("give up", State.RUNNING, None, Outcome.LOST),
    Transition("defer", State.RUNNING, State.SCHEDULED, Outcome.DEFERRED),
    Transition("defer at once", State.RUNNING, State.PENDING, Outcome.DEFERRED),
    Transition("cancel", State.PENDING, None, Outcome.CANCELLED),
    Transition("cancel scheduled", State.SCHEDULED, None, Outcome.CANCELLED),
    Transition("cancel running", State.RUNNING, None, Outcome.CANCELLED),
    Transition("expire", State.PENDING, None, Outcome.CANCELLED),
    Transition("expire scheduled", State.SCHEDULED, None, Outcome.CANCELLED),
    Transition("retry by hand", None, State.PENDING),
    Transition("undo retry", State.PENDING, None),
    Transition("undo cancel", None, State.PENDING),
    Transition("undo cancel scheduled", None, State.SCHEDULED),
    Transition("enqueue at a gate", None, State.GATED),
    Transition("promote to a gate", State.SCHEDULED, State.GATED),
    Transition("put off at a gate", State.GATED, State.SCHEDULED),
    Transition("bring forward to a gate", State.SCHEDULED, State.GATED),
    Transition("pass a gate", State.GATED, State.RUNNING),
    Transition("give back to a gate", State.RUNNING, State.GATED),
    Transition("retry at a gate", State.RUNNING, State.GATED, Outcome.ERRORED),
    Transition("rescue to a gate", State.RUNNING, State.GATED, Outcome.LOST),
    Transition("defer to a gate", State.RUNNING, State.GATED, Outcome.DEFERRED),
    Transition("cancel at a gate", State.GATED, None, Outcome.CANCELLED),
    Transition("expire at a gate", State.GATED, None, Outcome.CANCELLED),
    Transition("retry by hand at a gate", None, State.GATED),
    Transition("undo retry at a gate", State.GATED, None),
    Transition("undo cancel at a gate", None, State.GATED),
)

WAITING = (State.PENDING, State.SCHEDULED, State.GATED)
"""Where a job has no worker: it can be called off at once, and may expire. A running one is asked to stop."""


def may_retry(*, tries: int, retries: int) -> bool:
    """Whether another attempt follows an errored one.

    `tries` counts the attempts that count: lost ones and those that were cut off do not.
    """
    return tries <= retries


def may_run_again(*, losses: int, max_losses: int) -> bool:
    """Whether another attempt follows a lost one. `losses` includes this loss."""
    return losses < max_losses


def is_loss(*, ran_apart: bool, lost_together: int, apart: int, losses: int, max_losses: int) -> bool:
    """Whether a lost attempt that had begun counts; `rescue.sql` has the same rule for lost workers.

    `lost_together` is the number of attempts that were lost at the same time, this one included; `apart` is the number
    of those that ran apart. A loss of several at once proves nothing against each of them, so it counts for none. An
    attempt that ran apart counts if no other one of them did. If another did, it counts unless that would be the last
    loss allowed.
    """
    if not ran_apart:
        return lost_together == 1
    return apart == 1 or may_run_again(losses=losses + 1, max_losses=max_losses)

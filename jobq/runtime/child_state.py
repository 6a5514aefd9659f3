"""The life of a child, as its supervisor sees it: its states, the legal steps, and why it dies. Pure.

    STARTING --load--> OPEN             it has imported the application, and gets jobs
    STARTING --leave--> LEAVING         it is not needed any more
    OPEN --interrupt--> INTERRUPTED     its job was told to end; it gets no more jobs
    OPEN --retire--> RETIRING           it gets no more jobs, and another one takes over
    OPEN --leave--> LEAVING             it ends what it holds, and exits
    INTERRUPTED --retire--> RETIRING    the job has ended; an interrupted process is not trusted with another
    INTERRUPTED --leave--> LEAVING
    RETIRING --leave--> LEAVING
    STARTING --kill--> DOOMED           it was killed, and its death is not noticed yet
    OPEN --kill--> DOOMED
    INTERRUPTED --kill--> DOOMED
    RETIRING --kill--> DOOMED
    LEAVING --kill--> DOOMED
    STARTING --die--> DEAD
    OPEN --die--> DEAD
    INTERRUPTED --die--> DEAD
    RETIRING --die--> DEAD
    LEAVING --die--> DEAD
    DOOMED --die--> DEAD

A step that is not drawn changes nothing: to retire a child that is leaving, say. A test holds this drawing against
`TRANSITIONS`.
"""

from dataclasses import dataclass
from enum import StrEnum

from jobq.runtime.interruption import Interruption, Running


class ChildState(StrEnum):
    """Where a child stands."""

    STARTING = "STARTING"
    OPEN = "OPEN"
    INTERRUPTED = "INTERRUPTED"
    RETIRING = "RETIRING"
    LEAVING = "LEAVING"
    DOOMED = "DOOMED"
    DEAD = "DEAD"


class Step(StrEnum):
    """What happens to a child."""

    LOAD = "load"
    INTERRUPT = "interrupt"
    RETIRE = "retire"
    LEAVE = "leave"
    KILL = "kill"
    DIE = "die"


STARTING, OPEN, INTERRUPTED, RETIRING, LEAVING, DOOMED, DEAD = ChildState

TRANSITIONS: dict[tuple[ChildState, Step], ChildState] = {
    (STARTING, Step.LOAD): OPEN,
    (OPEN, Step.INTERRUPT): INTERRUPTED,
    (OPEN, Step.RETIRE): RETIRING,
    (INTERRUPTED, Step.RETIRE): RETIRING,
    **{(state, Step.LEAVE): LEAVING for state in (STARTING, OPEN, INTERRUPTED, RETIRING)},
    **{(state, Step.KILL): DOOMED for state in (STARTING, OPEN, INTERRUPTED, RETIRING, LEAVING)},
    **{(state, Step.DIE): DEAD for state in (STARTING, OPEN, INTERRUPTED, RETIRING, LEAVING, DOOMED)},
}

NEEDS_SUCCESSOR = frozenset({INTERRUPTED, RETIRING, LEAVING})
"""Another child is started while this one still runs its last job."""

IS_REPLACED = frozenset({RETIRING, LEAVING})
"""As soon as the other child is ready, it takes this one's place."""


@dataclass(frozen=True, slots=True)
class CutOff:
    """The supervisor ended the process for a reason of its own: the jobs are not to blame, and run again."""

    reason: str


@dataclass(frozen=True, slots=True)
class Blames:
    """One job had not ended when it was told to, so its process was killed; other jobs in it are not to blame."""

    job_id: int
    reason: str


@dataclass(frozen=True, slots=True)
class Ordered:
    """The job was told to end. Either it ended with its process, or its process was killed for it."""

    interruption: Interruption
    was_killed: bool


@dataclass(frozen=True, slots=True)
class Unexplained:
    """The process died by itself, or was killed and no job is known to be the cause: each that ran counts as lost."""

    reason: str = ""


Cause = CutOff | Blames | Unexplained
"""Why a child was killed."""

Fate = Cause | Ordered
"""Why one job of a dead child has ended."""


def fate_of(running: Running, cause: Cause | None) -> Fate:
    """Why a job ended whose process died. `cause` is None where the process was not killed by its supervisor."""
    match cause:
        case CutOff():
            return cause
        case Blames() if cause.job_id != running.assignment.id:
            return cause
    interruption = running.interruption
    if interruption is not None and interruption.assignment is running.assignment:
        return Ordered(interruption, was_killed=cause is not None)
    return Unexplained() if cause is None else Unexplained(cause.reason)


@dataclass(slots=True)
class Life:
    """The state of one child, with what has to be remembered of the way there."""

    state: ChildState = STARTING
    has_loaded: bool = False  # it has imported the application, so that jobs may have run there
    leaving_since: float | None = None
    cause: Cause | None = None  # why it was killed; the first reason wins

    def load(self) -> None:
        self.has_loaded = True
        self._step(Step.LOAD)

    def interrupt(self) -> None:
        self._step(Step.INTERRUPT)

    def retire(self) -> None:
        self._step(Step.RETIRE)

    def leave(self, now: float) -> bool:
        """False: it was leaving already."""
        if self.leaving_since is not None:
            return False
        self.leaving_since = now
        self._step(Step.LEAVE)
        return True

    def kill(self, cause: Cause) -> None:
        self.cause = self.cause or cause
        self._step(Step.KILL)

    def die(self) -> None:
        self._step(Step.DIE)

    @property
    def is_doomed(self) -> bool:
        return self.state is DOOMED

    def _step(self, step: Step) -> None:
        self.state = TRANSITIONS.get((self.state, step), self.state)

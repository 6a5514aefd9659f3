"""How a worker claims jobs, and gives them back: as steps, for a loop that never waits for an answer.

`jobs` executes the same steps on a connection, for callers that do wait.
"""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from jobq.records import Assignment, Count
from jobq.states import Outcome
from jobq.store import metrics
from jobq.store.callers.steps import Steps
from jobq.store.statements import channel, gate_channel, quote_identifier, statement


@dataclass(frozen=True, slots=True)
class QueuePosition:
    """Where in a queue's order of service a claim begins: at the front, or where an earlier claim ended.

    Among equal queues, the one with the lowest `last_turn` comes first.
    """

    queue: str
    priority: int = 32767
    id: int = 0
    last_turn: int = 0

    @property
    def is_front(self) -> bool:
        return self.id == 0


@dataclass(frozen=True, slots=True)
class Promotion:
    queues: tuple[str, ...]  # of the jobs that became pending
    promoted: int
    next_due_seconds: float | None
    next_expiry_seconds: float | None  # not above 0: `expire` has jobs to end
    has_gated: bool  # a job waits at a gate, or runs through one
    others: tuple[str, ...]  # queues that had pending jobs before, without the known ones


@dataclass(frozen=True, slots=True)
class Expiry:
    expired: int
    owed: int  # calls of on_aborted() owed for them
    next_expiry_seconds: float | None


def claim(
    schema: str,
    *,
    worker_id: int,
    positions: Sequence[QueuePosition],
    classes: Sequence[str],
    most: int,
    over: Sequence[int] = (),
) -> Steps[list[Assignment]]:
    """Claims up to `most` jobs in the order of service: by priority; within one, the queues take turns.

    This worker holds no job of the claims `over` any more.
    """
    rows = yield (
        statement("claim", schema),
        {
            "worker_id": worker_id,
            "queues": [position.queue for position in positions],
            "from_priorities": [position.priority for position in positions],
            "from_ids": [position.id for position in positions],
            "last_turns": [position.last_turn for position in positions],
            "classes": list(classes),
            "most": most,
            "share": -(-most // len(positions)),
            "over": list(over),
        },
    )
    return in_order_of_service([Assignment(*row) for row in rows])


def claim_announced(
    schema: str,
    ids: Sequence[int],
    *,
    worker_id: int,
    queue: str,
    classes: Sequence[str],
    most: int,
    over: Sequence[int] = (),
) -> Steps[list[Assignment]]:
    """Claims up to `most` jobs from the front of a queue. Claims none if all of `ids` in that queue are taken."""
    rows = yield (
        statement("claim_announced", schema),
        {
            "worker_id": worker_id,
            "ids": list(ids),
            "queue": queue,
            "classes": list(classes),
            "most": most,
            "over": list(over),
        },
    )
    return in_order_of_service([Assignment(*row) for row in rows])


def in_order_of_service(assignments: list[Assignment]) -> list[Assignment]:
    """Higher priority first; within a priority the queues take turns, each in the order of arrival."""
    assignments.sort(key=itemgetter(0))
    turns: dict[tuple[str, int], int] = {}
    keyed = []
    for assignment in assignments:
        place = (assignment.queue, assignment.priority)
        turn = turns[place] = turns.get(place, 0) + 1
        keyed.append((-assignment.priority, turn, assignment.id, assignment))
    keyed.sort(key=itemgetter(0, 1, 2))
    return [assignment for *_, assignment in keyed]


@dataclass(frozen=True, slots=True)
class LanePosition:
    """Where a claim through a gate begins in one queue: behind the lane that was served last, and, among lower
    priorities, where the last walk ended. A rank is a priority, negated."""

    queue: str
    turn_lane: str = ""
    scout_rank: int | None = None
    scout_lane: str | None = None


@dataclass(frozen=True, slots=True)
class Passed:
    """What came of a claim through a gate."""

    assignments: list[Assignment]
    places: int | None  # how many were free before; None: the gate limits nothing
    is_limited: bool  # the limit is what bounds it, not the rate
    lowest: int | None  # the lowest place that is taken; None: none is
    is_cut: bool  # the walk ended before all lanes were seen
    open_lanes: int  # in which something may have started
    next_start_seconds: float | None  # until a rate allows the next one
    positions: list[LanePosition]


CLOSED = Passed([], 0, True, None, False, 0, None, [])
"""The gate is paused, or this worker was declared dead."""


def find_gates(schema: str) -> Steps[dict[str, list[str]]]:
    """The open gates at which something waits, each with the queues in which it waits."""
    rows = yield statement("find_gates", schema), {}
    return dict(rows)


def claim_through(
    schema: str,
    gate: str,
    *,
    worker_id: int,
    positions: Sequence[LanePosition],
    classes: Sequence[str],
    most: int,
    min_place: int = 0,
    over: Sequence[int] = (),
) -> Steps[Passed | None]:
    """Claims up to `most` jobs through a gate; None: somebody else is at it.

    For a transaction of its own, which is READ COMMITTED: the count has to see what was committed before the lock.
    """
    if not (yield statement("gate_enter", schema), {"gate": gate}):
        return None
    rows = yield (
        statement("gate_claim", schema),
        {
            "gate": gate,
            "worker_id": worker_id,
            "queues": [position.queue for position in positions],
            "turn_lanes": [position.turn_lane for position in positions],
            "scout_ranks": [position.scout_rank for position in positions],
            "scout_lanes": [position.scout_lane for position in positions],
            "classes": list(classes),
            "most": most,
            "min_place": min_place,
            "places": f"{quote_identifier(schema)}.places",
            "over": list(over),
        },
    )
    return passed_of(rows) if rows else CLOSED


def passed_of(rows: Sequence[Sequence[Any]]) -> Passed:
    places, is_limited, lowest, is_cut, open_lanes, next_start_seconds, ended, first, *_ = rows[0]
    claimed = [] if first is None else [Assignment(*row[7:]) for row in rows]
    return Passed(
        in_order_of_service(claimed),
        places,
        bool(is_limited),
        lowest,
        is_cut,
        open_lanes,
        next_start_seconds,
        [LanePosition(*entry) for entry in json.loads(ended or "[]")],
    )


def held(schema: str, *, worker_id: int, through_gates: bool = False) -> Steps[list[Assignment]]:
    """Every job that the database says this worker holds: that it claimed from queues, or else through gates."""
    rows = yield statement("claimed", schema), {"worker_id": worker_id, "through_gates": through_gates}
    return in_order_of_service([Assignment(*row) for row in rows])


def drop_claims(schema: str, *, worker_id: int, over: Sequence[int]) -> Steps[None]:
    """Removes claims of which this worker holds no job any more."""
    yield statement("drop_claims", schema), {"worker_id": worker_id, "over": list(over)}


def give_back(schema: str, *, worker_id: int, assignments: Sequence[Assignment]) -> Steps[list[str]]:
    """Returns claimed jobs that have not started, and wakes workers for their queues. Returns the queues."""
    rows = yield (
        statement("give_back", schema),
        {
            "worker_id": worker_id,
            "ids": [assignment.id for assignment in assignments],
            "attempts": [assignment.attempt for assignment in assignments],
            "waits": [assignment.waited_microseconds for assignment in assignments],
        },
    )
    queues = sorted({queue for _, queue, gate, _ in rows if gate is None})
    gates = sorted({gate for _, _, gate, _ in rows if gate is not None})
    for to, names in ((channel(schema), queues), (gate_channel(schema), gates)):
        if names:
            yield statement("tell", schema), {"channel": to, "queues": names}
    return queues


def promote(schema: str, *, worker_id: int, known: Collection[str] = (), limit: int = 1000) -> Steps[Promotion]:
    """Makes up to `limit` due jobs pending, and finds queues with jobs, without the known ones."""
    (row,) = yield (
        statement("promote", schema),
        {"worker_id": worker_id, "channel": channel(schema), "limit": limit, "known": list(known)},
    )
    queues, promoted, next_due_seconds, next_expiry_seconds, others, _, has_gated = row
    return Promotion(tuple(queues), promoted, next_due_seconds, next_expiry_seconds, has_gated, tuple(others))


def expire(schema: str, *, limit: int = 1000) -> Steps[Expiry]:
    """Ends up to `limit` jobs that have expired before they started. Must run in one transaction."""
    ((*expiry, minute, counted),) = yield statement("expire", schema), {"limit": limit}
    if counted:
        counts = [
            Count(minute, queue, job_class, Outcome.CANCELLED, False, None, None, int(jobs))
            for queue, job_class, jobs in counted
        ]
        yield metrics.adding(schema, metrics.figures_of(counts))
    return Expiry(*expiry)


def say_waiting(schema: str, *, worker_id: int, waiting: bool) -> Steps[None]:
    """Writes whether this worker sleeps until it is notified."""
    yield statement("waiting", schema), {"worker_id": worker_id, "waiting": waiting}

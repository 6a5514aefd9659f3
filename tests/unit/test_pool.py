"""What a supervisor makes of a child's word on jobs that were taken back just when it was about to begin them."""

import selectors
import socket
import subprocess
from collections.abc import Iterator
from typing import cast

import pytest

from jobq.records import Assignment, Report
from jobq.worker.board import Board
from jobq.worker.pool import Child, Pool, PoolSettings
from jobq.worker.protocol import PACKETS, PLAIN_REPORT, Interruption, Order, OrderKind, pack_message
from jobq.worker.ring import UNKNOWN, RingReader, RingWriter

SETTINGS = PoolSettings(
    processes=1,
    max_jobs_per_process=None,
    max_memory_per_process=None,
    max_memory_per_job=None,
    max_losses=3,
    concurrency=1,
    cancel_grace=1.0,
    shutdown_grace=1.0,
    root=".",
    app=(),
    middleware=(),
    environment={},
)


class Supervised:
    """A pool with one child that is played by the test."""

    def __init__(self) -> None:
        self.reports: list[Report] = []
        self.returned: list[Assignment] = []
        self.pool = Pool(
            SETTINGS,
            selectors.DefaultSelector(),
            lambda: None,
            on_reports=self.reports.extend,
            on_loaded=lambda _: None,
            on_not_loaded=lambda *_: None,
            on_returned=self.returned.extend,
            on_stack=lambda *_: None,
        )
        self.sockets = socket.socketpair(socket.AF_UNIX, PACKETS)
        self.board = Board.of_supervisor()
        process = cast("subprocess.Popen[bytes]", None)
        ring = RingReader(self.board, PLAIN_REPORT.size)
        self.child = Child(process, *self.sockets, reports_fd=-1, board=self.board, ring=ring, ready=True)
        self.ring = RingWriter(Board.of_child(self.board.fd), PLAIN_REPORT.size)
        self.child.take_on([assignment(job_id) for job_id in (101, 102, 103)])

    def passes_over(self, number: int) -> None:
        self.pool._take(self.child, [pack_message("passed over", number).rstrip()])

    def close(self) -> None:
        for end in self.sockets:
            end.close()
        self.board.close()


@pytest.fixture
def supervised() -> Iterator[Supervised]:
    supervised = Supervised()
    yield supervised
    supervised.close()


def assignment(job_id: int) -> Assignment:
    return Assignment(job_id, 1, 0, 0, 0, 0, 0, "default", "jobs.Nothing", "{}")


def ids(assignments: list[Assignment]) -> list[int]:
    return [each.id for each in assignments]


def test_what_has_not_begun_comes_back_at_once(supervised: Supervised) -> None:
    supervised.ring.begin(1)
    supervised.pool._recall(supervised.child)
    assert ids(supervised.returned) == [102, 103]
    assert list(supervised.child.in_flight) == [101]
    for number in (2, 3):
        assert not supervised.ring.begin(number)
        supervised.passes_over(number)
    assert ids(supervised.returned) == [102, 103], "once"


def test_what_was_taken_for_begun_comes_back_when_the_child_has_passed_it_over(supervised: Supervised) -> None:
    supervised.ring.begin(2)  # and looks at the floor a moment later
    supervised.pool._recall(supervised.child)
    assert ids(supervised.returned) == [103]
    supervised.passes_over(2)
    assert ids(supervised.returned) == [103, 102]
    assert list(supervised.child.in_flight) == [101], "the one whose report is not heard yet"


@pytest.mark.parametrize(
    ("kind", "reported", "returned"),
    [(OrderKind.CANCEL, [("cancelled", 102)], [103]), (OrderKind.TIMEOUT, [], [103, 102])],
)
def test_of_a_job_that_was_told_to_end_and_never_began(
    supervised: Supervised, kind: OrderKind, reported: list[tuple[str, int]], returned: list[int]
) -> None:
    """A cancel holds; the child that heard of it is replaced."""
    child = supervised.child
    supervised.ring.begin(2)
    supervised.pool._recall(child)
    child.interruption = Interruption(Order(102, 1, kind, "by a test"), child.in_flight[102], 1.0, 0.0)
    supervised.passes_over(2)
    assert [(report.outcome, report.id) for report in supervised.reports] == reported
    assert ids(supervised.returned) == returned
    assert child.is_spent
    assert child.interruption is None


def test_a_job_that_was_sent_again_is_not_taken_for_the_one_passed_over(supervised: Supervised) -> None:
    supervised.ring.begin(1)
    supervised.pool._recall(supervised.child)
    supervised.child.take_on([assignment(102)])
    supervised.passes_over(2)
    assert list(supervised.child.in_flight) == [101, 102]
    assert ids(supervised.returned) == [102, 103]


def test_where_it_is_unknown_what_has_begun_the_child_has_all_that_was_sent_and_says_so(supervised: Supervised) -> None:
    """What it has not read must not be cleared away then: nobody would ever say what became of it."""
    child = supervised.child
    child.outbox.send(b"[")
    child.ring.take_back = lambda _floor: UNKNOWN  # type: ignore[method-assign]
    supervised.pool._recall(child)
    assert supervised.returned == []
    assert child.unread.recv(10, socket.MSG_DONTWAIT) == b"["
    for number in (1, 2, 3):
        supervised.passes_over(number)
    assert ids(supervised.returned) == [101, 102, 103]

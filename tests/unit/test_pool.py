"""What a supervisor makes of a child's word on jobs that were taken back just when it was about to begin them."""

import gc
import json
import os
import selectors
import socket
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from time import monotonic
from types import SimpleNamespace
from typing import Any, cast

import pytest

from jobq.records import Assignment, Report
from jobq.runtime.board import ORDER, Board
from jobq.runtime.lane import Lane
from jobq.runtime.pool import MAX_ORDER_CHARACTERS, Child, Death, Pool, PoolSettings, Slot, is_sound
from jobq.runtime.protocol import (
    MAX_INLINE,
    MAX_PACKET,
    PACKETS,
    PLAIN,
    PLAIN_REPORT,
    Interruption,
    Order,
    OrderKind,
    pack_assignments,
    pack_message,
    pack_report,
)
from jobq.runtime.ring import UNKNOWN, RingReader, RingWriter

NOBODY = 1 << 30
"""No process can have this id."""

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
            mark="test",
            on_reports=self.reports.extend,
            on_loaded=lambda _: None,
            on_not_loaded=lambda *_: None,
            on_returned=self.returned.extend,
            on_stack=lambda *_: None,
        )
        self.sockets = socket.socketpair(socket.AF_UNIX, PACKETS)
        self.board = Board.of_supervisor()
        process = cast("subprocess.Popen[bytes]", SimpleNamespace(pid=NOBODY, returncode=None))
        ring = RingReader(self.board, PLAIN_REPORT.size)
        self.child = Child(process, *self.sockets, reports_fd=-1, board=self.board, ring=ring, ready=True)
        self.ring = RingWriter(Board.of_child(self.board.fd), PLAIN_REPORT.size)
        self.child.take_on([assignment(job_id) for job_id in (101, 102, 103)])

    def passes_over(self, number: int) -> None:
        self.pool._take(self.child, [pack_message("passed over", number).rstrip()])

    def writes(self, *reports: Report) -> None:
        """Into the pipe; the pool has nobody to kill."""
        self.pool.kill = lambda child, reason, **_: setattr(child, "doomed", reason)  # type: ignore[method-assign]
        self.pool._take(self.child, [json.dumps(report).encode() for report in reports])

    def close(self) -> None:
        for end in self.sockets:
            end.close()
        self.board.close()
        self.let_go()

    def let_go(self) -> None:
        """What is left where the pool has buried its child."""
        self.pool._selector.close()


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


def hold_only(child: Child, assignment: Assignment, seconds: float) -> None:
    """The child was sent this job and no other, so long ago."""
    child.give_up_all()
    child.take_on([assignment])
    child.busy_since = monotonic() - seconds


def dies_with(supervised: Supervised, *assignments: Assignment, begun: int | None = None, doomed: bool = False) -> None:
    """The process is started anew, gets these jobs, and dies."""
    died = Supervised()
    try:
        died.child.give_up_all()
        died.child.reports_fd = os.open(os.devnull, os.O_RDONLY)
        died.child.take_on(assignments)
        died.child.doomed = "by a test" if doomed else None
        if begun is not None:
            died.ring.begin(died.child.numbers[begun])
        supervised.pool._bury(died.child, Death(exit_code=-9, peak_memory_bytes=0))
    finally:
        died.let_go()


def test_a_job_that_kills_every_process_before_it_begins_comes_to_rest_as_lost(supervised: Supervised) -> None:
    dies_with(supervised, assignment(104), assignment(105))
    poison, behind = supervised.returned
    assert (poison.suspected, behind.suspected) == (True, None), "it runs alone from now on"
    for _ in range(SETTINGS.max_losses - 1):
        dies_with(supervised, poison)
    assert supervised.reports == []
    assert ids(supervised.returned) == [104, 105, *[104] * (SETTINGS.max_losses - 1)]
    dies_with(supervised, poison)
    (report,) = supervised.reports
    assert (report.id, report.outcome, report.started, report.retry_delay) == (104, "lost", None, None)
    assert report.error_message is not None
    assert "3 times its process died before the job began" in report.error_message
    assert supervised.pool._deaths_before == {}


def test_deaths_that_another_has_caused_are_not_held_against_the_job_that_was_to_begin_next(
    supervised: Supervised,
) -> None:
    for attempt in range(SETTINGS.max_losses):
        dies_with(supervised, assignment(104)._replace(attempt=attempt), assignment(105), begun=104)
        dies_with(supervised, assignment(105), doomed=True)
    assert {report.id for report in supervised.reports} == {104}
    assert ids(supervised.returned) == [105] * 2 * SETTINGS.max_losses
    assert supervised.pool._deaths_before == {}


def test_deaths_before_a_job_began_are_remembered_of_the_latest_only(
    supervised: Supervised, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobq.runtime.pool.MAX_SUSPECTS", 2)
    for job_id in (104, 105, 104, 106, 107):
        dies_with(supervised, assignment(job_id)._replace(suspected=True))
    assert supervised.pool._deaths_before == {(106, 1): 1, (107, 1): 1}


def test_a_job_that_waits_in_a_held_up_process_is_taken_by_one_that_is_free(supervised: Supervised) -> None:
    pool, held_up = supervised.pool, supervised.child
    beside = Supervised()
    try:
        free = beside.child
        free.give_up_all()
        pool.slots = [Slot(held_up), Slot(free)]
        hold_only(held_up, assignment(104), seconds=1.0)
        assert pool._holds_jobs_up(held_up), "so that the supervisor looks again soon"
        pool.rebalance()
        assert ids(supervised.returned) == [104]
        pool.dispatch(deque(supervised.returned))
        assert (list(held_up.in_flight), list(free.in_flight)) == ([], [104])
    finally:
        beside.close()


def test_a_job_that_has_begun_or_that_no_other_process_could_take_stays(supervised: Supervised) -> None:
    pool, child = supervised.pool, supervised.child
    beside = Supervised()
    try:
        pool.slots = [Slot(child), Slot(beside.child)]
        hold_only(child, assignment(104), seconds=1.0)
        hold_only(beside.child, assignment(105), seconds=0.0)
        pool.rebalance()
        assert supervised.returned == [], "the other is busy"
        beside.child.give_up_all()
        supervised.ring.begin(child.numbers[104])
        pool.rebalance()
        assert supervised.returned == []
        assert not pool._holds_jobs_up(child)
    finally:
        beside.close()


def test_a_job_whose_time_ran_out_before_it_began_goes_to_another_process(supervised: Supervised) -> None:
    """What holds the process up is not its doing; nor may the process wait for its end for ever."""
    child = supervised.child
    hold_only(child, assignment(104)._replace(timeout=1.0), seconds=2.0)
    supervised.pool._watch(child, monotonic())
    assert ids(supervised.returned) == [104]
    assert supervised.reports == []
    assert child.interruption is None
    assert supervised.pool._needs_successor(child)
    assert not supervised.pool._is_open(child)


def test_a_job_in_a_process_that_was_too_large_before_it_began_goes_to_another(
    supervised: Supervised, monkeypatch: pytest.MonkeyPatch
) -> None:
    child, pool = supervised.child, supervised.pool
    pool.slots[0].child = child
    hold_only(child, assignment(104), seconds=0.0)
    monkeypatch.setattr("jobq.runtime.pool.resident_kilobytes", lambda _pid: 1 << 20)
    pool._watch_memory(most=1)
    assert ids(supervised.returned) == [104]
    assert child.interruption is None
    assert pool._needs_successor(child)


def test_a_coroutine_that_was_not_read_is_not_blamed_for_the_one_that_holds_the_loop(supervised: Supervised) -> None:
    child, pool = supervised.child, supervised.pool
    child.give_up_all()
    child.lane = Lane(most=4)
    try:
        hog, unread = assignment(104), assignment(105)._replace(timeout=1.0)
        assert child.lane.send(hog, pack_assignments([hog]))
        child.lane.inbox.recv(MAX_PACKET)  # the child has read that one
        assert child.lane.send(unread, pack_assignments([unread]))
        child.lane.begun[105].since -= 2.0
        pool._watch(child, monotonic())
        assert ids(supervised.returned) == [105]
        assert list(child.coroutines) == [104]
        assert child.culprit is None
        assert child.is_loop_held_up, "other processes come first"
        report = Report(104, 1, "successful", 1.0, 2.0)
        pool._take(child, [pack_report(report._replace(value="1")).rstrip()])
        assert not child.is_loop_held_up
    finally:
        child.lane.close()


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


def test_a_report_on_another_attempt_ends_no_job_and_its_process_is_not_trusted(supervised: Supervised) -> None:
    """Taken for the true one it would be recorded nowhere, and its job would be held for ever."""
    child = supervised.child
    supervised.writes(Report(101, 7, "successful", 1.0, 2.0))
    assert list(child.in_flight) == [101, 102, 103]
    assert supervised.reports == []
    assert child.doomed is not None


def test_a_report_on_another_attempt_ends_no_coroutine(supervised: Supervised) -> None:
    child = supervised.child
    child.lane = Lane(2)
    assert child.lane.send(assignment(201), b"[")
    supervised.writes(Report(201, 7, "successful", 1.0, 2.0))
    assert list(child.coroutines) == [201]
    assert child.doomed is not None
    supervised.writes(Report(201, 1, "successful", 1.0, 2.0))
    assert [report.id for report in supervised.reports] == [201]
    assert not child.coroutines
    child.lane.close()


def test_a_record_that_is_no_report_on_a_job_of_its_own_is_seen_and_the_others_count(supervised: Supervised) -> None:
    """Passed over in silence it would leave its job in flight for ever."""
    child = supervised.child
    supervised.writes()
    for job_id, started, is_trusted in ((101, 1.0, True), (102, 5.0, False), (109, 1.0, False)):
        child.doomed = None
        supervised.ring.record(PLAIN_REPORT.pack(PLAIN, job_id, 1, started, 2.0, 1, 1))
        supervised.pool._hear_ring(child)
        assert (child.doomed is None) is is_trusted
    assert [report.id for report in supervised.reports] == [101]
    assert list(child.in_flight) == [102, 103]


def test_no_job_takes_less_than_no_time(supervised: Supervised) -> None:
    """The supervisor would be asked to wait for less than that, and would fail."""
    assert is_sound(Report(101, 1, "successful", 2.0, 2.0))
    assert not is_sound(Report(101, 1, "successful", 1e9, 1.0))
    supervised.pool._learn([Report(101, 1, "successful", 1e9, 1.0)])
    supervised.child.take_on([assignment(job_id) for job_id in range(200, 300)])
    supervised.pool.slots[0].child = supervised.child
    assert supervised.pool.seconds_to_gather() >= 0


def test_a_job_that_cuts_the_board_short_does_not_come_back_while_it_runs(supervised: Supervised) -> None:
    """And its process is ended, since no report will be heard from it."""
    supervised.writes()
    supervised.ring.begin(1)
    os.ftruncate(supervised.board.fd, 0)
    supervised.pool._recall(supervised.child)
    assert supervised.returned == []
    supervised.pool._hear_ring(supervised.child)
    assert supervised.child.doomed is not None


def test_what_was_never_sent_has_not_begun_and_whose_word_that_is_is_not_trusted(supervised: Supervised) -> None:
    supervised.writes()
    supervised.ring.begin(4)
    supervised.pool._recall(supervised.child)
    assert supervised.returned == []
    supervised.pool._hear_ring(supervised.child)
    assert supervised.child.doomed is not None


def test_of_a_child_that_has_closed_its_pipe_reports_are_heard_and_it_gets_no_more_jobs(supervised: Supervised) -> None:
    child, pool = supervised.child, supervised.pool
    pool.slots[0].child = child
    child.reports_fd, its_end = os.pipe()
    pool._children[child.reports_fd] = child
    pool._selector.register(child.reports_fd, selectors.EVENT_READ, child)
    supervised.ring.record(PLAIN_REPORT.pack(PLAIN, 101, 1, 1.0, 2.0, 1, 1))
    os.close(its_end)
    pool.hear(child)
    pool.hear_all()
    assert [report.id for report in supervised.reports] == [101]
    assert pool._room(child, window=128) == 0
    pool.close()
    assert child.unread.recv(1) == b"", "it is told that there is no more to do"
    os.close(child.reports_fd)


def test_a_child_that_has_left_its_process_group_is_killed(supervised: Supervised) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", "input()"], stdin=subprocess.PIPE
    ) as process:  # in the test's own group
        supervised.child.process = process
        supervised.pool.kill(supervised.child, "by a test")
        assert process.wait(timeout=10) == -9


def test_an_order_by_the_longest_name_fits_on_the_board(supervised: Supervised) -> None:
    order = Order(101, 1, OrderKind.CANCEL, "\N{GRINNING FACE}" * MAX_ORDER_CHARACTERS)
    supervised.board.write(ORDER, order.pack())
    assert Order.unpack(supervised.board.read(ORDER) or b"") == order


def test_where_there_can_be_no_file_a_job_with_large_arguments_waits_and_those_before_it_go_out(
    supervised: Supervised, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(_name: str) -> int:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(os, "memfd_create", refuse, raising=False)
    small, large = assignment(201), assignment(202)._replace(arguments='{"text": "' + "x" * MAX_INLINE + '"}')
    stock = deque([small, large])
    before = list(supervised.child.in_flight)

    supervised.pool._send(supervised.child, stock, 2)
    supervised.pool._send(supervised.child, stock, 1)

    assert list(supervised.child.in_flight) == [*before, 201]
    assert list(stock) == [large]
    (complaint,) = [record for record in caplog.records if "large arguments" in record.message]
    assert "Too many open files" in complaint.message


@pytest.mark.parametrize("which", ["sockets", "processes", "threads"])
def test_where_no_child_can_be_started_it_is_tried_again_and_nothing_is_left_open(
    supervised: Supervised, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, which: str
) -> None:
    """Such as at the limit of a container's processes, which others may free again."""
    started: list[subprocess.Popen[bytes]] = []
    popen = subprocess.Popen

    def noted(*arguments: Any, **options: Any) -> "subprocess.Popen[bytes]":
        started.append(popen(*arguments, **options))
        return started[-1]

    def refused(error: Exception) -> Callable[..., Any]:
        def refuse(*_: Any, **__: Any) -> Any:
            raise error

        return refuse

    monkeypatch.setattr(subprocess, "Popen", noted)
    with monkeypatch.context() as limited:
        match which:
            case "sockets":
                limited.setattr(socket, "socketpair", refused(OSError(24, "Too many open files")))
            case "processes":
                limited.setattr(subprocess, "Popen", refused(BlockingIOError(11, "Resource temporarily unavailable")))
            case "threads":
                limited.setattr(threading.Thread, "start", refused(RuntimeError("can't start new thread")))
        gc.collect()  # what other tests have left open is not closed in between
        before = sorted(os.listdir("/dev/fd"))
        supervised.pool.keep_up()
        assert sorted(os.listdir("/dev/fd")) == before
    (slot,) = supervised.pool.slots
    assert slot.child is None
    assert slot.failures == 1
    assert slot.restart_at > monotonic()
    assert "a child could not be started; trying again" in caplog.text
    assert all(process.returncode is not None for process in started), "none is left behind"
    started.clear()

    slot.restart_at = 0.0
    supervised.pool.keep_up()

    assert slot.child is not None
    assert [slot.child.process] == started
    supervised.pool.close()
    supervised.pool.kill_all("the test is over")
    while slot.child is not None:
        supervised.pool.keep_up()

"""What a supervisor makes of a child's word on jobs that were taken back just when it was about to begin them."""

import gc
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from time import monotonic
from types import SimpleNamespace
from typing import Any, cast

import pytest

from jobq.records import Assignment, LogPart, Report
from jobq.runtime.child_settings import ChildSettings
from jobq.runtime.child_state import INTERRUPTED, OPEN, RETIRING, Unexplained
from jobq.runtime.children import Children
from jobq.runtime.concurrent import Concurrent
from jobq.runtime.endings import DeadChild, Ended, endings
from jobq.runtime.inbox import is_sound
from jobq.runtime.interrupter import MAX_ORDER_CHARACTERS
from jobq.runtime.interruption import Interruption, Running
from jobq.runtime.process import Death, Process
from jobq.runtime.protocol import (
    MAX_INLINE,
    MAX_PACKET,
    PLAIN,
    PLAIN_REPORT,
    Order,
    OrderKind,
    pack_message,
    pack_report,
)
from jobq.runtime.ring import UNKNOWN, RingWriter
from jobq.runtime.serial import Serial
from jobq.runtime.shared_memory import ORDER, SharedMemory
from jobq.runtime.slot import Slot
from jobq.runtime.supervised import Child

NOBODY = 1 << 30
"""No process can have this id."""

SETTINGS = ChildSettings(
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


class Mortal(Process):
    """A process that a test plays: there is nobody to kill."""

    def kill(self) -> None:
        return


class Supervised:
    """The children of a worker: one, which is played by the test."""

    def __init__(self, concurrency: int = 0) -> None:
        self.reports: list[Report] = []
        self.returned: list[Assignment] = []
        self.parts: list[LogPart] = []
        self.dropped: list[tuple[int, int]] = []
        self.selector = selectors.DefaultSelector()
        self.children = Children(
            SETTINGS,
            self.selector,
            lambda: None,
            mark="test",
            on_reports=self.reports.extend,
            on_loaded=lambda _: None,
            on_not_loaded=lambda *_: None,
            on_returned=self.returned.extend,
            on_stack=lambda *_: None,
            on_lines=self.parts.append,
            on_drop_lines=lambda *attempt: self.dropped.append(attempt),
        )
        self.memory = SharedMemory.of_supervisor()
        popen = cast("subprocess.Popen[bytes]", SimpleNamespace(pid=NOBODY, returncode=None))
        serial, concurrent = Serial(self.memory), Concurrent(concurrency)
        self.child = Child(Mortal(popen, "test"), self.memory, -1, serial, concurrent, on_returned=self.returned.extend)
        self.child.life.load()
        self.children.roster.children.append(self.child)
        self.ring = RingWriter(SharedMemory.of_child(self.memory.fd), PLAIN_REPORT.size)
        self.serial.take_on([assignment(job_id) for job_id in (101, 102, 103)])

    @property
    def serial(self) -> Serial:
        return self.child.serial

    @property
    def is_trusted(self) -> bool:
        return not self.child.life.is_doomed

    def work_in_slots(self, *children: Child) -> None:
        self.children.crew.slots = [Slot(child) for child in children]
        self.children.roster.children = list(children)

    def passes_over(self, number: int) -> None:
        self.writes_line(pack_message("passed over", number))

    def writes(self, *reports: Report) -> None:
        self.children.inbox.take_lines(self.child, [json.dumps(report).encode() for report in reports])

    def writes_line(self, line: bytes) -> None:
        self.children.inbox.take_lines(self.child, [line.rstrip()])

    def close(self) -> None:
        for part in (self.serial, self.child.concurrent, self.memory):
            part.close()
        self.let_go()

    def let_go(self) -> None:
        """What is left where the child has been buried."""
        self.selector.close()


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
    supervised.child.recall()
    assert ids(supervised.returned) == [102, 103]
    assert list(supervised.serial.held) == [101]
    for number in (2, 3):
        assert not supervised.ring.begin(number)
        supervised.passes_over(number)
    assert ids(supervised.returned) == [102, 103], "once"


def test_what_was_taken_for_begun_comes_back_when_the_child_has_passed_it_over(supervised: Supervised) -> None:
    supervised.ring.begin(2)  # and looks at the floor a moment later
    supervised.child.recall()
    assert ids(supervised.returned) == [103]
    supervised.passes_over(2)
    assert ids(supervised.returned) == [103, 102]
    assert list(supervised.serial.held) == [101], "the one whose report is not heard yet"


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
    child.recall()
    order = Order(102, 1, kind, "by a test")
    supervised.serial.interruption = Interruption(order, supervised.serial.held[102][0], 1.0, 0.0)
    supervised.passes_over(2)
    assert [(report.outcome, report.id) for report in supervised.reports] == reported
    assert ids(supervised.returned) == returned
    assert child.life.state is RETIRING
    assert supervised.serial.interruption is None


def test_a_job_that_was_sent_again_is_not_taken_for_the_one_passed_over(supervised: Supervised) -> None:
    supervised.ring.begin(1)
    supervised.child.recall()
    supervised.serial.take_on([assignment(102)])
    supervised.passes_over(2)
    assert list(supervised.serial.held) == [101, 102]
    assert ids(supervised.returned) == [102, 103]


def hold_only(child: Child, assignment: Assignment, seconds: float) -> None:
    """The child was sent this job and no other, so long ago."""
    child.serial.drop_all()
    child.serial.take_on([assignment])
    child.serial.busy_since = monotonic() - seconds


def dies_with(supervised: Supervised, *assignments: Assignment, begun: int | None = None, doomed: bool = False) -> None:
    """The process is started anew, gets these jobs, and dies."""
    died = Supervised()
    try:
        died.serial.drop_all()
        died.child.reports_fd = os.open(os.devnull, os.O_RDONLY)
        died.serial.take_on(assignments)
        if doomed:
            died.child.kill(Unexplained("by a test"))
        if begun is not None:
            died.ring.begin(died.serial.held[begun][1])
        supervised.children.deaths.bury([(died.child, Death(exit_code=-9, peak_memory_bytes=0))])
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
    assert supervised.children.deaths.before_begin == {}


def test_deaths_that_another_has_caused_are_not_held_against_the_job_that_was_to_begin_next(
    supervised: Supervised,
) -> None:
    for attempt in range(SETTINGS.max_losses):
        dies_with(supervised, assignment(104)._replace(attempt=attempt), assignment(105), begun=104)
        dies_with(supervised, assignment(105), doomed=True)
    assert {report.id for report in supervised.reports} == {104}
    assert ids(supervised.returned) == [105] * 2 * SETTINGS.max_losses
    assert supervised.children.deaths.before_begin == {}


def test_of_jobs_that_ran_apart_and_were_lost_together_none_is_given_up() -> None:
    """One that ran apart beside others is found out; the others are not blamed."""
    dead = DeadChild(1, Death(exit_code=-9, peak_memory_bytes=0), SETTINGS.max_losses)
    early = assignment(105)._replace(suspected=True)
    last = assignment(104)._replace(suspected=True, losses=SETTINGS.max_losses - 1)
    both = endings([Ended(Running(one, 0.0), Unexplained(), dead) for one in (last, early)])
    assert [(report.loss, report.retry_delay) for report in both] == [(False, 0.0), (True, 0.0)]
    found_out = endings([Ended(Running(one, 0.0), Unexplained(), dead) for one in (assignment(106), last)])
    assert [(report.loss, report.retry_delay) for report in found_out] == [(False, 0.0), (True, None)]


@pytest.mark.parametrize("signal_number", [signal.SIGKILL, signal.SIGSEGV])
def test_a_death_waits_for_others_only_where_others_were_at_work_and_may_be_hit_too(signal_number: int) -> None:
    supervised, beside = Supervised(), Supervised()
    death = Death(exit_code=-signal_number, peak_memory_bytes=0)
    roster, deaths = supervised.children.roster, supervised.children.deaths
    supervised.work_in_slots(supervised.child, beside.child)
    supervised.child.reports_fd = os.open(os.devnull, os.O_RDONLY)
    try:
        supervised.ring.begin(1)
        roster.note_death(supervised.child, death)
        deaths.bury_all()
        assert ids(supervised.returned) == [102, 103], "they had not begun"
        if signal_number == signal.SIGKILL:
            assert (supervised.reports, supervised.child.life.state) == ([], RETIRING)
            beside.child.drop_all()
            deaths.bury_all()
        assert [(report.id, report.loss) for report in supervised.reports] == [(101, True)]
    finally:
        supervised.let_go()
        beside.close()


def test_deaths_before_a_job_began_are_remembered_of_the_latest_only(
    supervised: Supervised, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobq.runtime.deaths.MAX_SUSPECTS", 2)
    for job_id in (104, 105, 104, 106, 107):
        dies_with(supervised, assignment(job_id)._replace(suspected=True))
    assert supervised.children.deaths.before_begin == {(106, 1): 1, (107, 1): 1}


def test_a_job_that_waits_in_a_held_up_process_is_taken_by_one_that_is_free(supervised: Supervised) -> None:
    dispatcher, held_up = supervised.children.dispatcher, supervised.child
    beside = Supervised()
    try:
        free = beside.child
        beside.serial.drop_all()
        supervised.work_in_slots(held_up, free)
        hold_only(held_up, assignment(104), seconds=1.0)
        assert dispatcher.holds_jobs_up(), "so that the supervisor looks again soon"
        dispatcher.rebalance()
        assert ids(supervised.returned) == [104]
        dispatcher.dispatch(deque(supervised.returned))
        assert (list(held_up.serial.held), list(free.serial.held)) == ([], [104])
    finally:
        beside.close()


def test_a_job_that_has_begun_or_that_no_other_process_could_take_stays(supervised: Supervised) -> None:
    dispatcher, child = supervised.children.dispatcher, supervised.child
    beside = Supervised()
    try:
        supervised.work_in_slots(child, beside.child)
        hold_only(child, assignment(104), seconds=1.0)
        hold_only(beside.child, assignment(105), seconds=0.0)
        dispatcher.rebalance()
        assert supervised.returned == [], "the other is busy"
        beside.serial.drop_all()
        supervised.ring.begin(child.serial.held[104][1])
        dispatcher.rebalance()
        assert supervised.returned == []
        assert not dispatcher.holds_jobs_up()
    finally:
        beside.close()


def test_a_job_whose_time_ran_out_before_it_began_goes_to_another_process(supervised: Supervised) -> None:
    """What holds the process up is not its doing; nor may the process wait for its end for ever."""
    child = supervised.child
    supervised.work_in_slots(child)
    hold_only(child, assignment(104)._replace(timeout=1.0), seconds=2.0)
    supervised.children.interrupter.watch(monotonic())
    assert ids(supervised.returned) == [104]
    assert supervised.reports == []
    assert child.serial.interruption is None
    assert child.life.state is RETIRING, "another one takes over"
    assert not supervised.children.crew.takes_jobs(child)


def test_a_job_in_a_process_that_was_too_large_before_it_began_goes_to_another(
    supervised: Supervised, monkeypatch: pytest.MonkeyPatch
) -> None:
    child, crew = supervised.child, supervised.children.crew
    crew.settings = replace(SETTINGS, max_memory_per_job=1)
    hold_only(child, assignment(104), seconds=0.0)
    monkeypatch.setattr("jobq.runtime.interrupter.resident_kilobytes", lambda _pid: 1 << 20)
    supervised.children.interrupter.watch(monotonic())
    assert ids(supervised.returned) == [104]
    assert child.serial.interruption is None
    assert child.life.state is RETIRING


def test_a_coroutine_that_was_not_read_is_not_blamed_for_the_one_that_holds_the_loop() -> None:
    supervised = Supervised(concurrency=4)
    child, coroutines = supervised.child, supervised.child.concurrent
    supervised.serial.drop_all()
    try:
        hog, unread = assignment(104), assignment(105)._replace(timeout=1.0)
        assert coroutines.send(deque([hog]), 1) == 1
        assert coroutines.inbox is not None
        coroutines.inbox.recv(MAX_PACKET)  # the child has read that one
        assert coroutines.send(deque([unread]), 1) == 1
        coroutines.held[105].since -= 2.0
        supervised.children.interrupter.watch(monotonic())
        assert ids(supervised.returned) == [105]
        assert list(coroutines.held) == [104]
        assert child.life.state is OPEN
        assert coroutines.is_held_up, "other processes come first"
        supervised.writes_line(pack_report(Report(104, 1, "successful", 1.0, 2.0, value="1")))
        assert not coroutines.is_held_up
    finally:
        supervised.close()


def test_to_stop_one_coroutine_leaves_its_process_open_and_to_stop_an_ordinary_job_does_not(
    supervised: Supervised,
) -> None:
    beside = Supervised(concurrency=2)
    try:
        assert beside.child.concurrent.send(deque([assignment(201)]), 1) == 1
        assert beside.child.concurrent.inbox is not None
        beside.child.concurrent.inbox.recv(MAX_PACKET)
        assert beside.children.cancel(201, 1, "by a test")
        assert beside.child.life.state is OPEN
        supervised.ring.begin(1)
        assert supervised.children.cancel(101, 1, "by a test")
        assert supervised.child.life.state is INTERRUPTED
        assert ids(supervised.returned) == [102, 103]
    finally:
        beside.close()


def test_where_it_is_unknown_what_has_begun_the_child_has_all_that_was_sent_and_says_so(supervised: Supervised) -> None:
    """What it has not read must not be cleared away then: nobody would ever say what became of it."""
    child = supervised.child
    supervised.serial.say(b"[")
    supervised.serial.ring.take_back = lambda _floor: UNKNOWN  # type: ignore[method-assign]
    child.recall()
    assert supervised.returned == []
    assert child.serial.inbox.recv(10, socket.MSG_DONTWAIT) == b"["
    for number in (1, 2, 3):
        supervised.passes_over(number)
    assert ids(supervised.returned) == [101, 102, 103]


def test_a_report_on_another_attempt_ends_no_job_and_its_process_is_not_trusted(supervised: Supervised) -> None:
    """Taken for the true one it would be recorded nowhere, and its job would be held for ever."""
    supervised.writes(Report(101, 7, "successful", 1.0, 2.0))
    assert list(supervised.serial.held) == [101, 102, 103]
    assert supervised.reports == []
    assert not supervised.is_trusted


def test_a_report_on_another_attempt_ends_no_coroutine() -> None:
    supervised = Supervised(concurrency=2)
    try:
        coroutines = supervised.child.concurrent
        assert coroutines.send(deque([assignment(201)]), 1) == 1
        supervised.writes(Report(201, 7, "successful", 1.0, 2.0))
        assert list(coroutines.held) == [201]
        assert not supervised.is_trusted
        supervised.writes(Report(201, 1, "successful", 1.0, 2.0))
        assert [report.id for report in supervised.reports] == [201]
        assert not coroutines.held
    finally:
        supervised.close()


def test_a_record_that_is_no_report_on_a_job_of_its_own_is_seen_and_the_others_count(supervised: Supervised) -> None:
    """Passed over in silence it would leave its job in flight for ever."""
    child = supervised.child
    supervised.writes()
    for job_id, started, is_trusted in ((101, 1.0, True), (102, 5.0, False), (109, 1.0, False)):
        child.life.state = OPEN
        supervised.ring.record(PLAIN_REPORT.pack(PLAIN, job_id, 1, started, 2.0, 1, 1))
        supervised.children.inbox.hear_ring(child)
        assert supervised.is_trusted is is_trusted
    assert [report.id for report in supervised.reports] == [101]
    assert list(supervised.serial.held) == [102, 103]


def test_no_job_takes_less_than_no_time(supervised: Supervised) -> None:
    """The supervisor would be asked to wait for less than that, and would fail."""
    assert is_sound(Report(101, 1, "successful", 2.0, 2.0))
    assert not is_sound(Report(101, 1, "successful", 1e9, 1.0))
    supervised.children.pace.learn([Report(101, 1, "successful", 1e9, 1.0)])
    supervised.serial.take_on([assignment(job_id) for job_id in range(200, 300)])
    supervised.work_in_slots(supervised.child)
    assert supervised.children.dispatcher.seconds_to_gather() >= 0


def test_a_job_that_cuts_the_shared_memory_short_does_not_come_back_while_it_runs(supervised: Supervised) -> None:
    """And its process is ended, since no report will be heard from it."""
    supervised.writes()
    supervised.ring.begin(1)
    os.ftruncate(supervised.memory.fd, 0)
    supervised.child.recall()
    assert supervised.returned == []
    supervised.children.inbox.hear_ring(supervised.child)
    assert not supervised.is_trusted


def test_what_was_never_sent_has_not_begun_and_whose_word_that_is_is_not_trusted(supervised: Supervised) -> None:
    supervised.writes()
    supervised.ring.begin(4)
    supervised.child.recall()
    assert supervised.returned == []
    supervised.children.inbox.hear_ring(supervised.child)
    assert not supervised.is_trusted


def test_of_a_child_that_has_closed_its_pipe_reports_are_heard_and_it_gets_no_more_jobs(supervised: Supervised) -> None:
    child, children = supervised.child, supervised.children
    supervised.work_in_slots(child)
    child.reports_fd, its_end = os.pipe()
    supervised.selector.register(child.reports_fd, selectors.EVENT_READ, child)
    supervised.ring.record(PLAIN_REPORT.pack(PLAIN, 101, 1, 1.0, 2.0, 1, 1))
    os.close(its_end)
    children.inbox.hear(child)
    children.inbox.hear_rings()
    assert [report.id for report in supervised.reports] == [101]
    assert children.dispatcher.room(child, window=128) == 0
    children.crew.close()
    assert child.serial.inbox.recv(1) == b"", "it is told that there is no more to do"
    os.close(child.reports_fd)


def test_a_child_that_has_left_its_process_group_is_killed(supervised: Supervised) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", "input()"], stdin=subprocess.PIPE
    ) as process:  # in the test's own group
        supervised.child.process = Process(process, "test")
        supervised.child.kill(Unexplained("by a test"))
        assert process.wait(timeout=10) == -9


def test_an_order_by_the_longest_name_fits_in_the_shared_memory(supervised: Supervised) -> None:
    order = Order(101, 1, OrderKind.CANCEL, "\N{GRINNING FACE}" * MAX_ORDER_CHARACTERS)
    supervised.memory.write(ORDER, order.pack())
    assert Order.unpack(supervised.memory.read(ORDER) or b"") == order


def test_where_there_can_be_no_file_a_job_with_large_arguments_waits_and_those_before_it_go_out(
    supervised: Supervised, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(_name: str) -> int:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(os, "memfd_create", refuse, raising=False)
    small, large = assignment(201), assignment(202)._replace(arguments='{"text": "' + "x" * MAX_INLINE + '"}')
    stock = deque([small, large])
    before = list(supervised.serial.held)

    supervised.work_in_slots(supervised.child)
    supervised.children.pace.learn([Report(1, 1, "successful", 0.0, 1e-6)])
    supervised.children.dispatcher.dispatch(stock)
    supervised.children.dispatcher.dispatch(stock)

    assert list(supervised.serial.held) == [*before, 201]
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
        supervised.children.keep_up()
        assert sorted(os.listdir("/dev/fd")) == before
    (slot,) = supervised.children.crew.slots
    assert slot.child is None
    assert slot.failures == 1
    assert slot.restart_at > monotonic()
    assert "cannot start a child process; trying again" in caplog.text
    assert all(process.returncode is not None for process in started), "none is left behind"
    started.clear()

    slot.restart_at = 0.0
    supervised.children.keep_up()

    assert slot.child is not None
    assert [slot.child.process.popen] == started
    supervised.children.crew.close()
    supervised.children.roster.cut_off_all("the test is over")
    while slot.child is not None:
        supervised.children.keep_up()

"""The children of a worker: starting them, handing them jobs, hearing their reports, and noticing their deaths.

Belongs to the supervisor's main thread; nothing here waits, and nothing here touches the database.
"""

import json
import logging
import os
import random
import selectors
import signal
import socket
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import islice
from operator import contains
from time import monotonic
from typing import Any, get_args, get_type_hints

from jobq.clean import line
from jobq.fingerprints import fingerprint
from jobq.processes import MARK, end_marked
from jobq.records import Assignment, Report
from jobq.retries import exponential
from jobq.runtime.board import ORDER, PROGRESS, WORKER, Board
from jobq.runtime.guard import INTERRUPT, SHOW_STACK
from jobq.runtime.lane import Begun, Lane
from jobq.runtime.machine import catches_signal, resident_kilobytes
from jobq.runtime.protocol import (
    CANCELLED,
    MAX_CHUNK,
    MAX_INLINE,
    MAX_MOMENT,
    MEMORY_LIMIT,
    PACKETS,
    PLAIN_REPORT,
    TIMED_OUT,
    Interruption,
    NoFile,
    Order,
    OrderKind,
    pack_assignments,
    send,
    split_reports,
    unpack_lines,
    unpack_note,
)
from jobq.runtime.ring import UNKNOWN, RingReader
from jobq.runtime.stacks import readable
from jobq.states import Outcome, may_retry, may_run_again

log = logging.getLogger("jobq.worker.pool")

READ_BYTES = 1 << 18

MAX_LINE_BYTES = 8 << 20
"""The longest that a child says in one go is what its classes are; a job that writes without end is not heard out."""

WINDOW_SECONDS = 0.02
"""A child holds about so much work ahead: enough to cover the way to the supervisor and back."""

MAX_WINDOW = 128

GATHER_SECONDS = 0.001
"""While children have enough to do, the supervisor lets their reports gather for so long at most: it would be woken for
each of the shortest jobs, and every look costs as much as many of them."""

LEAST_TO_GATHER = 16
"""… that is, so many jobs each …"""

SHORTEST_JOB_SECONDS = 20e-6
"""… of which each costs its process so much besides its own run."""

LONG_JOB_SECONDS = 0.05
"""From here on a child gets one job at a time: waiting for the next costs it less than a hundredth."""

RECALL_AFTER_SECONDS = 0.025
"""A child that has been at one job for so long gives up what it has not started."""

HANDED_IN_SECONDS = 5.0
"""How long a child without work may take to exit by itself."""

MAX_RESTART_DELAY_SECONDS = 30.0

MAX_LEFTOVERS = 1000
"""Kinds of things left behind by jobs that are remembered, so that each is warned about once."""

TELL_AGAIN_SECONDS = 0.25
"""A job that is to end and has not is told again so often."""

MEMORY_GRACE_SECONDS = 0.05
"""A job past its limit of memory has so long to let its stack be written; what it takes meanwhile is taken."""

STACK_QUIET_SECONDS = 0.1
"""A stack is taken for complete when nothing has been added to it for so long: it is written in one go."""

STACK_WAIT_SECONDS = 3.0
"""A process that has not begun to write its stack by then is stopped, or waits in the kernel."""

WATCH_EVERY_SECONDS = 0.05
"""Timeouts, grace times, stacks and memory are looked at so often, at most: not at every turn of the busy main loop."""

COMPLAIN_AGAIN_SECONDS = 60.0

MAX_ORDER_CHARACTERS = 500

LOOP_ANSWER_SECONDS = 1.0
"""An event loop that has not said what a coroutine waits for by then is held up: its process is asked where."""

STACK_BEFORE_KILL_SECONDS = 0.2

LEAST_DEATHS_BEFORE = 2
"""A job that has not begun comes to rest for no fewer deaths of its processes, whatever the limit of losses …"""

MAX_SUSPECTS = 1000
"""… and of so many jobs such deaths are remembered."""

APART_SECONDS = 30.0
"""Coroutines that were lost together more than once come back spread over so long: one that kills its process shall not
bring the same neighbours to their limit of losses."""


@dataclass(slots=True)
class Death:
    """How a child ended, as the kernel tells it."""

    exit_code: int  # negative: the signal that killed it
    peak_memory_bytes: int

    def __str__(self) -> str:
        memory = f"its memory peaked at {self.peak_memory_bytes / 2**20:,.0f} MB"
        if self.exit_code >= 0:
            return f"exited with code {self.exit_code}; {memory}"
        try:
            name = signal.Signals(-self.exit_code).name
        except ValueError:
            name = f"signal {-self.exit_code}"
        return f"was killed by {name}; {memory}"


@dataclass(slots=True, eq=False)
class Child:
    """One child process, as its supervisor sees it."""

    process: subprocess.Popen[bytes]
    outbox: socket.socket
    unread: socket.socket  # the child's own end of the socket: what it has not read is cleared away here
    reports_fd: int
    board: Board
    ring: RingReader
    lane: Lane | None = None  # where coroutines may run side by side
    generation: int = 0  # which state of the application's code it has imported
    mark: str = ""  # of all processes that its jobs start
    in_flight: dict[int, Assignment] = field(default_factory=dict)  # in the order sent; the first one runs
    numbers: dict[int, int] = field(default_factory=dict)  # by which the ring knows them
    next_number: int = 1
    buffer: bytes = b""
    ready: bool = False
    dispatched: int = 0
    busy_since: float = 0.0  # since when the first one in flight has run, as far as can be known
    closing_since: float | None = None
    doomed: str | None = None  # why it was killed, where that was our doing
    cut_off: bool = False  # … and its job is not to blame
    culprit: int | None = None  # the job that is, which had not ended when it was told to
    is_held_up: bool = False  # it gave back what it should have begun at once, and has ended nothing since
    is_loop_held_up: bool = False  # … of coroutines
    is_reserved: bool = False  # for a suspected job, which runs there alone
    is_spent: bool = False  # it gets no more jobs, and is replaced
    interruption: Interruption | None = None
    progress: bytes | None = None  # what was read last of its job's progress
    said: list[tuple[int, int, Any]] = field(default_factory=list)  # what its coroutines said of theirs
    stack_asked_at: float | None = None
    stack_job: int = 0  # … and of which job
    stack_bytes: int = 0  # of the stack that is being written …
    stack_grew_at: float = 0.0  # … and when there last were more

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def coroutines(self) -> dict[int, Begun]:
        return {} if self.lane is None else self.lane.begun

    @property
    def is_at_work(self) -> bool:
        return bool(self.in_flight) or bool(self.coroutines)

    def take_on(self, assignments: Sequence[Assignment]) -> None:
        """They were sent, in this order."""
        for number, assignment in enumerate(assignments, self.next_number):
            self.in_flight[assignment.id] = assignment
            self.numbers[assignment.id] = number
        self.next_number += len(assignments)
        self.dispatched += len(assignments)

    def give_up(self, job_id: int) -> Assignment:
        """Raises KeyError where it has no such job."""
        assignment = self.in_flight.pop(job_id)
        del self.numbers[job_id]
        return assignment

    def gives_up(self, report: Report) -> bool:
        """Whether it had this attempt, which it has ended."""
        assignment = self.in_flight.get(report.id)
        if assignment is None or assignment.attempt != report.attempt:
            return False
        self.give_up(report.id)
        return True

    def gives_up_coroutine(self, report: Report) -> bool:
        if self.lane is None or self.lane.find(report.id, report.attempt) is None:
            return False
        del self.coroutines[report.id]
        return True

    def give_up_all(self) -> None:
        self.in_flight.clear()
        self.numbers.clear()

    def take_back(self) -> list[Assignment]:
        """What it has not begun, and will not."""
        begun = self.ring.take_back(self.next_number)
        if self.next_number <= begun < UNKNOWN:  # it was never sent that one
            self.ring.is_spoilt = True
        return [self.give_up(job_id) for job_id, number in list(self.numbers.items()) if number > begun]

    @property
    def has_begun_none(self) -> bool:
        """Of what is in flight there."""
        return next(iter(self.numbers.values()), UNKNOWN) > self.ring.begun()

    @property
    def running(self) -> list[Assignment]:
        """What runs there at this moment, as far as can be known."""
        first = [next(iter(self.in_flight.values()))] if self.in_flight else []
        return first + [begun.assignment for begun in self.coroutines.values()]


@dataclass(slots=True, eq=False)
class Slot:
    """One place among the processes: the child that works it, and the one that will take over from it."""

    child: Child | None = None
    successor: Child | None = None
    failures: int = 0  # children in a row that died before they were ready, or could not be started
    restart_at: float = 0.0

    def failed(self) -> None:
        """Another try comes ever later."""
        self.failures += 1
        self.restart_at = monotonic() + min(0.5 * 2**self.failures, MAX_RESTART_DELAY_SECONDS)


@dataclass(frozen=True, slots=True)
class PoolSettings:
    processes: int
    max_jobs_per_process: int | None
    max_memory_per_process: int | None  # MB, like the next
    max_memory_per_job: int | None
    max_losses: int
    concurrency: int
    cancel_grace: float
    shutdown_grace: float
    root: str
    app: tuple[str, ...]
    middleware: tuple[str, ...]
    environment: dict[str, str]
    automatic_telemetry: bool = False  # children set their SDK up as `opentelemetry-instrument` did here

    def for_child(self) -> bytes:
        """What a child is told before its first job."""
        names = ("root", "app", "middleware", "automatic_telemetry", "concurrency")
        return json.dumps({name: getattr(self, name) for name in names}).encode()


class Pool:
    """The processes of one worker.

    `on_reports` gets every report, of children and of their deaths; `on_loaded` what the application defines, when a
    child has imported it; `on_not_loaded` why it does not import; `on_returned` jobs that a child gave up unstarted;
    `on_stack` what a job is doing, or why that cannot be told.
    """

    def __init__(
        self,
        settings: PoolSettings,
        selector: selectors.BaseSelector,
        wake: Callable[[], None],
        *,
        mark: str,
        on_reports: Callable[[list[Report]], None],
        on_loaded: Callable[[dict[str, Any]], None],
        on_not_loaded: Callable[[str, str], None],
        on_returned: Callable[[list[Assignment]], None],
        on_stack: Callable[[int, str], None],
    ) -> None:
        self.settings = settings
        self.slots = [Slot() for _ in range(settings.processes)]
        self.mean_seconds: float | None = None  # of a job's run, lately
        self._children: dict[int, Child] = {}  # by the descriptor of their reports
        self._leaving: set[Child] = set()
        self._deaths: deque[tuple[Child, Death]] = deque()
        self._deaths_before: dict[tuple[int, int], int] = {}  # the attempt began: by id and attempt, the latest last
        self._selector = selector
        self._wake = wake
        self._on_reports = on_reports
        self._on_loaded = on_loaded
        self._on_not_loaded = on_not_loaded
        self._on_returned = on_returned
        self._on_stack = on_stack
        self._closing = False
        self._watch_at = 0.0
        self._complain_at = 0.0
        self._is_pressing = False  # something is being stopped, or asked
        self._worker_id = 0
        self._generation = 0  # counts the changes of the application's code
        self._is_renewed = True  # a child has imported the latest one …
        self._is_unfit = False  # … or could not
        self._leftovers: set[tuple[str, str]] = set()
        self._mark = mark
        self._started = 0

    def tell_worker(self, worker_id: int) -> None:
        """Under what id this worker goes now: jobs that complete themselves have to know it."""
        self._worker_id = worker_id
        for child in self._all():
            child.board.write(WORKER, str(worker_id).encode())

    # Starting and replacing

    def keep_up(self) -> None:
        """Starts what is missing, replaces what has served its time, and ends what does not end by itself."""
        self._bury_the_dead()
        now = monotonic()
        for slot in self.slots:
            self._keep_up_slot(slot, now)
        if now >= self._watch_at:
            self._watch_at = now + WATCH_EVERY_SECONDS
            self._watch_all(now)
        for child in list(self._leaving):
            overdue = child.closing_since is not None and now - child.closing_since > HANDED_IN_SECONDS
            if overdue and not child.is_at_work and child.doomed is None:
                self.kill(child, "it did not exit when it had no more to do")
            elif self._is_outdated(child) and child.doomed is None and self._is_past_grace(child, now):
                self.kill(child, "the code changed, and its job had not ended in time", is_cut_off=True)

    def renew(self, settings: PoolSettings) -> None:
        """The application has changed: children that import it anew take over, as soon as they have done so."""
        self.settings = settings
        self._generation += 1
        self._is_renewed = self._is_unfit = False
        for slot in self.slots:
            slot.failures, slot.restart_at = 0, 0.0
            if (successor := slot.successor) is not None:
                slot.successor = None
                self.dismiss(successor)

    def _is_outdated(self, child: Child) -> bool:
        return child.generation != self._generation

    def _is_past_grace(self, child: Child, now: float) -> bool:
        return child.closing_since is not None and now - child.closing_since > self.settings.shutdown_grace

    def _replace_outdated(self, slot: Slot, child: Child) -> None:
        """Once the new code is there, nothing is begun with the old: what one of them knows the other may not."""
        self._recall(child)
        self.dismiss(child)
        if slot.successor is not None and slot.successor.ready:
            slot.child, slot.successor = slot.successor, None

    def _keep_up_slot(self, slot: Slot, now: float) -> None:
        child = slot.child
        if child is not None and self._is_outdated(child) and self._is_renewed:
            self._replace_outdated(slot, child)
            child = slot.child
        if child is not None and self._is_spent(child) and slot.successor is not None and slot.successor.ready:
            self.dismiss(child)
            if not child.in_flight:
                slot.child, slot.successor = slot.successor, None
        if self._closing or now < slot.restart_at:
            return
        if slot.child is None:
            slot.child = self._start_for(slot)
        elif slot.successor is None and self._needs_successor(slot.child):
            slot.successor = self._start_for(slot)

    def _needs_successor(self, child: Child) -> bool:
        """Early enough that the next one has imported the application when this one has done its share."""
        if child.is_spent or child.interruption is not None:
            return True
        if self._is_unfit:
            return False  # it could not import the application
        if self._is_outdated(child):
            return True
        most = self.settings.max_jobs_per_process
        if most is None:
            return False
        early = int(0.5 / self.mean_seconds) + 1 if self.mean_seconds else 0
        return child.dispatched >= most - min(most // 2, early)

    def _is_spent(self, child: Child) -> bool:
        if self._is_unfit:
            return child.is_spent  # there is none that could replace it
        most = self.settings.max_jobs_per_process
        return child.is_spent or (most is not None and child.dispatched >= most)

    def _start_for(self, slot: Slot) -> Child | None:
        """None: the machine lets no other process, thread or file be; which may pass, so it is tried again."""
        try:
            return self._start()
        except (OSError, RuntimeError) as error:  # which of them says that no thread can be started
            slot.failed()
            log.error("a child could not be started; trying again, the others go on error=%s", error)
            return None

    def _start(self) -> Child:
        with ExitStack() as undo, ExitStack() as of_child:
            outbox, inbox = socket.socketpair(socket.AF_UNIX, PACKETS)
            undo.callback(outbox.close)
            undo.callback(inbox.close)
            reports_fd, child_reports_fd = os.pipe()
            undo.callback(os.close, reports_fd)
            of_child.callback(os.close, child_reports_fd)
            board = Board.of_supervisor()
            undo.callback(board.close)
            lane = Lane(self.settings.concurrency) if self.settings.concurrency > 1 else None
            if lane is not None:
                undo.callback(lane.close)
            self._started += 1
            mark = f"{self._mark}.{self._started}"
            lane_fd = -1 if lane is None else lane.inbox.fileno()
            process = subprocess.Popen(
                [
                    *(sys.executable, "-P", "-m", "jobq.runtime.child"),
                    *map(str, (os.getpid(), inbox.fileno(), child_reports_fd, board.fd, lane_fd)),
                ],
                stdin=subprocess.DEVNULL,
                pass_fds=(inbox.fileno(), child_reports_fd, board.fd, *([] if lane is None else [lane_fd])),
                env={**os.environ, **self.settings.environment, MARK: mark},
                process_group=0,  # what a job leaves running ends with its child; the terminal's Ctrl-C stays with us
            )
            ring = RingReader(board, PLAIN_REPORT.size)
            child = Child(process, outbox, inbox, reports_fd, board, ring, lane, self._generation, mark)
            waiter = threading.Thread(
                target=self._await_death, args=[child], name=f"jobq-await-{child.pid}", daemon=True
            )
            try:
                waiter.start()
            except RuntimeError:
                process.kill()
                process.wait()
                raise
            undo.pop_all()
        outbox.setblocking(False)
        os.set_blocking(reports_fd, False)
        outbox.send(self.settings.for_child())
        board.write(WORKER, str(self._worker_id).encode())
        self._children[reports_fd] = child
        self._selector.register(reports_fd, selectors.EVENT_READ, child)
        log.debug("child started pid=%s", child.pid)
        return child

    def _await_death(self, child: Child) -> None:
        """A thread of its own for each child: the kernel then also tells its exit and the peak of its memory."""
        _, status, usage = os.wait4(child.pid, 0)
        end_group(child.pid)
        end_marked(child.mark)  # before its death is known: what it started must not meet the next run of its job
        exit_code = os.waitstatus_to_exitcode(status)
        child.process.returncode = exit_code
        unit = 1 if sys.platform == "darwin" else 1024
        self._deaths.append((child, Death(exit_code, usage.ru_maxrss * unit)))
        self._wake()

    # Handing out jobs

    @property
    def window(self) -> int:
        """How many jobs a child may hold at once, by how long they have taken lately."""
        if self.mean_seconds is None or self.mean_seconds >= LONG_JOB_SECONDS:
            return 1
        return min(MAX_WINDOW, max(2, int(WINDOW_SECONDS / max(self.mean_seconds, 1e-6)) + 1))

    def free(self) -> int:
        """How many jobs could be handed out now."""
        window = self.window
        return sum(self._room(slot.child, window) for slot in self.slots)

    def dispatch(self, stock: deque[Assignment]) -> None:
        """Hands jobs out from the front of the stock for as long as children have room, so that all hold as many."""
        window = self.window
        rooms = [(slot.child, self._room(slot.child, window)) for slot in self.slots if slot.child is not None]
        open_children = [(child, room) for child, room in rooms if room]
        open_children.sort(key=lambda entry: (len(entry[0].in_flight), entry[0].is_held_up))
        held = sum(len(child.in_flight) for child, _ in open_children)
        for place, (child, room) in enumerate(open_children):
            if not stock:
                break
            level = -(-(len(stock) + held) // (len(open_children) - place))
            held -= len(child.in_flight)
            self._send(child, stock, min(room, level - len(child.in_flight)))

    def free_for_coroutines(self) -> int:
        """How many coroutines could be handed out now."""
        return sum(child.lane.room for child in self._open_lanes() if child.lane is not None)

    def dispatch_coroutines(self, stock: deque[Assignment]) -> None:
        """Hands coroutines out, each to the child that has the fewest; one that is held up comes last."""
        children = self._open_lanes()
        while stock and children:
            child = min(children, key=lambda child: (child.is_loop_held_up, len(child.coroutines)))
            assert child.lane is not None
            try:
                if not child.lane.room or not self._send_coroutine(child, stock):
                    children.remove(child)
            except NoFile as error:
                self._complain(error)
                return

    def _open_lanes(self) -> list[Child]:
        children = (slot.child for slot in self.slots if slot.child is not None and slot.child.lane is not None)
        return [child for child in children if self._is_open(child) and not child.is_reserved]

    def _is_open(self, child: Child) -> bool:
        """Whether it takes jobs at all."""
        if not child.ready or child.closing_since is not None or child.doomed is not None:
            return False
        if self._is_spent(child) or child.interruption is not None:
            return False
        return not (self._is_renewed and self._is_outdated(child))

    def _room(self, child: Child | None, window: int) -> int:
        if child is None or not child.ready or child.closing_since is not None or child.doomed is not None:
            return 0
        if child.is_reserved or child.is_spent or child.interruption is not None:
            return 0
        if self._is_renewed and self._is_outdated(child):
            return 0
        if child.in_flight and monotonic() - child.busy_since > RECALL_AFTER_SECONDS:
            return 0  # at a long job, whatever jobs have taken lately
        room = window - len(child.in_flight)
        if self.settings.max_jobs_per_process is not None:
            most = self.settings.max_jobs_per_process if not self._is_unfit else child.dispatched + room
            room = min(room, most - child.dispatched)
        return max(0, room)

    def reserve(self, *, keep_one: bool) -> Child | None:
        """Keeps a process free for a suspected job: it ends what it has begun, and gets nothing else.

        With `keep_one`, the last of several processes stays for ordinary jobs.
        """
        children = [slot.child for slot in self.slots if slot.child is not None and not slot.child.is_reserved]
        usable = list(filter(self._is_open, children))
        if len(usable) <= (1 if keep_one and len(self.slots) > 1 else 0):
            return None
        child = min(usable, key=lambda child: (len(child.in_flight) + len(child.coroutines), child.is_held_up))
        self._recall(child)
        child.is_reserved = True
        return child

    def is_usable(self, child: Child) -> bool:
        """Whether a process that was reserved still takes jobs."""
        return any(slot.child is child for slot in self.slots) and self._is_open(child)

    def send_alone(self, child: Child, suspect: Assignment, *, is_coroutine: bool) -> bool:
        """Hands a suspected job to the process that was reserved for it. False: it does not take it."""
        if not self.is_usable(child) or child.is_at_work:
            return False
        suspects = deque([suspect])
        if is_coroutine:
            try:
                self._send_coroutine(child, suspects)
            except NoFile as error:
                self._complain(error)
        else:
            self._send(child, suspects, 1)
        return not suspects

    def _send_coroutine(self, child: Child, stock: deque[Assignment]) -> bool:
        """Sends the first of the stock. False: the child has not read what was sent before. Raises NoFile."""
        assert child.lane is not None
        is_sent = child.lane.send(stock[0], pack_assignments([stock[0]]))
        if is_sent:
            stock.popleft()
            child.dispatched += 1
        return is_sent

    def _send(self, child: Child, stock: deque[Assignment], most: int) -> None:
        assignments = list(islice(stock, most))
        sent = 0
        for count, packet in self._chunks(assignments, child.next_number):
            try:
                send(child.outbox, packet)
            except NoFile as error:
                self._complain(error)
                break
            except OSError:  # no more room; or it is dying, and its death will be told
                break
            sent += count
        if sent and not child.in_flight:
            child.busy_since = monotonic()
        child.take_on(assignments[:sent])
        for _ in range(sent):
            stock.popleft()

    def _chunks(self, assignments: list[Assignment], number: int) -> list[tuple[int, bytes]]:
        """Packets, each with how many assignments it holds; one that would fill the socket is halved."""
        chunks: list[tuple[int, bytes]] = []
        for start in range(0, len(assignments), MAX_CHUNK):
            chunk = assignments[start : start + MAX_CHUNK]
            packet = pack_assignments(chunk, number + start)
            if len(packet) <= MAX_INLINE or len(chunk) == 1:
                chunks.append((len(chunk), packet))
            else:
                middle = len(chunk) // 2
                chunks += self._chunks(chunk[:middle], number + start)
                chunks += self._chunks(chunk[middle:], number + start + middle)
        return chunks

    def _complain(self, error: NoFile) -> None:
        """Says why the job at the front waits; it is given back after a while."""
        if (now := monotonic()) >= self._complain_at:
            self._complain_at = now + COMPLAIN_AGAIN_SECONDS
            log.error("large arguments cannot be handed out: there can be no file for them error=%s", error)

    # Hearing from children

    def hear_all(self) -> None:
        """Takes what children have reported by the ring: they say so seldom, or when they are out of work."""
        for child in self._working():
            self._hear_ring(child)

    def hear(self, child: Child) -> None:
        """Reads what a child has written, and passes its reports on."""
        try:
            data = os.read(child.reports_fd, READ_BYTES)
        except BlockingIOError:
            return
        if not data:  # it is dying; or its job has closed the pipe, and whatever else it could be told by
            self._unregister(child)
            child.is_spent = child.is_spent or child.ready
            return
        reports, lines, child.buffer = split_reports(child.buffer + data)
        if reports:
            self._take_reports(child, reports)
        if lines:
            self._take(child, lines)
        if len(child.buffer) > MAX_LINE_BYTES:
            child.buffer = b""
            self._refuse(child)

    def _hear_ring(self, child: Child) -> None:
        try:
            records = child.ring.take_records()
        except ValueError:
            self._refuse(child)
            return
        if not records:
            return
        reports, *rest = split_reports(records)
        if any(rest):
            self._refuse(child)
        self._take_reports(child, reports)

    def _take(self, child: Child, lines: list[bytes]) -> None:
        try:
            unpacked = unpack_lines(lines)
            reports = [Report(*entry) for entry in unpacked if type(entry) is list]
            if not all(map(is_sound, reports)):
                raise ValueError("forged")
        except (ValueError, TypeError):
            if len(lines) > 1:  # what else it wrote still counts
                for line in lines:
                    self._take(child, [line])
            else:
                self._refuse(child)
            return
        for entry in unpacked:
            if type(entry) is dict:
                self._take_message(child, entry)
        self._take_reports(child, reports)

    def _refuse(self, child: Child) -> None:
        if child.doomed is None:
            self.kill(child, "it wrote something that is no report: a job must have used a descriptor not its own")

    def _take_reports(self, child: Child, reports: list[Report]) -> None:
        heard = len(reports)
        if child.coroutines and (ended := [report for report in reports if child.gives_up_coroutine(report)]):
            reports = [report for report in reports if report not in ended]
            child.is_loop_held_up = False
            self._on_reports(ended)
            heard -= len(ended)
        # Of an attempt that is not its own a report is a lie. Taken for its own, no row would be found for it, and the
        # true one would come too late.
        reports = [report for report in reports if child.gives_up(report)]
        if len(reports) < heard:
            self._refuse(child)
        if reports:
            child.busy_since = max(child.busy_since, min(monotonic(), reports[-1].ended))  # when the next one began
            child.is_held_up = False
            self._learn(reports)
            self._check_if_spent(child, reports)
            self._on_reports(reports)

    def _check_if_spent(self, child: Child, reports: list[Report]) -> None:
        """After an exception from outside a process is no longer to be trusted: a database driver that was interrupted
        in a query, say, leaves a connection that nobody can use. So is one that keeps too much memory."""
        if child.interruption is not None and child.interruption.assignment.id not in child.in_flight:
            child.interruption = None
            child.is_spent = True
        most = self.settings.max_memory_per_process
        if most is None or max(report.peak_memory_kilobytes or 0 for report in reports) <= most * 1024:
            return
        held = resident_kilobytes(child.pid)
        if held is None or held > most * 1024:
            child.is_spent = True
            self._recall(child)

    def _take_message(self, child: Child, message: dict[str, Any]) -> None:
        match message:
            case {"ready": loaded} if not child.ready:  # so no job has run there, to say it in its place
                self._take_ready(child, loaded)
            case {"failed": {"message": text, "traceback": user_traceback}} if not child.ready:
                if not self._is_unfit:  # the children of one change say the same
                    self._note_unfit(child)
                    self._on_not_loaded(text, user_traceback)
            case {"passed over": int(number)}:
                self._take_passed_over(child, number)
            case {"left": {"job_class": str(job_class), "what": str(what), "is_worn": bool(is_worn)}}:
                self._note_leftover(child, job_class, what, is_worn=is_worn)
            case {"progress": [int(job_id), int(attempt), dict(said)]}:
                child.said.append((job_id, attempt, said))
            case {"stack": [int(job_id), str(stack)]}:
                if (begun := child.coroutines.get(job_id)) is not None:
                    begun.stack_asked_at = None
                    self._on_stack(job_id, readable(stack))
            case _:
                self._refuse(child)

    def _note_leftover(self, child: Child, job_class: str, what: str, *, is_worn: bool) -> None:
        """Warns once of each kind of thing that jobs of a class leave behind in their process."""
        if is_worn:
            child.is_spent = True
            self._recall(child)
        if (job_class, what) in self._leftovers or len(self._leftovers) >= MAX_LEFTOVERS:
            return
        self._leftovers.add((job_class, what))
        then = "; its process is replaced" if is_worn else ""
        log.warning("a job left %s%s job_class=%s", line(what), then, line(job_class))

    def _take_ready(self, child: Child, loaded: dict[str, Any]) -> None:
        child.ready = True
        self._is_renewed = self._is_renewed or not self._is_outdated(child)
        for slot in self.slots:
            if child in (slot.child, slot.successor):
                slot.failures = 0
        if not self._is_outdated(child):
            self._on_loaded(loaded)

    def _note_unfit(self, child: Child) -> None:
        """The code cannot be imported as it is now: it will not be tried again before it changes."""
        if not self._is_renewed and not self._is_outdated(child):
            self._is_unfit = True

    def _learn(self, reports: list[Report]) -> None:
        """What jobs take lately: recent ones count for more, so that the windows follow a change within a moment."""
        latest = max(0.0, sum(report.ended - (report.started or report.ended) for report in reports) / len(reports))
        weight = min(1.0, 0.1 * len(reports)) if self.mean_seconds is not None else 1.0
        self.mean_seconds = latest if self.mean_seconds is None else (
            weight * latest + (1 - weight) * self.mean_seconds
        )

    # Taking jobs back

    def rebalance(self) -> None:
        """Takes back what waits in a child behind a long job, so that it holds no other job up; so does what an earlier
        one has left there, a thread that keeps the interpreter to itself, say."""
        now = monotonic()
        for child in self._working():
            if now - child.busy_since > RECALL_AFTER_SECONDS and self._holds_jobs_up(child):
                self._recall(child)
                child.is_held_up = child.is_held_up or not child.in_flight

    def _holds_jobs_up(self, child: Child) -> bool:
        return len(child.in_flight) > 1 or (self._is_one_free() and child.has_begun_none)

    def _is_one_free(self) -> bool:
        children = [slot.child for slot in self.slots if slot.child is not None]
        return any(not child.in_flight and not child.is_held_up and self._room(child, 1) for child in children)

    def recall_all(self) -> None:
        for child in self._at_work():
            self._recall(child)

    def _recall(self, child: Child) -> None:
        if returned := self._take_unbegun(child):
            child.dispatched -= len(returned)
            self._on_returned(returned)

    def _take_unbegun(self, child: Child) -> list[Assignment]:
        """Takes back what the child has not begun, as far as that can be known: see `_take_passed_over`."""
        if not child.ready:
            return []
        returned = [] if child.lane is None else child.lane.take_unread()
        if child.in_flight and (unbegun := child.take_back()):
            returned += unbegun
            self._clear_unread(child)  # never where it is unknown what has begun: the child has to say of each
        return returned

    def _clear_unread(self, child: Child) -> None:
        """The child would pass it all over; room need not wait for that, nor the memory of large arguments."""
        try:
            # Not a non-blocking socket: the child's end is the same, and the child must wait there.
            while child.unread.recv(1, socket.MSG_DONTWAIT):
                pass
        except BlockingIOError:
            return

    def _take_passed_over(self, child: Child, number: int) -> None:
        """A child was about to begin this job when it was taken back, so that it was taken for begun."""
        job_id = next((job_id for job_id, known in child.numbers.items() if known == number), None)
        if job_id is None:  # as nearly always: it was found not begun
            return
        assignment = child.give_up(job_id)
        child.dispatched -= 1
        if (interruption := child.interruption) is not None and interruption.assignment.id == job_id:
            child.interruption = None
            child.is_spent = True
            if interruption.order.kind is OrderKind.CANCEL:
                self._on_reports([cancelled_unstarted(assignment, interruption.order.message)])
                return
        self._on_returned([assignment])

    # Ending jobs before their own end

    def holder(self, job_id: int, attempt: int) -> Child | None:
        """The child that has this attempt, begun or not."""
        for child in self._at_work():
            self._hear_ring(child)
            assignment = child.in_flight.get(job_id)
            if assignment is not None and assignment.attempt == attempt:
                return child
            if child.lane is not None and child.lane.find(job_id, attempt) is not None:
                return child
        return None

    def cancel(self, job_id: int, attempt: int, message: str) -> bool:
        """Has an attempt end that has begun. False: no child has it, or it has come back as one that has not begun."""
        child = self.holder(job_id, attempt)
        if child is not None:
            self._recall(child)
        if child is not None and (begun := child.coroutines.get(job_id)) is not None:
            self._interrupt_coroutine(child, begun, OrderKind.CANCEL, message)
            return True
        if child is None or job_id not in child.in_flight:
            return False
        self._interrupt(child, child.in_flight[job_id], OrderKind.CANCEL, message, self.settings.cancel_grace)
        return True

    def _interrupt(
        self, child: Child, assignment: Assignment, kind: OrderKind, message: str, grace: float
    ) -> None:
        """Tells a child's job to end, and notes what it is doing. Whoever was first has the word on why."""
        if child.interruption is not None or child.doomed is not None:
            return
        self._recall(child)  # what waits behind it goes to a process that has not been interrupted
        if child.in_flight.get(assignment.id) is not assignment:
            child.is_spent = True  # it had not even begun: whatever holds this process up, another takes over
            return
        order = Order(assignment.id, assignment.attempt, kind, message[:MAX_ORDER_CHARACTERS])
        child.interruption = Interruption(order, assignment, grace, monotonic() + grace)
        self._is_pressing = True
        log.info("stopping job=%s attempt=%s pid=%s reason=%s", assignment.id, assignment.attempt, child.pid, message)
        self._signal(child, SHOW_STACK)
        if kind is not OrderKind.MEMORY:
            child.board.write(ORDER, order.pack())
            self._signal(child, INTERRUPT)

    def _interrupt_coroutine(self, child: Child, begun: Begun, kind: OrderKind, message: str) -> None:
        """Has one coroutine cancelled. If it has not ended when its grace time is over, its process ends with it."""
        if begun.interruption is not None or child.doomed is not None or child.lane is None:
            return
        assignment, grace = begun.assignment, self.settings.cancel_grace
        order = Order(assignment.id, assignment.attempt, kind, message[:MAX_ORDER_CHARACTERS])
        begun.interruption = Interruption(order, assignment, grace, monotonic() + grace)
        self._is_pressing = True
        log.info("stopping job=%s attempt=%s pid=%s reason=%s", assignment.id, assignment.attempt, child.pid, message)
        child.lane.tell(order)

    def _watch_coroutines(self, child: Child, now: float) -> None:
        if any(begun.is_over_time for begun in child.coroutines.values()):
            self._recall_unread(child)
        for begun in list(child.coroutines.values()):
            if begun.stack_asked_at is not None:
                self._is_pressing = True
                if now - begun.stack_asked_at > LOOP_ANSWER_SECONDS:
                    begun.stack_asked_at = None
                    self._ask_process(child, begun.assignment.id)
            if begun.is_over_time:
                message = f"ran for longer than its timeout of {begun.assignment.timeout:g} s"
                self._interrupt_coroutine(child, begun, OrderKind.TIMEOUT, message)
            if begun.interruption is None:
                continue
            self._is_pressing = True
            if now >= begun.interruption.kill_at - STACK_BEFORE_KILL_SECONDS and not begun.interruption.is_stack_asked:
                begun.interruption.is_stack_asked = True
                self._signal(child, SHOW_STACK)
            if now >= begun.interruption.kill_at and child.doomed is None:
                child.culprit = begun.assignment.id
                self.kill(child, begun.interruption.order.message)

    def _recall_unread(self, child: Child) -> None:
        """A coroutine that its process has not read has not run, let alone for too long: another holds up the loop."""
        if child.lane is not None and child.ready and (unread := child.lane.take_unread()):
            child.dispatched -= len(unread)
            child.is_loop_held_up = True
            self._on_returned(unread)

    def _signal(self, child: Child, number: signal.Signals) -> bool:
        """False: its job has taken the handler of that signal away, and it would do something else now."""
        if not catches_signal(child.pid, number):
            return False
        try:
            os.kill(child.pid, number)
        except ProcessLookupError:
            return False  # it is dying; its death will be told
        return True

    def _watch_all(self, now: float) -> None:
        self._is_pressing = False
        for child in self._all():
            self._watch(child, now)
        if self.settings.max_memory_per_job is not None:
            self._watch_memory(self.settings.max_memory_per_job)

    def _watch(self, child: Child, now: float) -> None:
        """Its timeout, the end of its grace time, the stack that it is writing."""
        if child.stack_asked_at is not None:
            self._is_pressing = True
            self._follow_stack(child, now)
        if child.coroutines:
            self._watch_coroutines(child, now)
        if not child.in_flight:
            return
        if (interruption := child.interruption) is not None:
            self._is_pressing = True
            self._tell_again(child, interruption, now)
            if now >= interruption.kill_at and child.doomed is None:
                child.culprit = interruption.assignment.id
                self.kill(child, interruption.order.message)
            return
        running = next(iter(child.in_flight.values()))
        if running.timeout is not None and now - child.busy_since > running.timeout:
            message = f"ran for longer than its timeout of {running.timeout:g} s"
            self._interrupt(child, running, OrderKind.TIMEOUT, message, self.settings.cancel_grace)

    def _tell_again(self, child: Child, interruption: Interruption, now: float) -> None:
        """A signal that comes just before a system call blocks is seen only after it: the next one interrupts it. The
        guard raises once, however often it is told."""
        if interruption.order.kind is OrderKind.MEMORY or child.doomed is not None or now < interruption.tell_again_at:
            return
        if interruption.tell_again_at:
            self._signal(child, INTERRUPT)
        interruption.tell_again_at = now + TELL_AGAIN_SECONDS

    def _watch_memory(self, most: int) -> None:
        for child in self._at_work():
            held = resident_kilobytes(child.pid)
            if held is not None and held > most * 1024:
                running = child.running[0]
                message = f"its process held {held // 1024} MB, more than the {most} MB that max_memory_per_job allows"
                if child.coroutines and child.doomed is None:
                    self._end_for_memory(child, message)
                    continue
                self._interrupt(child, running, OrderKind.MEMORY, message, MEMORY_GRACE_SECONDS)

    def _end_for_memory(self, child: Child, message: str) -> None:
        """Of a single coroutine it is known that it took the memory; of several, each may have."""
        if not child.in_flight and len(child.coroutines) == 1:
            (begun,) = child.coroutines.values()
            order = Order(begun.assignment.id, begun.assignment.attempt, OrderKind.MEMORY, message)
            begun.interruption = Interruption(order, begun.assignment, 0.0, monotonic())
            child.culprit = begun.assignment.id
        self.kill(child, message)

    # What jobs are doing

    def ask_stack(self, job_id: int, attempt: int) -> bool:
        """Asks a child what its job is doing; `on_stack` gets the answer. False: no child has begun this attempt."""
        child = self.holder(job_id, attempt)
        if child is not None and (begun := child.coroutines.get(job_id)) is not None and child.lane is not None:
            begun.stack_asked_at = monotonic()
            self._is_pressing = True
            child.lane.ask_stack(job_id)
            return True
        if child is None or next(iter(child.in_flight)) != job_id:
            return False
        return self._ask_process(child, job_id)

    def _ask_process(self, child: Child, job_id: int) -> bool:
        """Asks for the stacks of all threads: what is told of a coroutine that holds its loop up, too."""
        if child.stack_asked_at is not None:
            return True
        self._keep_stack(child)
        if not self._signal(child, SHOW_STACK):
            self._on_stack(job_id, "its process does not answer: its job has replaced the handlers of signals")
            return True
        child.stack_job = job_id
        child.stack_asked_at = child.stack_grew_at = monotonic()
        self._is_pressing = True
        child.stack_bytes = 0
        return True

    def _follow_stack(self, child: Child, now: float) -> None:
        """Takes a stack when it is complete. Whoever asked gets an answer, if only that there is none."""
        assert child.stack_asked_at is not None
        written = child.board.stack_bytes()
        if written > child.stack_bytes:
            child.stack_bytes, child.stack_grew_at = written, now
        is_complete = written > 0 and now - child.stack_grew_at > STACK_QUIET_SECONDS
        if not is_complete and now - child.stack_asked_at < STACK_WAIT_SECONDS:
            return
        child.stack_asked_at = None
        stack = self._keep_stack(child) or "its process did not answer: it is stopped, or waits in the kernel"
        self._on_stack(child.stack_job, stack)

    def _keep_stack(self, child: Child) -> str:
        """What a child has written of its stack; the first one after an interruption stays with that."""
        stack = readable(child.board.take_stacks())
        if child.interruption is not None and not child.interruption.stack:
            child.interruption.stack = stack
        return stack

    def seconds_to_next_look(self) -> float | None:
        """None: there is nothing to look after that no event would tell of."""
        if self._is_pressing or (self.settings.max_memory_per_job is not None and not self.is_idle):
            return WATCH_EVERY_SECONDS
        return None

    def progress(self) -> list[tuple[int, int, Any]]:
        """What running jobs have said of their progress since this was asked last: id, attempt, what was said."""
        said = []
        for child in self._all():
            said += [entry for entry in child.said if entry[0] in child.coroutines]
            child.said.clear()
        for child in self._working():
            note = child.board.read(PROGRESS)
            if note is None or note == child.progress:
                continue
            child.progress = note
            match unpack_note(note):
                case [int(job_id), int(attempt), dict(progress)]:
                    if (assignment := child.in_flight.get(job_id)) is not None and assignment.attempt == attempt:
                        said.append((job_id, attempt, progress))
        return said

    # Endings

    def dismiss(self, child: Child) -> None:
        """Lets a child go: it ends what it has, and exits."""
        if child.closing_since is None:
            child.closing_since = monotonic()
            self._leaving.add(child)
            if sys.platform == "linux":
                child.outbox.shutdown(socket.SHUT_WR)
            else:  # a datagram socket has no end to tell; an empty packet reads the same
                child.outbox.send(b"")
            if child.lane is not None:
                child.lane.shut()

    def close(self) -> None:
        """No more jobs: children that are idle go at once, the others when their job is done."""
        self._closing = True
        for child in self._all():
            self.dismiss(child)

    def kill(self, child: Child, reason: str, *, is_cut_off: bool = False) -> None:
        """Ends a child and all that its job started."""
        child.doomed = reason
        child.cut_off = is_cut_off
        end_group(child.pid)
        if child.process.returncode is None:
            end_process(child.pid)  # its job may have moved it to another group

    def cut_off_working(self, reason: str) -> None:
        """Ends every child that is at a job; the jobs are given back, with nothing held against them."""
        for child in self._at_work():
            self.kill(child, reason, is_cut_off=True)

    def drop_working(self, reason: str) -> None:
        """Ends every child that is at a job, without a report: the jobs belong to somebody else by now."""
        for child in self._at_work():
            self._take_unbegun(child)
            child.give_up_all()
            child.coroutines.clear()
            self.kill(child, reason)

    def kill_all(self, reason: str) -> None:
        for child in self._all():
            self.kill(child, reason, is_cut_off=True)

    def _bury_the_dead(self) -> None:
        while self._deaths:
            child, death = self._deaths.popleft()
            self._bury(child, death)

    def _bury(self, child: Child, death: Death) -> None:
        """Hears the last words of a dead child, and says what became of each job that it held."""
        self._hear_ring(child)
        while child.reports_fd in self._children:
            before = len(child.buffer), len(child.in_flight)
            self.hear(child)
            if child.reports_fd in self._children and (len(child.buffer), len(child.in_flight)) == before:
                break  # a descendant that a job left behind still holds the pipe open
        next_one = next(iter(child.in_flight.values()), None)
        unstarted = self._take_unbegun(child)
        begun = child.ring.begun()
        stack = self._keep_stack(child)
        if child.stack_asked_at is not None:
            self._on_stack(child.stack_job, "its process has just ended")
        self._forget(child, death)
        if next_one is not None and not child.in_flight and child.doomed is None:
            unstarted = self._without_suspect(unstarted, next_one, child, death)
        if unstarted:
            self._on_returned(unstarted)
        if child.coroutines:
            self._bury_coroutines(child, death, stack)
        if child.in_flight:
            # One was running. Of any other nobody can know: its job has cut the board short, or it died just when a
            # job that it was about to begin was taken back.
            running = next(
                (assignment for job_id, assignment in child.in_flight.items() if child.numbers[job_id] == begun),
                next(iter(child.in_flight.values())),
            )
            unknown = [assignment for assignment in child.in_flight.values() if assignment is not running]
            if child.cut_off and child.doomed:
                reports = [cut_off(running, child.busy_since, child.doomed)]
            elif child.culprit not in (None, running.id):
                reports = [cut_off(running, child.busy_since, ended_for(child))]
            elif child.interruption is not None and child.interruption.assignment is running:
                reports = [stopped(running, child, child.interruption, death)]
            else:
                reports = [lost(running, child, death, max_losses=self.settings.max_losses)]
            reports += [
                cut_off(assignment, None, f"child process {child.pid} {death}; it may have run this job")
                for assignment in unknown
            ]
            child.give_up_all()
            self._on_reports(reports)

    def _without_suspect(
        self, unstarted: list[Assignment], suspect: Assignment, child: Child, death: Death
    ) -> list[Assignment]:
        """A job may kill every process that only reads it: its arguments may take all memory. One such death proves
        nothing: the job is handed out again, alone in its process, and only deaths from then on are counted. Jobs
        behind the one that was to begin next are not suspect at all."""
        if not suspect.suspected:
            return [one if one is not suspect else one._replace(suspected=True) for one in unstarted]
        key = suspect.id, suspect.attempt
        deaths = self._deaths_before.pop(key, 0) + 1
        if deaths < max(self.settings.max_losses, LEAST_DEATHS_BEFORE):
            self._deaths_before[key] = deaths
            if len(self._deaths_before) > MAX_SUSPECTS:  # others may have ended, here or elsewhere
                del self._deaths_before[next(iter(self._deaths_before))]
            return unstarted
        self._on_reports([lost_before_it_began(suspect, child, death, deaths)])
        return [assignment for assignment in unstarted if assignment is not suspect]

    def _bury_coroutines(self, child: Child, death: Death, stack: str) -> None:
        """Says what became of each coroutine. Which of several has brought its process down nobody can know."""
        reports = []
        is_alone = len(child.running) == 1
        for begun in child.coroutines.values():
            assignment, interruption = begun.assignment, begun.interruption
            if child.cut_off and child.doomed:
                report = cut_off(assignment, begun.since, child.doomed)
            elif child.culprit not in (None, assignment.id):
                report = cut_off(assignment, begun.since, ended_for(child))
            elif interruption is not None:
                interruption.stack = stack
                report = stopped(assignment, child, interruption, death)
            else:
                report = lost(assignment, child, death, max_losses=self.settings.max_losses)
                if not is_alone and assignment.losses and report.retry_delay is not None:
                    report = report._replace(retry_delay=random.uniform(0, APART_SECONDS))  # noqa: S311
            reports.append(report._replace(started=begun.since))
            if begun.stack_asked_at is not None:
                self._on_stack(assignment.id, "its process has just ended")
        child.coroutines.clear()
        self._on_reports(reports)

    def _forget(self, child: Child, death: Death) -> None:
        self._unregister(child)
        os.close(child.reports_fd)
        self._clear_unread(child)
        child.outbox.close()
        child.unread.close()
        child.board.close()
        if child.lane is not None:
            child.lane.close()
        self._leaving.discard(child)
        for slot in self.slots:
            if slot.child is child:
                slot.child, slot.successor = slot.successor, None
            elif slot.successor is child:
                slot.successor = None
            else:
                continue
            if not child.ready:
                self._note_unfit(child)
                slot.failed()
        if child.closing_since is None or death.exit_code != 0:
            reason = f" ({child.doomed})" if child.doomed else ""
            log.warning("child pid=%s %s%s", child.pid, death, reason)
        else:
            log.debug("child pid=%s %s", child.pid, death)

    def _unregister(self, child: Child) -> None:
        if self._children.pop(child.reports_fd, None) is not None:
            self._selector.unregister(child.reports_fd)

    # Looking

    def _working(self) -> Iterable[Child]:
        return [child for child in self._all() if child.in_flight]

    def _at_work(self) -> Iterable[Child]:
        """Those too that run nothing but coroutines."""
        return [child for child in self._all() if child.is_at_work]

    def _all(self) -> set[Child]:
        """Those too whose job has closed the pipe of their reports: they are to be ended like any other."""
        places = (child for slot in self.slots for child in (slot.child, slot.successor) if child is not None)
        return {*self._children.values(), *self._leaving, *places}

    @property
    def in_flight(self) -> list[Assignment]:
        return [
            assignment
            for child in self._at_work()
            for assignment in (*child.in_flight.values(), *(begun.assignment for begun in child.coroutines.values()))
        ]

    @property
    def is_idle(self) -> bool:
        return not any(child.is_at_work for child in self._all())

    @property
    def is_empty(self) -> bool:
        return not self._all() and not self._deaths

    @property
    def ready_children(self) -> int:
        return sum(1 for slot in self.slots if slot.child is not None and slot.child.ready)

    def seconds_to_gather(self) -> float:
        """How long what children report may gather, because each of them has work for longer than that."""
        least = min((len(slot.child.in_flight) if slot.child else 0 for slot in self.slots), default=0)
        if least < LEAST_TO_GATHER:
            return 0.0
        return max(0.0, min(GATHER_SECONDS, least * ((self.mean_seconds or 0.0) + SHORTEST_JOB_SECONDS) / 4))

    def holds_jobs_up(self) -> bool:
        """Whether in some child a job waits, behind the one that runs there or though none does."""
        return any(map(self._holds_jobs_up, self._working()))

    def seconds_at_current(self) -> float | None:
        """The shortest time that a busy child has been at its job; None while some child is free."""
        now = monotonic()
        children = [slot.child for slot in self.slots]
        if any(child is None or not child.in_flight for child in children):
            return None
        return min(now - child.busy_since for child in children if child is not None)

    def status(self) -> list[dict[str, Any]]:
        """What each child is doing, for the heartbeat."""
        now = monotonic()
        return [
            {
                "pid": child.pid,
                "ready": child.ready,
                "job": next(iter(list(child.in_flight)), None),
                "seconds": round(now - child.busy_since, 1) if child.in_flight else None,
                "coroutines": len(child.coroutines),
            }
            for child in list(self._children.values())
        ]

    def begun(self) -> dict[str, tuple[int, float]]:
        """What is known to have begun and not to have ended, for the heartbeat: by id, the attempt and the seconds
        since. If this worker dies, these jobs count as lost; nobody knows of the others."""
        now = monotonic()
        begun: dict[str, tuple[int, float]] = {}
        for child in list(self._children.values()):
            first = next(iter(list(child.in_flight.values())), None)
            if first is not None and child.numbers.get(first.id) == child.ring.begun_lately():
                begun[str(first.id)] = (first.attempt, now - child.busy_since)
            for one in list(child.coroutines.values()):
                begun[str(one.assignment.id)] = (one.assignment.attempt, now - one.since)
        return begun


def ended_for(child: Child) -> str:
    return f"its process was ended for another job in it, {child.culprit}: {child.doomed}"


OUTCOMES = frozenset(outcome.value for outcome in Outcome)


TYPES = [get_args(hint) or (hint,) for hint in get_type_hints(Report).values()]


def is_sound(report: Report) -> bool:
    """Whether a report can be worked with. What a job has written in its place may be anything that is JSON."""
    return (
        all(map(contains, TYPES, map(type, report)))
        and report.outcome in OUTCOMES
        and is_moment(report.ended)
        and (report.started is None or (is_moment(report.started) and report.started <= report.ended))
        and (report.retry_delay is None or 0 <= report.retry_delay < MAX_MOMENT)
    )


def is_moment(value: float) -> bool:
    return abs(value) < MAX_MOMENT


def lost(assignment: Assignment, child: Child, death: Death, *, max_losses: int) -> Report:
    """The report that a dead child cannot make about the job it was running."""
    losses = assignment.losses + 1
    return Report(
        id=assignment.id,
        attempt=assignment.attempt,
        outcome=Outcome.LOST.value,
        started=child.busy_since,
        ended=monotonic(),
        error_type="ProcessDied",
        error_message=f"child process {child.pid} {death}; loss {losses} of {max_losses}",
        fingerprint=fingerprint(assignment.job_class, "ProcessDied"),
        retry_delay=0.0 if may_run_again(losses=losses, max_losses=max_losses) else None,
        excused=True,
        loss=True,
        aborted=True,
        peak_memory_kilobytes=death.peak_memory_bytes // 1024,
    )


def lost_before_it_began(assignment: Assignment, child: Child, death: Death, deaths: int) -> Report:
    """The report about a job that no process lived to begin."""
    report = lost(assignment, child, death, max_losses=0)
    message = f"child process {child.pid} {death}; {deaths} times its process died before the job began"
    return report._replace(started=None, error_message=message, peak_memory_kilobytes=None)


def stopped(assignment: Assignment, child: Child, interruption: Interruption, death: Death) -> Report:
    """The report on a job whose process was killed because it was to end, and had not ended in time."""
    order = interruption.order
    outcome, error_type, retry_delay = Outcome.ERRORED, TIMED_OUT, None
    if order.kind is OrderKind.CANCEL:
        outcome, error_type = Outcome.CANCELLED, CANCELLED
    elif order.kind is OrderKind.MEMORY:
        error_type = MEMORY_LIMIT
    if outcome is Outcome.ERRORED and may_retry(tries=assignment.tries, retries=assignment.retries):
        retry_delay = exponential(assignment.tries)  # get_retry_delay() is for the child to ask, and it is dead
    if order.kind is OrderKind.MEMORY:
        how = "it was killed"
    elif child.doomed:
        how = f"it had not stopped {interruption.grace:g} s after it was told to, and its process was killed"
    else:
        how = f"when it was told to stop, its process {death}"
    return Report(
        id=assignment.id,
        attempt=assignment.attempt,
        outcome=outcome.value,
        started=child.busy_since,
        ended=monotonic(),
        error_type=error_type,
        error_message=f"{order.message}; {how}",
        traceback=interruption.stack or None,
        fingerprint=fingerprint(assignment.job_class, error_type) if outcome is Outcome.ERRORED else None,
        retry_delay=retry_delay,
        aborted=True,
        peak_memory_kilobytes=death.peak_memory_bytes // 1024,
    )


def cancelled_unstarted(assignment: Assignment, message: str) -> Report:
    """The report about a job that was cancelled when it was claimed, and had not begun."""
    return Report(
        id=assignment.id,
        attempt=assignment.attempt,
        outcome=Outcome.CANCELLED.value,
        started=None,
        ended=monotonic(),
        error_type=CANCELLED,
        error_message=message,
        aborted=True,
    )


def cut_off(assignment: Assignment, started: float | None, reason: str) -> Report:
    """The report about a job that the supervisor cut off: it runs again elsewhere, and nothing is held against it."""
    return Report(
        id=assignment.id,
        attempt=assignment.attempt,
        outcome=Outcome.LOST.value,
        started=started,
        ended=monotonic(),
        error_type="CutOff",
        error_message=reason,
        retry_delay=0.0,
        excused=True,
        aborted=True,
    )


def end_group(pid: int) -> None:
    """Kills a child's process group: the child, and what its jobs started and left."""
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return  # nothing of it is left


def end_process(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return  # its death will be told

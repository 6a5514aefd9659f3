"""The jobs that one child runs in turn: how they are sent, reported and taken back.

Has the same interface as `concurrent`, so that nobody else asks which of the two a job is in.
"""

import socket
import sys
from collections import deque
from collections.abc import Sequence
from itertools import islice
from operator import attrgetter
from time import monotonic

from jobq.records import Assignment, Report
from jobq.runtime.guard import INTERRUPT, SHOW_STACK
from jobq.runtime.interruption import Interruption, Running
from jobq.runtime.process import Process
from jobq.runtime.protocol import (
    MAX_CHUNK,
    MAX_INLINE,
    PACKETS,
    PLAIN_REPORT,
    OrderKind,
    pack_assignments,
    send,
)
from jobq.runtime.ring import UNKNOWN, RingReader
from jobq.runtime.shared_memory import ORDER, SharedMemory

TELL_AGAIN_SECONDS = 0.25
"""A job that was told to end, and has not, is told again this often."""

IDS = attrgetter("id")


class Serial:
    """What one child holds, in the order sent: the first one runs."""

    interrupts_process = True
    """To tell one job to end disturbs the whole process, which is not trusted with another job."""

    def __init__(self, memory: SharedMemory) -> None:
        self._outbox, self.inbox = socket.socketpair(socket.AF_UNIX, PACKETS)
        # `inbox` is the child's own end: what it has not read is cleared away here.
        self._outbox.setblocking(False)
        self._memory = memory
        self.ring = RingReader(memory, PLAIN_REPORT.size)
        self.held: dict[int, tuple[Assignment, int]] = {}  # by job, with the number by which the ring knows it
        self.next_number = 1
        self.busy_since = 0.0  # since when the first one has run, as far as can be known
        self.is_held_up = False  # it gave back what it should have begun at once, and has ended nothing since
        self.interruption: Interruption | None = None

    # What it holds

    def __len__(self) -> int:
        return len(self.held)

    def __contains__(self, job_id: int) -> bool:
        return job_id in self.held

    @property
    def first(self) -> Assignment | None:
        for assignment, _ in self.held.values():
            return assignment
        return None

    def running(self) -> list[Running]:
        """What runs at this moment, as far as can be known."""
        first = self.first
        return [] if first is None else [Running(first, self.busy_since, self.interruption)]

    def running_as(self, job_id: int) -> Running:
        """A job that is held here, if it runs: which one does may be unknown."""
        return Running(self.held[job_id][0], self.busy_since, self.interruption)

    def find(self, job_id: int, attempt: int) -> Assignment | None:
        assignment, _ = self.held.get(job_id, (None, 0))
        return assignment if assignment is not None and assignment.attempt == attempt else None

    def seconds_at_first(self, now: float) -> float:
        """For how long the first one has run; 0 where there is none."""
        return now - self.busy_since if self.held else 0.0

    # Sending

    def take_on(self, assignments: Sequence[Assignment]) -> None:
        """They were sent, in this order."""
        if not self.held:
            self.busy_since = monotonic()
        count = len(assignments)
        numbers = range(self.next_number, self.next_number + count)
        self.held.update(zip(map(IDS, assignments), zip(assignments, numbers, strict=True), strict=True))
        self.next_number += count

    def send(self, stock: deque[Assignment], limit: int) -> int:
        """Sends jobs from the front of the stock, and returns how many. Raises NoFile after those that could be sent.

        Sends fewer where the socket has no more room; or the child is dying, and its death will be told.
        """
        assignments = list(islice(stock, limit))
        sent = 0
        try:
            for count, packet in chunks(assignments, self.next_number):
                send(self._outbox, packet)
                sent += count
        except OSError:
            return sent
        finally:
            if sent:
                self.take_on(assignments[:sent])
                for _ in range(sent):
                    stock.popleft()
        return sent

    # Reports

    def accept(self, reports: list[Report]) -> list[Report]:
        """Those that end an attempt of its own. Each ends one: it is not held any more."""
        held, accepted = self.held, []
        for report in reports:
            entry = held.get(report.id)
            if entry is not None and entry[0].attempt == report.attempt:
                del held[report.id]
                accepted.append(report)
        if accepted:
            # The next one began when the last one ended.
            self.busy_since = max(self.busy_since, min(monotonic(), accepted[-1].ended))
            self.is_held_up = False
        return accepted

    @property
    def has_outlived_interruption(self) -> bool:
        """The job that was told to end has ended."""
        return self.interruption is not None and self.interruption.assignment.id not in self.held

    # Taking back

    def give_up(self, job_id: int) -> Assignment:
        """Raises KeyError where it has no such job."""
        return self.held.pop(job_id)[0]

    def give_up_number(self, number: int) -> Assignment | None:
        """The job that the ring knows by this number; None where it is not here any more."""
        job_id = next((job_id for job_id, (_, known) in self.held.items() if known == number), None)
        return None if job_id is None else self.give_up(job_id)

    def recall(self) -> list[Assignment]:
        """Takes back jobs that have not begun, as far as that can be known: the child says of each it passes over."""
        if not self.held:
            return []
        begun = self.ring.take_back(self.next_number)
        if self.next_number <= begun < UNKNOWN:  # it was never sent that one
            self.ring.is_spoilt = True
        returned = [self.give_up(job_id) for job_id, (_, number) in list(self.held.items()) if number > begun]
        if returned:
            self.clear_unread()  # never where it is unknown what has begun: the child has to say of each
        return returned

    def clear_unread(self) -> None:
        """The child would pass it all over; room need not wait for that, nor the memory of large arguments."""
        try:
            # Not a non-blocking socket: the child's end is the same, and the child must wait there.
            while self.inbox.recv(1, socket.MSG_DONTWAIT):
                pass
        except BlockingIOError:
            return

    def drop_all(self) -> None:
        self.held.clear()

    @property
    def has_begun_none(self) -> bool:
        """Of what is held there."""
        return next((number for _, number in self.held.values()), UNKNOWN) > self.ring.begun()

    def first_with_number(self) -> tuple[Assignment, int] | None:
        """For another thread of the supervisor: it copies what is held in one step."""
        return next(iter(list(self.held.values())), None)

    # Interrupting

    def interrupt(self, interruption: Interruption, process: Process) -> None:
        """Has the stack written, and tells the job to end."""
        self.interruption = interruption
        process.signal(SHOW_STACK)
        if interruption.order.kind is not OrderKind.MEMORY:
            self._memory.write(ORDER, interruption.order.pack())
            process.signal(INTERRUPT)

    def remind(self, interruption: Interruption, process: Process, now: float) -> None:
        """A signal that comes just before a system call blocks is seen only after it: the next one interrupts it. The
        guard raises once, however often it is told."""
        if interruption.order.kind is OrderKind.MEMORY or now < interruption.tell_again_at:
            return
        if interruption.tell_again_at:
            process.signal(INTERRUPT)
        interruption.tell_again_at = now + TELL_AGAIN_SECONDS

    # Ending

    def shut(self) -> None:
        """Nothing more will come."""
        if sys.platform == "linux":
            self._outbox.shutdown(socket.SHUT_WR)
        else:  # a datagram socket has no end to tell; an empty packet reads the same
            self._outbox.send(b"")

    def say(self, packet: bytes) -> None:
        """The first packet, before any job: how the child is set up."""
        self._outbox.send(packet)

    def close(self) -> None:
        self._outbox.close()
        self.inbox.close()


def chunks(assignments: list[Assignment], number: int) -> list[tuple[int, bytes]]:
    """Packets, each with how many assignments it holds; one that would fill the socket is halved."""
    packets: list[tuple[int, bytes]] = []
    for start in range(0, len(assignments), MAX_CHUNK):
        chunk = assignments[start : start + MAX_CHUNK]
        packet = pack_assignments(chunk, number + start)
        if len(packet) <= MAX_INLINE or len(chunk) == 1:
            packets.append((len(chunk), packet))
        else:
            middle = len(chunk) // 2
            packets += chunks(chunk[:middle], number + start)
            packets += chunks(chunk[middle:], number + start + middle)
    return packets

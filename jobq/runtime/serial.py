"""The jobs that one child runs in turn: sends them, and takes back their reports and the unstarted ones.

Has the same interface as `concurrent`, so that callers need not know which of the two has a job.
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
"""A job that was told to end, and has not ended, is told again this often."""

IDS = attrgetter("id")


class Serial:
    """The jobs that one child holds, in the order sent: the first one runs."""

    interrupts_process = True
    """An order to one job disturbs the whole process, which then gets no other job."""

    def __init__(self, memory: SharedMemory) -> None:
        self._outbox, self.inbox = socket.socketpair(socket.AF_UNIX, PACKETS)
        # `inbox` is the child's own end: unread packets are cleared away here.
        self._outbox.setblocking(False)
        self._memory = memory
        self.ring = RingReader(memory, PLAIN_REPORT.size)
        self.held: dict[int, tuple[Assignment, int]] = {}  # by job, with its number in the ring
        self.next_number = 1
        self.busy_since = 0.0  # when the first job began, as far as known
        self.is_held_up = False  # it returned jobs that it should have begun at once, and has ended nothing since
        self.interruption: Interruption | None = None

    # Held jobs

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
        """The running jobs, as far as known."""
        first = self.first
        return [] if first is None else [Running(first, self.busy_since, self.interruption)]

    def running_as(self, job_id: int) -> Running:
        """A held job, if it runs: which one does may be unknown."""
        return Running(self.held[job_id][0], self.busy_since, self.interruption)

    def find(self, job_id: int, attempt: int) -> Assignment | None:
        assignment, _ = self.held.get(job_id, (None, 0))
        return assignment if assignment is not None and assignment.attempt == attempt else None

    def seconds_at_first(self, now: float) -> float:
        """How long the first job has run; 0 if there is none."""
        return now - self.busy_since if self.held else 0.0

    # Sending

    def take_on(self, assignments: Sequence[Assignment]) -> None:
        """These were sent, in this order."""
        if not self.held:
            self.busy_since = monotonic()
        count = len(assignments)
        numbers = range(self.next_number, self.next_number + count)
        self.held.update(zip(map(IDS, assignments), zip(assignments, numbers, strict=True), strict=True))
        self.next_number += count

    def send(self, stock: deque[Assignment], limit: int) -> int:
        """Sends jobs from the front of the stock, and returns how many. Raises NoFile after those that could be sent.

        Sends fewer if the socket is full, or if the child is dying. Its death is then reported elsewhere.
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
        """The reports that end a held attempt. That attempt is then no longer held."""
        held, accepted = self.held, []
        for report in reports:
            entry = held.get(report.id)
            if entry is not None and entry[0].attempt == report.attempt:
                del held[report.id]
                accepted.append(report)
        if accepted:
            # The next one began when this one ended.
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
        """The job with this number in the ring. None if it is not here any more."""
        job_id = next((job_id for job_id, (_, known) in self.held.items() if known == number), None)
        return None if job_id is None else self.give_up(job_id)

    def recall(self) -> list[Assignment]:
        """Takes back jobs that have not begun, as far as known: the child confirms each one that it skips."""
        if not self.held:
            return []
        begun = self.ring.take_back(self.next_number)
        if self.next_number <= begun < UNKNOWN:  # it was never sent that one
            self.ring.is_spoilt = True
        returned = [self.give_up(job_id) for job_id, (_, number) in list(self.held.items()) if number > begun]
        if returned:
            self.clear_unread()  # never if it is unknown which have begun: the child must confirm each
        return returned

    def clear_unread(self) -> None:
        """The child would skip all of them. Clearing them frees room, and the memory of large arguments, at once."""
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
        """For the jobs held there."""
        return next((number for _, number in self.held.values()), UNKNOWN) > self.ring.begun()

    def first_with_number(self) -> tuple[Assignment, int] | None:
        """For another thread of the supervisor: it copies the held jobs in one step."""
        return next(iter(list(self.held.values())), None)

    # Interrupting

    def interrupt(self, interruption: Interruption, process: Process) -> None:
        """Requests the stack, and tells the job to end."""
        self.interruption = interruption
        process.signal(SHOW_STACK)
        if interruption.order.kind is not OrderKind.MEMORY:
            self._memory.write(ORDER, interruption.order.pack())
            process.signal(INTERRUPT)

    def remind(self, interruption: Interruption, process: Process, now: float) -> None:
        """A signal that comes just before a system call blocks is noticed only after it, so the next one interrupts it.
        The guard raises once, however many signals come."""
        if interruption.order.kind is OrderKind.MEMORY or now < interruption.tell_again_at:
            return
        if interruption.tell_again_at:
            process.signal(INTERRUPT)
        interruption.tell_again_at = now + TELL_AGAIN_SECONDS

    # Ending

    def shut(self) -> None:
        """Sends the end of all work."""
        if sys.platform == "linux":
            self._outbox.shutdown(socket.SHUT_WR)
        else:  # a datagram socket cannot be shut down; an empty packet reads the same
            self._outbox.send(b"")

    def say(self, packet: bytes) -> None:
        """The first packet, before any job: the settings of the child."""
        self._outbox.send(packet)

    def close(self) -> None:
        self._outbox.close()
        self.inbox.close()


def chunks(assignments: list[Assignment], number: int) -> list[tuple[int, bytes]]:
    """Packets, each with its number of assignments. A packet that would fill the socket is halved."""
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

"""The coroutines that one child runs side by side: how they are sent, reported and taken back.

They have a way of their own into the child, so that an ordinary job that keeps it busy is not in theirs. What the
supervisor wants of one of them takes the same way. Has the same interface as `serial`.
"""

import socket
import sys
from collections import deque
from time import monotonic

from jobq.records import Assignment, Report
from jobq.runtime.guard import SHOW_STACK
from jobq.runtime.interruption import Interruption, Running
from jobq.runtime.process import Process
from jobq.runtime.protocol import (
    ASK,
    MAX_PACKET,
    ORDERS,
    PACKETS,
    pack_assignments,
    receive,
    send,
    unpack_assignments,
)

STACK_BEFORE_KILL_SECONDS = 0.2


class Concurrent:
    """The coroutines of one child, by the ids of their jobs: all that were sent have begun, as far as can be known.

    At most `limit` at once; with 0 there is no way for them, and none is ever held.
    """

    interrupts_process = False

    def __init__(self, limit: int) -> None:
        self.held: dict[int, Running] = {}
        self.is_held_up = False  # it gave back what its loop had not read, and has ended nothing since
        self._limit = limit
        self._ends = socket.socketpair(socket.AF_UNIX, PACKETS) if limit else None
        if self._ends is not None:
            self._ends[0].setblocking(False)

    @property
    def inbox(self) -> socket.socket | None:
        """The child's own end: what it has not read is taken back here."""
        return None if self._ends is None else self._ends[1]

    # What it holds

    def __len__(self) -> int:
        return len(self.held)

    def __contains__(self, job_id: int) -> bool:
        return job_id in self.held

    def running(self) -> list[Running]:
        return list(self.held.values())

    def running_as(self, job_id: int) -> Running:
        return self.held[job_id]

    def find(self, job_id: int, attempt: int) -> Assignment | None:
        running = self.held.get(job_id)
        return running.assignment if running is not None and running.assignment.attempt == attempt else None

    @property
    def room(self) -> int:
        return max(0, self._limit - len(self.held))

    # Sending

    def send(self, stock: deque[Assignment], limit: int) -> int:
        """Sends coroutines from the front of the stock, and returns how many. Raises NoFile.

        Sends fewer where the child has not read what was sent before.
        """
        sent = 0
        while stock and sent < min(limit, self.room) and self._put(pack_assignments([stock[0]])):
            assignment = stock.popleft()
            self.held[assignment.id] = Running(assignment, monotonic())
            sent += 1
        return sent

    # Reports

    def accept(self, reports: list[Report]) -> list[Report]:
        """Those that end an attempt of its own. Each ends one: it is not held any more."""
        accepted = []
        for report in reports:
            if self.find(report.id, report.attempt) is not None:
                del self.held[report.id]
                accepted.append(report)
        if accepted:
            self.is_held_up = False
        return accepted

    # Taking back

    def recall(self) -> list[Assignment]:
        """Assignments that the child has not read: once read here, it can no longer get them."""
        returned: list[Assignment] = []
        if self._ends is None:
            return returned
        wanted: list[bytes] = []  # of those that have begun: that stays on its way
        buffer = memoryview(bytearray(MAX_PACKET))
        while packet := self._take(buffer):
            if packet.startswith((ORDERS, ASK)):
                wanted.append(packet)
                continue
            _, assignments = unpack_assignments(packet)
            unread = [self.held.pop(assignment.id, None) for assignment in assignments]
            returned += [running.assignment for running in unread if running is not None]
        for packet in wanted:
            self._put(packet)
        return returned

    def drop_all(self) -> None:
        self.held.clear()

    # Interrupting

    def interrupt(self, interruption: Interruption, process: Process) -> None:
        """Has one coroutine cancelled. An order that cannot be put there is none: its process is ended in its time."""
        self.held[interruption.assignment.id].interruption = interruption
        self._put(ORDERS + interruption.order.pack())

    def remind(self, interruption: Interruption, process: Process, now: float) -> None:
        """The event loop is told once. Shortly before its process is killed, all threads are asked for their stacks."""
        if now >= interruption.kill_at - STACK_BEFORE_KILL_SECONDS and not interruption.is_stack_asked:
            interruption.is_stack_asked = True
            process.signal(SHOW_STACK)

    def ask_stack(self, job_id: int) -> None:
        self.held[job_id].stack_asked_at = monotonic()
        self._put(ASK + str(job_id).encode())

    # Ending

    def shut(self) -> None:
        """Nothing more will come."""
        if self._ends is None:
            return
        if sys.platform != "linux":  # a datagram socket has no end to tell; an empty packet reads the same
            self._put(b"")
            return
        try:
            self._ends[0].shutdown(socket.SHUT_WR)
        except OSError:  # the child has gone before
            return

    def close(self) -> None:
        for end in self._ends or ():
            end.close()

    def _take(self, buffer: memoryview) -> bytes:
        assert self._ends is not None
        try:
            return receive(self._ends[1], buffer, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return b""

    def _put(self, packet: bytes) -> bool:
        assert self._ends is not None
        try:
            send(self._ends[0], packet)
        except OSError:  # full, or its end has gone; its death will be told
            return False
        return True

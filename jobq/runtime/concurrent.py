"""The coroutines that one child runs side by side: sends them, and takes back their reports and the unstarted ones.

They have their own socket into the child, so that an ordinary job that keeps the child busy does not delay them.
Requests about one of them use the same socket. Has the same interface as `serial`.
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
    """The coroutines of one child, by the ids of their jobs. All that were sent count as begun.

    At most `limit` at once. With 0 there is no socket for them, and none is ever held.
    """

    interrupts_process = False

    def __init__(self, limit: int) -> None:
        self.held: dict[int, Running] = {}
        self.is_held_up = False  # it returned what its loop had not read, and has ended nothing since
        self._limit = limit
        self._ends = socket.socketpair(socket.AF_UNIX, PACKETS) if limit else None
        if self._ends is not None:
            self._ends[0].setblocking(False)

    @property
    def inbox(self) -> socket.socket | None:
        """The child's own end: the parent takes back unread coroutines here."""
        return None if self._ends is None else self._ends[1]

    # Held coroutines

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

        Sends fewer if the child has not read the earlier ones.
        """
        sent = 0
        while stock and sent < min(limit, self.room) and self._put(pack_assignments([stock[0]])):
            assignment = stock.popleft()
            self.held[assignment.id] = Running(assignment, monotonic())
            sent += 1
        return sent

    # Reports

    def accept(self, reports: list[Report]) -> list[Report]:
        """The reports that end a held attempt. That attempt is then no longer held."""
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
        """Reads back assignments that the child has not read. It can no longer get them."""
        returned: list[Assignment] = []
        if self._ends is None:
            return returned
        wanted: list[bytes] = []  # requests about coroutines that have begun: they are sent again
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
        """Asks one coroutine to cancel. If the order cannot be sent, its process is killed after the grace time."""
        self.held[interruption.assignment.id].interruption = interruption
        self._put(ORDERS + interruption.order.pack())

    def remind(self, interruption: Interruption, process: Process, now: float) -> None:
        """Tells the event loop once. Shortly before its process is killed, asks all threads for their stacks."""
        if now >= interruption.kill_at - STACK_BEFORE_KILL_SECONDS and not interruption.is_stack_asked:
            interruption.is_stack_asked = True
            process.signal(SHOW_STACK)

    def ask_stack(self, job_id: int) -> None:
        self.held[job_id].stack_asked_at = monotonic()
        self._put(ASK + str(job_id).encode())

    # Ending

    def shut(self) -> None:
        """Sends the end of all work."""
        if self._ends is None:
            return
        if sys.platform != "linux":  # a datagram socket cannot be shut down; an empty packet reads the same
            self._put(b"")
            return
        try:
            self._ends[0].shutdown(socket.SHUT_WR)
        except OSError:  # the child has ended before
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
        except OSError:  # full, or its end is closed; its death is reported elsewhere
            return False
        return True

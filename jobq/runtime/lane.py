"""The coroutines that one child runs side by side, as its supervisor sees them: all that were sent have begun.

They have a way of their own into the child, so that an ordinary job that keeps it busy is not in theirs. What the
supervisor wants of one of them takes the same way.
"""

import socket
import sys
from dataclasses import dataclass
from time import monotonic

from jobq.records import Assignment
from jobq.runtime.protocol import (
    ASK,
    MAX_PACKET,
    ORDERS,
    PACKETS,
    Interruption,
    Order,
    receive,
    send,
    unpack_assignments,
)


@dataclass(slots=True)
class Begun:
    """One coroutine. It may have been told to end."""

    assignment: Assignment
    since: float
    interruption: Interruption | None = None
    stack_asked_at: float | None = None

    @property
    def is_over_time(self) -> bool:
        timeout = self.assignment.timeout
        return self.interruption is None and timeout is not None and monotonic() - self.since > timeout


class Lane:
    """The way into one child for coroutines, and those that are under way there, by the ids of their jobs."""

    def __init__(self, most: int) -> None:
        self.begun: dict[int, Begun] = {}
        self._most = most
        self._outbox, self.inbox = socket.socketpair(socket.AF_UNIX, PACKETS)
        self._outbox.setblocking(False)

    @property
    def room(self) -> int:
        return max(0, self._most - len(self.begun))

    def send(self, assignment: Assignment, packet: bytes) -> bool:
        """False: the child has not read what was sent before. Raises NoFile."""
        if not self._put(packet):
            return False
        self.begun[assignment.id] = Begun(assignment, monotonic())
        return True

    def find(self, job_id: int, attempt: int) -> Begun | None:
        begun = self.begun.get(job_id)
        return begun if begun is not None and begun.assignment.attempt == attempt else None

    def tell(self, order: Order) -> None:
        """An order that cannot be put there is none: its process is ended in its time."""
        self._put(ORDERS + order.pack())

    def ask_stack(self, job_id: int) -> None:
        self._put(ASK + str(job_id).encode())

    def take_unread(self) -> list[Assignment]:
        """Assignments that the child has not read: once read here, it can no longer get them."""
        returned: list[Assignment] = []
        wanted: list[bytes] = []  # of those that have begun: that stays on its way
        buffer = memoryview(bytearray(MAX_PACKET))
        while packet := self._take(buffer):
            if packet.startswith((ORDERS, ASK)):
                wanted.append(packet)
                continue
            _, assignments = unpack_assignments(packet)
            begun = [self.begun.pop(assignment.id, None) for assignment in assignments]
            returned += [each.assignment for each in begun if each is not None]
        for packet in wanted:
            self._put(packet)
        return returned

    def shut(self) -> None:
        """Nothing more will come."""
        if sys.platform != "linux":  # a datagram socket has no end to tell; an empty packet reads the same
            self._put(b"")
            return
        try:
            self._outbox.shutdown(socket.SHUT_WR)
        except OSError:  # the child has gone before
            return

    def close(self) -> None:
        self._outbox.close()
        self.inbox.close()

    def _take(self, buffer: memoryview) -> bytes:
        try:
            return receive(self.inbox, buffer, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return b""

    def _put(self, packet: bytes) -> bool:
        try:
            send(self._outbox, packet)
        except OSError:  # full, or its end has gone; its death will be told
            return False
        return True

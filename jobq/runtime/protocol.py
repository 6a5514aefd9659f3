"""What passes between a supervisor and its children.

Assignments go down many to a packet, through a socket that keeps packets whole. Which of them have begun is said in
memory that both share, where the supervisor can also take back those that have not (see `ring`): no cooperation of the
child is needed, whatever its job is up to. A report is out before the next job begins, in that memory if it is a plain
one, else in a pipe: what is there survives the child. A packet of assignments is marshalled, since both sides are the
same interpreter; reports, which a job might forge, are numbers or JSON.
"""

import json
import marshal
import os
import socket
import sys
from array import array
from collections.abc import Sequence
from enum import StrEnum
from functools import partial
from struct import Struct
from typing import IO, Any, NamedTuple

from jobq.records import Assignment, Report
from jobq.states import Outcome

# Darwin has no packets in order on local sockets, but its datagrams there are reliable and in order.
PACKETS = socket.SOCK_SEQPACKET if sys.platform == "linux" else socket.SOCK_DGRAM

MAX_PACKET = 1 << 20
MAX_INLINE = 32 * 1024
"""Assignments larger than this travel as a file in memory: a socket's buffer bounds its packets, and a few would fill
it. The file has no name: it is gone with the packet, whoever of the two dies."""

MAX_CHUNK = 32
"""Assignments of one packet: a system call for each costs more than the shortest jobs do."""

ASSIGNMENTS, BY_FILE = b"[", b"@"
"""What a packet begins with that holds assignments, or brings the descriptor of a file that holds such a packet."""

ONE_DESCRIPTOR = socket.CMSG_SPACE(array("i").itemsize)
CLOSED_IN_PROGRAMS = getattr(socket, "MSG_CMSG_CLOEXEC", 0)
"""Descriptors that come by a packet are not for programs that a job starts meanwhile."""

CANCELLED, DEFERRED, TIMED_OUT, MEMORY_LIMIT = "Cancelled", "Deferred", "TimedOut", "MemoryLimit"
NOT_COMMITTED, CUT_OFF = "NotCommitted", "CutOff"
"""What stands in the place of an exception's type where none of the user's ended the attempt."""

ORDERS, ASK = b"!", b"?"
"""What a packet to coroutines begins with that is no assignment: one is to end, or is asked what it waits for."""

new_assignment, new_report = partial(tuple.__new__, Assignment), partial(tuple.__new__, Report)
"""Of tuples that have every field."""


class OrderKind(StrEnum):
    """Why a job is to end before its own end."""

    CANCEL = "cancel"  # somebody asked for it
    TIMEOUT = "timeout"  # it has run for too long
    MEMORY = "memory"  # it has taken too much; nothing is raised, its process is killed


class Order(NamedTuple):
    """What a child is told to do with one attempt."""

    job_id: int
    attempt: int
    kind: OrderKind
    message: str

    def pack(self) -> bytes:
        return json.dumps(self, ensure_ascii=False).encode()  # escaped, a long name would not fit in the shared memory

    @classmethod
    def unpack(cls, note: bytes) -> "Order":
        job_id, attempt, kind, message = json.loads(note)
        return cls(job_id, attempt, OrderKind(kind), message)


class NoFile(Exception):
    """There can be no file for a large packet; says why."""


def send(outbox: socket.socket, packet: bytes) -> None:
    """Puts a whole packet into the socket. Raises NoFile, and OSError where there is no room or nobody at its end."""
    if len(packet) <= MAX_INLINE:
        outbox.send(packet)
        return
    try:
        file = file_with(packet)
    except OSError as error:
        raise NoFile(str(error)) from error
    with file:
        socket.send_fds(outbox, [BY_FILE], [file.fileno()])


def file_with(packet: bytes) -> IO[bytes]:
    """A file without a name."""
    if hasattr(os, "memfd_create"):
        file: IO[bytes] = os.fdopen(os.memfd_create("jobq-arguments"), "w+b", buffering=0)
    else:
        import tempfile

        file = tempfile.TemporaryFile(prefix="jobq-arguments-", buffering=0)  # noqa: SIM115 - the caller closes it
    rest = memoryview(packet)
    try:
        while rest:
            rest = rest[file.write(rest) :]
    except OSError:
        file.close()
        raise
    return file


def receive(inbox: socket.socket, buffer: memoryview, flags: int = 0) -> bytes:
    """The next packet as it was sent, by way of a buffer of `MAX_PACKET`; empty when the other end has been shut.

    Raises OSError as `recvmsg` does.
    """
    length, ancillary, _, _ = inbox.recvmsg_into([buffer], ONE_DESCRIPTOR, CLOSED_IN_PROGRAMS | flags)
    if not ancillary:
        return buffer[:length].tobytes()
    ((_, _, descriptor),) = ancillary
    with os.fdopen(array("i", descriptor)[0], "rb") as file:
        file.seek(0)  # the sender's position came with it
        return file.read()


def pack_assignments(assignments: Sequence[Assignment], number: int = 0) -> bytes:
    """One packet. `number`: of the first; the others follow it."""
    return ASSIGNMENTS + marshal.dumps((number, [tuple(assignment) for assignment in assignments]))


def unpack_assignments(packet: bytes) -> tuple[int, list[Assignment]]:
    number, assignments = marshal.loads(memoryview(packet)[len(ASSIGNMENTS) :])  # noqa: S302 - of the supervisor's own
    return number, [new_assignment(assignment) for assignment in assignments]


PLAIN_REPORT = Struct("=cqiddqi")
"""A report of which there is no more to say than that it was successful, when it ran, and what that took: the most
common by far. Begins with a byte that is in no JSON text; the rest is its first fields, without the outcome."""

PLAIN = b"\x01"
WAKE = b"\n"
"""What a child writes into the pipe where it has put reports into the ring: an empty line."""

MAX_MOMENT = 1e11
"""Seconds; no number, or one beyond, is no moment of a clock that began with the machine."""

NO_MORE = Report(0, 0, "", None, 0.0)[7:]
SUCCESSFUL = Outcome.SUCCESSFUL.value


def pack_report(report: Report) -> bytes:
    job_id, attempt, outcome, started, ended, cpu, memory, *more = report
    if outcome == SUCCESSFUL and tuple(more) == NO_MORE and None not in (started, cpu, memory):
        return PLAIN_REPORT.pack(PLAIN, job_id, attempt, started, ended, cpu, memory)
    return json.dumps(report, separators=(",", ":")).encode() + b"\n"


def split_reports(data: bytes) -> tuple[list[Report], list[bytes], bytes]:
    """What a child has written: its plain reports, the lines of all else, and what has only begun to arrive."""
    plain: list[Report] = []
    lines: list[bytes] = []
    size, place = PLAIN_REPORT.size, 0
    while place < len(data):
        if data[place] == PLAIN[0]:
            most = (len(data) - place) // size
            heads = data[place : place + most * size : size]
            end = place + (most - len(heads.lstrip(PLAIN))) * size
            if end == place:
                break
            sound = [
                new_report((job_id, attempt, SUCCESSFUL, started, ended, cpu, memory, *NO_MORE))
                for _, job_id, attempt, started, ended, cpu, memory in PLAIN_REPORT.iter_unpack(data[place:end])
                if -MAX_MOMENT < started <= ended < MAX_MOMENT
            ]
            plain += sound
            if len(sound) * size < end - place:
                lines.append(PLAIN)  # which is no line of a child's
            place = end
        else:
            end = data.find(b"\n", place)
            if end < 0:
                break
            if end > place:
                lines.append(data[place:end])
            place = end + 1
    return plain, lines, data[place:]


def pack_message(kind: str, content: Any) -> bytes:
    """Anything that is no report: what a child has to say about itself."""
    return json.dumps({kind: content}).encode() + b"\n"


def unpack_lines(lines: list[bytes]) -> list[Any]:
    """Reports (as lists) and messages (as dicts). Raises ValueError where a child wrote something else."""
    try:
        unpacked: list[Any] = json.loads(b"[" + b",".join(lines) + b"]")
    except RecursionError:
        raise ValueError("nested too deep for a report") from None
    return unpacked


def unpack_note(note: bytes) -> Any:
    """A note of a job in the shared memory; None where jobq did not write it, but the job itself."""
    try:
        return json.loads(note)
    except (ValueError, RecursionError):
        return None

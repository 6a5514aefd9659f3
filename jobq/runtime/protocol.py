"""The protocol between a supervisor and its children.

Many assignments go down in one packet, through a socket that keeps packets whole. Shared memory holds which of them
have begun, and there the supervisor can also take back the others (see `ring`): that needs no cooperation of the child,
whatever its job is doing. A report is out before the next job begins: a plain one through that memory, another one
through a pipe. Both survive the child. A packet of assignments is marshalled, since both sides are the same
interpreter. Reports, which a job might forge, are numbers or JSON.
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
"""Assignments larger than this travel as a file in memory: a socket's buffer bounds its packets, and a few large ones
would fill it. The file has no name: it is gone with the packet, even if either side dies."""

MAX_CHUNK = 32
"""Maximum assignments of one packet: a system call for each costs more than the shortest jobs do."""

ASSIGNMENTS, BY_FILE = b"[", b"@"
"""The first byte of a packet of assignments, or of one that brings the descriptor of a file with such a packet."""

ONE_DESCRIPTOR = socket.CMSG_SPACE(array("i").itemsize)
CLOSED_IN_PROGRAMS = getattr(socket, "MSG_CMSG_CLOEXEC", 0)
"""Descriptors from a packet are not for programs that a job starts meanwhile."""

CANCELLED, DEFERRED, TIMED_OUT, MEMORY_LIMIT = "Cancelled", "Deferred", "TimedOut", "MemoryLimit"
NOT_COMMITTED, CUT_OFF = "NotCommitted", "CutOff"
"""Replaces an exception's type if no exception of the user ended the attempt."""

ORDERS, ASK = b"!", b"?"
"""The first byte of a packet to coroutines that is not an assignment: end one, or ask what it waits for."""

new_assignment, new_report = partial(tuple.__new__, Assignment), partial(tuple.__new__, Report)
"""For tuples that have every field."""


class OrderKind(StrEnum):
    """Why a job shall end before its own end."""

    CANCEL = "cancel"  # somebody asked for it
    TIMEOUT = "timeout"  # it ran for too long
    MEMORY = "memory"  # it took too much; nothing is raised, its process is killed


class Order(NamedTuple):
    """The order to a child to run one attempt."""

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
    """A file for a large packet cannot be made; says why."""


def send(outbox: socket.socket, packet: bytes) -> None:
    """Sends a whole packet. Raises NoFile, and OSError if there is no room or no receiver."""
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
    """The next packet as it was sent, read into a buffer of `MAX_PACKET`; empty when the other end was shut down.

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
    """One packet. `number` belongs to the first assignment; the others follow it."""
    return ASSIGNMENTS + marshal.dumps((number, [tuple(assignment) for assignment in assignments]))


def unpack_assignments(packet: bytes) -> tuple[int, list[Assignment]]:
    number, assignments = marshal.loads(memoryview(packet)[len(ASSIGNMENTS) :])  # noqa: S302 - of the supervisor's own
    return number, [new_assignment(assignment) for assignment in assignments]


PLAIN_REPORT = Struct("=cqiddqi")
"""A report that says only that the attempt was successful, when it ran, and its usage: by far the most common. Begins
with a byte that JSON text never has. The rest is its first fields, without the outcome."""

PLAIN = b"\x01"
WAKE = b"\n"
"""An empty line: a child writes it into the pipe when it has put reports into the ring."""

MAX_MOMENT = 1e11
"""Maximum seconds of a valid time: the clock began with the machine."""

NO_MORE = Report(0, 0, "", None, 0.0)[7:]
SUCCESSFUL = Outcome.SUCCESSFUL.value


def pack_report(report: Report) -> bytes:
    job_id, attempt, outcome, started, ended, cpu, memory, *more = report
    if outcome == SUCCESSFUL and tuple(more) == NO_MORE and None not in (started, cpu, memory):
        return PLAIN_REPORT.pack(PLAIN, job_id, attempt, started, ended, cpu, memory)
    return json.dumps(report, separators=(",", ":")).encode() + b"\n"


def split_reports(data: bytes) -> tuple[list[Report], list[bytes], bytes]:
    """The output of a child: its plain reports, all other lines, and the incomplete rest."""
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
                lines.append(PLAIN)  # not a valid line
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
    """A message of a child about itself, which is not a report."""
    return json.dumps({kind: content}).encode() + b"\n"


def unpack_lines(lines: list[bytes]) -> list[Any]:
    """Reports (as lists) and messages (as dicts). Raises ValueError for anything else."""
    try:
        unpacked: list[Any] = json.loads(b"[" + b",".join(lines) + b"]")
    except RecursionError:
        raise ValueError("nested too deep for a report") from None
    return unpacked


def unpack_note(note: bytes) -> Any:
    """A note of a job in the shared memory. None if the job itself wrote it, instead of jobq."""
    try:
        return json.loads(note)
    except (ValueError, RecursionError):
        return None

"""What passes between a supervisor and its children.

Assignments go down one packet each, through a socket that keeps packets whole: the supervisor keeps a handle on the
child's end too, so that it can read back what the child has not read. The kernel decides who gets a packet; no
cooperation of the child is needed, whatever its job is up to. Reports come up through a pipe, written before the next
job begins: what is in the pipe survives the child. What is passed tens of thousands of times a second is packed as
numbers, all else is JSON.
"""

import json
import os
import socket
import sys
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache, partial
from pathlib import Path
from struct import Struct
from typing import Any, NamedTuple

from jobq.records import Assignment, Report
from jobq.states import Outcome

# Darwin has no packets in order on local sockets, but its datagrams there are reliable and in order.
PACKETS = socket.SOCK_SEQPACKET if sys.platform == "linux" else socket.SOCK_DGRAM

MAX_PACKET = 1 << 20
MAX_INLINE = 32 * 1024
"""Assignments larger than this travel in a file: a socket's buffer bounds its packets, and a few would fill it."""

ASSIGNMENT, BY_FILE = b"[", b"@"
"""What a packet begins with that is an assignment, or the name of a file that holds one."""

CANCELLED, DEFERRED, TIMED_OUT, MEMORY_LIMIT = "Cancelled", "Deferred", "TimedOut", "MemoryLimit"
NOT_COMMITTED = "NotCommitted"
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
        return json.dumps(self).encode()

    @classmethod
    def unpack(cls, note: bytes) -> "Order":
        job_id, attempt, kind, message = json.loads(note)
        return cls(job_id, attempt, OrderKind(kind), message)


@dataclass(slots=True)
class Interruption:
    """A job is to end before its own end: it has been told, and is killed where it does not obey."""

    order: Order
    assignment: Assignment
    grace: float
    kill_at: float
    tell_again_at: float = 0.0
    stack: str = ""  # what it was doing when it was told
    is_stack_asked: bool = False  # of a coroutine: before its process is killed


def with_arguments(packet: bytes) -> bytes:
    """A packet as it was packed, where it travelled in a file too."""
    if not packet.startswith(BY_FILE):
        return packet
    path = Path(os.fsdecode(packet.removeprefix(BY_FILE)))
    content = path.read_bytes()
    path.unlink()
    return content


def drop_file(packet: bytes) -> None:
    """Takes back the file, if any, of a packet that was not sent."""
    if packet.startswith(BY_FILE):
        Path(os.fsdecode(packet.removeprefix(BY_FILE))).unlink(missing_ok=True)


HEADER = Struct("=qiiiiiqqHHI")
"""The numbers of an assignment, then how many bytes the texts behind it take: queue, class, and what is rare."""


@lru_cache(maxsize=4096)
def encoded(name: str) -> bytes:
    return name.encode()


@lru_cache(maxsize=4096)
def decoded(name: bytes) -> str:
    return name.decode()


def pack_assignment(assignment: Assignment) -> bytes:
    """One packet: a header, and the arguments as the database gave them. Timeouts are none of the child's business."""
    *numbers, queue, job_class, arguments, _, waited, trace_context, hook = assignment
    names = encoded(queue), encoded(job_class)
    rest = b"" if trace_context is None and hook is None else json.dumps([trace_context, hook]).encode()
    header = HEADER.pack(*numbers, waited, len(names[0]), len(names[1]), len(rest))
    return b"".join((ASSIGNMENT, header, *names, rest, arguments.encode()))


def unpack_assignment(packet: bytes) -> Assignment:
    *numbers, waited, queue, job_class, rest = HEADER.unpack_from(packet, len(ASSIGNMENT))
    start = len(ASSIGNMENT) + HEADER.size
    queue += start  # from lengths to places: where each text ends
    job_class += queue
    rest += job_class
    trace_context, hook = json.loads(packet[job_class:rest]) if rest > job_class else (None, None)
    names = decoded(packet[start:queue]), decoded(packet[queue:job_class])
    return new_assignment((*numbers, *names, packet[rest:].decode(), None, waited, trace_context, hook))


PLAIN_REPORT = Struct("=cqiddqi")
"""A report of which there is no more to say than that it was successful, when it ran, and what that took: the most
common by far. Begins with a byte that is in no JSON text; the rest is its first fields, without the outcome."""

PLAIN = b"\x01"
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
            plain += [
                new_report((job_id, attempt, SUCCESSFUL, started, ended, cpu, memory, *NO_MORE))
                for _, job_id, attempt, started, ended, cpu, memory in PLAIN_REPORT.iter_unpack(data[place:end])
                if started <= ended < MAX_MOMENT
            ]
            place = end
        else:
            end = data.find(b"\n", place)
            if end < 0:
                break
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
    """What a job says by the board; None where that is no word of jobq's, and the job has written there itself."""
    try:
        return json.loads(note)
    except (ValueError, RecursionError):
        return None

"""What passes between a supervisor and its children.

Assignments go down one packet each, through a socket that keeps packets whole: the supervisor keeps a handle on the
child's end too, so that it can read back what the child has not read. The kernel decides who gets a packet; no
cooperation of the child is needed, whatever its job is up to. Reports come up as lines of JSON through a pipe,
written before the next job begins: what is in the pipe survives the child.
"""

import json
import os
import socket
import sys
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from jobq.records import Assignment, Report

# Darwin has no packets in order on local sockets, but its datagrams there are reliable and in order.
PACKETS = socket.SOCK_SEQPACKET if sys.platform == "linux" else socket.SOCK_DGRAM

MAX_PACKET = 1 << 20
MAX_INLINE = 32 * 1024
"""Assignments larger than this travel in a file: a socket's buffer bounds its packets, and a few would fill it."""

CANCELLED, DEFERRED, TIMED_OUT, MEMORY_LIMIT = "Cancelled", "Deferred", "TimedOut", "MemoryLimit"
NOT_COMMITTED = "NotCommitted"
"""What stands in the place of an exception's type where none of the user's ended the attempt."""

ORDERS, ASK = b"!", b"?"
"""What a packet to coroutines begins with that is no assignment: one is to end, or is asked what it waits for."""

quoted = lru_cache(maxsize=4096)(json.dumps)


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
    """A packet whose arguments travelled in a file, with the arguments put in."""
    if not packet.startswith(b"@"):
        return packet
    path = Path(os.fsdecode(packet[1:]))
    content = path.read_bytes()
    path.unlink()
    return content


def pack_assignment(assignment: Assignment) -> bytes:
    """One packet: a header, and the arguments as the database gave them. Timeouts are none of the child's business."""
    rest = ""
    if assignment.trace_context is not None or assignment.hook is not None:
        rest = f",{json.dumps(assignment.trace_context)},{json.dumps(assignment.hook)}"
    return (
        f"[{assignment.id},{assignment.attempt},{assignment.excused},{assignment.losses},{assignment.retries},"
        f"{assignment.priority},{assignment.enqueued_microseconds},{quoted(assignment.queue)},{quoted(assignment.job_class)},"
        f"{assignment.waited_microseconds}{rest}]\n{assignment.arguments}"
    ).encode()


def unpack_assignment(packet: bytes) -> Assignment:
    header, _, arguments = packet.partition(b"\n")
    fields = json.loads(header)
    fields[9:9] = [arguments.decode(), None]  # before what the claim says of the wait
    return Assignment(*fields)


PLAIN = Report(0, 0, "", None, 0.0)[7:]
"""What follows in a report of which there is no more to say than when it ran, and what that took."""


def pack_report(report: Report) -> bytes:
    if report[7:] == PLAIN and None not in (report.started, report.cpu_microseconds, report.peak_memory_kilobytes):
        # By far the most common, and the cheapest to write.
        return (
            f'[{report.id},{report.attempt},"{report.outcome}",{report.started!r},{report.ended!r},'
            f"{report.cpu_microseconds},{report.peak_memory_kilobytes}]\n"
        ).encode()
    return json.dumps(report, separators=(",", ":")).encode() + b"\n"


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

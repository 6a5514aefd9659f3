"""What passes between a supervisor and its children.

Assignments go down one packet each, through a socket that keeps packets whole: the supervisor keeps a handle on the
child's end too, so that it can read back what the child has not read. The kernel decides who gets a packet; no
cooperation of the child is needed, whatever its job is up to. Reports come up as lines of JSON through a pipe,
written before the next job begins: what is in the pipe survives the child.
"""

import json
import socket
import sys
from functools import lru_cache
from typing import Any

from jobq.records import Assignment, Report

# Darwin has no packets in order on local sockets, but its datagrams there are reliable and in order.
PACKETS = socket.SOCK_SEQPACKET if sys.platform == "linux" else socket.SOCK_DGRAM

MAX_PACKET = 1 << 20
MAX_INLINE_ARGUMENTS = 32 * 1024
"""Arguments larger than this travel in a file: a socket's buffer bounds its packets, and a few would fill it."""

quoted = lru_cache(maxsize=4096)(json.dumps)


def pack_assignment(assignment: Assignment) -> bytes:
    """One packet: a header, and the arguments as the database gave them."""
    return (
        f"[{assignment.id},{assignment.attempt},{assignment.excused},{assignment.losses},{assignment.retries},"
        f"{assignment.priority},{quoted(assignment.queue)},{quoted(assignment.job_class)}]\n{assignment.arguments}"
    ).encode()


def unpack_assignment(packet: bytes) -> Assignment:
    header, _, arguments = packet.partition(b"\n")
    return Assignment._make([*json.loads(header), arguments.decode()])


PLAIN = Report(0, 0, "", None, 0.0)[5:]
"""A report of which there is no more to say than when it began and ended."""


def pack_report(report: Report) -> bytes:
    if report[5:] == PLAIN and report.started is not None:
        # By far the most common, and the cheapest to write.
        return (
            f'[{report.id},{report.attempt},"{report.outcome}",{report.started!r},{report.ended!r}]\n'.encode()
        )
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

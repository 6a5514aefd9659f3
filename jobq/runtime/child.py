"""The child process: loads the application, then runs what it is assigned, one job after another.

Started by the supervisor (see `starting`); it never touches the database.
"""

import json
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from typing import NoReturn

from jobq.frameworks import surroundings
from jobq.frameworks.sockets import is_readable
from jobq.registry import registry
from jobq.runtime import job_lines, output
from jobq.runtime.descriptors import Descriptors
from jobq.runtime.execution import execute
from jobq.runtime.forks import Forks, leave_signals_to_parent
from jobq.runtime.guard import Guard
from jobq.runtime.leftovers import Leftovers
from jobq.runtime.loading import load
from jobq.runtime.protocol import (
    MAX_PACKET,
    PACKETS,
    PLAIN,
    PLAIN_REPORT,
    WAKE,
    pack_message,
    pack_report,
    receive,
    unpack_assignments,
)
from jobq.runtime.ring import RingWriter
from jobq.runtime.shared_memory import SharedMemory

TELL_SECONDS = 0.001
"""Between two jobs that came together, the supervisor is woken at most so often."""


def main(parent: int, assignments_fd: int, reports_fd: int, memory_fd: int, coroutines_fd: int) -> None:
    die_with(parent)
    leave_signals_to_parent()
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # so that a kill loses no whole line
    inbox = socket.socket(socket.AF_UNIX, PACKETS, fileno=assignments_fd)
    setup = json.loads(inbox.recv(MAX_PACKET))
    memory = SharedMemory.of_child(memory_fd)
    guard, ring = Guard(memory), RingWriter(memory, PLAIN_REPORT.size)
    guard.listen()
    descriptors = Descriptors(reports_fd, assignments_fd, *([coroutines_fd] if setup["concurrency"] > 1 else []))
    Forks(guard, memory, descriptors).look_after()
    load(setup, memory, descriptors)
    if setup["concurrency"] > 1:
        work_beside_coroutines(inbox, coroutines_fd, descriptors, guard, ring)
    else:
        work(inbox, descriptors.tell, guard, ring)


def work(inbox: socket.socket, tell: Callable[[bytes], None], guard: Guard, ring: RingWriter) -> None:
    """Runs assignments until the supervisor closes its end. A report is out before the next job begins."""
    buffer = memoryview(bytearray(MAX_PACKET))  # kept: to have one made for each packet costs more than a short job
    leftovers = Leftovers(guard.listen, tell)
    told_at = 0.0
    while packet := next_packet(inbox, buffer):
        first, assignments = unpack_assignments(packet)
        for number, assignment in enumerate(assignments, first):
            if not ring.begin(number):
                tell(pack_message("passed over", number))
                continue
            report = execute(assignment, registry, guard)
            if output.unfinished:
                output.finish_lines()
            if job_lines.said:
                report = job_lines.with_lines(report)
            packed = pack_report(report)
            if not packed.startswith(PLAIN):
                tell(packed)
            else:
                ring.record(packed)
                if report.ended - told_at > TELL_SECONDS or assignment is assignments[-1]:
                    told_at = report.ended
                    tell(WAKE)
            leftovers.look(assignment.job_class, report.started, report.ended)


def next_packet(inbox: socket.socket, buffer: memoryview) -> bytes:
    """The next packet of assignments. Meanwhile the process lets go of connections that are past their age."""
    if surroundings.cares:
        while (seconds := surroundings.rest()) is not None and not is_readable(inbox.fileno(), seconds):
            pass
    return receive(inbox, buffer)


def work_beside_coroutines(
    inbox: socket.socket, coroutines_fd: int, descriptors: Descriptors, guard: Guard, ring: RingWriter
) -> None:
    """The same, while coroutines come by another way and run in another thread."""
    from jobq.runtime.coroutines import Coroutines

    lock = threading.Lock()

    def report(lines: bytes) -> None:
        with lock:
            descriptors.tell(lines)

    coroutines = Coroutines(socket.socket(socket.AF_UNIX, PACKETS, fileno=coroutines_fd), guard, report)
    coroutines.start()
    work(inbox, report, guard, ring)
    coroutines.join()


def die_with(parent: int) -> None:
    """Ends this process at once when its supervisor dies, whatever job holds it at that moment."""
    if sys.platform == "linux":
        import ctypes

        pr_set_pdeathsig = 1
        ctypes.CDLL(None, use_errno=True).prctl(pr_set_pdeathsig, signal.SIGKILL)
    else:
        threading.Thread(target=watch, args=[parent], name="jobq-watch-parent", daemon=True).start()
    if os.getppid() != parent:  # it died before we could ask to be told
        os._exit(1)


def watch(parent: int) -> NoReturn:
    """Where the kernel does not tell: an orphan gets another parent."""
    import time

    while os.getppid() == parent:
        time.sleep(0.2)
    os._exit(1)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:6]))

"""The child process: imports the application, then runs what it is assigned, one job after another.

Started by the supervisor as `python -m jobq.runtime.child`; it never touches the database.
"""

import json
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from dataclasses import asdict
from itertools import starmap
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from jobq import settings, telemetry
from jobq.application import describe, describe_schedules, job_modules_deeper, load_application
from jobq.errors import ApplicationError, JobqError
from jobq.frameworks import surroundings
from jobq.frameworks.sockets import is_readable
from jobq.registry import registry
from jobq.runtime import middleware
from jobq.runtime.execution import execute
from jobq.runtime.guard import Guard
from jobq.runtime.leftovers import Leftovers
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

EXIT_NOT_LOADED, EXIT_CUT_OFF = 2, 71

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
    ways = Ways(reports_fd, assignments_fd, *([coroutines_fd] if setup["concurrency"] > 1 else []))
    load(setup, ways)
    if setup["concurrency"] > 1:
        work_beside_coroutines(inbox, coroutines_fd, ways, guard, ring)
    else:
        work(inbox, ways.tell, guard, ring)


class Ways:
    """The descriptors by which this process and its supervisor talk.

    A job may close them, and its own files get their numbers then: a report would go to strangers, and assignments be
    awaited from them, for ever. So this process ends instead, of which the supervisor hears in any case. Looked at
    after each packet of assignments, since a report or a word that there are some is told at its end.
    """

    def __init__(self, reports_fd: int, *others: int) -> None:
        self._reports_fd = reports_fd
        self._led_to = {fd: os.fstat(fd) for fd in (reports_fd, *others)}

    def tell(self, data: bytes) -> None:
        """Writes all of it into the pipe of reports."""
        if not all(starmap(leads_to, self._led_to.items())):
            leave_cut_off()
        view = memoryview(data)
        while view:
            view = view[os.write(self._reports_fd, view) :]


def leads_to(fd: int, before: os.stat_result) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), before)
    except OSError:
        return False


def leave_cut_off() -> NoReturn:
    """Without waiting for threads that a job may have left."""
    try:
        sys.stderr.write("a job has closed the descriptors by which its process hears of jobs and reports on them\n")
    finally:
        os._exit(EXIT_CUT_OFF)


def load(setup: dict[str, Any], ways: Ways) -> None:
    """Imports the application and reports what it defines, or why it does not import."""
    try:
        if setup["automatic_telemetry"]:
            telemetry.set_up_like_parent()
        modules = load_application(Path(setup["root"]), setup["app"])
        middleware.use(setup["middleware"])
        require_classes(modules, setup["root"])
        surroundings.use_care()
        if setup["concurrency"] > 1:
            middleware.require_asynchronous()
        schedules = describe_schedules(settings.load(Path(setup["root"])))
    except JobqError as error:
        user_traceback = error.user_traceback if isinstance(error, ApplicationError) else ""
        ways.tell(pack_message("failed", {"message": str(error), "traceback": user_traceback}))
        sys.exit(EXIT_NOT_LOADED)
    loaded = {
        "modules": modules,
        "classes": [asdict(record) for record in describe()],
        "schedules": [asdict(record) for record in schedules],
    }
    ways.tell(pack_message("ready", loaded))


def require_classes(modules: list[str], root: str) -> None:
    if not len(registry):
        where = ", ".join(modules) or "any jobs.py, {package}/jobs.py or {package}/{package}/jobs.py"
        deeper = "" if modules else told_deeper(Path(root))
        raise ApplicationError(
            f"No job class is registered in {where} of {root}. "
            f"Decorate Job classes with @register_job, or name their modules with --app.{deeper}"
        )


def told_deeper(root: Path) -> str:
    """Where a jobs.py lies that is not looked for, and how to have it found."""
    found = [path.relative_to(root) for path in job_modules_deeper(root)]
    if not found:
        return ""
    return (
        f" There is {', '.join(map(str, found))}, which is not looked for: the outer of two packages needs an "
        "__init__.py, and a folder that is no package is where jobq is to be started, or what PYTHONPATH names."
    )


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
    inbox: socket.socket, coroutines_fd: int, ways: Ways, guard: Guard, ring: RingWriter
) -> None:
    """The same, while coroutines come by another way and run in another thread."""
    from jobq.runtime.coroutines import Coroutines

    lock = threading.Lock()

    def report(lines: bytes) -> None:
        with lock:
            ways.tell(lines)

    coroutines = Coroutines(socket.socket(socket.AF_UNIX, PACKETS, fileno=coroutines_fd), guard, report)
    coroutines.start()
    work(inbox, report, guard, ring)
    coroutines.join()


def leave_signals_to_parent() -> None:
    """Ctrl-C and a service manager's SIGTERM reach the whole group; what becomes of a job is the supervisor's word.

    A handler that does nothing, since ignored signals would stay ignored in the programs that jobs start.
    """

    def nothing(_signal: int, _frame: FrameType | None) -> None:
        return None

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, nothing)


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

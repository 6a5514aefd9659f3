"""Finds the processes that jobs start, and ends them together with their child or worker.

A child process of a worker has a mark in its environment. The processes that its jobs start inherit it, also in a
session of their own, and after their parent has ended. (Jenkins finds leftovers of a build in the same way.) A process
that was started with another environment is found as long as it stays in the child's process group.

Run as a program, this is the janitor of a worker: it waits until the worker is gone, however it ended, and then ends
all processes with the worker's mark. It imports only Python's own modules.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

MARK = "JOBQ_PROCESS"
"""The variable that holds the mark: the worker's own, a dot, and the child's number."""

MAX_ROUNDS = 100
"""A process may start others during the search. A program that starts them faster than they are ended wins."""

ROUND_SECONDS = 0.01


MAX_TRIES = 3
TRY_SECONDS = 2.0
"""The kernel blocks reads of a process's environment while that process hangs in its memory, for example on a lost
network file system. Another thread then tries again without it."""

being_read: dict[int, float] = {}
"""The processes whose environments are being read, and since when."""


def end_marked(mark: str) -> None:
    """Kills every process with this mark, or with one that begins with it and a dot.

    Returns when none is left, or after some seconds. Only Linux shows a process's environment: elsewhere none is found.
    One foreign process that hangs delays this once, by `TRY_SECONDS`.
    """
    for _ in range(MAX_TRIES):
        thread = threading.Thread(target=end_each, args=[mark], name="jobq-end-marked", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # the OS refused a new thread
            end_each(mark)
            return
        thread.join(TRY_SECONDS)
        if not thread.is_alive():
            return


def end_each(mark: str) -> int:
    """Returns the number of killed processes."""
    ended = 0
    for round_number in range(MAX_ROUNDS):
        found = list(marked(mark))
        if not found:
            break
        if round_number:
            time.sleep(ROUND_SECONDS)  # killed processes need time to end
        for pid in found:
            ended += kill(pid, mark)
    return ended


def marked(mark: str) -> Iterator[int]:
    """The processes with this mark, or with one that begins with it and a dot; without zombies."""
    for folder in os.scandir("/proc") if sys.platform == "linux" else ():
        if folder.name.isdecimal() and int(folder.name) != os.getpid() and has_mark(int(folder.name), mark):
            yield int(folder.name)


def has_mark(pid: int, mark: str) -> bool:
    """Also False if another thread has been trying to find out for long."""
    now = time.monotonic()
    if now - being_read.setdefault(pid, now) > TRY_SECONDS / 2:
        return False
    try:
        environment = b"\0" + environment_of(pid)
    except OSError:  # it has ended, or belongs to another user
        return False
    finally:
        being_read.pop(pid, None)
    place = environment.find(wanted := f"\0{MARK}={mark}".encode())
    return place >= 0 and environment[place + len(wanted) :][:1] in (b"\0", b".", b"")


def environment_of(pid: int) -> bytes:
    with open(f"/proc/{pid}/environ", "rb") as file:
        return file.read()


def kill(pid: int, mark: str) -> bool:
    """Kills a process if it still is the one that was found: the kernel reuses the numbers of dead processes."""
    try:
        handle = os.pidfd_open(pid)
    except OSError:
        return False
    try:
        if not has_mark(pid, mark):
            return False
        signal.pidfd_send_signal(handle, signal.SIGKILL)
    except OSError:
        return False
    finally:
        os.close(handle)
    return True


def kill_with_descendants(pid: int) -> None:
    """Kills a process and all its descendants that have not been orphaned."""
    started = children_of(pid)
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    for child in started:
        kill_with_descendants(child)


def children_of(pid: int, thread: int | None = None) -> set[int]:
    """The children of a process or of its threads. Only on Linux; elsewhere empty."""
    found: set[int] = set()
    for task in Path(f"/proc/{pid}/task").glob("*" if thread is None else str(thread)):
        with suppress(OSError):
            found |= set(map(int, (task / "children").read_text().split()))
    return found


def state_of(pid: int) -> str:
    """The state of a process in the kernel's letters, "Z" for a zombie. Empty if there is no such process."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[0].decode()
    except OSError:
        return ""


def main(mark: str) -> None:
    """The janitor: standard input ends when the worker does."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGPWR", "SIGXCPU", "SIGALRM", "SIGUSR1", "SIGUSR2"):
        if number := getattr(signal, name, None):
            signal.signal(number, signal.SIG_IGN)  # meant for the worker; this process ends right after it in any case
    while os.read(0, 1):
        pass
    end_marked(mark)


if __name__ == "__main__":
    main(sys.argv[1])

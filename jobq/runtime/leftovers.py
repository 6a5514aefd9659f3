"""In a child: keeps what a job leaves behind in its process away from the next job.

Timers, signal handlers, blocked signals, the working directory and the umask are restored. If that fails, or is
impossible (a lowered priority, another user), the process is replaced. A changed environment and changed limits are
reported, and stay: code may set them on purpose.

Processes that a job left running are logged as a warning, and killed if the class says `end_processes`.

Coroutines share their process all the time, so leftovers cannot be attributed to one of them, and nothing is checked.
Not checked at all are module globals, threads, the locale, and changes by C libraries that Python does not know of.
"""

import _signal  # type: ignore[import-not-found]  # `signal` makes an enum of each answer: thirty times as long
import os
import resource
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, NamedTuple

from jobq.processes import children_of, kill_with_descendants, state_of
from jobq.registry import registry
from jobq.runtime.guard import INTERRUPT, SHOW_STACK
from jobq.runtime.protocol import pack_message

SHORT_SECONDS = 0.001
"""After a job that took longer, its process is checked. That costs some 5 microseconds."""

SHORT_JOBS = 64
"""After shorter jobs, one check in this number of jobs."""

LONG_SECONDS = 0.02
"""After a job that took longer, environment and limits are checked too. That costs some 30 microseconds."""

TIMERS = {signal.ITIMER_REAL: "ITIMER_REAL", signal.ITIMER_VIRTUAL: "ITIMER_VIRTUAL", signal.ITIMER_PROF: "ITIMER_PROF"}

OFF = (0.0, 0.0)

HANDLED: list[signal.Signals] = [
    *(signal.SIGALRM, signal.SIGVTALRM, signal.SIGPROF, signal.SIGCHLD, signal.SIGPIPE, signal.SIGQUIT, signal.SIGXCPU),
    *(signal.SIGINT, signal.SIGTERM, signal.SIGHUP, INTERRUPT, SHOW_STACK),
]
"""The signals whose handlers are watched."""

LIMITS = {getattr(resource, name): name for name in sorted(dir(resource), reverse=True) if name.startswith("RLIMIT_")}
"""The limits of a process by number; if two names have one number, the alphabetically first."""


class Leftovers:
    """The state of this process when the application was loaded, and how to restore it.

    `listen` sets the handlers by which the supervisor interrupts jobs. `tell` sends a message to the supervisor.
    """

    def __init__(self, listen: Callable[[], None], tell: Callable[[bytes], None]) -> None:
        self._listen = listen
        self._tell = tell
        self._told: set[tuple[str, str]] = set()
        self._number = 0
        self._snapshot = snapshot()
        self._handlers = dict(zip(HANDLED, self._snapshot.handlers, strict=True))
        self._environment = dict(os.environ)
        self._limits = limits()
        self._children: set[int] = set()
        self._ending = classes_that_end_processes()

    def look(self, job_class: str, started: float | None, ended: float) -> None:
        """Checks the process after a job, and restores what it changed; skips most short jobs.

        A process starts in a fraction of a millisecond, so classes that want theirs killed are always checked.
        """
        self._number += 1
        seconds = LONG_SECONDS if started is None else ended - started
        if seconds <= SHORT_SECONDS and self._number % SHORT_JOBS and job_class not in self._ending:
            return
        left, gone = [], []
        if snapshot() != self._snapshot:
            left = [*self._put_back_signals(), *self._put_back_files()]
            gone = self._no_way_back()
        if seconds >= LONG_SECONDS or self._number % (SHORT_JOBS * 16) == 0:
            left += self._changes()
        if has_children():
            left += self._processes(job_class)
        for what in (*left, *gone):
            self._report(job_class, what, is_worn=what in gone)

    def _put_back_signals(self) -> Iterator[str]:
        for (number, name), before in zip(TIMERS.items(), self._snapshot.timers, strict=True):
            if before == OFF and signal.getitimer(number) != OFF:
                signal.setitimer(number, 0)
                yield f"a timer ({name}), now off"
        if (now := dict(zip(HANDLED, snapshot().handlers, strict=True))) != self._handlers:
            for number in HANDLED:
                if now[number] != (before := self._handlers[number]) and before is not None:
                    signal.signal(number, before)
                    yield f"a handler of {number.name}, put back"
            if now[INTERRUPT] != self._handlers[INTERRUPT] or now[SHOW_STACK] != self._handlers[SHOW_STACK]:
                self._listen()
        if snapshot().blocked != self._snapshot.blocked:
            signal.pthread_sigmask(signal.SIG_SETMASK, self._snapshot.blocked)
            yield "blocked signals, put back"

    def _put_back_files(self) -> Iterator[str]:
        if folder() != self._snapshot.folder:
            with suppress(OSError):  # it may be gone: `_no_way_back` notices that
                os.chdir(self._snapshot.folder or "")
                yield "another working directory, put back"
        if umask() != self._snapshot.umask:
            os.umask(self._snapshot.umask)
            yield f"another umask, put back to {self._snapshot.umask:03o}"

    def _no_way_back(self) -> list[str]:
        """Differences that remain, for which the process is replaced."""
        now = snapshot()
        names = {"folder": "working directory", "user": "user", "priority": "priority"}
        return [
            f"another {name}" for field, name in names.items() if getattr(now, field) != getattr(self._snapshot, field)
        ]

    def _changes(self) -> Iterator[str]:
        """Differences that are only reported. They count as known from then on."""
        if (now := dict(os.environ)) != self._environment:
            changed = sorted(name for name in now.keys() | self._environment.keys()
                             if now.get(name) != self._environment.get(name))  # fmt: skip
            self._environment = now
            yield f"a changed environment ({', '.join(changed[:5])}{', …' if len(changed) > 5 else ''})"
        if (now_limits := limits()) != self._limits:
            changed = [LIMITS[number] for number, limit in now_limits.items() if limit != self._limits[number]]
            self._limits = now_limits
            yield f"changed limits ({', '.join(changed)})"

    def _processes(self, job_class: str) -> Iterator[str]:
        """Processes that the job started, and what its class wants done with them."""
        now = children_of(os.getpid())
        started, self._children = sorted(now - self._children), now
        names = sorted({name for pid in started if (name := program_of(pid)) is not None})
        if not names:
            return
        what = f"running processes ({', '.join(names[:5])}{', …' if len(names) > 5 else ''})"
        if job_class not in self._ending:
            yield f"{what}, which end with its own"
            return
        for pid in started:
            if program_of(pid) is not None:
                kill_with_descendants(pid)
        yield f"{what}, now killed"

    def _report(self, job_class: str, what: str, *, is_worn: bool) -> None:
        if (job_class, what) not in self._told or is_worn:
            self._told.add((job_class, what))
            self._tell(pack_message("left", {"job_class": job_class, "what": what, "is_worn": is_worn}))


def classes_that_end_processes() -> frozenset[str]:
    """Names and aliases of the classes that want processes of their jobs to be killed."""
    names = [name for name, job_class in registry if job_class.end_processes]
    return frozenset(names).union(*map(registry.aliases_of, names))


class Snapshot(NamedTuple):
    """Compared after each job that was not short; a tuple, because that is quick to make and to compare."""

    folder: str | None
    umask: int
    user: int
    priority: int
    blocked: set[int]
    timers: tuple[tuple[float, float], ...]
    handlers: tuple[Any, ...]


def snapshot() -> Snapshot:
    return Snapshot(
        folder(),
        umask(),
        os.geteuid(),
        os.getpriority(os.PRIO_PROCESS, 0),
        _signal.pthread_sigmask(signal.SIG_BLOCK, ()),
        tuple(map(signal.getitimer, TIMERS)),
        tuple(map(_signal.getsignal, HANDLED)),
    )


def has_children() -> bool:
    """Asks the kernel, without taking the exit status that another waiter needs."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


STARTING_SECONDS = 0.5
"""Seconds after which a process without a command line never gets one. On a busy machine it takes some milliseconds."""

HELPERS = (b"multiprocessing.resource_tracker", b"multiprocessing.forkserver", b"loky")
"""Processes that a library keeps for later jobs, by a part of their command lines."""


def program_of(pid: int) -> str | None:
    """The program of a process. None if it has ended, or is a library's helper."""
    command_line = command_line_of(pid)
    if not command_line or any(helper in command_line for helper in HELPERS):
        return None
    return os.path.basename(command_line.split(b"\0")[0]).decode(errors="replace")


def command_line_of(pid: int) -> bytes:
    """Empty if the process has ended, or shows none.

    `Popen` returns when the new program is loaded, which is a moment before the kernel shows its command line.
    """
    until = time.monotonic() + STARTING_SECONDS
    try:
        while not (shown := content(f"/proc/{pid}/cmdline")) and time.monotonic() < until:
            if state_of(pid) in ("Z", "X", ""):
                return b""
            time.sleep(STARTING_SECONDS / 1000)
    except OSError:
        return b""
    return shown


def content(file: str) -> bytes:
    with open(file, "rb") as opened:
        return opened.read()


def folder() -> str | None:
    try:
        return os.getcwd()
    except OSError:  # it was deleted
        return None


def umask() -> int:
    """The umask, which can be read only by setting it."""
    os.umask(before := os.umask(0o077))
    return before


def limits() -> dict[int, tuple[int, int]]:
    return {number: resource.getrlimit(number) for number in LIMITS}

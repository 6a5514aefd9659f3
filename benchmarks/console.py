"""Times the console in a raw pseudo-terminal: how soon its first screen is complete, and what an idle screen costs.

Each figure belongs to one screen of the real program, on an idle database that has a live worker. The start is compared
with `python -c 'import textual'`, and the two take turns: the ratio holds on any machine. CPU seconds come from the
kernel's accounts of the process and its threads; bytes are those that the program writes to its terminal.
"""

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

SIZES = ((120, 40), (200, 50))

COMPLETE = b" live"
"""The frame says so once the first look has been drawn."""

QUIET_SECONDS = 0.25
"""A screen is complete when nothing more is drawn for so long."""

LONGEST_SECONDS = 60.0

SETTLING_SECONDS = 6.0
"""Before an idle screen is measured: charts and figures of the start are drawn by then, and looks are as rare as they
are while nothing happens."""

WORKER = """
from jobq import Job, register_job

@register_job
class Nothing(Job):
    def run(self):
        pass
"""


@dataclass(frozen=True, slots=True)
class Idle:
    """What a screen costs while nothing happens."""

    cpu_percent: float
    bytes_per_second: float


def as_installed() -> dict[str, str]:
    """The environment with compiled modules, which an installed program has, wherever the sources are."""
    kept = Path(tempfile.gettempdir()) / "jobq-look-pycache"
    others = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**others, "PYTHONPYCACHEPREFIX": str(kept)}


class Program:
    """A console in a pseudo-terminal, whose output is read and counted."""

    def __init__(self, place: str, arguments: list[str], size: tuple[int, int], folder: Path) -> None:
        self._ours, theirs = pty.openpty()
        columns, lines = size
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        environment = {**as_installed(), "TERM": "xterm-256color", "XDG_CONFIG_HOME": str(folder)}
        self.began = time.monotonic()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "jobq", "tui", place, *arguments],
            cwd=folder, stdin=theirs, stdout=theirs, stderr=theirs, env=environment, start_new_session=True,
        )  # fmt: skip
        os.close(theirs)
        self.drawn = b""

    def read(self, seconds: float) -> bytes:
        """What is drawn within this time; returns with the first bytes."""
        readable, _, _ = select.select([self._ours], [], [], seconds)
        try:
            return os.read(self._ours, 1 << 20) if readable else b""
        except OSError:  # the other end of the terminal is closed
            sys.exit(f"the console ended: {self.drawn[-4000:].decode(errors='replace')}")

    def read_for(self, seconds: float) -> int:
        """How many bytes are drawn in this time."""
        until, count = time.monotonic() + seconds, 0
        while (left := until - time.monotonic()) > 0:
            count += len(self.read(left))
        return count

    def press(self, keys: str) -> None:
        os.write(self._ours, keys.encode())

    def until_complete(self) -> float:
        """Seconds from the start until the last byte of the first complete screen."""
        last = self.began
        while (more := self.read(QUIET_SECONDS)) or COMPLETE not in self.drawn:
            last = time.monotonic() if more else last
            self.drawn += more
            if time.monotonic() - self.began > LONGEST_SECONDS:
                sys.exit(f"no first screen within {LONGEST_SECONDS:g} s: {self.drawn[-500:]!r}")
        return last - self.began

    @property
    def cpu_seconds(self) -> float:
        """Of all its threads, by the kernel's accounts."""
        tasks = Path(f"/proc/{self._process.pid}/task").iterdir()
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._ours)


@contextmanager
def program(place: str, arguments: list[str], size: tuple[int, int]) -> Iterator[Program]:
    with tempfile.TemporaryDirectory(prefix="jobq-look-") as folder:
        opened = Program(place, arguments, size, Path(folder))
        try:
            yield opened
        finally:
            opened.close()


@contextmanager
def idle_worker(arguments: list[str]) -> Iterator[None]:
    """A worker that knows none of the classes that wait: its heartbeat is all that it does."""
    with tempfile.TemporaryDirectory(prefix="jobq-look-") as folder:
        Path(folder, "nothing.py").write_text(WORKER)
        command = [sys.executable, "-m", "jobq", "run", "--app", "nothing", "--max-processes", "1", *arguments]
        quiet = subprocess.DEVNULL
        process = subprocess.Popen(command, cwd=folder, stdin=quiet, stdout=quiet, stderr=quiet)
        try:
            yield
            if process.poll() is not None:
                sys.exit(f"the idle worker has ended by itself, with {process.returncode}")
        finally:
            process.terminate()
            process.wait(30)


def places(running: list[int]) -> dict[str, tuple[str, str]]:
    """Each screen: where it begins, and the keys that lead on from there. A Job page needs a running job."""
    tabs = ("overview", "jobs", "failures", "queues", "workers", "schedules", "activity")
    found = {name: (name, "") for name in tabs}
    return {**found, "job page": (f"jobs/running/id:{running[0]}", "\r")} if running else found


def import_alone() -> tuple[float, float]:
    """Seconds that importing Textual takes in a process of its own, and CPU seconds of that."""
    began, before = time.monotonic(), os.times()
    subprocess.run([sys.executable, "-c", "import textual"], check=True, env=as_installed())
    after = os.times()
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return time.monotonic() - began, used


def print_starts(arguments: list[str], rounds: int) -> None:
    """The time to the first complete screen, beside that of importing Textual in the same minute."""
    imports: list[tuple[float, float]] = []
    starts: list[tuple[float, float]] = []
    with program("overview", arguments, SIZES[0]) as console:
        console.until_complete()  # compiles what is imported
    for _ in range(rounds):
        imports.append(import_alone())
        with program("overview", arguments, SIZES[0]) as console:
            starts.append((console.until_complete(), console.cpu_seconds))
    for place, what in enumerate(("first complete screen", "CPU until then")):
        whole, alone = [one[place] for one in starts], [one[place] for one in imports]
        ratio = median(one / other for one, other in zip(whole, alone, strict=True))
        print(
            f"{what}: {median(whole):.2f} s, {ratio:.1f} times `import textual` ({median(alone):.2f} s); "
            f"best {min(whole):.2f} s"
        )


def idle(place: str, keys: str, arguments: list[str], size: tuple[int, int], seconds: float) -> Idle:
    with program(place, arguments, size) as console:
        console.until_complete()
        if keys:
            console.press(keys)
        console.read_for(SETTLING_SECONDS)
        before = console.cpu_seconds
        count = console.read_for(seconds)
        return Idle(100 * (console.cpu_seconds - before) / seconds, count / seconds)


def print_idle(arguments: list[str], running: list[int], seconds: float) -> int:
    """What each screen costs while nothing happens; returns how many are above 1 % of a core or 1 kB a second."""
    above = 0
    for name, (place, keys) in places(running).items():
        for size in SIZES:
            cost = idle(place, keys, arguments, size, seconds)
            is_above = cost.cpu_percent > 1 or cost.bytes_per_second > 1000
            above += is_above
            figures = f"{cost.cpu_percent:5.2f} % of a core {cost.bytes_per_second:8.0f} bytes/s"
            print(f"idle, {name:<11} {size[0]}×{size[1]} {figures}{'   above' if is_above else ''}", flush=True)
    return above


def measure(arguments: list[str], running: list[int], rounds: int, seconds: float) -> None:
    with idle_worker(arguments):
        print_starts(arguments, rounds)
        above = print_idle(arguments, running, seconds)
    print(f"{above} above 1 % of a core or 1 kB/s")

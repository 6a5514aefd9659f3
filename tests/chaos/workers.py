"""The workers of a chaos run: each has a network, and if it must be, a clock of its own."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tests.chaos.log_reader import LogReader
from tests.chaos.proxy import Proxy
from tests.faults.servers import children_of, kill

if TYPE_CHECKING:
    from tests.chaos.hosts import Host

# What Python asks the clock. The C library's could be shifted by libfaketime, but time.sleep() fails under it.
SHIFTED_CLOCK = """
import datetime
import os
import time

true_time, true_datetime, file = time.time, datetime.datetime, os.environ["CLOCK_FILE"]


def shift():
    try:
        with open(file) as text:
            return float(text.read() or 0)
    except (OSError, ValueError):
        return 0.0


class Kind(type):
    def __instancecheck__(cls, value):
        return isinstance(value, true_datetime)


class Shifted(true_datetime, metaclass=Kind):
    __slots__ = ()  # of the size that modules in C expect

    @classmethod
    def now(cls, tz=None):
        return cls.fromtimestamp(time.time(), tz)

    @classmethod
    def utcnow(cls):
        return cls.fromtimestamp(time.time(), datetime.timezone.utc).replace(tzinfo=None)


time.time = lambda: true_time() + shift()
time.time_ns = lambda: int(time.time() * 1e9)
datetime.datetime = Shifted
"""


class Worker:
    """One `jobq run`, started again whenever it has ended: each time in the next of `versions`, its environments."""

    def __init__(
        self,
        number: int,
        folder: Path,
        proxy: Proxy | None,
        environment: Mapping[str, str],
        *,
        clock: Path | None = None,
        host: "Host | None" = None,
        versions: Sequence[Mapping[str, str]] = ({},),
    ) -> None:
        self.versions = list(versions)
        self.starts = 0
        self.number = number
        self.folder = folder
        self.proxy = proxy
        self.environment = dict(environment)
        self.host = host
        self.clock = host.clock if host is not None else clock
        if clock is not None:
            write_clock(clock, 0)
            self.environment |= clock_environment(folder, clock)
        self.log = LogReader(folder / f"worker-{number}.log")
        self.pids: set[int] = set()  # of every supervisor that there was
        self.exits: list[int] = []
        self.is_hit = False  # a fault is at it
        self.process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def start(self) -> None:
        environment = joined(self.environment, self.versions[self.starts % len(self.versions)])
        self.starts += 1
        log = self.log.open()
        try:
            inside = self.host.inside() if self.host is not None else []
            self.process = subprocess.Popen(
                [*inside, sys.executable, "-m", "jobq", "run", "--max-processes", "2"],
                cwd=self.folder,
                env=environment,
                stdout=log,
                stderr=log,
            )
        finally:
            os.close(log)
        self.pids.add(self.process.pid)

    def keep_up(self) -> None:
        """As a service manager would: what has ended is started anew."""
        with self._lock:
            if self.process is None or self.process.poll() is not None:
                if self.process is not None:
                    self.exits.append(self.process.returncode)
                self.start()

    def settle(self) -> None:
        """Has it run in the last of its versions from now on, as after a rolling restart."""
        if len(self.versions) > 1:
            self.versions = self.versions[-1:]
            assert self.process is not None
            self.process.terminate()  # and `keep_up` starts it anew

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def children(self) -> list[int]:
        return children_of(self.pid)

    def end(self, timeout: float) -> bool:
        """Ends it as an administrator would. False: it did not end, and was killed."""
        assert self.process is not None
        kill(self.pid, signal.SIGCONT)
        if self.process.poll() is None:
            self.process.terminate()
        try:
            self.exits.append(self.process.wait(timeout))
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return False
        return True


def write_clock(file: Path, seconds: float) -> None:
    """By how much the clocks of those are off who look there."""
    file.write_text(f"{seconds:+g}")


def joined(environment: Mapping[str, str], version: Mapping[str, str]) -> dict[str, str]:
    """The code of a version comes before what else is on the path."""
    paths = [each["PYTHONPATH"] for each in (version, environment) if "PYTHONPATH" in each]
    return {**environment, **version, **({"PYTHONPATH": os.pathsep.join(paths)} if paths else {})}


def clock_environment(folder: Path, file: Path) -> dict[str, str]:
    shim = folder / "shim"
    shim.mkdir(exist_ok=True)
    (shim / "sitecustomize.py").write_text(SHIFTED_CLOCK)
    return {"PYTHONPATH": str(shim), "CLOCK_FILE": str(file)}


def orphans_of(ledger: Path, timeout: float) -> list[int]:
    """Processes of the run that are still there, some time after all have been ended: they have the ledger's name."""
    deadline = time.monotonic() + timeout
    while True:
        found = []
        for environ in Path("/proc").glob("[0-9]*/environ"):
            try:
                if f"LEDGER={ledger}\0".encode() in environ.read_bytes() and int(environ.parent.name) != os.getpid():
                    found.append(int(environ.parent.name))
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                continue
        if not found or time.monotonic() > deadline:
            return found
        time.sleep(0.1)

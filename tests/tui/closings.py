"""Closes the console's terminal at random moments, in every way, and looks for what is left.

    python -m tests.tui.closings [--number 200] [--seed 1]

The ways: a plain close; nobody reads what is drawn; `q` a moment before, and nobody reads; while it starts; with SIGHUP
ignored; while a question to a database that never answers is under way; with the demonstration's worker.
"""

import argparse
import fcntl
import os
import pty
import random
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

MARK = "JOBQ_TEST_CLOSING"
"""A variable of the environment by which all that a console started is found."""

WAYS = ("plain", "undrained", "q, undrained", "starting", "SIGHUP ignored", "hung database", "demonstration")

LONGEST = 60.0
"""Seconds until nothing may be left. A console takes at most about three; a loaded machine, longer."""


@dataclass(slots=True)
class Closing:
    """A console in a terminal of its own, and how that terminal is closed."""

    way: str
    process: "subprocess.Popen[bytes]"
    terminal: int
    mark: str
    drawn: bytes = field(default=b"")

    def read(self, seconds: float, until: bytes = b"\0") -> None:
        """Reads what is drawn for that long, or until this is drawn."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and until not in self.drawn:
            if select.select([self.terminal], [], [], 0.05)[0]:
                try:
                    self.drawn += os.read(self.terminal, 65536)
                except OSError:
                    return

    def close(self) -> None:
        os.close(self.terminal)

    @property
    def left(self) -> list[str]:
        """The processes that it started, itself among them, which are still there."""
        self.process.poll()
        wanted = f"{MARK}={self.mark}".encode()
        return [words for pid, words in processes() if wanted in environment_of(pid)]


def processes() -> list[tuple[int, str]]:
    """All but those of an embedded server, which others may use, and which ends by itself."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:  # it has ended
            continue
        if words and "embedded_supervisor" not in words and "postgres" not in words:
            found.append((int(folder.name), words))
    return found


def environment_of(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:  # it has ended, or is another user's
        return []


def start(
    command: list[str], folder: Path, environment: Mapping[str, str], *, way: str = "", ignores_hangup: bool = False
) -> Closing:
    """Runs a command in a terminal of its own."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    mark = f"{os.getpid()}-{time.monotonic_ns()}"

    def prepare() -> None:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        if ignores_hangup:
            signal.signal(signal.SIGHUP, signal.SIG_IGN)

    process = subprocess.Popen(
        command,
        cwd=folder,
        env={**os.environ, **environment, "TERM": "xterm-256color", MARK: mark},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        preexec_fn=prepare,
    )
    os.close(theirs)
    return Closing(way, process, ours, mark)


def closed(way: str, folder: Path, moment: Callable[[float, float], float], silent: str) -> Closing:
    """A console whose terminal has been closed in this way. `silent` is a database's address that never answers."""
    arguments = {"demonstration": ("--demo",), "hung database": ("--database-url", silent)}.get(way, ())
    command = [sys.executable, "-m", "jobq", "tui", *arguments]
    environment = {"XDG_CONFIG_HOME": str(folder)}
    closing = start(command, folder, environment, way=way, ignores_hangup=way == "SIGHUP ignored")
    if way == "starting":
        closing.read(moment(0.0, 2.0))
    elif way == "hung database":
        closing.read(LONGEST, b"\x1b[?1049h")
        time.sleep(moment(0.0, 3.0))
    else:
        closing.read(LONGEST, b"library" if way == "demonstration" else b"NEEDS")
        if way in ("undrained", "q, undrained"):
            time.sleep(moment(0.0, 3.0))
        else:
            closing.read(moment(0.0, 3.0))
        if way == "q, undrained":
            os.write(closing.terminal, b"q")
            time.sleep(moment(0.0, 1.2))
    closing.close()
    return closing


def wait_for_end(closing: Closing, seconds: float = LONGEST) -> list[str]:
    """What is left after that time at the latest."""
    end = time.monotonic() + seconds
    while (left := closing.left) and time.monotonic() < end:
        time.sleep(0.1)
    if not left:
        closing.process.wait()
    return left


class Silent:
    """A server that takes connections and never says a word."""

    def __enter__(self) -> str:
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=128)
        return f"postgresql://nobody@127.0.0.1:{self._socket.getsockname()[1]}/none"

    def __exit__(self, *_: object) -> None:
        self._socket.close()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--number", type=int, default=200, help="closings")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    chance = random.Random(options.seed)
    tried: Counter[str] = Counter()
    left: list[str] = []
    with tempfile.TemporaryDirectory(prefix="jobq-closings-") as name, Silent() as silent:
        folder = Path(name)
        folder.chmod(0o755)  # an embedded server may be another user
        (folder / "pyproject.toml").touch()
        subprocess.run([sys.executable, "-m", "jobq", "migrate"], cwd=folder, check=True)
        for number in range(options.number):
            way = WAYS[number % len(WAYS)]
            survivors = wait_for_end(closed(way, folder, chance.uniform, silent))
            tried[way] += 1
            left += [f"{way}: {words}" for words in survivors]
            if (number + 1) % 20 == 0:
                print(f"{number + 1} closings, {len(left)} processes left", flush=True)
        subprocess.run([sys.executable, "-m", "jobq", "db", "reset", "--yes"], cwd=folder, check=True)
    print(f"seed {options.seed}:", ", ".join(f"{way} {count}" for way, count in tried.items()))
    print("\n".join(left) or "nothing is left")
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())

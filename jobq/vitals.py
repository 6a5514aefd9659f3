"""A worker's vitals for the programs beside it: a small file that its main loop writes and others read.

The file is in memory, and reading it asks nobody: a reader cannot delay the worker, and needs neither its application
nor the database. The worker holds a lock on the file while it lives: without the lock, a killed worker left the file.
"""

import fcntl
import mmap
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from struct import Struct
from time import monotonic

SIZE = 4096
TURNED = Struct("<d")
"""When the main loop last turned, by the machine's monotonic clock. Written in one piece, so that a reader never sees
half."""

REST = Struct("<QdBH")
"""The process, the seconds without a turn after which it is hung, whether it is ready, and the length of the text."""

TEXT = TURNED.size + REST.size
MAX_TEXT = SIZE - TEXT


@dataclass(frozen=True, slots=True)
class Vitals:
    """The contents of a worker's file."""

    pid: int
    name: str  # host/pid
    seconds_since_turn: float
    limit_seconds: float
    is_ready: bool
    why_not_ready: str

    @property
    def is_live(self) -> bool:
        return self.seconds_since_turn <= self.limit_seconds


class VitalsFile:
    """The worker's side."""

    def __init__(self, name: str, limit_seconds: float) -> None:
        """Raises OSError if the file cannot be made."""
        self._name = name
        self._limit_seconds = limit_seconds
        self.path = make_folder() / f"worker-{os.getpid()}-{os.urandom(4).hex()}"
        self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.write(self._fd, bytes(SIZE))  # reserves room now; missing room would be a signal later
        self._memory = mmap.mmap(self._fd, SIZE)
        self.turned()
        self.say(is_ready=False, why_not="it is starting")

    def turned(self) -> None:
        """The main loop starts a turn."""
        TURNED.pack_into(self._memory, 0, monotonic())

    def say(self, *, is_ready: bool, why_not: str = "") -> None:
        text = f"{self._name}\n{space_of_pids()}\n{why_not}".encode()[:MAX_TEXT]
        self._memory[TEXT : TEXT + len(text)] = text
        REST.pack_into(self._memory, TURNED.size, os.getpid(), self._limit_seconds, is_ready, len(text))

    def close(self) -> None:
        with suppress(OSError):
            self.path.unlink()
        self._memory.close()
        os.close(self._fd)


def found() -> Iterator[Vitals]:
    """The live workers of this user whose processes are visible from here. Files of killed workers are removed."""
    with suppress(FileNotFoundError):
        for path in sorted(folder_of_vitals().iterdir()):
            with suppress(OSError, ValueError):
                if (seen := read(path)) is not None:
                    yield seen


def read(path: Path) -> Vitals | None:
    """None if its worker has gone, or belongs to another container that shares this machine's memory."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        content = os.read(fd, SIZE)
        if len(content) < SIZE:  # it is being made
            return None
        (turned,) = TURNED.unpack_from(content)
        pid, limit, is_ready, length = REST.unpack_from(content, TURNED.size)
        name, space, why_not = content[TEXT : TEXT + length].decode(errors="replace").split("\n", 2)
        if space != space_of_pids():
            return None
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return Vitals(pid, name, max(0.0, monotonic() - turned), limit, bool(is_ready), why_not)
        path.unlink()
        return None
    finally:
        os.close(fd)


def make_folder() -> Path:
    """The folder, which must be this user's own: everybody may write beside it."""
    folder = folder_of_vitals()
    folder.mkdir(mode=0o700, exist_ok=True)
    entry = folder.lstat()
    if not stat.S_ISDIR(entry.st_mode) or entry.st_uid != os.getuid() or entry.st_mode & 0o022:
        raise PermissionError(f"{folder} is not a folder that only this user can write")
    return folder


def folder_of_vitals() -> Path:
    """In memory if possible: writes there wait for no disk."""
    memory = Path("/dev/shm")  # noqa: S108 - a folder of this user's own within it
    base = memory if os.access(memory, os.W_OK) else Path(os.environ.get("TMPDIR", "/tmp"))  # noqa: S108
    return base / f"jobq-{os.getuid()}"


def space_of_pids() -> str:
    """An id of the container whose processes are visible here: two may share the memory, and each have a process 1."""
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""

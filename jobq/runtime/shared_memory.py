"""Memory that a supervisor and one child share: how far the child is with loading the application, and with its job;
what it is told, and by which worker; what it is doing; what its jobs have logged last.

Memory of both, kept by the kernel: nothing that one side writes waits for the other, and neither has to be asleep or
awake for it. Each note stands until the next one. Stacks are written behind the notes by the interpreter's own handler
of a signal, which works whatever the child's code is up to.
"""

import mmap
import os
import sys
from struct import Struct
from zlib import crc32

SLOT_BYTES = 4096
PROGRESS, ORDER, WORKER, LOADING, RING = (slot * SLOT_BYTES for slot in range(5))
RING_BYTES = 2 * SLOT_BYTES
LINES = RING + RING_BYTES
LINES_BYTES = 16 * SLOT_BYTES
STACKS = LINES + LINES_BYTES

HEADER = Struct("<II")
"""Length and checksum: the other side may be in the middle of writing."""

MAX_NOTE_BYTES = SLOT_BYTES - HEADER.size


MAX_STACK_BYTES = 256 * 1024


class SharedMemory:
    """One side of the shared memory.

    The supervisor's side reads and writes the file: a job that cuts it short must not take the supervisor along, as it
    would with memory of that file. The child's side is memory: a job that closes all descriptors can still be told to
    stop.
    """

    def __init__(self, fd: int, memory: mmap.mmap | None = None) -> None:
        self.fd = fd
        self._memory = memory

    @property
    def memory(self) -> mmap.mmap:
        """The child's side."""
        assert self._memory is not None
        return self._memory

    @classmethod
    def of_supervisor(cls) -> "SharedMemory":
        """An empty one; a child gets its descriptor."""
        if hasattr(os, "memfd_create"):
            fd = os.memfd_create("jobq-memory")
        else:
            import tempfile

            with tempfile.TemporaryFile(prefix="jobq-memory-") as file:
                fd = os.dup(file.fileno())
        os.ftruncate(fd, STACKS)
        os.lseek(fd, STACKS, os.SEEK_SET)  # both sides share the position at which stacks are written
        return cls(fd)

    @classmethod
    def of_child(cls, fd: int) -> "SharedMemory":
        os.set_inheritable(fd, False)
        untracked = {"trackfd": False} if sys.version_info >= (3, 13) else {}  # else it keeps a descriptor of its own
        return cls(fd, mmap.mmap(fd, STACKS, **untracked))

    def close(self) -> None:
        os.close(self.fd)

    def write(self, slot: int, note: bytes) -> None:
        """Puts a note into a slot, in place of the one that was there."""
        if len(note) > MAX_NOTE_BYTES:
            raise ValueError(f"a note of {len(note)} bytes does not fit")
        self.put(slot + HEADER.size, note)
        self.put(slot, HEADER.pack(len(note), crc32(note)))

    def read(self, slot: int) -> bytes | None:
        """The note in a slot; None where there is none, or where it is being written at this moment."""
        header = self.get(slot, HEADER.size)
        if len(header) < HEADER.size:
            return None
        length, checksum = HEADER.unpack(header)
        if not 0 < length <= MAX_NOTE_BYTES:
            return None
        note = self.get(slot + HEADER.size, length)
        return note if crc32(note) == checksum else None

    def stack_bytes(self) -> int:
        """How much of stacks has been written so far."""
        return max(0, os.fstat(self.fd).st_size - STACKS)

    def take_stacks(self) -> str:
        """What has been written of stacks, which goes with it."""
        written = os.pread(self.fd, MAX_STACK_BYTES, STACKS)
        os.ftruncate(self.fd, STACKS)
        os.lseek(self.fd, STACKS, os.SEEK_SET)
        return written.decode(errors="replace")

    def put(self, place: int, content: bytes) -> None:
        if self._memory is not None:
            self._memory[place : place + len(content)] = content
        else:
            os.pwrite(self.fd, content, place)

    def get(self, place: int, length: int) -> bytes:
        if self._memory is not None:
            return self._memory[place : place + length]
        return os.pread(self.fd, length, place)

"""A board that a supervisor and one child share: how far the child's job is, what it is told, and by which worker, what
it is doing.

Memory of both, kept by the kernel: nothing that one side writes waits for the other, and neither has to be asleep or
awake for it. Each note stands until the next one. Stacks are written behind the notes by the interpreter's own handler
of a signal, which works whatever the child's code is up to.
"""

import mmap
import os
import tempfile
from struct import Struct
from zlib import crc32

SLOT_BYTES = 4096
PROGRESS, ORDER, WORKER, STACKS = (slot * SLOT_BYTES for slot in range(4))

HEADER = Struct("<II")
"""Length and checksum: the other side may be in the middle of writing."""

MAX_NOTE_BYTES = SLOT_BYTES - HEADER.size


class Board:
    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._memory = mmap.mmap(fd, STACKS)

    @classmethod
    def new(cls) -> "Board":
        """An empty one; a child gets its descriptor."""
        if hasattr(os, "memfd_create"):
            fd = os.memfd_create("jobq-board")
        else:
            with tempfile.TemporaryFile(prefix="jobq-board-") as file:
                fd = os.dup(file.fileno())
        os.ftruncate(fd, STACKS)
        os.lseek(fd, STACKS, os.SEEK_SET)  # both sides share the position at which stacks are written
        return cls(fd)

    def close(self) -> None:
        self._memory.close()
        os.close(self.fd)

    def write(self, slot: int, note: bytes) -> None:
        """Puts a note into a slot, in place of the one that was there."""
        if len(note) > MAX_NOTE_BYTES:
            raise ValueError(f"a note of {len(note)} bytes does not fit")
        start = slot + HEADER.size
        self._memory[start : start + len(note)] = note
        self._memory[slot:start] = HEADER.pack(len(note), crc32(note))

    def read(self, slot: int) -> bytes | None:
        """The note in a slot; None where there is none, or where it is being written at this moment."""
        start = slot + HEADER.size
        length, checksum = HEADER.unpack(self._memory[slot:start])
        if not 0 < length <= MAX_NOTE_BYTES:
            return None
        note = self._memory[start : start + length]
        return note if crc32(note) == checksum else None

    def stack_bytes(self) -> int:
        """How much of stacks has been written so far."""
        return os.fstat(self.fd).st_size - STACKS

    def take_stacks(self) -> str:
        """What has been written of stacks, which goes with it."""
        written = os.pread(self.fd, self.stack_bytes(), STACKS)
        os.lseek(self.fd, STACKS, os.SEEK_SET)
        os.ftruncate(self.fd, STACKS)
        return written.decode(errors="replace")

"""How far a child is with what it was sent, in memory that it shares with its supervisor.

A system call for each job costs more than the shortest jobs do. So jobs are sent many at a time, and all that is said
of each is three numbers and a record, in the pages of the shared memory: they outlive the child, whatever ends it.

Every job that is sent to a child has a number, which only grows. Before it begins one, the child writes that number
down and then looks at the floor: jobs with lower numbers that have not begun were taken back. The supervisor, which
takes them back, raises the floor and then looks at what has begun. Each writes before it reads, with a fence between,
so never do both miss the other's word (as in T. J. Dekker's algorithm for mutual exclusion): a job that the supervisor
found not begun will not begin. Of one that it found begun the child may have seen the floor first; so it says of each
job that it passes over.
"""

import threading
from struct import Struct

from jobq.runtime.shared_memory import RING, RING_BYTES, SharedMemory

WORD = Struct("=q")
WORDS = Struct("=qqq")
BEGUN, WRITTEN, SEAL, FLOOR, RECORDS = (RING + place for place in (0, 8, 16, 64, 128))
"""Where the numbers are, those of either side apart, and where the records begin."""

INTACT = 0x6A6F6271
"""What stands at SEAL, to be read together with the numbers of the child. A job that cuts the shared memory short
takes it away: where anything is written behind them then, all of them read 0, as if nothing had begun."""

BEGUN_WORD, WRITTEN_WORD, FLOOR_WORD = ((place - RING) // WORD.size for place in (BEGUN, WRITTEN, FLOOR))

MAX_LOOKS = 10
"""A number is written whole, but may be read in pieces: it is read until it comes out the same twice."""

UNKNOWN = 2**63 - 1
"""For what has begun: nothing can be taken back."""


class Fence:
    """Of one thread. Other processes see what was written before a `pass_()` when anything is read after it: processors
    let reads overtake writes, but not across the instructions by which a lock is released and taken."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()

    def pass_(self) -> None:
        self._lock.release()
        self._lock.acquire()


class RingWriter:
    """The child's side. `record_bytes`: how long each record is."""

    def __init__(self, shared: SharedMemory, record_bytes: int) -> None:
        self._memory = shared.memory
        # As memory of machine words, each written in one instruction: struct would write zeros first.
        self._words = memoryview(self._memory)[RING:RECORDS].cast("q")
        self._fence = Fence().pass_
        self._size = record_bytes
        self._most = places_for(record_bytes)
        self._written = 0

    def begin(self, number: int) -> bool:
        """Whether the job of this number may begin; False: it was taken back."""
        self._words[BEGUN_WORD] = number
        self._fence()
        return number >= self._words[FLOOR_WORD]

    def record(self, record: bytes) -> None:
        """Says how the job that began last has ended. Of what is written no more is kept than was sent."""
        start = RECORDS + self._written % self._most * self._size
        self._memory[start : start + self._size] = record
        self._fence()
        self._written += 1
        self._words[WRITTEN_WORD] = self._written


class RingReader:
    """The supervisor's side. It reads and writes the file, not memory: see `SharedMemory`."""

    def __init__(self, memory: SharedMemory, record_bytes: int) -> None:
        memory.put(SEAL, WORD.pack(INTACT))
        self._memory = memory
        self._fence = Fence().pass_
        self._size = record_bytes
        self._most = places_for(record_bytes)
        self._read = 0
        self._begun = 0
        self.is_spoilt = False
        """Whether it has said what no child says: its job must have written there, or cut the memory short."""

    def begun(self) -> int:
        """The number of the job that began last; 0 before the first, UNKNOWN where that cannot be read."""
        return self._words()[0]

    def begun_lately(self) -> int:
        """The same for another thread of the supervisor; 0 where it cannot be read."""
        begun, _, seal = WORDS.unpack(self._memory.get(BEGUN, WORDS.size).ljust(WORDS.size, b"\0"))
        return int(begun) if seal == INTACT else 0

    def take_back(self, floor: int) -> int:
        """Takes back all jobs with numbers below `floor` that have not begun: those above the number returned."""
        self._memory.put(FLOOR, WORD.pack(floor))
        self._fence()
        return self.begun()

    def take_records(self) -> bytes:
        """The records since they were taken last. Raises ValueError where a child cannot have written what is there."""
        written = self._words()[1]
        count = written - self._read
        if count == 0:
            if self.is_spoilt:
                raise ValueError("what has begun is no longer told by the child")
            return b""
        if not 0 < count <= self._most:
            raise ValueError(f"{count} records in a ring of {self._most}")
        self._fence()
        first = self._read % self._most
        size, end = self._size, min(first + count, self._most)
        records = self._memory.get(RECORDS + first * size, (end - first) * size)
        if (rest := first + count - end) > 0:
            records += self._memory.get(RECORDS, rest * size)
        self._read = written
        return records

    def _words(self) -> tuple[int, int]:
        before = b""
        for _ in range(MAX_LOOKS):
            words = self._memory.get(BEGUN, WORDS.size)
            if words == before:
                return self._believed(*WORDS.unpack(words.ljust(WORDS.size, b"\0")))
            before = words
        return UNKNOWN, self._read

    def _believed(self, begun: int, written: int, seal: int) -> tuple[int, int]:
        if seal != INTACT:
            self.is_spoilt = True
            return UNKNOWN, self._read
        if begun < self._begun:
            self.is_spoilt = True
            return UNKNOWN, written
        self._begun = begun
        return begun, written


def places_for(record_bytes: int) -> int:
    return (RING + RING_BYTES - RECORDS) // record_bytes

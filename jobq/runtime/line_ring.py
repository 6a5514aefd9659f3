"""The last lines that the jobs of a child have logged, in memory that it shares with its supervisor.

A process that is killed cannot say anything more, but this memory outlives it: so the lines before a kill are kept. The
child writes, and waits for nobody; the oldest lines make room for the newest. The supervisor reads when it wants to
know: after a death, or about once a second while a job runs for long or somebody follows it.

Two numbers count the bytes ever written: up to HEAD all records are whole, and from TAIL on none is being overwritten.
The child moves TAIL before it writes over a record, and HEAD after it has written one. So a reader takes HEAD, copies
the bytes, and then drops what lies before TAIL as it is by then. It believes nothing else: a job may write there too.
"""

import threading
from collections import deque
from dataclasses import dataclass
from struct import Struct, error

from jobq.runtime.ring import Fence
from jobq.runtime.shared_memory import LINES, LINES_BYTES, SharedMemory

HEAD_WORD, TAIL_WORD = 0, 1
RECORDS = LINES + 64
CAPACITY = LINES_BYTES - 64
WORDS = Struct("=qq")

OF_LINE = Struct("=IIIB")
"""How a record begins: its length, the number of the line in its attempt, milliseconds since that began, the level."""

OF_ATTEMPT = Struct("=qidHH")
"""What follows, the same for all lines of an attempt: job, attempt, when it began, the lengths of the names of class
and queue. Then come these, and the line itself."""

MAX_LINE_BYTES = 32 * 1024
"""Of one line, as it is written there."""

MAX_NAME_BYTES = 1000
MAX_LOOKS = 10


@dataclass(frozen=True, slots=True)
class RingLine:
    """One line, as its child wrote it."""

    number: int
    milliseconds: int  # since the attempt began
    level: int
    job_id: int
    attempt: int
    started: float  # the attempt, by this machine's monotonic clock
    job_class: str
    queue: str
    content: str  # as `jobq.records.LogLine` is written


class LineWriter:
    """The child's side. Any thread may write that holds the lock. A handler of a signal that comes meanwhile loses its
    line."""

    def __init__(self, shared: SharedMemory) -> None:
        self._memory = shared.memory
        self._words = memoryview(self._memory)[LINES : LINES + 64].cast("q")
        self._fence = Fence().pass_
        self.lock = threading.RLock()
        self.is_writing = False
        """What comes meanwhile is dropped. Each attempt sets it anew: an order may have left it set."""
        self._head = 0
        self._full_at = CAPACITY  # where the head may go without more room
        self._starts: deque[int] = deque()  # of the records that are still there, the oldest first

    def write(self, record: bytes) -> None:
        """`record`: of `packed`. An order to the job may be raised in here at any moment; what is there stays sound."""
        if self.is_writing:
            return
        try:
            self.is_writing = True
            head, size = self._head, len(record)
            if (end := head + size) > self._full_at:
                self._make_room(end)
            place = RECORDS + head % CAPACITY
            if place + size <= RECORDS + CAPACITY:
                self._memory[place : place + size] = record
            else:
                first = RECORDS + CAPACITY - place
                self._memory[place : place + first] = record[:first]
                self._memory[RECORDS : RECORDS + size - first] = record[first:]
            self._fence()
            self._starts.append(head)
            self._head = end
            self._words[HEAD_WORD] = end
        finally:
            self.is_writing = False

    def _make_room(self, end: int) -> None:
        """Gives up the oldest records, some more of them than is needed now: each time costs a fence."""
        starts = self._starts
        while starts and starts[0] < end + ROOM_BYTES - CAPACITY:
            starts.popleft()
        tail = starts[0] if starts else self._head
        self._words[TAIL_WORD] = tail
        self._fence()
        self._full_at = tail + CAPACITY


ROOM_BYTES = 4096


def packed_names(job_class: str, queue: str) -> tuple[int, int, bytes]:
    """The names of a class and a queue, made once for all of their attempts: the length of each, and both."""
    first, second = (name.encode("utf-8", "backslashreplace")[:MAX_NAME_BYTES] for name in (job_class, queue))
    return len(first), len(second), first + second


def packed_attempt(job_id: int, attempt: int, started: float, names: tuple[int, int, bytes]) -> bytes:
    """Made once for all lines of an attempt."""
    in_class, in_queue, both = names
    return OF_ATTEMPT.pack(job_id, attempt, started, in_class, in_queue) + both


def packed(number: int, milliseconds: int, level: int, of_attempt: bytes, line: bytes) -> bytes:
    """A record."""
    return OF_LINE.pack(OF_LINE.size + len(of_attempt) + len(line), number, milliseconds, level) + of_attempt + line


class LineReader:
    """The supervisor's side, which reads the file: see `SharedMemory`."""

    def __init__(self, memory: SharedMemory) -> None:
        self._memory = memory
        self._read = 0  # the bytes that were read, or passed over

    def take_all(self) -> list[RingLine]:
        """All lines that are still there."""
        self._read = 0
        return self.take()

    @property
    def has_new(self) -> bool:
        return self._words()[0] != self._read

    def take(self) -> list[RingLine]:
        """The lines since they were taken last, as far as they are still there."""
        head, tail = self._words()
        if not 0 <= tail <= head or head - tail > CAPACITY or head < self._read:
            return []  # a job has written there, or cut the memory short
        start = max(self._read, tail)
        data = self._bytes(start, head)
        self._read = head
        overwritten = min(max(0, self._words()[1] - start), len(data))
        return lines_in(data[overwritten:])

    def _bytes(self, start: int, end: int) -> bytes:
        first, last = start % CAPACITY, end % CAPACITY
        if end == start:
            return b""
        if first < last:
            return self._memory.get(RECORDS + first, last - first)
        return self._memory.get(RECORDS + first, CAPACITY - first) + self._memory.get(RECORDS, last)

    def _words(self) -> tuple[int, int]:
        before = b""
        for _ in range(MAX_LOOKS):
            words = self._memory.get(LINES, WORDS.size)
            if words == before:
                break
            before = words
        head, tail = WORDS.unpack(before.ljust(WORDS.size, b"\0"))
        return int(head), int(tail)


def lines_in(data: bytes) -> list[RingLine]:
    """The lines of these bytes, up to what no child would write."""
    lines: list[RingLine] = []
    place = 0
    while place < len(data):
        try:
            size, number, milliseconds, level = OF_LINE.unpack_from(data, place)
            job_id, attempt, started, in_class, in_queue = OF_ATTEMPT.unpack_from(data, place + OF_LINE.size)
        except error:
            break
        names = place + OF_LINE.size + OF_ATTEMPT.size
        body = names + in_class + in_queue
        if not body <= place + size <= len(data) or size > MAX_RECORD_BYTES:
            break
        job_class, queue = data[names : names + in_class], data[names + in_class : body]
        content = data[body : place + size]
        texts = map(text_of, (job_class, queue, content))
        lines.append(RingLine(number, milliseconds, level, job_id, attempt, started, *texts))
        place += size
    return lines


MAX_RECORD_BYTES = OF_LINE.size + OF_ATTEMPT.size + 2 * MAX_NAME_BYTES + MAX_LINE_BYTES


def text_of(data: bytes) -> str:
    """Text as PostgreSQL takes it, whatever a job wrote there."""
    return data.decode("utf-8", "backslashreplace").replace("\0", "\\x00")

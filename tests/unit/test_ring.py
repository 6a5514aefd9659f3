"""What a child and its supervisor say to each other by the ring: each job begins once, or is taken back, never both."""

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobq.runtime.pace import MAX_WINDOW
from jobq.runtime.protocol import PLAIN_REPORT
from jobq.runtime.ring import BEGUN, SEAL, UNKNOWN, WRITTEN, RingReader, RingWriter, places_for
from jobq.runtime.shared_memory import RING, STACKS, SharedMemory

SIZE = PLAIN_REPORT.size


@pytest.fixture
def memory() -> Iterator[SharedMemory]:
    """The supervisor's side."""
    memory = SharedMemory.of_supervisor()
    yield memory
    memory.close()


def test_all_that_a_child_may_have_run_unheard_fits() -> None:
    assert places_for(SIZE) > MAX_WINDOW
    assert RING + 128 + places_for(SIZE) * SIZE <= STACKS


@given(batches=st.lists(st.integers(0, places_for(SIZE)), max_size=8))
def test_records_are_taken_once_and_in_order_however_they_gather(batches: list[int]) -> None:
    memory = SharedMemory.of_supervisor()
    try:
        writer, reader = RingWriter(SharedMemory.of_child(memory.fd), SIZE), RingReader(memory, SIZE)
        number = 0
        for batch in batches:
            written = [(number + place).to_bytes(SIZE, "big") for place in range(batch)]
            for record in written:
                writer.record(record)
            assert reader.take_records() == b"".join(written)
            assert reader.take_records() == b""
            number += batch
    finally:
        memory.close()


def test_what_was_taken_back_does_not_begin(memory: SharedMemory) -> None:
    writer, reader = RingWriter(SharedMemory.of_child(memory.fd), SIZE), RingReader(memory, SIZE)
    assert reader.begun() == 0
    assert [writer.begin(number) for number in (1, 2)] == [True, True]
    assert reader.take_back(5) == 2
    assert [writer.begin(number) for number in (3, 4, 5)] == [False, False, True]
    assert reader.begun() == 5


@pytest.mark.parametrize("length", [0, RING, BEGUN + 8, SEAL, SEAL + 8])
def test_of_a_board_that_was_cut_short_nothing_is_known(memory: SharedMemory, length: int) -> None:
    """So nothing is taken back that may run; and that is seen, since nothing more will be heard from there."""
    reader, writer = RingReader(memory, SIZE), RingWriter(SharedMemory.of_child(memory.fd), SIZE)
    writer.begin(1)
    os.ftruncate(memory.fd, length)
    assert reader.take_back(4) == (UNKNOWN if length < SEAL + 8 else 1), "though the floor makes it long again"
    memory.take_stacks()
    assert reader.begun() == (UNKNOWN if length < SEAL + 8 else 1)
    if length < SEAL + 8:
        with pytest.raises(ValueError, match="no longer"):
            reader.take_records()


def test_what_has_begun_does_not_become_less(memory: SharedMemory) -> None:
    """A job has written there; what had ended by then still counts."""
    reader, writer = RingReader(memory, SIZE), RingWriter(SharedMemory.of_child(memory.fd), SIZE)
    writer.begin(5)
    writer.record(b"1" * SIZE)
    assert reader.begun() == 5
    memory.put(BEGUN, bytes(8))
    assert reader.take_back(9) == UNKNOWN
    assert reader.take_records() == b"1" * SIZE
    with pytest.raises(ValueError, match="no longer"):
        reader.take_records()


@pytest.mark.parametrize("written", [-1, 10_000, UNKNOWN])
def test_a_count_that_a_child_cannot_have_reached_is_refused(memory: SharedMemory, written: int) -> None:
    reader = RingReader(memory, SIZE)
    memory.put(WRITTEN, written.to_bytes(8, sys.byteorder, signed=True))
    with pytest.raises(ValueError, match="records"):
        reader.take_records()


CHILD = f"""
import sys
from jobq.runtime.shared_memory import SharedMemory
from jobq.runtime.ring import RingWriter

ring = RingWriter(SharedMemory.of_child(int(sys.argv[1])), {SIZE})
begun = []
for number in range(1, int(sys.argv[2])):
    if ring.begin(number):
        begun.append(number)
    sum(range(number % 256))  # the shortest of jobs, now shorter and now longer
print(*begun)
"""


def test_no_job_both_begins_and_is_taken_back(memory: SharedMemory) -> None:
    """By two processes at full speed: most of what is taken back lies just ahead of the one that is about to begin."""
    reader, last = RingReader(memory, SIZE), 200_000
    command = [sys.executable, "-c", CHILD, str(memory.fd), str(last)]
    with subprocess.Popen(command, pass_fds=[memory.fd], stdout=subprocess.PIPE, text=True) as child:
        taken: set[int] = set()
        floor = 0
        while (at := reader.begun()) < last - 100 or at == UNKNOWN:
            if at == UNKNOWN or at + 3 <= floor:
                continue
            floor = at + 3
            found = reader.take_back(floor)
            taken.update(range(found + 1, floor))
        assert child.stdout is not None
        begun = set(map(int, child.stdout.read().split()))
    assert len(taken) > 100, "many were taken back in time"
    assert sorted(begun & taken)[:5] == []

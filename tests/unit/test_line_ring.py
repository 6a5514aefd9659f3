"""The last lines of a child's jobs, in memory that its supervisor reads: whole, in order, and believed with care."""

import os
import random
import sys
import threading
from contextlib import suppress
from typing import Any

import pytest

from jobq.runtime.line_ring import (
    CAPACITY,
    RECORDS,
    LineReader,
    LineWriter,
    RingLine,
    packed,
    packed_attempt,
    packed_names,
)
from jobq.runtime.shared_memory import LINES, STACKS, SharedMemory

OF_ATTEMPT = packed_attempt(7, 2, 100.5, packed_names("shop.Ship", "mail"))


class Ring:
    """Both sides of one ring."""

    def __init__(self) -> None:
        self.memory = SharedMemory.of_supervisor()
        self.writer = LineWriter(SharedMemory.of_child(self.memory.fd))
        self.reader = LineReader(self.memory)

    def say(self, number: int, text: str = "") -> None:
        with self.writer.lock:
            self.writer.write(packed(number, 30 + number, 20, OF_ATTEMPT, (text or f"line {number}").encode()))


@pytest.fixture
def ring() -> Ring:
    return Ring()


def test_lines_are_read_as_they_were_written(ring: Ring) -> None:
    ring.say(0, "größe 🎈")
    ring.say(1)
    assert ring.reader.take() == [
        RingLine(0, 30, 20, 7, 2, 100.5, "shop.Ship", "mail", "größe 🎈"),
        RingLine(1, 31, 20, 7, 2, 100.5, "shop.Ship", "mail", "line 1"),
    ]
    assert not ring.reader.has_new
    ring.say(2)
    assert ring.reader.has_new
    assert [line.number for line in ring.reader.take()] == [2]
    assert [line.number for line in ring.reader.take_all()] == [0, 1, 2]


def test_the_last_lines_are_there_whatever_their_lengths(ring: Ring) -> None:
    lengths = random.Random(4)
    for number in range(5000):
        ring.say(number, f"{number} " + "x" * lengths.choice((0, 10, 300, 9000, 32_000)))
        if number % 50 == 0:
            lines = ring.reader.take_all()
            assert lines[-1].number == number
            assert [line.number for line in lines] == list(range(lines[0].number, number + 1))
            assert all(line.content.startswith(f"{line.number} ") for line in lines)
    assert RECORDS + CAPACITY <= STACKS


def test_whoever_reads_late_gets_what_is_left(ring: Ring) -> None:
    ring.say(0)
    assert len(ring.reader.take()) == 1
    for number in range(1, 3000):
        ring.say(number)
    lines = ring.reader.take()
    assert 500 < len(lines) < 2999
    assert [line.number for line in lines] == list(range(3000 - len(lines), 3000))


def test_what_is_overwritten_during_a_look_is_left_out(ring: Ring) -> None:
    """The writer goes on between the copy of the bytes and the look at what is still sound."""
    for number in range(1000):
        ring.say(number)
    read, reads = ring.memory.get, 0

    def get(place: int, length: int) -> bytes:
        nonlocal reads
        content = read(place, length)
        reads += 1
        if place >= RECORDS and reads < 6:
            for number in range(1000, 1400):
                ring.say(number)
        return content

    ring.memory.get = get  # type: ignore[method-assign]
    lines = ring.reader.take()
    assert lines
    assert all(line.content == f"line {line.number}" for line in lines)


def test_threads_write_whole_lines(ring: Ring) -> None:
    def say_many(thread: int) -> None:
        for number in range(200):
            ring.say(number, f"{thread} {number} " + "x" * thread * 20)

    threads = [threading.Thread(target=say_many, args=[number]) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = ring.reader.take_all()
    assert lines
    for line in lines:
        thread, number, padding = line.content.split(" ")
        assert (int(number), padding) == (line.number, "x" * int(thread) * 20)


@pytest.mark.parametrize("place", [LINES, LINES + 8, RECORDS, RECORDS + 4])
def test_rubbish_in_its_place_is_no_line(ring: Ring, place: int) -> None:
    rubbish = random.Random(place)
    for number in range(200):
        ring.say(number)
    for _ in range(200):
        os.pwrite(ring.memory.fd, rubbish.randbytes(8), place)
        for line in (*ring.reader.take(), *ring.reader.take_all()):
            assert "\0" not in line.content
            assert line.content.encode()


def test_a_memory_that_was_cut_short_holds_no_lines(ring: Ring) -> None:
    ring.say(0)
    os.ftruncate(ring.memory.fd, LINES)
    assert ring.reader.take() == []
    assert ring.reader.take_all() == []


class Ordered(Exception):
    """What an order raises."""


class RaisedAt:
    """Raises at one line of the ring's code, as a handler of a signal may."""

    def __init__(self, stop_at: int) -> None:
        self._left = stop_at

    def __call__(self, frame: Any, event: str, _argument: Any) -> Any:
        if "line_ring" not in frame.f_code.co_filename:
            return None
        if event == "line":
            self._left -= 1
            if self._left == 0:
                raise Ordered
        return self


def test_an_order_that_is_raised_while_a_line_is_written_spoils_nothing(ring: Ring) -> None:
    for stop_at in range(1, 40):
        tracer = sys.gettrace()
        sys.settrace(RaisedAt(stop_at))
        try:
            with suppress(Ordered):
                ring.say(10_000 + stop_at, "x" * 3000)
        finally:
            sys.settrace(tracer)
        ring.writer.is_writing = False  # as the next attempt has it
        ring.say(stop_at)
        lines = ring.reader.take_all()
        assert lines[-1].content == f"line {stop_at}", stop_at
        assert all(set(line.content) == {"x"} or line.content == f"line {line.number}" for line in lines)

"""The queue between those who log and the thread that writes: bounded, and nobody waits."""

import fcntl
import logging
import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from jobq.runtime import lines as module
from jobq.runtime import logs
from jobq.runtime.lines import Lines
from jobq.settings import Settings


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """A small pipe: its ends to read and to write."""
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    yield reading, writing
    os.close(writing)


def told(count: int) -> bytes:
    return b"dropped %d\n" % count


def read_until(reading: int, wanted: bytes) -> bytes:
    read = b""
    while wanted not in read:
        read += os.read(reading, 1 << 16)
    return read


def test_what_is_put_comes_out_in_order(pipe: tuple[int, int]) -> None:
    lines = Lines(pipe[1], told)
    for number in range(100):
        lines.put(b"%d\n" % number)
    assert lines.flush(30)
    assert os.read(pipe[0], 1 << 16).split() == [b"%d" % number for number in range(100)]
    os.close(pipe[0])


def test_beyond_the_limit_lines_are_dropped_and_the_count_is_told_when_the_pipe_flows_again(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_BYTES", 100_000)
    lines = Lines(pipe[1], told)
    for number in range(1000):
        lines.put(b"%d %s\n" % (number, b"." * 1000))
    assert not lines.flush(0.01), "nobody reads"
    read = read_until(pipe[0], b"dropped")
    lines.put(b"last\n")
    read += read_until(pipe[0], b"last")
    os.close(pipe[0])
    kept = [line for line in read.splitlines() if b"..." in line]
    dropped = [int(line.split()[1]) for line in read.splitlines() if line.startswith(b"dropped")]
    assert [int(line.split()[0]) for line in kept] == list(range(len(kept)))
    assert 90 < len(kept) < 110
    assert sum(dropped) == 1000 - len(kept)


def test_one_line_longer_than_the_limit_is_written_where_nothing_else_waits(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_BYTES", 10)
    lines = Lines(pipe[1], told)
    lines.put(b"longer than ten bytes\n")
    assert lines.flush(30)
    assert os.read(pipe[0], 100) == b"longer than ten bytes\n"
    os.close(pipe[0])


def test_a_disk_that_is_full_for_a_while_costs_the_lines_of_that_time(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    is_full, write = True, os.write
    fd = os.open(tmp_path / "log", os.O_WRONLY | os.O_CREAT)

    def write_some(target: int, data: memoryview) -> int:
        if target == fd and is_full:
            raise OSError(28, "No space left on device")
        return write(target, data)

    monkeypatch.setattr(module.os, "write", write_some)
    lines = Lines(fd, told)
    lines.put(b"lost\n")
    assert lines.flush(30)
    is_full = False
    lines.put(b"kept\n")
    assert lines.flush(30)
    assert (tmp_path / "log").read_bytes() == b"kept\ndropped 1\n"
    os.close(fd)


def test_what_was_cut_by_a_full_disk_does_not_run_into_the_next_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    room, write = 3, os.write
    fd = os.open(tmp_path / "log", os.O_WRONLY | os.O_CREAT)

    def write_some(target: int, data: memoryview) -> int:
        nonlocal room
        if target != fd:
            return write(target, data)
        if not room:
            raise OSError(28, "No space left on device")
        written = write(target, data[:room])
        room -= written
        return written

    monkeypatch.setattr(module.os, "write", write_some)
    lines = Lines(fd, told)
    lines.put(b"a long line\n")
    assert lines.flush(30)
    room = 1000
    lines.put(b"the next\n")
    assert lines.flush(30)
    assert (tmp_path / "log").read_bytes().splitlines() == [b"a l", b"the next", b"dropped 1"]
    os.close(fd)


def test_a_pipe_that_somebody_made_non_blocking_is_waited_for(pipe: tuple[int, int]) -> None:
    os.set_blocking(pipe[1], False)
    lines = Lines(pipe[1], told)
    for _ in range(20):
        lines.put(b"." * 999 + b"\n")
    assert read_all(pipe[0], 20_000).count(b"\n") == 20
    os.close(pipe[0])


def read_all(reading: int, size: int) -> bytes:
    read = b""
    while len(read) < size:
        read += os.read(reading, 1 << 16)
    return read


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_the_count_has_the_form_of_the_log(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch, log_format: str, request: pytest.FixtureRequest
) -> None:
    restore(request, logging.getLogger("jobq"))
    monkeypatch.setattr(logs, "handler_of_stderr", lambda: logs.QueuedLines(pipe[1]))
    monkeypatch.setattr(module, "MAX_BYTES", 100_000)
    logs.configure(Settings(log_format=log_format))
    for _ in range(1000):
        logging.getLogger("jobq.test").info("x" * 1000)
    read = read_until(pipe[0], b"log lines were dropped")
    line = next(line for line in read.splitlines() if b"log lines were dropped" in line)
    assert line.startswith(b"{" if log_format == "json" else b"20")
    os.close(pipe[0])


def restore(request: pytest.FixtureRequest, logger: logging.Logger) -> None:
    before: tuple[list[logging.Handler], int, bool] = (logger.handlers[:], logger.level, logger.propagate)

    def put_back() -> None:
        logger.handlers[:], logger.propagate = before[0], before[2]
        logger.setLevel(before[1])

    put: Callable[[], None] = put_back
    request.addfinalizer(put)

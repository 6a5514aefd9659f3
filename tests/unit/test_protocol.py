"""What passes between supervisor and child arrives as it was sent; what is no part of it is told apart."""

import json
import os
import socket
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobq.records import Assignment, Report
from jobq.runtime.protocol import (
    MAX_INLINE,
    MAX_PACKET,
    PACKETS,
    PLAIN_REPORT,
    pack_assignments,
    pack_message,
    pack_report,
    receive,
    send,
    split_reports,
    unpack_assignments,
    unpack_lines,
)

storable_text = st.text(st.characters(exclude_categories=["Cs"]))
counts = st.integers(0, 2**63 - 1)
small_counts = st.integers(0, 2**31 - 1)
moments = st.floats(0, 1e12)

assignments = st.builds(
    Assignment,
    id=counts,
    attempt=small_counts,
    excused=small_counts,
    losses=small_counts,
    retries=small_counts,
    priority=st.integers(-32767, 32767),
    enqueued_microseconds=counts,
    queue=storable_text,
    job_class=storable_text,
    arguments=storable_text | st.just("\n[1]\n@"),
    waited_microseconds=counts | counts.map(lambda value: -value),
    timeout=st.none() | moments,
    hook=st.none() | storable_text,
)
reports = st.builds(
    Report,
    id=counts,
    attempt=counts,
    outcome=st.sampled_from(["successful", "errored", "cancelled"]),
    started=st.none() | moments,
    ended=moments,
    value=st.none() | storable_text,
    error_type=st.none() | storable_text,
    error_message=st.none() | storable_text,
    traceback=st.none() | storable_text,
    retry_delay=st.none() | moments,
    excused=st.booleans(),
    loss=st.booleans(),
    assignment=st.none(),
)
plain_reports = st.builds(
    Report,
    id=counts,
    attempt=st.integers(1, 2**31 - 1),
    outcome=st.just("successful"),
    started=st.floats(0, 1e5),
    ended=st.floats(1e5, 1e6),
    cpu_microseconds=counts,
    peak_memory_kilobytes=st.integers(0, 2**31 - 1),
    assignment=st.none(),
)


@given(sent=st.lists(assignments, max_size=5), number=counts)
def test_assignments_arrive_as_they_were_sent(sent: list[Assignment], number: int) -> None:
    packet = pack_assignments(sent, number)
    assert unpack_assignments(packet) == (number, sent)
    assert not packet.startswith(b"@"), "that would bring a file"


@pytest.mark.parametrize("size", [0, MAX_INLINE - 1000, MAX_INLINE, 4 * MAX_PACKET])
def test_a_packet_arrives_whole_whatever_its_size_and_leaves_nothing_open(size: int) -> None:
    assignment = Assignment(1, 1, 0, 0, 0, 0, 0, "q" * 100, "c" * 250, "\n" * size)
    ours, childs = socket.socketpair(socket.AF_UNIX, PACKETS)
    with ours, childs:
        before = sorted(os.listdir("/dev/fd"))
        for number in (1, 2):
            send(ours, pack_assignments([assignment], number))
        for number in (1, 2):
            packet = receive(childs, memoryview(bytearray(MAX_PACKET)))
            assert unpack_assignments(packet) == (number, [assignment])
        assert sorted(os.listdir("/dev/fd")) == before


def test_of_a_large_packet_that_nobody_read_nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor where there are no files in memory, as on macOS."""
    monkeypatch.delattr(os, "memfd_create", raising=False)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    before = sorted(os.listdir("/dev/fd"))
    ours, childs = socket.socketpair(socket.AF_UNIX, PACKETS)
    with ours, childs:
        send(ours, b"x" * 2 * MAX_INLINE)
        assert childs.recv(1)
    assert sorted(os.listdir("/dev/fd")) == before
    assert list(tmp_path.iterdir()) == []


@given(
    sent=st.lists(reports | plain_reports, min_size=1, max_size=6),
    pieces=st.lists(st.integers(1, 200), min_size=1, max_size=20),
)
def test_reports_arrive_as_they_were_sent_however_they_were_cut_on_the_way(
    sent: list[Report], pieces: list[int]
) -> None:
    written = b"".join(map(pack_report, sent))
    arrived: list[Report] = []
    rest, place = b"", 0
    for size in [*pieces, len(written)]:
        plain, lines, rest = split_reports(rest + written[place : place + size])
        arrived += [*plain, *(Report(*entry) for entry in unpack_lines(lines))]
        place += size
    assert rest == b""
    assert sorted(map(repr, arrived)) == sorted(map(repr, sent))


def test_the_most_common_report_is_the_shortest() -> None:
    packed = pack_report(Report(1, 1, "successful", 1.0, 2.0, 3, 4))
    assert len(packed) == PLAIN_REPORT.size
    assert split_reports(packed) == ([Report(1, 1, "successful", 1.0, 2.0, 3, 4)], [], b"")


def test_messages_and_reports_are_told_apart() -> None:
    report = Report(1, 1, "successful", 1.0, 2.0, 3, 4, value="1")
    written = pack_message("ready", {"text": "two\nlines"}) + pack_report(report)
    plain, lines, rest = split_reports(written)
    assert (plain, rest) == ([], b"")
    assert unpack_lines(lines) == [{"ready": {"text": "two\nlines"}}, list(report)]


@pytest.mark.parametrize("moment", [float("nan"), float("inf"), -float("inf"), 1e300, -1e300])
def test_a_plain_report_of_no_moment_is_no_report_and_that_is_seen(moment: float) -> None:
    sound = PLAIN_REPORT.pack(b"\x01", 2, 1, 1.0, 2.0, 0, 0)
    for started, ended in ((1.0, moment), (moment, 1.0), (moment, moment), (2.0, 1.0)):
        forged = PLAIN_REPORT.pack(b"\x01", 1, 1, started, ended, 0, 0)
        plain, lines, rest = split_reports(sound + forged + sound)
        assert ([report.id for report in plain], rest) == ([2, 2], b"")
        with pytest.raises(ValueError, match="Expecting value"):
            unpack_lines(lines)


@given(data=st.binary(max_size=200) | st.binary(max_size=100).map(lambda tail: b"\x01" + tail))
def test_any_bytes_are_split(data: bytes) -> None:
    _, lines, rest = split_reports(data)
    assert all(b"\n" not in line for line in lines)
    assert len(rest) <= len(data)


@pytest.mark.parametrize(
    "line",
    [b"hello", b"", b"[", b"]", b"[1],[2]]", b"\xff\xfe", b"\0\0", b"[" * 100_000, b'{"a":' * 100_000, b"9" * 10_000],
    ids=lambda line: repr(line[:12]),
)
def test_what_a_child_should_not_have_written_is_a_value_error(line: bytes) -> None:
    """Nothing else: it must not end the supervisor."""
    with pytest.raises(ValueError, match=r".") as caught:
        unpack_lines([b"[1]", line])
    assert type(caught.value) in (ValueError, json.JSONDecodeError, UnicodeDecodeError)


@given(lines=st.lists(st.binary(max_size=20), max_size=3))
def test_any_bytes_are_unpacked_or_a_value_error(lines: list[bytes]) -> None:
    try:
        unpacked: Any = unpack_lines(lines)
    except ValueError:
        return
    assert isinstance(unpacked, list)

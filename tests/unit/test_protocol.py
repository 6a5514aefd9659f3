"""What passes between supervisor and child arrives as it was sent; what is no part of it is told apart."""

import json
import socket
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobq.records import Assignment, Report
from jobq.worker.protocol import (
    MAX_INLINE,
    PACKETS,
    pack_assignment,
    pack_message,
    pack_report,
    unpack_assignment,
    unpack_lines,
)

storable_text = st.text(st.characters(exclude_categories=["Cs"]))
counts = st.integers(0, 2**63 - 1)
moments = st.floats(0, 1e12)

assignments = st.builds(
    Assignment,
    id=counts,
    attempt=counts,
    excused=counts,
    losses=counts,
    retries=counts,
    priority=st.integers(-32767, 32767),
    enqueued_microseconds=counts,
    queue=storable_text,
    job_class=storable_text,
    arguments=storable_text | st.just("\n[1]\n@"),
    timeout=st.none(),  # the supervisor's to watch: it does not travel
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
)


@given(assignment=assignments)
def test_an_assignment_arrives_as_it_was_sent(assignment: Assignment) -> None:
    packet = pack_assignment(assignment)
    assert unpack_assignment(packet) == assignment
    assert not packet.startswith(b"@"), "that would be the name of a file"


def test_the_largest_arguments_sent_inline_are_one_packet_whole() -> None:
    assignment = Assignment(1, 1, 0, 0, 0, 0, 0, "q" * 100, "c" * 250, "\n" * MAX_INLINE)
    ours, childs = socket.socketpair(socket.AF_UNIX, PACKETS)
    with ours, childs:
        for _ in range(2):
            ours.send(pack_assignment(assignment))
        for _ in range(2):
            assert unpack_assignment(childs.recv(1 << 20)) == assignment


@given(sent=st.lists(reports, min_size=1, max_size=4))
def test_reports_arrive_as_they_were_sent_one_on_each_line(sent: list[Report]) -> None:
    lines = b"".join(map(pack_report, sent)).split(b"\n")
    assert lines.pop() == b""
    defaults = list(Report(0, 0, "", None, 0.0))
    assert [Report(*entry) for entry in unpack_lines(lines)] == sent
    assert [entry + defaults[len(entry) :] for entry in unpack_lines(lines)] == [list(report) for report in sent]


def test_messages_and_reports_are_told_apart() -> None:
    report = pack_report(Report(1, 1, "successful", 1.0, 2.0, 3, 4))
    lines = (pack_message("ready", {"text": "two\nlines"}) + report).split(b"\n")
    assert unpack_lines(lines[:-1]) == [{"ready": {"text": "two\nlines"}}, [1, 1, "successful", 1.0, 2.0, 3, 4]]


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

"""CPU and memory of processes, as heartbeats tell them."""

import os

from jobq.runtime.usage import ProcessUsage, Seen, cpus_between


def test_a_process_has_memory_at_once_and_cpu_at_the_second_look() -> None:
    usage, pid = ProcessUsage(), os.getpid()
    first = usage.look([pid])[pid]
    sum(range(1_000_000))
    second = usage.look([pid])[pid]
    assert (first["memory_kilobytes"] or 0) > 1000
    assert first["cpus"] is None
    assert second["cpus"] is not None


def test_a_process_that_is_gone_has_no_figures() -> None:
    usage = ProcessUsage()
    assert usage.look([2**22 + 1]) == {}


def test_cpus_are_those_between_two_looks() -> None:
    assert cpus_between(Seen(10.0, 5.0), Seen(14.0, 11.0)) == 1.5
    assert cpus_between(Seen(10.0, 5.0), Seen(14.0, 3.0)) == 0.0, "another process has its number"
    assert cpus_between(None, Seen(14.0, 3.0)) is None

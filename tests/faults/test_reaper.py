"""No process that a job started and orphaned stays a zombie, and nobody's exit status is taken from him."""

import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Application, Store

Eventually = Callable[..., Any]

JOBS = """
    import subprocess
    from jobq import Job, register_job

    @register_job
    class Orphan(Job):
        def run(self):
            subprocess.run(["sh", "-c", "(true; sleep 0.01) & (sleep 0.01; true) &"], check=True)
            return subprocess.run(["sh", "-c", "exit 7"]).returncode
"""

NAMESPACE = ["unshare", "--fork", "--pid", "--mount-proc"]

FIRST = {
    "the worker": "exec {jobq} run --max-processes 1",
    "a program that reaps nothing": "{jobq} run --max-processes 1 & exec sleep 600",
}
"""The first process of the namespace."""


def in_namespace() -> bool:
    with suppress(OSError):
        return subprocess.run([*NAMESPACE, "true"], capture_output=True, check=False).returncode == 0
    return False


def below(ancestor: int) -> dict[int, str]:
    """The states of all processes below one, zombies too."""
    parents: dict[int, tuple[int, str]] = {}
    for folder in Path("/proc").iterdir():
        with suppress(OSError, ValueError):
            state, parent = (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()[:2]
            parents[int(folder.name)] = (int(parent), state)
    found = {ancestor: ""}
    while new := {pid: state for pid, (parent, state) in parents.items() if parent in found and pid not in found}:
        found |= new
    return found


@pytest.mark.skipif(sys.platform != "linux" or not in_namespace(), reason="needs a namespace of its own for processes")
@pytest.mark.parametrize("first", FIRST)
def test_orphans_are_reaped_whatever_the_first_process_is(
    application: "Application", store: "Store", eventually: Eventually, first: str
) -> None:
    application.write("jobs.py", JOBS)
    for _ in range(5):
        store.add(job_class="jobs.Orphan")
    shell = FIRST[first].format(jobq=f"{sys.executable} -m jobq")
    with in_shell(application, shell) as worker:
        eventually(lambda: len(store.results()) == 5)
        assert [result.value for result in store.results()] == [7] * 5
        eventually(lambda: "Z" not in below(worker.pid).values())


def in_shell(application: "Application", shell: str) -> Any:
    return application.start(program=["-c", f"import os; os.execvp('unshare', {[*NAMESPACE, 'sh', '-c', shell]!r})"])


PROGRAM = """
import os, subprocess, sys, time
from jobq.processes import state_of
from jobq.runtime import reaper

def when(condition):
    deadline = time.monotonic() + 30
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.005)

reaper.adopt_orphans()
own, foreign = (subprocess.Popen(["sh", "-c", f"exit {code}"]) for code in (7, 5))
orphan = int(subprocess.check_output(["sh", "-c", "sleep 0.01 >/dev/null & echo $!"]))
when(lambda: {state_of(pid) for pid in (own.pid, foreign.pid, orphan)} == {"Z"})
tool = reaper.Reaper(lambda: {own.pid})
tool.look()
print(foreign.wait(), state_of(orphan))  # of one that was found once, somebody may still ask
tool.look()
tool.look()
print(own.wait(), state_of(orphan) or "reaped")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="orphans are adopted on Linux alone")
def test_the_exit_status_of_a_process_that_somebody_waits_for_is_left_to_him() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert done.stdout == "5 Z\n7 reaped\n"

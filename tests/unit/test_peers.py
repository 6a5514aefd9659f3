"""How a peer's runs are counted and its time is limited, tried with a system that is a file."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import pytest

ROOT = Path(__file__).parents[2]

DRIVER = """
import asyncio, pathlib, sys, time
import driving

jobs, how = pathlib.Path(driving.URL), driving.OPTIONS["how"]


async def put(number):
    with jobs.open("a") as file:
        file.write(f"{number}\\n")


def work():
    claimed = jobs.with_name("claimed")
    try:
        jobs.rename(claimed)
    except FileNotFoundError:  # nothing there, or the other worker was first
        return
    numbers = [int(line) for line in claimed.read_text().split()]
    if how == "doubles":
        numbers[3] = numbers[4]
    for number in numbers:
        driving.ran(number)


async def main(command, *words):
    if command == "enqueue":
        await driving.one_by_one(put, int(words[0]), int(words[1]), 0)
    elif command == "left":
        driving.say(left=3 if how == "forgets to record" else 0)
    elif command == "work":
        jobs.with_name("worker").write_text(str(__import__("os").getpid()))
        print("a greeting of the system's own")
        driving.say(ready=True)
        driving.heard()
        if how == "hangs":
            time.sleep(1000)
        if how == "dies":
            raise RuntimeError("out of luck")
        told = asyncio.create_task(driving.tell_and_wait_for_stop())
        while not told.done():
            work()
            await asyncio.wait([told], timeout=0.01)
        driving.say(runs=driving.runs, recorded=time.monotonic() + 100)


asyncio.run(main(*sys.argv[1:]))
"""


@pytest.fixture
def peers(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT))
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "benchmarks/peers/drivers"))
    import benchmarks.peers

    return benchmarks.peers


@pytest.fixture
def a_peer_that(peers: ModuleType, tmp_path: Path) -> Callable[[str], Any]:
    """A peer of the given habit."""
    from benchmarks.peers.environment import PythonEnvironment

    class Here(PythonEnvironment):
        def command(self, script: Path) -> list[str]:
            return [sys.executable, str(script)]

    (tmp_path / "driver.py").write_text(DRIVER)
    (tmp_path / "file").mkdir()

    def make(how: str) -> Any:
        class File(peers.Peer):  # type: ignore[name-defined, misc]
            name, schema, packages = "file", "none", ("file==1.0",)
            driver = str(tmp_path / "driver.py")
            options: ClassVar = {"how": how}
            environment_kind = Here

        return File(str(tmp_path / "jobs"), tmp_path)

    return make


def test_jobs_are_counted_over_all_workers(a_peer_that: Callable[[str], Any]) -> None:
    peer = a_peer_that("works")
    assert (peer.version, peer.settings) == ("1.0", 'how "works"')
    assert peer.enqueue(40) > 0
    assert peer.enqueue(60) > 0
    with pytest.raises(ValueError, match="100 jobs are enqueued, not 99"):
        peer.drain(99, 2)
    assert 0 < peer.drain(100, 2) < 1  # it says that the ends are recorded a hundred seconds later
    assert len(peer.latency(5)) == 5


@pytest.mark.parametrize(
    ("how", "error", "words"),
    [
        ("doubles", "LostOrDoubled", r"file: 1 jobs never ran \(such as 3\): no figure."),
        ("forgets to record", "LostOrDoubled", "file: 3 jobs ran but are not recorded as finished: no figure."),
        ("hangs", "PeerFailed", "file ran 0 of 20 jobs in 1 s."),
        ("dies", "PeerFailed", "file ended with status 1: RuntimeError: out of luck"),
    ],
)
def test_a_peer_that_fails_has_no_figure_and_leaves_no_process(
    peers: ModuleType, a_peer_that: Callable[[str], Any], tmp_path: Path, how: str, error: str, words: str
) -> None:
    peer = a_peer_that(how)
    peer.enqueue(20)
    peer.seconds = 1.0 if how == "hangs" else 60.0
    with pytest.raises(getattr(peers, error), match=words):
        peer.drain(20, 1)
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "worker").read_text()), 0)


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ((sys.executable, "-c", "raise SystemExit('note\\nERROR: no such')"), "odd cannot be installed: ERROR: no "),
        (("no-such-program",), "no-such-program is not installed."),
    ],
)
def test_an_environment_that_cannot_be_had_says_why(
    peers: ModuleType, tmp_path: Path, command: tuple[str, ...], words: str
) -> None:
    from benchmarks.peers.environment import PythonEnvironment

    class Odd(PythonEnvironment):
        def _install(self) -> None:
            self._run(*command)

    for _ in range(2):  # half an installation does not count as one
        with pytest.raises(peers.PeerUnavailable, match=words):
            Odd(tmp_path / "odd", ("odd==1.0",)).prepare()


INTERPRETER = """#!/bin/sh
[ "$1" = -c ] && exit {status}
mkdir -p "$3/bin" && printf '#!/bin/sh\\necho "$@" > said' > "$3/bin/pip" && chmod +x "$3/bin/pip"
"""


def test_a_peer_that_asks_for_a_newer_python_finds_it_on_the_path(
    peers: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from benchmarks.peers.environment import PythonEnvironment

    class New(PythonEnvironment):
        OLDEST = (99, 1)

    path = tmp_path / "path"
    path.mkdir()
    monkeypatch.setenv("PATH", f"{path}:{os.environ['PATH']}")
    for name, status in (("python3.14", 127), ("python3.13", 1), ("python3.12", 1)):
        (path / name).write_text(INTERPRETER.format(status=status))
        (path / name).chmod(0o755)
    environment = New(tmp_path / "new", ("new==1.0",))
    with pytest.raises(peers.PeerUnavailable, match=r"new asks for Python 99\.1 or newer: this is 3\..*, and n"):
        environment.prepare()

    (path / "python3.13").write_text(INTERPRETER.format(status=0))
    environment.prepare()
    assert environment.command(Path("driver.py")) == [str(tmp_path / "new/venv/bin/python"), "driver.py"]
    assert (tmp_path / "new/said").read_text() == "install --quiet new==1.0\n"

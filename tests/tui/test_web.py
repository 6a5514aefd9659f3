"""The console in a browser: who is let in, what the page holds, and that nothing stays when it is closed."""

import asyncio
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest
from aiohttp import ClientSession, ClientWebSocketResponse, WSCloseCode, WSMsgType, WSServerHandshakeError

PRINTED = re.compile(r"(http://127\.0\.0\.1:\d+)/#token=(\S+)")
ESCAPES = re.compile(rb"\x1b\[[0-9;?<>=]*[a-zA-Z]|\x1b[\]P_][^\x07\x1b]*(\x07|\x1b\\)|\x1b.")


class Served:
    """A `jobq tui --web`, and what a browser knows of it."""

    def __init__(self, started: Any, url: str) -> None:
        self.started = started
        self.url = url

    @property
    def token(self) -> str:
        """The one that was printed last."""
        return PRINTED.findall(self.started.stdout)[-1][1]

    @asynccontextmanager
    async def socket(self, **first: Any) -> AsyncIterator[ClientWebSocketResponse]:
        """A socket whose first message holds what a page would send."""
        async with (
            ClientSession() as session,
            session.ws_connect(f"{self.url}/ws?width=120&height=40", origin=self.url) as socket,
        ):
            await socket.send_json(["open", first])
            yield socket

    @asynccontextmanager
    async def tab(self, **first: Any) -> AsyncIterator[ClientWebSocketResponse]:
        """A page that has been let in, by the printed address if not otherwise."""
        async with self.socket(**(first or {"token": self.token})) as socket:
            socket.session = (await opened(socket))["session"]  # type: ignore[attr-defined]
            yield socket

    def consoles(self) -> list[str]:
        """The command lines of the consoles that run."""
        found = []
        for pid in self.started.descendants():
            with suppress(FileNotFoundError, ProcessLookupError):  # it has ended since
                found.append(Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " "))
        return found


@pytest.fixture
def serve(application: Any, eventually: Any) -> Iterator[Callable[..., Served]]:
    running = []

    def start(*options: str) -> Served:
        context = application.start("tui", "--web", "--port", "0", *options)
        running.append(context)
        started = context.__enter__()
        url, _ = eventually(lambda: PRINTED.search(started.stdout)).groups()
        return Served(started, url)

    yield start
    for context in running:
        context.__exit__(None, None, None)


def run(flow: Callable[[], Awaitable[None]]) -> None:
    async def within_a_minute() -> None:
        async with asyncio.timeout(60):
            await flow()

    asyncio.run(within_a_minute())


async def opened(socket: ClientWebSocketResponse) -> dict[str, str]:
    """The answer to a first message that was right."""
    kind, value = await socket.receive_json()
    assert kind == "open"
    return dict(value)


async def closing(socket: ClientWebSocketResponse) -> tuple[int | None, str]:
    """The code and the reason with which the server closes a socket."""
    while (message := await socket.receive()).type is not WSMsgType.CLOSE:
        assert message.type is WSMsgType.BINARY
    return message.data, message.extra or ""


async def drawn(socket: ClientWebSocketResponse, text: str) -> str:
    """What the console draws, up to this."""
    seen = b""
    async for message in socket:
        if message.type is WSMsgType.BINARY:
            seen += message.data
        if text in (shown := ESCAPES.sub(b"", seen).decode(errors="replace")):
            return shown
    pytest.fail(f"it was closed without {text!r}")


def test_a_printed_address_lets_in_once_and_its_session_again(serve: Any, eventually: Any) -> None:
    served = serve()
    first = served.token

    async def flow() -> None:
        async with served.tab(token=first) as socket:
            await drawn(socket, "NEEDS YOU")
            session = socket.session
        eventually(lambda: served.token != first)  # for another page of the operator's
        async with served.socket(token=first) as late:
            code, reason = await closing(late)
            assert code == 4003
            assert "was used already" in reason
        async with served.tab(session=session) as reloaded:
            await drawn(reloaded, "NEEDS YOU")

    run(flow)


@pytest.mark.parametrize(
    "first",
    [
        {},
        {"token": ""},
        {"token": "\ud800"},
        {"token": ["x"]},
        {"session": None},
        {"session": ""},
        {"session": "guess"},
    ],
    ids=ascii,
)
def test_a_socket_without_the_secret_gets_no_console(serve: Any, first: dict[str, Any]) -> None:
    served = serve()

    async def flow() -> None:
        async with served.socket(**first) as socket:
            assert (await closing(socket))[0] == 4003
        async with served.tab() as socket:  # a session is there now, and a guess is still none
            await drawn(socket, "NEEDS YOU")
            async with served.socket(**first) as another:
                assert (await closing(another))[0] == 4003
            assert len(served.consoles()) == 1

    run(flow)


@pytest.mark.parametrize("message", ['["stdin", "q"]', '["resize"]', "no JSON", "[]", "{}", '["open", 1]'])
def test_nothing_is_taken_before_the_secret(serve: Any, message: str) -> None:
    served = serve()

    async def flow() -> None:
        async with ClientSession() as session, session.ws_connect(f"{served.url}/ws", origin=served.url) as socket:
            await socket.send_str(message)
            assert (await closing(socket))[0] == 4003
        assert served.consoles() == []

    run(flow)


def test_another_page_takes_the_console_over_and_the_first_is_told(serve: Any, eventually: Any) -> None:
    served = serve()

    async def flow() -> None:
        async with served.tab() as first:
            await drawn(first, "NEEDS YOU")
            async with served.tab() as second:
                code, reason = await closing(first)
                assert code == 4001
                assert "opened in another page" in reason
                await drawn(second, "NEEDS YOU")
                eventually(lambda: len(served.consoles()) == 1)
                async with served.socket(session=first.session) as late:  # its session ended with it
                    assert (await closing(late))[0] == 4003

    run(flow)


def test_no_cookie_is_set_and_what_is_open_to_everybody_holds_nothing(serve: Any) -> None:
    """Browsers send a cookie to every port of this machine, also to one that another user serves."""
    served = serve()

    async def flow() -> None:
        async with ClientSession() as stranger:
            for path in ("/", "/?token=x", "/static/page.js"):
                async with stranger.get(served.url + path) as response:
                    assert response.status == 200
                    assert "Set-Cookie" not in response.headers
                    text = await response.text()
                    assert served.token not in text
                    assert "embedded" not in text  # the console's title names the database

    run(flow)


def test_no_other_page_and_no_other_name_gets_anything(serve: Any) -> None:
    served = serve()
    port = served.url.rpartition(":")[2]

    async def flow() -> None:
        async with ClientSession() as browser:
            evil = [
                {"Host": "evil.example"},
                {"Host": f"evil.example:{port}"},
                {"Host": "127.0.0.1"},
                {"Origin": "https://evil.example"},
                {"Origin": f"http://evil.example:{port}"},
                {"Origin": f"http://127.0.0.1:{int(port) - 1}"},  # another port of this machine
                {"Origin": f"http://localhost:{port}"},  # the same machine, by another name than the host's
                {"Origin": "null"},
            ]
            for headers in evil:
                for path in ("/", "/static/textual.js"):
                    async with browser.get(served.url + path, headers=headers) as response:
                        assert response.status == 403, headers
            for headers in [*evil, {}]:
                with pytest.raises(WSServerHandshakeError, match="403"):
                    await browser.ws_connect(f"{served.url}/ws", headers=headers)
            async with browser.post(f"{served.url}/") as response:
                assert response.status == 405
        assert served.consoles() == []

    run(flow)


def test_the_page_needs_nothing_from_elsewhere_and_lists_nothing(serve: Any) -> None:
    served = serve()

    async def flow() -> None:
        async with ClientSession() as browser:
            async with browser.get(f"{served.url}/?fontsize=99999") as response:
                page = await response.text()
                policy = response.headers["Content-Security-Policy"]
            assert "default-src 'none'" in policy
            assert "frame-ancestors 'none'" in policy
            port = served.url.rpartition(":")[2]
            assert set(re.findall(r"\w+://[^\s\"']+", page)) == {f"ws://127.0.0.1:{port}/ws"}
            assert 'data-font-size="16"' in page
            needed = re.findall(r"""(?:src|href)="(/static/[^"]+)""", page) + re.findall(r"""url\("([^"]+)""", page)
            assert len(set(needed)) == 5
            for path in needed:
                async with browser.get(served.url + path) as response:
                    assert response.status == 200, path
                    assert response.headers["X-Content-Type-Options"] == "nosniff"
            for path in ("/static/", "/static", "/static/..%2fserver.py", "/static/%2e%2e/server.py", "/download/1"):
                async with browser.get(served.url + path) as response:
                    assert response.status == 404, path

    run(flow)


def test_a_tab_has_a_console_of_its_own_that_reads_only_and_goes_with_it(
    serve: Any, store: Any, database_url: str, eventually: Any
) -> None:
    store.add(queue="mail")
    served = serve("--database-url", psycopg.conninfo.make_conninfo(database_url, password="open-sesame"), "jobs")

    async def flow() -> None:
        async with served.tab() as socket:
            assert "read-only" in await drawn(socket, "newest first")
            (console,) = served.consoles()
            assert "open-sesame" not in console
            assert "open-sesame" not in served.started.stdout + served.started.stderr
            await socket.send_json(["stdin", "2c"])
            await drawn(socket, "this console is read-only")
            await socket.send_json(["stdin", "q"])
            while (await socket.receive()).type not in (WSMsgType.CLOSE, WSMsgType.CLOSED):
                pass
        eventually(lambda: served.consoles() == [])
        async with served.tab() as odd:
            await drawn(odd, "newest first")
            await odd.send_json(["no such word"])
            assert (await closing(odd))[0] == WSCloseCode.POLICY_VIOLATION
        eventually(lambda: served.consoles() == [])

    run(flow)
    assert [job.state for job in store.unfinished()] == ["pending"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_no_console_outlives_the_server_however_it_ends(
    serve: Any, store: Any, eventually: Any, number: signal.Signals
) -> None:
    served = serve("--write", "jobs")
    job = store.add()

    async def flow() -> None:
        async with served.tab() as socket:
            assert "read-only" not in await drawn(socket, "newest first")
            await socket.send_json(["stdin", "c"])
            await drawn(socket, "Cancel 1 job")
            await socket.send_json(["stdin", "y"])
            await drawn(socket, f"cancelled #{job}")
            pids = served.started.descendants()
            served.started.signal(number)
            served.started.wait()
            eventually(lambda: not any(is_alive(pid) for pid in pids))

    run(flow)
    assert served.started.process.returncode == (0 if number == signal.SIGINT else -signal.SIGKILL)
    assert [result.id for result in store.results()] == [job]


def is_alive(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text(errors="replace").rpartition(")")[2].split()[0] != "Z"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--web", "--host", "0.0.0.0"], "ssh -L 8765:127.0.0.1:8765"),
        (["--web", "--write", "--read-only"], "either --write or --read-only"),
        (["--write"], "options of --web"),
        (["--web", "nowhere"], "There is no screen 'nowhere'"),
    ],
)
def test_what_cannot_be_served_is_refused_with_a_reason(application: Any, options: list[str], words: str) -> None:
    done = application.jobq("tui", *options)
    assert done.returncode == 2
    assert words in done.stderr


def test_a_port_that_is_taken_is_named(application: Any, serve: Any) -> None:
    port = serve().url.rpartition(":")[2]
    done = application.jobq("tui", "--web", "--port", port)
    assert done.returncode == 2
    assert f"127.0.0.1:{port} cannot be served: " in done.stderr


def test_without_its_extra_the_way_to_it_is_said(application: Any) -> None:
    program = "import sys; sys.modules['textual_serve'] = None; from jobq.cli import main; main(['tui', '--web'])"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=application.path, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert "pip install 'jobq[web]'" in done.stderr

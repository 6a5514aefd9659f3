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
from aiohttp import ClientSession, ClientWebSocketResponse, CookieJar, WSMsgType, WSServerHandshakeError

PRINTED = re.compile(r"(http://127\.0\.0\.1:\d+)/\?token=(\S+)")
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
    async def browser(self) -> AsyncIterator[ClientSession]:
        """One that has been let in."""
        async with ClientSession(cookie_jar=CookieJar(unsafe=True)) as session:  # unsafe: of an address without a name
            async with session.get(f"{self.url}/", params={"token": self.token}) as response:
                assert response.status == 200
            yield session

    @asynccontextmanager
    async def tab(self) -> AsyncIterator[ClientWebSocketResponse]:
        async with (
            self.browser() as session,
            session.ws_connect(f"{self.url}/ws?width=120&height=40", origin=self.url) as socket,
        ):
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


async def drawn(socket: ClientWebSocketResponse, text: str) -> str:
    """What the console draws, up to this."""
    seen = b""
    async for message in socket:
        if message.type is WSMsgType.BINARY:
            seen += message.data
        if text in (shown := ESCAPES.sub(b"", seen).decode(errors="replace")):
            return shown
    pytest.fail(f"it was closed without {text!r}")


def test_only_who_has_the_address_is_let_in_and_only_once(serve: Any, eventually: Any) -> None:
    served = serve()
    first = served.token

    async def flow() -> None:
        async with ClientSession() as stranger:
            for path in ("/", "/?token=", "/?token=x%ED%A0%80", "/static/", "/static/textual.js", "/ws", "/anything"):
                async with stranger.get(served.url + path) as response:
                    assert response.status == 403, path
            async with stranger.get(f"{served.url}/?token={first}", allow_redirects=False) as response:
                assert (response.status, response.headers["Location"]) == (303, "/")
                cookie = response.headers["Set-Cookie"]
                assert "HttpOnly" in cookie
                assert "SameSite=Strict" in cookie
                assert first not in cookie
            async with ClientSession() as another, another.get(f"{served.url}/?token={first}") as response:
                assert response.status == 403
                assert "has been used" in await response.text()
        eventually(lambda: served.token != first)  # for another browser of the operator's
        async with served.browser():
            pass

    run(flow)


def test_no_other_page_and_no_other_name_gets_anything(serve: Any) -> None:
    """Not even with the cookie, which the operator's browser adds by itself."""
    served = serve()
    port = served.url.rpartition(":")[2]

    async def flow() -> None:
        async with served.browser() as browser:
            evil = [
                {"Host": "evil.example"},
                {"Host": f"evil.example:{port}"},
                {"Host": "127.0.0.1"},
                {"Origin": "https://evil.example"},
                {"Origin": f"http://evil.example:{port}"},
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
        async with served.browser() as browser:
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
            async with served.tab() as another:
                await drawn(another, "newest first")
                assert len(served.consoles()) == 2
                await another.send_json(["no such word"])
                assert (await another.receive()).type in (WSMsgType.CLOSE, WSMsgType.BINARY)
            eventually(lambda: len(served.consoles()) == 1)
            await socket.send_json(["stdin", "q"])
            while (await socket.receive()).type not in (WSMsgType.CLOSE, WSMsgType.CLOSED):
                pass
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

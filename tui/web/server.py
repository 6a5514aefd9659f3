"""The server of `jobq tui --web`: for a browser on this machine, and for nobody else.

textual-serve brings the terminal that the page has, and no more: its own server asks nobody who they are, and any page
that an operator visits could press keys in it. What is asked here, of every request: that it names this machine (a name
of the attacker's that leads here is another one), that it comes from this page, and a cookie. The cookie is had for the
token in the printed address, once.
"""

import asyncio
import hmac
import secrets
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from html import escape
from pathlib import Path
from typing import Any

import textual_serve
from aiohttp import WSCloseCode, WSMessage, WSMsgType, web

from jobq.errors import UsageError

from .tab import Tab

ADDRESS = "127.0.0.1"
NAMES = (ADDRESS, "localhost")
"""What a browser on this machine, or at the end of a tunnel that leads here, may call it."""

MOST_TABS = 8
"""Each has a process, and two connections to the database."""

MOST_BYTES = 1 << 20
"""Of one message of a browser: what is pasted comes as one."""

HEARTBEAT_SECONDS = 10.0
"""A tab that vanished without a word, with its machine or its tunnel, is missed after about so long."""

FONT_SIZES = range(6, 65)

HERE = Path(__file__).parent
THEIRS = Path(textual_serve.__file__).parent / "static"

FILES = {
    "page.js": (HERE / "page.js", "text/javascript"),
    "textual.js": (THEIRS / "js" / "textual.js", "text/javascript"),
    "xterm.css": (THEIRS / "css" / "xterm.css", "text/css"),
    "mono.ttf": (THEIRS / "fonts" / "RobotoMono-VariableFont_wght.ttf", "font/ttf"),
    "mono-italic.ttf": (THEIRS / "fonts" / "RobotoMono-Italic-VariableFont_wght.ttf", "font/ttf"),
}
"""Everything else that the page needs. There is no other file, and no list of these."""

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "font-src 'self'; img-src data:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""The browser itself sees to it that nothing is fetched from elsewhere, and that no other page frames this one."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class WebConsole:
    """Serves the console that `command` runs, until it is told to stop.

    `tell` is called with the address, and with the next one whenever that was used.
    """

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        *,
        title: str,
        tell: Callable[[str], None],
        port: int = 0,
    ) -> None:
        self._command = command
        self._environment = environment
        self._title = title
        self._tell = tell
        self._port = port
        self._token = secrets.token_urlsafe(24)
        self._cookies: set[str] = set()
        self._tabs: set[web.WebSocketResponse] = set()

    def serve(self) -> None:
        """Until SIGINT, SIGTERM or SIGHUP. Raises UsageError where the port is taken."""
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        runner = web.AppRunner(self._application(), access_log=None)
        await runner.setup()
        try:
            await web.TCPSite(runner, ADDRESS, self._port).start()
            self._port = runner.addresses[0][1]
            is_over = asyncio.Event()
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                asyncio.get_running_loop().add_signal_handler(number, is_over.set)
            self._tell(self.address)
            await is_over.wait()
        except OSError as error:
            place = f"{ADDRESS}:{self._port}"
            raise UsageError(f"{place} cannot be served: {error.strerror}. Choose another --port.") from None
        finally:
            await runner.cleanup()

    @property
    def address(self) -> str:
        """Where the console is, for the first who goes there."""
        return f"http://{ADDRESS}:{self._port}/?token={self._token}"

    @property
    def cookie_name(self) -> str:
        return f"jobq-{self._port}"  # browsers do not tell one port from another

    def _application(self) -> web.Application:
        application = web.Application(middlewares=[self._guard])
        application.router.add_get("/", self._page, allow_head=False)
        application.router.add_get("/ws", self._console, allow_head=False)
        application.router.add_get("/static/{name}", self._file, allow_head=False)
        application.on_response_prepare.append(add_headers)
        application.on_shutdown.append(self._close_tabs)
        return application

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.headers.getall("Host", []) not in [[f"{name}:{self._port}"] for name in NAMES]:
            raise refusal(f"This is {ADDRESS}:{self._port}, and answers to no other name.")
        # A page elsewhere must say where it is whenever it asks for more than to show what it cannot read.
        origins = request.headers.getall("Origin", [])
        if origins != [f"http://{request.host}"] and (origins or request.path == "/ws"):
            raise refusal("This is for its own page only.")
        if request.path == "/" and "token" in request.query:
            return self._let_in(request.query["token"])
        if not self._is_known(request.cookies.get(self.cookie_name, "")):
            raise refusal("Open the address that jobq tui --web has printed.")
        return await handler(request)

    def _let_in(self, token: str) -> web.StreamResponse:
        if not is_same(token, self._token):
            raise refusal("This address has been used, or is of another time. jobq tui --web has printed a new one.")
        self._token = secrets.token_urlsafe(24)
        cookie = secrets.token_urlsafe(24)
        self._cookies.add(cookie)
        response = web.Response(status=303, headers={"Location": "/"})
        response.set_cookie(self.cookie_name, cookie, httponly=True, samesite="Strict", path="/")
        self._tell(self.address)
        return response

    def _is_known(self, cookie: str) -> bool:
        return any(is_same(cookie, known) for known in self._cookies)

    async def _page(self, request: web.Request) -> web.StreamResponse:
        size = request.query.get("fontsize", "")
        words = {
            "{title}": self._title,
            "{host}": request.host,
            "{font_size}": size if size.isdecimal() and int(size) in FONT_SIZES else "16",
        }
        text = (HERE / "page.html").read_text(encoding="utf-8")
        for name, value in words.items():
            text = text.replace(name, escape(value))
        return web.Response(text=text, content_type="text/html", charset="utf-8")

    async def _file(self, request: web.Request) -> web.StreamResponse:
        if request.match_info["name"] not in FILES:
            raise web.HTTPNotFound
        path, content_type = FILES[request.match_info["name"]]
        return web.FileResponse(path, headers={"Content-Type": content_type})

    async def _console(self, request: web.Request) -> web.StreamResponse:
        if len(self._tabs) >= MOST_TABS:
            raise web.HTTPServiceUnavailable(text=f"{MOST_TABS} tabs are open. Close one.")
        socket = web.WebSocketResponse(heartbeat=HEARTBEAT_SECONDS, max_msg_size=MOST_BYTES)
        self._tabs.add(socket)
        try:
            await socket.prepare(request)
            size = number(request, "width", 80), number(request, "height", 24)
            tab = await Tab.start(self._command, self._environment, size, socket.send_bytes)
            showing = asyncio.create_task(show(tab, socket))
            try:
                await listen(tab, socket)
            finally:
                showing.cancel()
                with suppress(asyncio.CancelledError):
                    await showing
                await tab.end()
        finally:
            self._tabs.discard(socket)
        return socket

    async def _close_tabs(self, _application: web.Application) -> None:
        await asyncio.gather(*(socket.close(code=WSCloseCode.GOING_AWAY) for socket in list(self._tabs)))


async def show(tab: Tab, socket: web.WebSocketResponse) -> None:
    """Has the browser draw what the console draws. The tab is closed when the console has ended."""
    with suppress(ConnectionError):  # the browser is gone: `listen` sees that, too
        await tab.show()
    await socket.close()


async def listen(tab: Tab, socket: web.WebSocketResponse) -> None:
    """Gives the console what the browser sends, until it is gone, or sends what no page of ours does."""
    async for message in socket:
        try:
            kind, value = words_of(message)
            if kind == "ping":
                await socket.send_json(["pong", value])
            else:
                await tab.take(kind, value)
        except ValueError:
            await socket.close(code=WSCloseCode.POLICY_VIOLATION)


def words_of(message: WSMessage) -> tuple[str, Any]:
    """A kind of message and its value; some have none. Raises ValueError."""
    words = message.json() if message.type is WSMsgType.TEXT else None
    if not isinstance(words, list) or not words or not isinstance(words[0], str):
        raise ValueError(words)
    return words[0], words[1] if len(words) > 1 else None


def number(request: web.Request, name: str, default: int) -> int:
    text = request.query.get(name, "")
    return int(text) if text.isdecimal() and len(text) < 6 else default


def refusal(why: str) -> web.HTTPForbidden:
    return web.HTTPForbidden(text=f"{why}\n")


async def add_headers(_request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(HEADERS)


def is_same(given: str, secret: str) -> bool:
    """Takes as long whatever is wrong with it."""
    return hmac.compare_digest(given.encode(errors="replace"), secret.encode())

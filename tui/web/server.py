"""The server of `jobq tui --web`: for browsers on this machine only.

Only the terminal in the page comes from textual-serve: its own server admits everybody, so any page that an operator
visits could press keys in it. Here each request must name this machine (so an attacker's own name for this machine is
refused), and must not come from another page. The page itself is open to everybody and holds no data.

The first message of its socket must hold a secret: the token of the printed address, which works once, or the session
that was issued for it. The token stands behind the # of the address, which browsers do not send. The session is kept in
the page's sessionStorage. Both belong to the origin, and so to the port. A cookie would not: browsers send a cookie to
every port of a host, even to one that another user of this machine serves.
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
"""The names that a browser on this machine, or at the end of a tunnel to it, may use."""

MAX_WAITING = 8
"""Maximum number of sockets whose first message has not arrived."""

FIRST_MESSAGE_SECONDS = 10.0
"""Seconds within which the first message must arrive."""

NOT_LET_IN, TAKEN_OVER = 4003, 4001
"""Codes for closing a socket. The page shows the reason that comes with them."""

MOST_BYTES = 1 << 20
"""Maximum size of a browser's message: pasted text comes as one."""

HEARTBEAT_SECONDS = 10.0
"""Seconds after which a tab that vanished silently, with its machine or its tunnel, is noticed."""

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
"""All other files of the page. No other file is served, and there is no listing."""

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "font-src 'self'; img-src data:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""Makes the browser fetch nothing from elsewhere, and lets no other page frame this one."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class WebConsole:
    """Serves the console that `command` runs, until a signal stops it.

    `tell` is called with the address, and with a new one whenever the last was used.
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
        self._session: str | None = None
        self._client: web.WebSocketResponse | None = None
        self._sockets: set[web.WebSocketResponse] = set()
        self._waiting = 0

    def serve(self) -> None:
        """Runs until SIGINT, SIGTERM or SIGHUP. Raises UsageError if the port is taken."""
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
        """The address that admits the first browser that opens it."""
        return f"http://{ADDRESS}:{self._port}/#token={self._token}"

    def _application(self) -> web.Application:
        application = web.Application(middlewares=[self._guard])
        application.router.add_get("/", self._page, allow_head=False)
        application.router.add_get("/ws", self._console, allow_head=False)
        application.router.add_get("/static/{name}", self._file, allow_head=False)
        application.on_response_prepare.append(add_headers)
        application.on_shutdown.append(self._close_sockets)
        return application

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.headers.getall("Host", []) not in [[f"{name}:{self._port}"] for name in NAMES]:
            raise refusal(f"This is {ADDRESS}:{self._port}, and answers to no other name.")
        # A foreign page must send its origin with every request whose answer it could read.
        origins = request.headers.getall("Origin", [])
        if origins != [f"http://{request.host}"] and (origins or request.path == "/ws"):
            raise refusal("This is for its own page only.")
        return await handler(request)

    async def _page(self, request: web.Request) -> web.StreamResponse:
        size = request.query.get("fontsize", "")
        words = {
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
        if self._waiting >= MAX_WAITING:
            raise web.HTTPServiceUnavailable(text=f"{MAX_WAITING} pages are being opened. Try again.")
        socket = web.WebSocketResponse(heartbeat=HEARTBEAT_SECONDS, max_msg_size=MOST_BYTES)
        self._sockets.add(socket)
        try:
            await socket.prepare(request)
            if await self._let_in(socket):
                await self._take_over(socket)
                await self._serve_console(request, socket)
        finally:
            self._sockets.discard(socket)
            if self._client is socket:
                self._client = None
        return socket

    async def _let_in(self, socket: web.WebSocketResponse) -> bool:
        """Whether the first message holds the token or the session. If not, closes the socket with the reason."""
        self._waiting += 1
        try:
            kind, value = words_of(await socket.receive(FIRST_MESSAGE_SECONDS))
        except (TimeoutError, ValueError):
            kind, value = "", None
        finally:
            self._waiting -= 1
        given = value if kind == "open" and isinstance(value, dict) else {}
        if is_same(given.get("token"), self._token):
            self._token, self._session = secrets.token_urlsafe(24), secrets.token_urlsafe(24)
            self._tell(self.address)
        elif self._session is None or not is_same(given.get("session"), self._session):
            reason = "This address was used already." if given.get("token") else "Nobody is let in without the address."
            await socket.close(
                code=NOT_LET_IN, message=f"{reason} Open the one that jobq tui --web printed last.".encode()
            )
            return False
        await socket.send_json(["open", {"session": self._session, "title": self._title}])
        return True

    async def _take_over(self, socket: web.WebSocketResponse) -> None:
        """There is one client at a time: an earlier one gets the reason, and is closed."""
        earlier, self._client = self._client, socket
        if earlier is not None:
            await earlier.close(code=TAKEN_OVER, message=b"The console was opened in another page, and goes on there.")

    async def _serve_console(self, request: web.Request, socket: web.WebSocketResponse) -> None:
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

    async def _close_sockets(self, _application: web.Application) -> None:
        await asyncio.gather(*(socket.close(code=WSCloseCode.GOING_AWAY) for socket in list(self._sockets)))


async def show(tab: Tab, socket: web.WebSocketResponse) -> None:
    """Sends the console's output to the browser. Closes the tab when the console has ended."""
    with suppress(ConnectionError):  # the browser is gone: `listen` notices that, too
        await tab.show()
    await socket.close()


async def listen(tab: Tab, socket: web.WebSocketResponse) -> None:
    """Passes the browser's input to the console, until the browser is gone or sends an invalid message."""
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
    """A message's kind and its value; some kinds have none. Raises ValueError."""
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


def is_same(given: Any, secret: str) -> bool:
    """Compares in a time that does not depend on where the two differ."""
    return isinstance(given, str) and hmac.compare_digest(given.encode(errors="replace"), secret.encode())

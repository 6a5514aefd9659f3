"""One browser tab: the process that runs its console, and the data between the two.

The process speaks Textual's protocol for browsers: packets of a letter, a length and a payload. D is for data from and
to the terminal, M for messages about it.
"""

import asyncio
import json
from asyncio.subprocess import PIPE, Process
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from .driver import NAME

PRELUDE = b"__GANGLION__\n"
"""Written by the process before its first packet."""

GRACE_SECONDS = 3.0
"""Seconds after which a console that was asked to end is killed: it hangs."""

SMALLEST, LARGEST = 2, 1000
"""Maximum columns or lines that a browser may request."""


class Tab:
    """A console's process, from `start` to `end`. `draw` gets its output."""

    def __init__(self, process: Process, draw: Callable[[bytes], Awaitable[None]]) -> None:
        self._process = process
        self._draw = draw

    @classmethod
    async def start(
        cls,
        command: Sequence[str],
        environment: Mapping[str, str],
        size: tuple[int, int],
        draw: Callable[[bytes], Awaitable[None]],
    ) -> "Tab":
        columns, lines = map(within, size)
        drawing = {
            "TEXTUAL_DRIVER": NAME,
            "TEXTUAL_COLOR_SYSTEM": "truecolor",
            "COLUMNS": str(columns),
            "ROWS": str(lines),
        }
        # A session of its own: Ctrl-C in the terminal goes to the server, which ends its tabs in order. Errors of a tab
        # go to the server's stderr.
        process = await asyncio.create_subprocess_exec(
            *command, stdin=PIPE, stdout=PIPE, env={**environment, **drawing}, start_new_session=True
        )
        return cls(process, draw)

    async def show(self) -> None:
        """Passes on the process's output until it ends."""
        stdout = self._process.stdout
        assert stdout is not None
        with suppress(asyncio.IncompleteReadError):  # the process has ended
            await stdout.readuntil(PRELUDE)
            while True:
                kind = await stdout.readexactly(1)
                payload = await stdout.readexactly(int.from_bytes(await stdout.readexactly(4), "big"))
                if kind == b"D":
                    await self._draw(payload)
                elif json.loads(payload).get("type") == "exit":
                    return

    async def take(self, kind: str, value: Any) -> None:
        """Passes on the browser's input. Raises ValueError for an invalid message."""
        match kind, value:
            case "stdin", str(text):
                await self._send(b"D", text.encode())
            case "resize", {"width": int(width), "height": int(height)}:
                await self._tell({"type": "resize", "width": within(width), "height": within(height)})
            case "focus" | "blur", _:
                await self._tell({"type": kind})
            case _:
                raise ValueError(kind)

    async def end(self) -> None:
        """Asks the console to end, and waits until it is gone. Its output is discarded."""
        await self._tell({"type": "quit"})
        try:
            await asyncio.wait_for(self._drained(), GRACE_SECONDS)
        except TimeoutError:
            with suppress(ProcessLookupError):
                self._process.kill()
            await self._drained()

    async def _drained(self) -> None:
        """Waits for its end. Meanwhile reads its output: the process would block for ever if nobody did."""
        assert self._process.stdout is not None
        while await self._process.stdout.read(65536):
            pass
        await self._process.wait()

    async def _tell(self, words: Mapping[str, Any]) -> None:
        await self._send(b"M", json.dumps(words).encode())

    async def _send(self, kind: bytes, payload: bytes) -> None:
        stdin = self._process.stdin
        assert stdin is not None
        with suppress(ConnectionError):  # the process has ended: `show` says so
            stdin.write(kind + len(payload).to_bytes(4, "big") + payload)
            await stdin.drain()


def within(number: int) -> int:
    return min(max(number, SMALLEST), LARGEST)

"""One tab of a browser: the process that runs its console, and what passes between the two.

The process speaks Textual's protocol for browsers: packets of a letter, a length and a payload, D for what a terminal
would get or send, M for words about it.
"""

import asyncio
import json
from asyncio.subprocess import PIPE, Process
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from .driver import NAME

PRELUDE = b"__GANGLION__\n"
"""What the process writes before its first packet."""

GRACE_SECONDS = 3.0
"""A console that was told to end and has not ended by then is killed: it hangs."""

SMALLEST, LARGEST = 2, 1000
"""Columns or lines that a browser may ask for."""


class Tab:
    """A console's process, from `start` to `end`. What it draws is given to `draw`."""

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
        # A session of its own: Ctrl-C in the terminal is the server's, which ends its tabs in order. What goes wrong in
        # one is written where the server writes.
        process = await asyncio.create_subprocess_exec(
            *command, stdin=PIPE, stdout=PIPE, env={**environment, **drawing}, start_new_session=True
        )
        return cls(process, draw)

    async def show(self) -> None:
        """Passes on what the process draws until it has ended."""
        stdout = self._process.stdout
        assert stdout is not None
        with suppress(asyncio.IncompleteReadError):  # it has ended
            await stdout.readuntil(PRELUDE)
            while True:
                kind = await stdout.readexactly(1)
                payload = await stdout.readexactly(int.from_bytes(await stdout.readexactly(4), "big"))
                if kind == b"D":
                    await self._draw(payload)
                elif json.loads(payload).get("type") == "exit":
                    return

    async def take(self, kind: str, value: Any) -> None:
        """Passes on what the browser sends. Raises ValueError for what no page of ours does."""
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
        """Tells the console to end, and sees it gone. Nothing is read from it any more."""
        await self._tell({"type": "quit"})
        try:
            await asyncio.wait_for(self._drained(), GRACE_SECONDS)
        except TimeoutError:
            with suppress(ProcessLookupError):
                self._process.kill()
            await self._drained()

    async def _drained(self) -> None:
        """Waits for its end. Until then it may draw, and would wait for ever where nobody reads that."""
        assert self._process.stdout is not None
        while await self._process.stdout.read(65536):
            pass
        await self._process.wait()

    async def _tell(self, words: Mapping[str, Any]) -> None:
        await self._send(b"M", json.dumps(words).encode())

    async def _send(self, kind: bytes, payload: bytes) -> None:
        stdin = self._process.stdin
        assert stdin is not None
        with suppress(ConnectionError):  # it has ended: `show` says so
            stdin.write(kind + len(payload).to_bytes(4, "big") + payload)
            await stdin.drain()


def within(number: int) -> int:
    return min(max(number, SMALLEST), LARGEST)

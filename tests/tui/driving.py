"""The console without a terminal: opened on a source, driven by keys, looked at when it has come to rest."""

import asyncio
import gc
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from jobq.tui.app import Console
from textual.pilot import Pilot


@asynccontextmanager
async def opened(
    source: Any, size: tuple[int, int] = (120, 40), *, has_past: bool = False, **options: Any
) -> AsyncIterator[Pilot[None]]:
    """The console on a source, at rest; it looks only when it is told to, and its clock stands still."""
    console = Console(source, every=None, clock=lambda: 0.0, **options)
    console.animation_level = "none"
    if has_past:
        remember(console, source.stats)
    async with console.run_test(size=size, notifications=True) as pilot:
        await settle(pilot)
        yield pilot


async def settle(pilot: Pilot[Any]) -> None:
    """Waits until nothing is asked any more, and two pictures are the same."""
    console = pilot.app
    assert isinstance(console, Console)
    last = ""
    for _ in range(500):
        await pilot.pause(0.005)
        now = text_of(console)
        if is_at_rest(console) and now == last:
            await pilot.pause()
            if text_of(console) == now and is_at_rest(console):
                return
        last = now
    pytest.fail("the console does not come to rest")


def is_at_rest(console: Console) -> bool:
    """Nothing is asked, no key waits, and a dialog that takes only keys typed after it was shown has been shown."""
    is_shown = getattr(console.screen, "takes_keys_since", 0.0) < math.inf
    return console.feed.is_idle and console.keyboard.is_idle and is_shown


async def look(pilot: Pilot[Any]) -> None:
    """Has the console look once."""
    pilot.app.feed.look()  # type: ignore[attr-defined]
    await settle(pilot)


async def press(pilot: Pilot[Any], *keys: str) -> None:
    """Presses keys as a person does, who looks after each."""
    for key in keys:
        await pilot.press(key)
        await settle(pilot)


async def type_text(pilot: Pilot[Any], text: str) -> None:
    await pilot.press(*(KEYS.get(character, character) for character in text))
    await settle(pilot)


KEYS = {" ": "space", ":": "colon", ".": "full_stop", "_": "underscore", "-": "minus", '"': "quotation_mark"}


def text_of(console: Any) -> str:
    """The screen as text."""
    return "\n".join("".join(segment.text for segment in strip) for strip in strips_of(console))


def strips_of(console: Any) -> Any:
    return console.screen._compositor.render_strips()


def line_with(console: Any, part: str) -> str:
    """The first line of the screen with this in it."""
    return next((line for line in text_of(console).splitlines() if part in line), "")


def run(flow: Callable[[], Awaitable[Any] | Coroutine[Any, Any, Any]]) -> Any:
    async def wait() -> Any:
        return await flow()

    answer = asyncio.run(wait())
    # A console leaves some of itself behind in Textual's caches. A hundred of them later every collection would go
    # through all of that again, and the tests take four times as long. The console itself has gone only now.
    gc.collect()
    gc.freeze()
    return answer


def remember(console: Console, stats: Any) -> None:
    """Two minutes and a half of looks before this one, so that there is something to draw."""
    for second in range(150, 0, -1):
        outcomes = dict(stats.outcomes)
        outcomes["successful"] -= int(second * 5 + 24 * math.sin(second / 7))
        outcomes["errored"] -= 2 * max(0, min(second, 40) - 5) if outcomes["errored"] > 500 else 0
        queues = tuple(
            replace(queue, pending=max(0, int(queue.pending * (1 - second / 400) + 10 * math.sin(second / 9))))
            for queue in stats.queues
        )
        at = stats.at - timedelta(seconds=second)
        console.state.samples.add(replace(stats, outcomes=outcomes, queues=queues, at=at))

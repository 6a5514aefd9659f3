"""Handles keys in order: each one only after everything that the one before it started is done.

Textual takes a key from the queue of one widget to that of its parent, up to the console, and moves the focus by a
message, too. Keys that arrive together (a paste, a macro, a slow connection) therefore overtake the focus: an `r` right
behind a `/` acted on the list instead of going into the filter. Here they wait until all queues are empty.
"""

import asyncio
from collections import deque
from collections.abc import Iterator
from time import monotonic
from typing import Any

from textual._queue import Queue
from textual.app import App
from textual.events import Event, Key, MouseDown, MouseUp, Paste
from textual.message_pump import MessagePump

INPUT = (Key, Paste, MouseDown, MouseUp)

AT_ONCE = frozenset({"ctrl+c", "ctrl+z"})
"""Keys that never wait: they are the way out. Keys typed before them are discarded, as in a shell."""

MOST_HELD = 1000
"""Maximum number of keys that wait. A longer burst is not typing: its end is dropped, never its middle."""

PATIENCE = 10.0
"""If the console is not at rest after this number of seconds, it gets none of the keys typed meanwhile."""

SPINS = 200
"""Turns of the event loop before the first timed wait."""


class Keyboard:
    """Passes a person's input on, one key after the other, when the console is at rest."""

    def __init__(self, app: App[Any]) -> None:
        self._app = app
        self._held: deque[Event] = deque()
        self._turn: Event | None = None
        self._task: asyncio.Task[None] | None = None
        self._is_overfull = False
        self._asked: object = None  # the screen for which input was last dropped

    def holds(self, event: Event) -> bool:
        """Keeps input until its turn comes. Returns whether it kept it."""
        if not isinstance(event, INPUT) or event.is_forwarded:
            return False
        if event is self._turn:
            self._turn = None
            return False
        if isinstance(event, Key) and event.key in AT_ONCE:
            self._held.clear()
            return False
        self._hold(event)
        return True

    @property
    def is_idle(self) -> bool:
        """Whether no input waits and none is being handled."""
        return (self._task is None or self._task.done()) and self._is_quiet

    def _hold(self, event: Event) -> None:
        if self._is_overfull or len(self._held) >= MOST_HELD:
            if not self._is_overfull:
                self._tell(f"more than {MOST_HELD} keys came at once: the last of them were ignored")
            self._is_overfull = True
            return
        self._held.append(event)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._hand_on(), name="keyboard")

    async def _hand_on(self) -> None:
        try:
            while self._held:
                if not await self._rest():
                    self._held.clear()
                    self._tell("the console was busy: keys typed meanwhile were ignored")
                elif self._held and self._app.screen_stack:  # a key that never waits may have discarded the others
                    self._hand(self._held.popleft())
        except Exception as error:  # noqa: BLE001 - the edge of a task: a defect must be seen, as in a widget
            self._app._handle_exception(error)
        finally:
            self._is_overfull = False

    def _hand(self, event: Event) -> None:
        screen = self._app.screen
        if not isinstance(event, MouseUp) and event.time < getattr(screen, "takes_keys_since", 0.0):
            if self._asked is not screen:
                self._tell("keys typed before this was visible were ignored")
            self._asked = screen
            return
        focused = screen.focused
        if focused is not None and not focused.is_running:
            # It was asked to take the focus just before it was removed. All keys sent to it would be lost.
            screen.set_focus(None)
        self._turn = event
        self._app.post_message(event)

    async def _rest(self) -> bool:
        """Waits until everything that was started is done. False if that does not happen in time."""
        until, spins = monotonic() + PATIENCE, 0
        while not self._is_quiet:
            if monotonic() > until:
                return False
            spins += 1
            await asyncio.sleep(0 if spins < SPINS else 0.002)
        return True

    @property
    def _is_quiet(self) -> bool:
        return self._turn is None and not any(map(is_busy, self._pumps()))

    def _pumps(self) -> Iterator[MessagePump]:
        """The console, its screens and all that is on them."""
        yield self._app
        for screen in reversed(self._app.screen_stack):
            yield from screen.walk_children(MessagePump, with_self=True)

    def _tell(self, words: str) -> None:
        self._app.notify(words, severity="warning", markup=False)


def is_busy(pump: MessagePump) -> bool:
    """Whether a widget has a message to handle, handles one, or has not started. Textual offers no such question."""
    if pump._closing or pump._closed:
        return False
    queue: Queue[Any] = pump._message_queue
    is_waiting = bool(queue.ready_event._waiters)
    return not (is_waiting and queue.empty()) or pump._pending_message is not None or bool(pump._next_callbacks)

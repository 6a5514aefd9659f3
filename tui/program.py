"""The console as a terminal program: input in order, Ctrl-C and Ctrl-Z, and an end together with its terminal."""

import asyncio
import os
import signal
import sys
from contextlib import suppress
from typing import Any, ClassVar

from textual.app import App, SuspendNotSupported
from textual.binding import Binding
from textual.driver import Driver
from textual.events import Event

from . import ending
from .keyboard import Keyboard


class Program(App[None]):
    BINDINGS: ClassVar[list[Any]] = [
        Binding("ctrl+c", "leave", show=False, priority=True),
        Binding("ctrl+z", "suspend_process", show=False, priority=True),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.keyboard = Keyboard(self)

    def get_driver_class(self) -> type[Driver]:
        if "TEXTUAL_DRIVER" in os.environ or sys.platform == "win32":
            return super().get_driver_class()
        from .terminal import Terminal

        return Terminal

    async def on_event(self, event: Event) -> None:
        if not self.keyboard.holds(event):
            await super().on_event(event)

    def on_mount(self) -> None:
        loop = asyncio.get_running_loop()

        def leave() -> None:
            with suppress(RuntimeError):  # the event loop has ended, and the console with it
                loop.call_soon_threadsafe(self.exit)

        ending.call(leave)

    def on_unmount(self) -> None:
        ending.call(None)

    def action_leave(self) -> None:
        """Asks whether to leave. The second time it leaves."""
        from .screens.leave import Leave

        if isinstance(self.screen, Leave):
            self.exit()
        else:
            self.push_screen(Leave())

    def action_suspend_process(self) -> None:
        """Returns the terminal to the shell, until `fg`."""
        try:
            with self.suspend():
                stop()
        except SuspendNotSupported:
            self.notify("there is no shell behind a browser", severity="error", markup=False)


def stop() -> None:
    """Stops this process and those that the shell started with it, as Ctrl-Z in the terminal does.

    If no shell could continue them, the kernel does not stop them.
    """
    before = signal.signal(signal.SIGTSTP, signal.SIG_DFL)
    try:
        os.killpg(os.getpgrp(), signal.SIGTSTP)
    finally:
        signal.signal(signal.SIGTSTP, before)

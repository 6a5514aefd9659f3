"""Textual's driver for a terminal that may vanish at any moment, with a console that may hang at any moment."""

from queue import Full

from textual.drivers.linux_driver import LinuxDriver
from textual.events import Key
from textual.message import Message

from . import ending

WRITE_SECONDS = 0.2
"""Seconds between two checks that the terminal still exists, while a write waits for it."""


class Terminal(LinuxDriver):
    _is_asked = False  # a Ctrl-C that the console has not handled yet

    def write(self, data: str) -> None:
        """Passes text to a thread that writes it. Without a terminal that thread has ended, and the text is dropped."""
        self._put(data)

    def close(self) -> None:
        self._put(None)
        if self._writer_thread is not None:
            self._writer_thread.join()

    def _put(self, data: str | None) -> None:
        writer = self._writer_thread
        while writer is not None and writer.is_alive():
            try:
                writer._queue.put(data, timeout=WRITE_SECONDS)
            except Full:
                continue
            return

    def process_message(self, message: Message) -> None:
        """A second Ctrl-C before the first was handled: the console hangs, or cannot write. It ends all the same."""
        if isinstance(message, Key) and message.key == "ctrl+c":
            if self._is_asked:
                ending.begin()
            self._is_asked = True
            self._loop.call_soon_threadsafe(self._app.call_later, self._answer)
        super().process_message(message)

    def _answer(self) -> None:
        self._is_asked = False

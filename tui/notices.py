"""The console's short messages, and the clipboard."""

from typing import Any

from textual.app import App

GOOD_SECONDS, BAD_SECONDS, STAYING_SECONDS = 4.0, 8.0, 3600.0


class Notices:
    def __init__(self, app: App[Any], *, are_staying: bool) -> None:
        """`are_staying`: in a console that does not move by itself, its messages stay, too."""
        self._app = app
        self._are_staying = are_staying

    def tell(self, text: str, *, is_bad: bool = False) -> None:
        """Shows a short message. Never markup: the text may come from anybody."""
        seconds = STAYING_SECONDS if self._are_staying else BAD_SECONDS if is_bad else GOOD_SECONDS
        self._app.notify(text, severity="error" if is_bad else "information", timeout=seconds, markup=False)

    def copy(self, name: str, text: str) -> None:
        self._app.copy_to_clipboard(text)
        self.tell(f"copied {name}")

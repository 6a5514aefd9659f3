"""Textual's driver for a console that is drawn in a browser, and that ends with its server."""

from textual.drivers.web_driver import WebDriver
from textual.messages import ExitApp

NAME = "jobq.tui.web.driver:ServedDriver"
"""The value for Textual's variable TEXTUAL_DRIVER."""


class ServedDriver(WebDriver):
    def run_input_thread(self) -> None:
        """Reads the browser's input. At its end the server is gone; Textual's own driver would stay."""
        super().run_input_thread()
        self._app.post_message(ExitApp())

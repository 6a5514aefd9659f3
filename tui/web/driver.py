"""Textual's driver for a console that is drawn in a browser, which ends with whoever started it."""

from textual.drivers.web_driver import WebDriver
from textual.messages import ExitApp

NAME = "jobq.tui.web.driver:ServedDriver"
"""As Textual takes it from the variable TEXTUAL_DRIVER."""


class ServedDriver(WebDriver):
    def run_input_thread(self) -> None:
        """Reads what the browser sends. Where that ends the server is gone, and Textual's driver would stay."""
        super().run_input_thread()
        self._app.post_message(ExitApp())

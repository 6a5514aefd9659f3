"""Parses each style rule once. Textual parses all of them again for every mode, even if nothing has changed."""

from textual.css.stylesheet import Stylesheet


class ReadOnce(Stylesheet):
    def set_variables(self, variables: dict[str, str]) -> None:
        if variables != self._variables:
            super().set_variables(variables)

    def reparse(self) -> None:
        """`parse` keeps what it read until the variables change."""
        self.parse()

"""The rules of style, each read once: Textual reads all of them again with every mode, though nothing has changed."""

from textual.css.stylesheet import Stylesheet


class ReadOnce(Stylesheet):
    def set_variables(self, variables: dict[str, str]) -> None:
        if variables != self._variables:
            super().set_variables(variables)

    def reparse(self) -> None:
        """What was read since the variables changed is kept by `parse`."""
        self.parse()

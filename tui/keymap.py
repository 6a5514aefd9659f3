"""The keys of one person: those of the table of actions, with the changes from their settings."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from . import keys
from .actions import BY_NAME
from .plain import KEYS

ALSO = {"top": ("home",), "bottom": ("end",)}
"""Keys that an action keeps when its main key is changed."""


class Keymap:
    def __init__(
        self, wanted: Mapping[str, str], screens: Callable[[], Sequence[Iterable[str]]], *, is_ascii: bool
    ) -> None:
        """`wanted` are keys by the names of actions. `screens` returns the actions that work together. It is called
        only if there is a wanted key."""
        self._other, self.problems = keys.keymap(wanted, screens()) if wanted else ({}, [])
        self._is_ascii = is_ascii

    def shown(self, name: str) -> str:
        """The key of an action, as it is shown to people."""
        key = keys.shown(self._other[name]) if name in self._other else BY_NAME[name].keys
        return KEYS.get(key, key) if self._is_ascii else key

    @property
    def changes(self) -> dict[str, str]:
        """Changed keys, in Textual's notation."""
        return {name: ",".join([key, *ALSO.get(name, ())]) for name, key in self._other.items()}

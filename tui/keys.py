"""Checks a person's other keys for actions: whether each exists, is allowed, and is free."""

import re
from collections.abc import Iterable, Mapping, Sequence

from textual.keys import Keys, _character_to_key

from jobq.clean import line

from .actions import ACTIONS, BY_NAME

NAMED = frozenset(key.value for key in Keys if "<" not in key.value)
MODIFIED = re.compile(r"(ctrl|alt)\+[a-z]")

FIXED = {
    **{str(number): "leads to a screen" for number in range(1, 8)},
    "escape": "leads back",
    **dict.fromkeys(("j", "k", "up", "down", "pageup", "pagedown"), "moves in lists"),
    **dict.fromkeys(("ctrl+d", "ctrl+u", "ctrl+f", "ctrl+b", "home", "end"), "moves in lists"),
    "ctrl+p": "opens the palette",
    **dict.fromkeys(("ctrl+c", "ctrl+q", "ctrl+z", "ctrl+s"), "is the terminal's"),
    **dict.fromkeys(("ctrl+i", "ctrl+m", "ctrl+h", "ctrl+j"), "is tab, enter or backspace to a terminal"),
}
"""Keys that no action can have, and why."""


def keymap(wanted: Mapping[str, str], screens: Sequence[Iterable[str]]) -> tuple[dict[str, str], list[str]]:
    """The valid changes of keys, by the name of the action, and a message for each of the others.

    `screens` are the actions that work together. Where two of them would get the same key, those that were changed to
    it keep their own.
    """
    keys: dict[str, str] = {}
    problems = []
    for name, text in wanted.items():
        key = key_of(text)
        if name not in BY_NAME:
            problems.append(f"there is no action {line(name, 40)!r}{near(name)}")
        elif key is None:
            known = "it is one character, or a name as f5, ctrl+r, space"
            problems.append(f"{name}: there is no key {line(text, 40)!r}: {known}")
        elif key in FIXED and key != BY_NAME[name].key:
            problems.append(f"{name}: {text} {FIXED[key]}")
        elif key != BY_NAME[name].key:
            keys[name] = key
    while clashes := list(clashing(keys, screens)):
        for one, other in clashes:
            changed = one if one in keys else other
            if changed in keys:
                taken = other if changed == one else one
                problems.append(f"{changed}: {wanted[changed]} is the key of {taken}: it stays {BY_NAME[changed].keys}")
                del keys[changed]
    return keys, problems


def key_of(text: str) -> str | None:
    """Textual's name of a key. None if there is no such key."""
    if len(text) == 1:
        return _character_to_key(text) if text.isprintable() and not text.isspace() else None
    lowered = text.lower()
    return lowered if lowered in NAMED or MODIFIED.fullmatch(lowered) else None


def shown(text: str) -> str:
    """A key as it is shown to people, from Textual's name."""
    for action in ACTIONS:
        if action.key == text:
            return action.keys
    return CHARACTERS.get(text, text)


CHARACTERS = {_character_to_key(character): character for character in map(chr, range(33, 127))}


def clashing(keys: Mapping[str, str], screens: Iterable[Iterable[str]]) -> Iterable[tuple[str, str]]:
    for names in screens:
        listed: Sequence[str] = list(dict.fromkeys(names))
        for place, one in enumerate(listed):
            for other in listed[place + 1 :]:
                is_changed = one in keys or other in keys
                if is_changed and keys.get(one, BY_NAME[one].key) == keys.get(other, BY_NAME[other].key):
                    yield one, other


def near(name: str) -> str:
    from difflib import get_close_matches

    found = get_close_matches(name, BY_NAME, n=1)
    return f": did you mean {found[0]}?" if found else ": docs/console.md lists them"

"""Untrusted text on its way to a screen: nothing in it takes effect, nothing in it is hidden."""

import json
import re
import sys
import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobq.clean import deep, json_text, line, plain

VISIBLE_FORMATS = re.compile("[\u0600-\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd]")
"""Signs of Arabic, Syriac and Kaithi that are drawn, although Unicode calls them formats."""

EVERY_CHARACTER = [chr(code) for code in range(sys.maxunicode + 1)]

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
)


def is_effective(character: str) -> bool:
    """Whether it moves, rings, colours, reorders, or is not drawn."""
    category = unicodedata.category(character)
    return category in ("Cc", "Cs", "Zl", "Zp") or (category == "Cf" and not VISIBLE_FORMATS.match(character))


def test_no_character_that_takes_effect_is_left_as_it_is() -> None:
    left = [f"U+{ord(character):04X}" for character in EVERY_CHARACTER if is_effective(plain(character)[0])]
    assert left == ["U+0009", "U+000A"]
    left = [f"U+{ord(character):04X}" for character in EVERY_CHARACTER if is_effective(line(character)[0])]
    assert left == []


def test_what_is_drawn_as_nothing_is_shown_by_its_number() -> None:
    """These are letters and marks by category, yet fonts leave them out."""
    for character in "\u034f\u115f\u17b4\u180b\u3164\ufe0f\uffa0\U000e0100":
        assert f"{ord(character):04x}" in plain(character)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2J\x1b]0;title\x07", "␛[2J␛]0;title␇"),
        ("\x9b31m\x7f\r", "\\x9b31m␡␍"),
        ("user\u202egnp.exe", "user\\u202egnp.exe"),
        ("pay\u200bpal\U000e0041", "pay\\u200bpal\\U000e0041"),
        ("half \ud83d", "half \\ud83d"),
        ("[bold]ünïcödé 漢字 🙂[/bold]", "[bold]ünïcödé 漢字 🙂[/bold]"),
    ],
)
def test_an_attack_is_shown_as_the_text_that_it_is(text: str, shown: str) -> None:
    assert plain(text) == shown


def test_lines_are_kept_in_a_text_and_shown_in_a_row() -> None:
    assert plain("a\r\nb\n\tc") == "a\nb\n\tc"
    assert line("a\r\nb\n\tc") == "a⏎b⏎ c"


@given(text=st.text())
def test_what_has_been_made_fit_stays_as_it_is(text: str) -> None:
    assert plain(plain(text)) == plain(text)
    assert line(line(text)) == line(text)


@given(length=st.integers(0, 50), limit=st.integers(1, 40))
def test_a_cut_says_how_much_is_left_out(length: int, limit: int) -> None:
    shown = plain("x" * length, limit)
    kept, mark, rest = shown.partition("…")
    assert len(kept) + int(re.sub(r"\D", "", rest) or 0) == length
    assert bool(mark) == (length > limit)


@given(value=json_values)
def test_every_text_within_a_value_is_made_fit_and_none_is_lost(value: Any) -> None:
    shown = deep(value)
    assert deep(shown) == shown
    assert count(shown) == count(value)
    assert not any(is_effective(character) for character in json.dumps(shown, ensure_ascii=False))


def test_a_key_cannot_hide_another_by_looking_like_it() -> None:
    assert deep({"a\u200b": 1, "a\\u200b": 2}) == {"a\\u200b": 1, "a\\u200b′": 2}


@given(value=json_values)
def test_json_that_is_safe_to_show_means_the_same(value: Any) -> None:
    text = json_text(json.dumps(value, ensure_ascii=False))
    assert json.loads(text) == value
    assert not any(is_effective(character) for character in text)


def count(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + sum(map(count, value.values()))
    return 1 + sum(map(count, value)) if isinstance(value, list) else 1

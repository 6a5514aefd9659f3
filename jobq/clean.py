"""Makes untrusted text fit to be shown: nothing in it can take effect, and nothing in it is hidden.

Everything from the database passes here before it is shown: arguments, messages and tracebacks, and also names of
classes, queues and workers. Characters that could move the cursor, ring, colour, reorder or vanish are made visible.
"""

import json
import re
from typing import Any

UNSAFE = re.compile(
    "["
    "\x00-\x08\x0b-\x1f\x7f-\x9f"  # control characters of ASCII and Latin 1, except tab and newline
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\uffa0"  # invisible characters
    "\u200b-\u200f\u2028-\u202e\u2060-\u206f"  # zero width; or changing the direction of text
    "\ufe00-\ufe0f\ufeff\ufff0-\ufffb\ud800-\udfff"
    "\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"  # formatting of scripts and music
    "\U000e0000-\U000e0fff"  # tags: whole hidden messages
    "]"
)


def plain(text: str, limit: int = 4000) -> str:
    """Text of several lines for display, cut after `limit` characters with a mark that says how many more."""
    text = text.replace("\r\n", "\n")
    if len(text) > limit:
        text = f"{text[:limit]}… (+{len(text) - limit:,} characters)"
    return UNSAFE.sub(picture, text)


def line(text: str, limit: int = 400) -> str:
    """The same for one line: line breaks and tabs are made visible, too."""
    return plain(text.replace("\r\n", "\n").replace("\n", "⏎").replace("\t", " "), limit)


def deep(value: Any, limit: int = 4000) -> Any:
    """A JSON value for display, with every text in it cleaned, including keys."""
    if isinstance(value, str):
        return plain(value, limit)
    if isinstance(value, list):
        return [deep(item, limit) for item in value]
    if isinstance(value, dict):
        shown: dict[str, Any] = {}
        for key, item in value.items():
            name = plain(str(key), limit)
            while name in shown:  # two keys may look the same, and both must be shown
                name += "′"
            shown[name] = deep(item, limit)
        return shown
    return value


def json_text(text: str) -> str:
    """JSON with the same meaning for a program, with unsafe characters written as JSON's own escapes."""
    return UNSAFE.sub(lambda match: json.dumps(match[0])[1:-1], text)


def picture(match: re.Match[str]) -> str:
    """The visible form of a character: ␛ for ESC, or its number."""
    code = ord(match[0])
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "␡"
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"

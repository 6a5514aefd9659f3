"""Secret texts for jobs, and their masking wherever they would be shown."""

import json
from collections.abc import Callable, Iterator
from typing import Any, Final

from jobq.arguments.stored_json import TAG, legible
from jobq.errors import ArgumentsError

SECRET: Final = "secret"  # noqa: S105 - a tag
MASK: Final = "•••"


class Secret:
    """A text that a job may use and nobody else sees: `Secret("…")`, and in the job `self.key.reveal()`.

    Lists, details, logs, tracebacks and traces show `Secret(•••)`. If an error that the job raises contains the text,
    `•••` replaces it. The database holds the plain text: everybody who can read its tables or its backups can read it.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        if not isinstance(text, str):
            raise ArgumentsError(f"Secret() takes text, not a {type(text).__name__}.")
        self._text = text

    def reveal(self) -> str:
        """The text itself, for the job."""
        return self._text

    def __repr__(self) -> str:
        return f"Secret({MASK})"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        import hmac  # imported here: it loads OpenSSL's hashes

        return isinstance(other, Secret) and hmac.compare_digest(self._text.encode(), other._text.encode())

    def __hash__(self) -> int:
        return hash((Secret, self._text))


def without_secrets(stored: Any) -> Any:
    """Stored arguments, or a stored value, for display: every secret in them is masked, at any depth."""
    if isinstance(stored, list):
        return [without_secrets(item) for item in stored]
    if not isinstance(stored, dict):
        return stored
    if stored.get(TAG) == SECRET:
        return {TAG: SECRET, "v": MASK}
    return {key: without_secrets(value) for key, value in stored.items()}


def masked(text: str, stored: str) -> str:
    """A job's text for display: secrets of its stored arguments are masked if they occur in it.

    Also in quotes, in JSON, in an address, and line by line, as a traceback indents them. A secret of fewer than four
    characters stays: it would match everywhere.
    """
    mask = masker(stored)
    return text if mask is None else mask(text)


def masker(stored: str) -> Callable[[str], str] | None:
    """A function that masks the secrets of stored arguments, for many texts. None if there are no secrets."""
    if not have_secrets(stored):
        return None
    found = {look for secret in secrets_in(legible(stored)) for look in looks_of(secret) if len(look) >= 4}
    looks = sorted(found, key=len, reverse=True)

    def mask(text: str) -> str:
        for look in looks:
            text = text.replace(look, MASK)
        return text

    return mask


def have_secrets(stored: str) -> bool:
    return f'"{SECRET}"' in stored


def secrets_in(stored: Any) -> Iterator[str]:
    """The texts of all secrets, at any depth."""
    rest = [stored]
    while rest:
        value = rest.pop()
        if isinstance(value, dict):
            if value.get(TAG) == SECRET and isinstance(value.get("v"), str):
                yield value["v"]
            rest += value.values()
        elif isinstance(value, list):
            rest += value


def looks_of(secret: str) -> Iterator[str]:
    from urllib.parse import quote, quote_plus

    for text in (secret, *secret.splitlines()):
        yield from (text.strip(), repr(text)[1:-1], repr(text.encode())[2:-1], json.dumps(text)[1:-1])
        yield from (json.dumps(text, ensure_ascii=False)[1:-1], quote(text), quote_plus(text))

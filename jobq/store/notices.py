"""Messages to a process, once each, about the database that it uses."""

import os
from collections.abc import Callable
from pathlib import Path

from jobq import addresses
from jobq.found_database import CONFIGURE
from jobq.settings import Settings

_told: set[str] = set()


def write_to_stderr(text: str) -> None:
    os.write(2, text.encode(errors="replace"))


_write: Callable[[str], None] = write_to_stderr


def write_with(write: Callable[[str], None]) -> None:
    """From now on this function writes the notices: a worker must not wait for a reader of its log."""
    global _write
    _write = write


def announce(line: str) -> None:
    _write(f"jobq: {line}\n")


def announce_once(line: str) -> None:
    if line not in _told:
        _told.add(line)
        announce(line)


def tell_found(settings: Settings) -> None:
    """Names the database that was found though none is configured for jobq."""
    if (source := source_of(settings)) and settings.found is not None and not settings.found.is_chosen:
        assert settings.database_url is not None
        announce_once(f"using {source}: {addresses.shown(settings.database_url)}")


def tell_embedded(settings: Settings, home: Path) -> None:
    """For a program that enqueues: people may look for its jobs elsewhere."""
    if settings.found is not None:
        announce_once(
            f"no database is configured{reasons(settings)}: jobs go to the embedded PostgreSQL in {home}, which "
            f"workers elsewhere do not see. To use yours, {CONFIGURE}."
        )


def tell_pooler(address: str) -> None:
    """For an address whose sessions are shared with other programs, though that was not configured."""
    announce_once(
        f"{address} is a pooler: sessions are shared, so jobq sets and prepares nothing there, and workers poll "
        "instead of being woken. JOBQ_TRANSACTION_POOLER=true says the same without this line."
    )


def source_of(settings: Settings) -> str:
    """The origin of an address that was found though none is configured for jobq. Empty for any other."""
    found = settings.found
    return found.source if found is not None and found.url == settings.database_url else ""


def reasons(settings: Settings) -> str:
    """Why possible places of a database were skipped."""
    notes = settings.found.notes if settings.found is not None else ()
    return f" ({'; '.join(notes)})" if notes else ""

"""Words for people, as reasons and findings use them."""

from collections.abc import Mapping


def spoken(seconds: float) -> str:
    """A rounded duration: 40 s, 12 minutes, 3 hours."""
    for size, unit in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def waiting_text(services: Mapping[str, float]) -> str:
    """`completer and scheduler wait for the database for 40 s`; empty if none waits."""
    if not services:
        return ""
    *others, last = sorted(services)
    names = f"{', '.join(others)} and {last}" if others else last
    return f"{names} wait{'' if others else 's'} for the database for {spoken(max(services.values()))}"


def many(count: int, noun: str, limit: int | None = None) -> str:
    """`1 job`, `12,000 jobs`, or, counted up to a limit, `100,000 or more jobs`."""
    more = " or more" if limit is not None and count >= limit else ""
    return f"{count:,}{more} {noun}{'' if count == 1 else 'es' if noun.endswith('ss') else 's'}"

"""The options of a job: checks every value, and explains errors."""

from datetime import datetime, timedelta
from typing import Any, Literal, TypedDict, get_args

from jobq.errors import EnqueueError
from jobq.records import KeyRules

MAX_QUEUE_CHARACTERS = 100
MAX_KEY_CHARACTERS = 250
MAX_PRIORITY = 32767
MAX_RETRIES = 1_000_000
MAX_DELAY_SECONDS = 100 * 365.25 * 86400
MAX_RETRY_DELAY_SECONDS = 10 * 365 * 86400
LATEST_YEAR = 9998  # Python's datetime ends with the year 9999, in any time zone

Logs = Literal["failed", "all", "none"]
LOGS: tuple[str, ...] = get_args(Logs)
OnHeld = Literal["skip", "return", "replace", "debounce", "rerun", "newest"]
UniqueUntil = Literal["finished", "started"]


class Options(TypedDict, total=False):
    """The options of `run_in_worker`."""

    queue: str | None
    delay: float | timedelta | datetime | None
    priority: int | None
    retries: int | None
    unique_key: str | None
    timeout: float | timedelta | None
    expires: float | timedelta | datetime | None
    lane: str | None


def due(
    delay: float | timedelta | datetime | None, name: str = "delay", past: str = "a job cannot start in the past"
) -> tuple[float, datetime | None]:
    """A delay as (seconds from now, None), or as (0, the time). `past` is the error text for a negative one."""
    if delay is None:
        return 0.0, None
    if isinstance(delay, datetime):
        if delay.tzinfo is None or delay.utcoffset() is None:
            raise EnqueueError(
                f"{name} is the naive datetime {delay.isoformat()}: give it a time zone, as in "
                "datetime.now(timezone.utc) + timedelta(hours=1)."
            )
        if not 1970 <= delay.year <= LATEST_YEAR:
            raise EnqueueError(f"{name} is {delay.isoformat()}, but the years are 1970 to {LATEST_YEAR}.")
        return 0.0, delay
    if isinstance(delay, timedelta):
        delay = delay.total_seconds()
    if isinstance(delay, bool) or not isinstance(delay, int | float) or delay != delay:
        raise EnqueueError(f"{name} is {shortened(delay)}, but must be seconds, a timedelta, or an aware datetime.")
    if delay < 0:
        raise EnqueueError(f"{name} is {shortened(delay)} seconds, but {past}. Leave it out.")
    if delay > MAX_DELAY_SECONDS:
        raise EnqueueError(f"{name} is {shortened(delay)} seconds, more than 100 years.")
    return float(delay), None


def checked_expiry(
    expires: float | timedelta | datetime | None, delay: float, run_at: datetime | None
) -> tuple[float | None, datetime | None]:
    """The expiry of a job as (seconds from now, None) or as (None, the time). (None, None): never."""
    if expires is None:
        return None, None
    seconds, moment = due(expires, "expires", "a job cannot expire in the past")
    if (moment is None and run_at is None and seconds <= delay) or (moment and run_at and moment <= run_at):
        raise EnqueueError(f"expires is {shortened(expires)}, which is not after the job is due: it would never run.")
    return (None, moment) if moment else (seconds, None)


def checked_timeout(timeout: Any) -> float | None:
    return checked_span("timeout", timeout)


def checked_retry_delay(delay: Any) -> float:
    seconds = delay.total_seconds() if isinstance(delay, timedelta) else delay
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds <= MAX_RETRY_DELAY_SECONDS:
        raise EnqueueError(
            f"retry_delay is {shortened(delay)}, but must be seconds, a timedelta, or a function of the attempt; "
            "at most 10 years."
        )
    return float(seconds)


def checked_queue(queue: Any) -> str:
    if not isinstance(queue, str) or not queue or not queue.isprintable():
        raise EnqueueError(f"queue is {shortened(queue)}, but must be text without control characters.")
    if len(queue) > MAX_QUEUE_CHARACTERS:
        raise EnqueueError(
            f"queue is a name of {len(queue):,} characters, beginning {shortened(queue)}; "
            f"{MAX_QUEUE_CHARACTERS} are allowed."
        )
    return queue


def checked_key(key: Any) -> str | None:
    if key is None or key == "":
        return None
    if not isinstance(key, str) or not key.isprintable():
        raise EnqueueError(f"unique_key is {shortened(key)}, but must be text without control characters.")
    if len(key) > MAX_KEY_CHARACTERS:
        raise EnqueueError(
            f"unique_key has {len(key):,} characters, beginning {shortened(key)}; {MAX_KEY_CHARACTERS} are allowed. "
            "Use a hash of it."
        )
    return key


def checked_key_rules(on_held: Any, unique_until: Any, unique_for: Any, debounce_limit: Any) -> KeyRules | None:
    """The rules of a class for a held key. None for the default rules."""
    checked_choice("on_held", on_held, get_args(OnHeld))
    checked_choice("unique_until", unique_until, get_args(UniqueUntil))
    rules = KeyRules(
        on_held, unique_until, checked_span("unique_for", unique_for), checked_span("debounce_limit", debounce_limit)
    )
    if trouble := trouble_with(rules):
        raise EnqueueError(trouble)
    return None if (on_held, unique_until, unique_for) == ("skip", "finished", None) else rules


def trouble_with(rules: KeyRules) -> str | None:
    """Why the rules contradict each other, and what to do. None if they do not."""
    if rules.on_held == "debounce" and rules.debounce_limit is None:
        return (
            "on_held = 'debounce' needs a debounce_limit: the seconds after the first enqueue at which the job is due, "
            "however often it is put off."
        )
    if rules.on_held != "debounce" and rules.debounce_limit is not None:
        return f"debounce_limit is for on_held = 'debounce', but on_held is {rules.on_held!r}. Leave it out."
    if rules.on_held in ("rerun", "newest") and rules.unique_until == "started":
        return (
            f"on_held = {rules.on_held!r} is about a running job, but with unique_until = 'started' a running job "
            "does not hold its key. Use 'replace', or leave unique_until out."
        )
    if rules.on_held in ("debounce", "rerun", "newest") and rules.unique_for is not None:
        return (
            f"unique_for allows one job in that time, but on_held = {rules.on_held!r} adds one after a running one. "
            "Use 'skip', 'return' or 'replace'."
        )
    return None


def check_logs(value: Any) -> None:
    """An attribute `logs` that is no text is the job's own, and says nothing of its lines. Raises EnqueueError."""
    if isinstance(value, str):
        checked_choice("logs", value, LOGS)


def checked_choice(name: str, value: Any, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise EnqueueError(f"{name} is {shortened(value)}, but must be one of {', '.join(map(repr, choices))}.")


def checked_span(name: str, value: Any) -> float | None:
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    if seconds is None:
        return None
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds <= MAX_DELAY_SECONDS:
        raise EnqueueError(
            f"{name} is {shortened(value)}, but must be seconds or a timedelta, above 0 and up to 100 years."
        )
    return float(seconds)


def checked_int(name: str, value: Any, most: int, *, least: int | None = None) -> int:
    least = -most if least is None else least
    if isinstance(value, bool) or not isinstance(value, int):
        raise EnqueueError(f"{name} is {shortened(value)}, but must be a whole number.")
    if not least <= value <= most:
        raise EnqueueError(f"{name} is {shortened(value)}, but must be between {least} and {most}.")
    return value


def shortened(value: Any) -> str:
    try:
        shown = repr(value)
    except Exception:  # noqa: BLE001 - a repr of the user's own may raise anything; this is for an error message
        shown = f"a {type(value).__name__}"
    return shown if len(shown) <= 60 else f"{shown[:57]}…"

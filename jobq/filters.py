"""The filter language of lists and acts: `outcome:errored queue:mail,default since:1h -error:Deadlock "free text"`.

A space means and, a comma or, a leading `-` not; quotes take everything literally; `*` stands for anything; `=42` is
the value of any argument. Text is read here, once, into a `Filter`; what a filter means to the database is said in
`jobq/observe/selection.py`, once.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from unicodedata import east_asian_width

from jobq.clean import line
from jobq.errors import FilterError
from jobq.states import FINISHED, Outcome, State

MAX_CHARACTERS = 10_000
MAX_TERMS = 100
MAX_SECONDS = 100 * 365 * 86400.0
MAX_NUMBER = 2**63 - 1

UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 7 * 86400.0}

DEPLOY = "deploy"
"""The time of the last deploy, as `since:deploy` means it."""

STATES = (*(state.value for state in State), FINISHED)
OUTCOMES = tuple(outcome.value for outcome in Outcome)


@dataclass(frozen=True, slots=True)
class Pattern:
    """Text to compare with: its literal parts, between which anything may stand. One part: the text itself."""

    parts: tuple[str, ...]

    @property
    def is_exact(self) -> bool:
        return len(self.parts) == 1

    @property
    def text(self) -> str:
        """The text of an exact pattern."""
        return "*".join(self.parts)


@dataclass(frozen=True, slots=True)
class Comparison:
    """A number, or a number of seconds, to compare with; `word` is one of = > >= < <=."""

    word: str
    number: int | float


@dataclass(frozen=True, slots=True)
class Moment:
    """A time: so many seconds ago by the database's clock, a time with its zone, or that of the last deploy."""

    seconds_ago: float = 0.0
    at: datetime | None = None
    is_deploy: bool = False


Value = Pattern | Comparison | Moment


@dataclass(frozen=True, slots=True)
class Term:
    """One condition: any of the values fits, or, negated, none does. Without a key it is free text."""

    key: str
    values: tuple[Value, ...]
    is_negated: bool = False
    path: tuple[str, ...] = ()  # of args.a.b: the names after "args"; of =42, any argument: none
    start: int = field(default=0, compare=False)
    end: int = field(default=0, compare=False)

    @property
    def name(self) -> str:
        """The key as it is written, `args.a.b`; free text has none, and neither has the value of any argument."""
        if self.is_of_any_argument:
            return "=value"
        return ".".join((self.key, *self.path)) if self.key else "free text"

    @property
    def is_of_any_argument(self) -> bool:
        return self.key == "args" and not self.path

    def __str__(self) -> str:
        key = "=" if self.is_of_any_argument else f"{self.name}:" if self.key else ""
        prefix = ("-" if self.is_negated else "") + key
        return prefix + ",".join(written(value, is_free=not self.key) for value in self.values)


@dataclass(frozen=True, slots=True)
class Filter:
    """What jobs are meant: every term must fit."""

    terms: tuple[Term, ...] = ()
    text: str = field(default="", compare=False)  # as it was typed, for the places of mistakes

    def __str__(self) -> str:
        return " ".join(str(term) for term in self.terms)

    def __add__(self, other: "Filter") -> "Filter":
        return Filter(self.terms + other.terms, self.text or other.text)

    @property
    def states(self) -> tuple[str, ...] | None:
        """The states that are meant, where the filter says so: by `state:`, or by an outcome or a group of failures."""
        chosen: set[str] | None = None
        for term in self.terms:
            if term.key == "state":
                named = {value.text for value in term.values if isinstance(value, Pattern)}
                named = set(STATES) - named if term.is_negated else named
                chosen = named if chosen is None else chosen & named
            elif term.key in ("outcome", "group"):
                chosen = {FINISHED} if chosen is None else chosen & {FINISHED}
        return None if chosen is None else tuple(state for state in STATES if state in chosen)

    @property
    def is_finished(self) -> bool:
        """Whether it selects from the history. Finished and unfinished jobs are two lists, ordered differently."""
        return self.states == (FINISHED,)

    def among(self, *states: str) -> "Filter":
        """The filter itself where it says which states it means, else the filter among these."""
        return self if self.states is not None else of("state", *states) + self

    def checked(self) -> "Filter":
        """The filter itself. Raises FilterError where it asks for finished and unfinished jobs at once, or for none."""
        states = self.states
        if states is None or states == (FINISHED,) or (states and FINISHED not in states):
            return self
        if states == ():
            mistake = "An outcome or a group is that of finished jobs: leave the other state out."
        else:
            mistake = "Finished and unfinished jobs are two lists: ask for one of them."
        for term in self.terms:
            if term.key == "state":
                if FINISHED in states and term.is_negated:  # -state:running: all others that are unfinished
                    return Filter((*self.terms, *of("state", *(state.value for state in State)).terms), self.text)
                raise self.mistake(mistake, term)
        return self

    def mistake(self, problem: str, term: Term) -> FilterError:
        return mistake(self.text or str(self), problem, term.start, term.end)


def of(key: str, *texts: str) -> Filter:
    """A filter of one term, from values that are meant literally: `of("queue", "mail")`.

    Raises FilterError where nothing can have such a value.
    """
    for text in texts:
        require_storable(text)
    return Filter((Term(key, tuple(Pattern((text,)) for text in texts)),))


# Reading


def require_storable(text: str) -> None:
    for place, character in enumerate(text):
        if character == "\0" or "\ud800" <= character <= "\udfff":
            raise mistake(text, "PostgreSQL cannot store this character, so nothing has it.", place, place + 1)


def parse(text: str) -> Filter:
    """Reads a filter. Raises FilterError, which shows the place of the mistake."""
    if len(text) > MAX_CHARACTERS:
        raise FilterError(f"The filter has {len(text):,} characters; {MAX_CHARACTERS:,} are allowed.")
    require_storable(text)
    terms = []
    reader = Reader(text)
    while not reader.is_at_end:
        terms.append(term_of(reader))
    if len(terms) > MAX_TERMS:
        raise FilterError(f"The filter has {len(terms):,} terms; {MAX_TERMS} are allowed.")
    return Filter(tuple(terms), text).checked()


@dataclass(slots=True)
class Reader:
    """A text, and how far it has been read."""

    text: str
    place: int = 0

    @property
    def is_at_end(self) -> bool:
        """Whether nothing but spaces is left; steps over them."""
        while self.place < len(self.text) and self.text[self.place].isspace():
            self.place += 1
        return self.place >= len(self.text)

    @property
    def next(self) -> str:
        return self.text[self.place : self.place + 1]

    def take(self, pattern: "re.Pattern[str]") -> re.Match[str] | None:
        if match := pattern.match(self.text, self.place):
            self.place = match.end()
        return match

    def mistake(self, problem: str, start: int, end: int | None = None) -> FilterError:
        return mistake(self.text, problem, start, max(self.place if end is None else end, start + 1))


KEY = re.compile(r'([A-Za-z_]+)((?:\.[^\s:",.*]+)*):')
ANY_ARGUMENT = re.compile("=")


@dataclass(frozen=True, slots=True)
class Raw:
    """A value as it was typed: quotes and stars understood, and nothing else."""

    parts: tuple[str, ...]
    is_quoted: bool
    start: int
    end: int

    @property
    def text(self) -> str:
        return "*".join(self.parts)


def term_of(reader: Reader) -> Term:
    start = reader.place
    is_negated = reader.next == "-"
    reader.place += is_negated
    key: str = ""
    path: tuple[str, ...] = ()
    if match := reader.take(KEY):
        key, path = key_of(reader, match)
    elif match := reader.take(ANY_ARGUMENT):
        key = "args"
    raws = [raw_of(reader)]
    while reader.next == ",":
        reader.place += 1
        raws.append(raw_of(reader))
    for raw in raws:
        if raw.text == "" and not raw.is_quoted:
            what = f"What follows {match[0]!r}" if match else "What follows '-'" if is_negated else "What is meant"
            raise reader.mistake(f"{what} is missing.", start)
    values = tuple(KINDS[key](reader, raw) for raw in raws)
    if len(values) > 1 and key in ("since", "until"):
        raise reader.mistake(f"{key}: takes one time.", start)
    return Term(key, values, is_negated, path, start, reader.place)


def key_of(reader: Reader, match: re.Match[str]) -> tuple[str, tuple[str, ...]]:
    key, path = match[1], tuple(match[2].split(".")[1:])
    if key not in KINDS or key == "":
        from difflib import get_close_matches

        near = get_close_matches(key, KEYS, n=1)
        hint = f"Did you mean {near[0]}:?" if near else f"There are: {' '.join(f'{name}:' for name in KEYS)}"
        problem = f"There is no {key}: {hint} Text with a colon in it needs quotes."
        raise reader.mistake(problem, match.start(), match.end())
    if key == "args" and not path:
        raise reader.mistake("args needs the name of an argument: args.user_id:42", match.start(), match.end())
    if key != "args" and path:
        raise reader.mistake(f"Only args has names with dots: {key}: is written without.", match.start(), match.end())
    return key, path


def raw_of(reader: Reader) -> Raw:
    """One value, up to a comma or a space outside quotes."""
    start, parts, current, is_quoted = reader.place, [], "", False
    while reader.next and reader.next != "," and not reader.next.isspace():
        character = reader.next
        if character == '"':
            is_quoted = True
            current += quoted_part(reader)
            continue
        reader.place += 1
        if character == "*":
            parts.append(current)
            current = ""
        else:
            current += character
    return Raw((*parts, current), is_quoted, start, reader.place)


QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)


def quoted_part(reader: Reader) -> str:
    match = reader.take(QUOTED)
    if match is None:
        raise reader.mistake("This quote is never closed.", reader.place, len(reader.text))
    return re.sub(r"(?s)\\(.)", r"\1", match[1])


# The kinds of values


def pattern_of(_reader: Reader, raw: Raw) -> Pattern:
    return Pattern(raw.parts)


def word_of(*words: str) -> Callable[[Reader, Raw], Pattern]:
    def one_of(reader: Reader, raw: Raw) -> Pattern:
        if raw.text not in words:
            problem = f"There is no {line(raw.text, 40)!r}: it is one of {', '.join(words)}."
            raise reader.mistake(problem, raw.start, raw.end)
        return Pattern((raw.text,))

    return one_of


COMPARED = re.compile(r"(>=|<=|>|<|=)?(.*)", re.DOTALL)


def number_of(reader: Reader, raw: Raw) -> Comparison:
    match = COMPARED.fullmatch(raw.text)
    assert match is not None
    if not re.fullmatch(r"[0-9]{1,19}", match[2]) or int(match[2]) > MAX_NUMBER:
        raise reader.mistake(f"{line(match[2], 40)!r} is no whole number: 3, >3, <=3", raw.start, raw.end)
    return Comparison(match[1] or "=", int(match[2]))


def duration_of(reader: Reader, raw: Raw) -> Comparison:
    match = COMPARED.fullmatch(raw.text)
    assert match is not None
    if match[1] in (None, "=") or (seconds := seconds_of(match[2])) is None or seconds > MAX_SECONDS:
        raise reader.mistake("It is compared with a duration: >5s, <200ms, >=1m30s", raw.start, raw.end)
    return Comparison(match[1], seconds)


def moment_of(reader: Reader, raw: Raw) -> Moment:
    try:
        return moment(raw.text)
    except ValueError as error:
        raise reader.mistake(str(error), raw.start, raw.end) from None


def moment(text: str) -> Moment:
    """A time, or so long ago. Raises ValueError, which says what is wrong."""
    if text == DEPLOY:
        return Moment(is_deploy=True)
    seconds = seconds_of(text)
    if seconds is not None:
        if seconds > MAX_SECONDS:
            raise ValueError(f"{line(text, 40)!r} is more than 100 years ago.")
        return Moment(seconds)
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(
            f"{line(text, 40)!r} is neither a duration (90s, 5m, 1h30m, 2d) nor a time (2026-12-01T09:00Z) nor deploy."
        ) from None
    if at.tzinfo is None:
        whole = at.isoformat(timespec="auto" if at.second or at.microsecond else "minutes")  # a date takes no zone
        raise ValueError(f"{line(text, 40)!r} has no time zone. Add one: {whole}Z, or {whole}+02:00.")
    try:
        return Moment(at=at.astimezone(UTC))
    except OverflowError:  # at the ends of the calendar, by the hours of a zone
        raise ValueError(f"{text!r} is not in the years 1 to 9999 of UTC.") from None


def seconds_of(text: str) -> float | None:
    """Seconds (60), or a duration (5m, 1h30m, 200ms); None where the text is neither."""
    if re.fullmatch(r"[0-9]{1,15}(\.[0-9]{1,9})?", text):
        return float(text)
    if not re.fullmatch(r"([0-9]{1,15}(\.[0-9]{1,9})?(ms|[smhdw]))+", text):
        return None
    return sum(float(number) * UNITS[unit] for number, unit in re.findall(r"([0-9]+(?:\.[0-9]+)?)(ms|[smhdw])", text))


KINDS: dict[str, Callable[[Reader, Raw], Value]] = {
    "": pattern_of,
    "state": word_of(*STATES),
    "outcome": word_of(*OUTCOMES),
    "queue": pattern_of,
    "class": pattern_of,
    "error": pattern_of,
    "group": pattern_of,
    "worker": pattern_of,
    "build": pattern_of,
    "key": pattern_of,
    "gate": pattern_of,
    "lane": pattern_of,
    "id": number_of,
    "args": pattern_of,
    "since": moment_of,
    "until": moment_of,
    "tries": number_of,
    "ran": duration_of,
    "wait": duration_of,
}
"""How the values of each key are read; free text has none."""

KEYS = tuple(key for key in KINDS if key)


# Writing


def written(value: Value, *, is_free: bool = False) -> str:
    match value:
        case Pattern():
            return "*".join(quoted(part, is_free=is_free) for part in value.parts) or '""'
        case Comparison():
            return f"{value.word}{value.number if isinstance(value.number, int) else in_seconds(value.number)}"
        case Moment(is_deploy=True):
            return DEPLOY
        case Moment():
            return value.at.isoformat() if value.at else in_seconds(value.seconds_ago)


def quoted(text: str, *, is_free: bool) -> str:
    """A text in quotes, where without them it would be read as something else."""
    is_plain = not any(character in ',*"' or character.isspace() for character in text)
    if is_plain and not (is_free and (text.startswith(("-", "=")) or ":" in text)):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def in_seconds(seconds: float) -> str:
    """A duration in the largest unit in which it is whole: 1h, 90s."""
    for unit in ("d", "h", "m"):
        if seconds and seconds % UNITS[unit] == 0:
            return f"{seconds / UNITS[unit]:.0f}{unit}"
    return f"{seconds:.9f}".rstrip("0").rstrip(".") + "s"


def mistake(text: str, problem: str, start: int, end: int) -> FilterError:
    """The error, with the filter and a caret under the place."""
    indent = " " * width(line(text[:start], MAX_CHARACTERS))
    carets = "^" * max(1, width(line(text[start:end], MAX_CHARACTERS)))
    message = f"{problem}\n\n    {line(text, MAX_CHARACTERS)}\n    {indent}{carets}"
    return FilterError(message, problem=problem, start=start, end=end)


def width(text: str) -> int:
    return sum(2 if east_asian_width(character) in "WF" else 1 for character in text)


def joined(filters: Iterable[Filter]) -> Filter:
    """All of them together."""
    terms = tuple(term for one in filters for term in one.terms)
    return replace(Filter(terms), text=" ".join(str(term) for term in terms)).checked()

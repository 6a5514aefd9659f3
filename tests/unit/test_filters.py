"""The filter language: what each form means, what is refused and where, and that no text at all breaks it."""

import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobq.errors import FilterError
from jobq.filters import KEYS, Comparison, Filter, Moment, Pattern, Term, joined, of, parse, seconds_of

PIECES = st.sampled_from(
    [
        *(f"{key}:" for key in KEYS), "args.a.b:", "-", ",", " ", "  ", "*", '"', "\\", ":", ".", ">", "<", ">=", "=",
        "errored", "finished", "pending", "mail", "1h", "90s", "42", "2026-12-01T09:00Z", "%", "_", "'", ";", "--",
        "$1", "%s", "%(x)s", "{schema}", "SCHEMA", "CONDITION", "漢字", "é", "\n", "\t", "\u202e", "0", "9" * 25,
    ]
)  # fmt: skip

TEXTS = st.one_of(st.text(max_size=60), st.lists(PIECES, max_size=14).map("".join))
"""Any text, and text that looks like a filter."""


def terms(text: str) -> list[tuple[str, bool, tuple[object, ...]]]:
    return [(term.key, term.is_negated, term.values) for term in parse(text).terms]


def exact(*texts: str) -> tuple[Pattern, ...]:
    return tuple(Pattern((text,)) for text in texts)


def test_a_space_means_and_a_comma_or_and_a_minus_not() -> None:
    assert terms("outcome:errored queue:mail,default -error:Deadlock") == [
        ("outcome", False, exact("errored")),
        ("queue", False, exact("mail", "default")),
        ("error", True, exact("Deadlock")),
    ]


def test_what_has_no_key_is_free_text() -> None:
    assert terms("timeout -smtp") == [("", False, exact("timeout")), ("", True, exact("smtp"))]


def test_quotes_take_everything_as_it_is() -> None:
    assert terms(r'error:"a, b: \"c\" *" "KeyError: x"') == [
        ("error", False, exact('a, b: "c" *')),
        ("", False, exact("KeyError: x")),
    ]


def test_a_star_stands_for_anything() -> None:
    assert terms('class:mail.* key:"a*"*') == [
        ("class", False, (Pattern(("mail.", "")),)),
        ("key", False, (Pattern(("a*", "")),)),
    ]


def test_numbers_and_durations_are_compared() -> None:
    assert terms("tries:>3 ran:>=1m30s wait:<200ms id:7") == [
        ("tries", False, (Comparison(">", 3),)),
        ("ran", False, (Comparison(">=", 90.0),)),
        ("wait", False, (Comparison("<", 0.2),)),
        ("id", False, (Comparison("=", 7),)),
    ]


def test_a_time_is_so_long_ago_or_a_moment_with_its_zone() -> None:
    assert terms("since:1h30m until:2026-12-01T09:00Z") == [
        ("since", False, (Moment(5400.0),)),
        ("until", False, (Moment(at=datetime(2026, 12, 1, 9, tzinfo=UTC)),)),
    ]


def test_an_argument_is_named_by_its_path() -> None:
    (term,) = parse("args.user.id:42").terms
    assert (term.key, term.path, term.values) == ("args", ("user", "id"), exact("42"))


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("outcome:erored", "erored", "errored"),
        ("queue:mail stat:running", "stat:", "Did you mean state:"),
        ("KeyError: x", "KeyError:", "quotes"),
        ("queue:", "queue:", "missing"),
        ("queue:a,,b", "queue:a,,b", "missing"),
        ("mail -", "-", "missing"),
        ('error:"no end', '"no end', "never closed"),
        ("tries:many", "many", "whole number"),
        ("id:99999999999999999999", "99999999999999999999", "whole number"),
        ("ran:5s", "5s", "compared"),
        ("since:yesterday", "yesterday", "neither a duration"),
        ("since:2026-12-01T09:00", "2026-12-01T09:00", "time zone"),
        ("since:99999999999999d", "99999999999999d", "100 years"),
        ("since:0001-01-01T00:00+23:59", "0001-01-01T00:00+23:59", "years 1 to 9999"),
        ("until:9999-12-31T23:59-00:01", "9999-12-31T23:59-00:01", "years 1 to 9999"),
        ("since:1h,2h", "since:1h,2h", "one time"),
        ("args:1", "args:", "name of an argument"),
        ("queue.x:1", "queue.x:", "Only args"),
        ("state:running,finished", "state:running,finished", "two lists"),
        ("state:running outcome:errored", "state:running", "outcome"),
        ("queue:\ud800", "\ud800", "store"),
        ("queue:a\0", "\0", "store"),
    ],
)
def test_a_mistake_is_shown_with_its_place(text: str, place: str, words: str) -> None:
    with pytest.raises(FilterError, match=words) as refused:
        parse(text)
    assert text[refused.value.start : refused.value.end] == place
    carets = str(refused.value).splitlines()[-1]
    assert set(carets) == {" ", "^"}


def test_the_caret_stands_under_the_mistake_also_behind_wide_characters() -> None:
    with pytest.raises(FilterError) as refused:
        parse("queue:漢字 tries:x")
    _, shown, carets = str(refused.value).rsplit("\n", 2)
    assert shown == "    queue:漢字 tries:x"
    assert carets == "    " + " " * len("queue:xxxx tries:") + "^"


def test_a_filter_that_is_endless_is_refused() -> None:
    with pytest.raises(FilterError, match="characters"):
        parse("x" * 10_001)
    with pytest.raises(FilterError, match="terms"):
        parse("x " * 101)


@pytest.mark.parametrize(
    ("text", "states"),
    [
        ("queue:mail", None),
        ("state:running", ("running",)),
        ("state:pending,scheduled", ("scheduled", "pending")),
        ("-state:finished", ("scheduled", "pending", "gated", "running")),
        ("-state:running", ("scheduled", "pending", "gated")),
        ("outcome:errored", ("finished",)),
        ("-outcome:successful", ("finished",)),
        ("group:0123456789ab", ("finished",)),
    ],
)
def test_a_filter_says_which_states_it_means(text: str, states: tuple[str, ...] | None) -> None:
    assert parse(text).states == states


def test_states_are_added_only_where_the_filter_names_none() -> None:
    assert parse("queue:mail").among("finished").states == ("finished",)
    assert parse("state:running").among("finished").states == ("running",)


def test_options_are_taken_literally() -> None:
    assert str(joined([of("queue", "a*,b c"), of("class", "x.Y")])) == 'queue:"a*,b c" class:x.Y'


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("60", 60), ("1.5", 1.5), ("5m", 300), ("1h30m", 5400), ("2d", 172_800), ("200ms", 0.2), ("5x", None), ("", None)],
)
def test_a_duration_is_read_in_seconds(text: str, seconds: float | None) -> None:
    assert seconds_of(text) == (None if seconds is None else pytest.approx(seconds))


@given(TEXTS)
def test_no_text_breaks_the_parser(text: str) -> None:
    """Either it is a filter, or the place of its mistake lies in it."""
    mistake = mistake_in(text)
    if mistake is not None:
        assert 0 <= mistake.start < max(mistake.end, 1)
        assert mistake.end <= max(len(text), 1)
        assert mistake.problem


def mistake_in(text: str) -> FilterError | None:
    try:
        parse(text)
    except FilterError as error:
        return error
    return None


@given(TEXTS)
def test_a_filter_written_out_is_the_same_filter(text: str) -> None:
    try:
        read = parse(text)
    except FilterError:
        return
    again = parse(str(read))
    assert [(term.key, term.path, term.is_negated) for term in again.terms] == [
        (term.key, term.path, term.is_negated) for term in read.terms
    ]
    for before, after in zip(values_of(read), values_of(again), strict=True):
        assert after == (before if isinstance(before, str) else pytest.approx(before))


def values_of(read: Filter) -> list[str | float]:
    found: list[str | float] = []
    for term in read.terms:
        for value in term.values:
            match value:
                case Pattern():
                    found.append("\0".join(value.parts))
                case Comparison():
                    found += [value.word, float(value.number)]
                case Moment():
                    found.append(value.seconds_ago if value.at is None else value.at.isoformat())
    return found


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=30))
def test_any_text_can_be_searched_for(text: str) -> None:
    written = str(Filter((Term("", (Pattern((text,)),)),)))
    assert terms(written) == [("", False, exact(text))]


EXAMPLE = re.compile(
    r"(?:it is one of|is compared with a duration:|no whole number:|a duration|a time) \(?((?:[^\s,()]+(?:, )?)+)"
)
"""The examples of a message, as they stand behind its words."""


@pytest.mark.parametrize("moment", ["2020-01-01", "2020-W01-3", "2020-01-01T10", "2020-01-01T10:00:30.5"])
def test_the_zone_that_is_advised_makes_a_time_of_it(moment: str) -> None:
    with pytest.raises(FilterError) as refused:
        parse(f"since:{moment}")
    first, second = re.search(r"Add one: (\S+), or (\S+)\.", str(refused.value)).groups()  # type: ignore[union-attr]
    assert first != second
    for advised in (first, second):
        (term,) = parse(f"since:{advised}").terms
        assert isinstance(term.values[0], Moment)


@pytest.mark.parametrize(
    ("key", "wrong", "least"),
    [("since", "yesterday", 5), ("state", "x", 4), ("outcome", "x", 5), ("tries", "x", 3), ("ran", "5", 3)],
)
def test_every_example_of_an_error_is_accepted(key: str, wrong: str, least: int) -> None:
    with pytest.raises(FilterError) as refused:
        parse(f"{key}:{wrong}")
    message = str(refused.value).splitlines()[0]
    examples = [word for found in EXAMPLE.findall(message) for word in re.split(r", (?:or )?", found.rstrip("."))]
    assert len(examples) >= least, message
    for example in examples:
        assert parse(f"{key}:{example}").terms

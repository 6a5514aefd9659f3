"""Constructor arguments: how calls are kept and made again, what is refused and where, what a shell's words become."""

import dataclasses
import enum
import functools
import importlib
import sys
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, NewType, Optional, Union

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobq import arguments
from jobq.arguments import (
    MAX_DEPTH,
    bind,
    decode,
    encode,
    from_command_line,
    legible,
    rebuild,
    storable,
)
from jobq.arguments.binding import call_of
from jobq.arguments.stored_json import MAX_READ_DEPTH
from jobq.errors import ArgumentsError


class Colour(enum.Enum):
    RED = 1
    GREEN = "g"


@storable
class Access(enum.Flag):
    READ = enum.auto()
    WRITE = enum.auto()


@dataclasses.dataclass(frozen=True)
class Range:
    first: date
    last: date | None = None
    step: timedelta = timedelta(days=1)


@dataclasses.dataclass
class Hidden:
    shown: int
    hidden: dataclasses.InitVar[int] = 0

    def __post_init__(self, hidden: int) -> None:
        self.kept = hidden


Customer = NewType("Customer", uuid.UUID)
UUID_TEXT = "12345678-1234-5678-1234-567812345678"


def short(value: Any) -> str:
    return str(value)[:30]


class Unprintable:
    def __repr__(self) -> str:
        raise RuntimeError("not even this")


UNPRINTABLE = Unprintable()


class Call:
    """Any job: keeps what it was called with."""

    args: tuple[Any, ...]


class Everything(Call):
    def __init__(self, a: Any, b: Any = 2, /, c: Any = 3, *rest: Any, d: Any = 4, **named: Any) -> None:
        self.args = (a, b, c, rest, d, named)


class Rest(Call):
    def __init__(self, a: Any = 1, *rest: Any, **named: Any) -> None:
        self.args = (a, rest, named)


class Named(Call):
    def __init__(self, a: Any, b: Any = 2) -> None:
        self.args = (a, b)


def stored_and_made(job_class: type[Call], *args: Any, **kwargs: Any) -> tuple[Any, ...]:
    made = rebuild(job_class, decode(encode(bind(job_class, args, kwargs))))
    assert isinstance(made, job_class)
    return made.args


# Calls


anything = st.integers() | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
names = st.sampled_from(["a", "e", "$", "v", "*rest", "**named", "rest", "named", "two words"])


@given(
    args=st.lists(anything, min_size=1, max_size=6),
    c=st.none() | anything,
    d=st.none() | anything,
    named=st.dictionaries(names, anything),
)
def test_a_call_of_any_shape_is_made_again_as_it_was(args: list[Any], c: Any, d: Any, named: dict[str, Any]) -> None:
    if c is not None and len(args) < 3:
        named["c"] = c
    if d is not None:
        named["d"] = d
    assert stored_and_made(Everything, *args, **named) == Everything(*args, **named).args


def test_a_default_that_changes_later_applies_to_what_was_stored_before() -> None:
    assert bind(Named, ["x"], {}) == {"a": "x"}
    assert bind(Everything, ["x"], {}) == {"a": "x"}


def test_a_parameter_that_is_gone_leaves_the_places_of_the_others_alone() -> None:
    """What was stored when there was no `a` yet must not be taken for it."""
    assert rebuild(Rest, {"*rest": [5, 6]}).args == (1, (5, 6), {})  # type: ignore[attr-defined]
    assert call_of(Everything, {"a": 1, "c": 5}) == ([1, 2, 5], {})


@pytest.mark.parametrize(
    ("job_class", "stored"),
    [
        (Named, {}),
        (Named, {"a": 1, "z": 1}),
        (Named, {"$": "tuple", "v": [1]}),
        (Named, {"a": 1, "*args": [2]}),
        (Rest, {"*rest": 5}),
        (Rest, {"*rest": "text"}),
        (Rest, {"**named": [1]}),
        (Rest, {"**named": {1: 2}}),
        (Rest, {"a": 1, "**named": {"a": 2}}),
        (Rest, {"**named": {"self": 2}}),
        (Everything, {"b": 1}),
    ],
)
def test_stored_arguments_that_do_not_fit_say_what_the_parameters_are(job_class: type, stored: dict[str, Any]) -> None:
    with pytest.raises(ArgumentsError, match=rf"do not fit {job_class.__name__}\(\): .* Its parameters are \(a"):
        rebuild(job_class, stored)


def test_a_decorated_constructor_is_called_as_its_decorator_allows() -> None:
    def logged(function: Callable[..., None]) -> Callable[..., None]:
        def wrapper(*args: Any, **kwargs: Any) -> None:
            function(*args, **kwargs)

        return wrapper

    class Careless(Call):
        @logged
        def __init__(self, a: int, b: int = 2) -> None:
            self.args = (a, b)

    class Careful(Call):
        def __init__(self, a: int, b: int = 2) -> None:
            self.args = (a, b)

        __init__ = functools.wraps(__init__)(logged(__init__))  # type: ignore[assignment]

    assert stored_and_made(Careless, 1, b=3) == stored_and_made(Careful, 1, b=3) == (1, 3)
    assert from_command_line(Careful, ["1"], {"b": "3"}) == ([1], {"b": 3})


def test_a_repr_that_raises_does_not_get_into_the_way_of_a_message_or_a_list() -> None:
    class Odd:
        def __init__(self, a: Any = UNPRINTABLE, b: Annotated[int, UNPRINTABLE] = 1) -> None:
            pass

    with pytest.raises(ArgumentsError, match=r"Its parameters are \(a, b\)"):
        bind(Odd, [1, 2, 3], {})
    assert [parameter.default for parameter in arguments.parameters(Odd)] == ["<Unprintable>", "1"]


# What is refused


class Number(int):
    pass


def within_itself() -> list[Any]:
    value: list[Any] = []
    value.append([value])
    return value


def nested(depth: int) -> Any:
    return functools.reduce(lambda inner, _: [inner], range(depth), [])


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"items": [1, {"to": print}]}, r"x\.items\[1\]\.to: the function print cannot be stored"),
        (["nul \0"], r"x\[0\]: PostgreSQL cannot store the character NUL"),
        ({"half \ud800": 1}, r"x \(a key\): half of a surrogate pair"),
        (Path("/tmp/\udcff"), "x: half of a surrogate pair"),
        ({3: {(1, object()): 1}}, r"x\[3\] \(a key\)\[1\]: a object cannot be stored"),
        ([10**4300], r"x\[0\]: an integer of more than 4,000 digits"),
        ({"n": Number(1)}, r"x\.n: a .*Number would come back as its plain base type"),
        (Colour.RED, r"x: a .*Colour cannot be stored yet. Decorate the class"),
        (Hidden(1), r"x: a .*Hidden cannot be stored yet"),
        (Colour, r"x: a enum.EnumType cannot be stored"),
        ((1, Unprintable()), r"x\[1\]: a .*Unprintable cannot be stored"),
        (bytearray(b"x"), "x: a bytearray cannot be stored"),
        (within_itself(), f"x.*: nested deeper than {MAX_DEPTH} levels, or within itself"),
        (nested(100_000), f"x.*: nested deeper than {MAX_DEPTH} levels"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_cannot_be_stored_is_refused_by_its_place(value: Any, message: str) -> None:
    with pytest.raises(ArgumentsError, match=rf"^{message}"):
        encode({"x": value})


@pytest.mark.parametrize("core", ["", '{"$": "tuple", "v": []}'], ids=["plain", "tagged"])
def test_the_deepest_arguments_that_are_read_are_the_same_on_every_python(core: str) -> None:
    levels = MAX_READ_DEPTH - 3
    assert decode('{"x": ' + "[" * levels + core + "]" * levels + "}").keys() == {"x"}
    for levels in (MAX_READ_DEPTH + 1, 5000):
        with pytest.raises(ArgumentsError, match="the stored arguments cannot be read"):
            decode('{"x": ' + "[" * levels + core + "]" * levels + "}")


def test_the_greatest_depth_that_encode_writes_is_read_again() -> None:
    deepest: Any = 1
    for _ in range(MAX_DEPTH // 2):  # with keys that are no text, a dict is written as a tag and pairs: three levels
        deepest = {1: deepest}
    assert decode(encode({"x": deepest})) == {"x": deepest}


def test_a_refusal_stays_short_however_long_the_names_are() -> None:
    for culprit in (print, "\0", "\ud800", 10**5000, [nested(MAX_DEPTH)]):
        with pytest.raises(ArgumentsError) as caught:
            encode({"x": {"k" * 10_000: culprit}})
        assert len(str(caught.value)) < 400


def test_the_size_is_that_of_the_text_in_bytes() -> None:
    assert len(encode({"x": "é" * 100}, max_bytes=208).encode()) == 208
    with pytest.raises(ArgumentsError, match="208 bytes as JSON; 207 are allowed"):
        encode({"x": "é" * 100}, max_bytes=207)


def test_equal_sets_are_stored_alike() -> None:
    """Whatever order their members have: here that of insertion, elsewhere that of a hash which changes each time."""
    first = {frozenset([0, 8, "a"]), frozenset([16])}
    second = {frozenset([16]), frozenset(["a", 8, 0])}
    assert encode({"x": first}) == encode({"x": second})


# Types


def test_flags_come_back_whole() -> None:
    for flags in (Access.READ, Access.READ | Access.WRITE, Access(0)):
        assert decode(encode({"x": flags})) == {"x": flags}


def test_a_dataclass_that_its_fields_do_not_make_again_is_refused_where_it_is_decorated() -> None:
    with pytest.raises(ArgumentsError, match=r"Hidden and its fields differ in hidden"):
        storable(Hidden)
    with pytest.raises(ArgumentsError, match=r"neither an Enum nor a dataclass"):
        storable(Unprintable)


def test_a_dump_that_fails_names_the_place() -> None:
    class Broken:
        pass

    arguments.register_type(Broken, name="test.Broken", dump=lambda value: value.missing, load=str)
    with pytest.raises(ArgumentsError, match=r"^x\[0\]: this test.Broken cannot be stored: AttributeError"):
        encode({"x": [Broken()]})


def test_the_name_of_a_type_is_taken_until_its_own_class_is_defined_again() -> None:
    def define() -> type[enum.Enum]:
        @storable
        class Local(enum.Enum):
            ONE = 1

        return Local

    define()
    again = define()
    assert decode(encode({"x": again.ONE})) == {"x": again.ONE}
    for taken in ("tuple", "date", f"{__name__}.Access"):
        impostor = type(taken.rpartition(".")[2], (), {"__module__": "elsewhere"})
        with pytest.raises(ArgumentsError, match="is taken by another argument type"):
            arguments.register_type(impostor, name=taken, dump=str, load=str)


def test_a_type_of_the_running_program_is_stored_under_the_name_that_a_worker_imports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "shop_types.py").write_text(
        "import enum\nfrom jobq.arguments import storable\n@storable\nclass Size(enum.Enum):\n    BIG = 1\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    program = type(sys)("__main__")
    program.__file__ = str(tmp_path / "shop_types.py")
    monkeypatch.setitem(sys.modules, "__main__", program)
    exec(compile(Path(program.__file__).read_text(), program.__file__, "exec"), program.__dict__)
    text = encode({"x": program.Size.BIG})
    imported = importlib.import_module("shop_types")
    assert decode(text) == {"x": imported.Size.BIG}


# Forged text; tests/database/test_stored_arguments.py sends more of it through jsonb


@pytest.mark.parametrize(
    "text",
    ["", "[]", "1", "null", '{"x": ', "\0", '{"x": "\ud800', "[" * 100_000, '{"x": ' + "9" * 5000 + "}", "NaN"],
    ids=lambda text: repr(text[:12]),
)
def test_text_that_is_no_object_of_json_cannot_be_read(text: str) -> None:
    with pytest.raises(ArgumentsError, match="the stored arguments"):
        decode(text)


@pytest.mark.parametrize(
    "text", ["[" * 100_000 + "]" * 100_000, "[" * 500 + "]" * 500, "9" * 5000, '{"x": '], ids=lambda text: text[:6]
)
def test_what_is_not_legible_is_shown_as_cut_text(text: str) -> None:
    for stored in (text, text.encode()):
        assert legible(stored) == {"unreadable": f"{text[:200]}… ({len(text):,} characters)"}


# From a shell


def read(hint: Any, text: str) -> Any:
    """What a word becomes under an annotation, which is how JSON in --kwargs is read, too."""
    (value,), _ = from_command_line(job_with(hint), [text], {})
    return value


def read_json(hint: Any, value: Any) -> Any:
    _, named = from_command_line(job_with(hint), [], {"x": value})
    return named["x"]


def job_with(hint: Any) -> type:
    class Job:
        def __init__(self, x: Any) -> None:
            pass

    Job.__init__.__annotations__["x"] = hint
    return Job


def job_without_annotation() -> type:
    class Job:
        def __init__(self, x) -> None:  # type: ignore[no-untyped-def]
            pass

    return Job


@pytest.mark.parametrize(
    ("hint", "text", "value"),
    [
        (str, "5", "5"),
        (str, "", ""),
        (int, "-5", -5),
        (float, "1e3", 1000.0),
        (bool, "Yes", True),
        (bool, "off", False),
        (None, "null", None),
        (Decimal, "1.10", Decimal("1.10")),
        (uuid.UUID, UUID_TEXT, uuid.UUID(UUID_TEXT)),
        (Customer, UUID_TEXT, uuid.UUID(UUID_TEXT)),
        (Path, "a/b", Path("a/b")),
        (bytes, "é", "é".encode()),
        (datetime, "2026-12-01T09:00", datetime(2026, 12, 1, 9)),  # noqa: DTZ001 - as typed: without a zone
        (datetime, "2026-12-01T09:00Z", datetime(2026, 12, 1, 9, tzinfo=UTC)),
        (datetime, "2026-12-01T09:00+02:00", datetime(2026, 12, 1, 9, tzinfo=timezone(timedelta(hours=2)))),
        (date, "2026-12-01", date(2026, 12, 1)),
        (time, "09:30", time(9, 30)),
        (timedelta, "1.5", timedelta(seconds=1.5)),
        (Colour, "RED", Colour.RED),
        (Colour, "g", Colour.GREEN),
        (Colour, "1", Colour.RED),
        (Literal["a", 2], "a", "a"),
        (Literal["a", 2], "2", 2),
        (Literal[True, None], "true", True),
        (Literal[True, None], "null", None),
        (Literal[Colour.RED], "RED", Colour.RED),
        (Optional[int], "5", 5),  # noqa: UP045 - users write both
        (int | None, "none", None),
        (str | None, "null", None),
        (Path | None, "none", None),
        (str | int, "5", 5),
        (bytes | Path | int, "5", 5),
        (str | int, "five", "five"),
        (Union[datetime, None, str], "soon", "soon"),  # noqa: UP007
        (Annotated[int, "of items"], "5", 5),
        (Annotated[int, "of items"] | None, "5", 5),
        (list, "[1, \"1\"]", [1, "1"]),
        (list[int], "[1, \"2\"]", [1, 2]),
        (list[str] | None, '["1", "null"]', ["1", "null"]),
        (Sequence[uuid.UUID], f'["{UUID_TEXT}"]', [uuid.UUID(UUID_TEXT)]),
        (set[Decimal], "[1.5, \"2\"]", {Decimal("1.5"), Decimal(2)}),
        (frozenset[int], "[1, 1]", frozenset({1})),
        (tuple[int, ...], "[1, 2]", (1, 2)),
        (tuple[int, str], '[1, "2"]', (1, "2")),
        (dict[int, date], '{"1": "2026-12-01"}', {1: date(2026, 12, 1)}),
        (Mapping[str, list[Colour]], '{"a": ["RED", 1]}', {"a": [Colour.RED, Colour.RED]}),
        (Range, '{"first": "2026-12-01", "step": 60}', Range(date(2026, 12, 1), step=timedelta(minutes=1))),
        (list[Range | None], '[{"first": "2026-12-01", "last": null}, null]', [Range(date(2026, 12, 1)), None]),
        (Any, "5", 5),
        (object, "[5]", [5]),
        (Call, "{\"a\": 1}", {"a": 1}),
    ],
    ids=short,
)  # fmt: skip
def test_a_word_becomes_what_the_annotation_says(hint: Any, text: str, value: Any) -> None:
    assert (type(found := read(hint, text)), found) == (type(value), value)


@pytest.mark.parametrize(
    ("hint", "text"),
    [
        (int, "1.5"),
        (int, "9" * 5000),
        (float, "much"),
        (bool, "maybe"),
        (Decimal, "1,5"),
        (uuid.UUID, "5"),
        (datetime, "tomorrow"),
        (datetime, "2026-02-30"),
        (datetime, "\udcff"),
        (timedelta, "inf"),
        (timedelta, "1e300"),
        (timedelta, "nan"),
        (bytes, "\udcff"),
        (Literal["a", 2], "b"),
        (int | None, "x"),
        (list[int], '["x"]'),
        (list[int], "[NaN]"),
        (list[int], "1"),
        (list[int], "[" * 100_000),
        (tuple[int, str], "[1]"),
        (tuple[int, str], '[1, "2", 3]'),
        (dict[int, str], '{"x": "y"}'),
        (dict[str, int], "[1]"),
        (set[list[int]], "[[1]]"),
        (list[str], "[1]"),
        (Range, '{"from": "2026-12-01"}'),
        (Range, '{"first": "soon"}'),
        (Range, "5"),
    ],
    ids=short,
)
def test_a_word_that_does_not_fit_is_named_with_what_is_wanted(hint: Any, text: str) -> None:
    with pytest.raises(ArgumentsError, match=r"(?s)^x is '.*['…], but must be \S.*\.$"):
        read(hint, text)


def test_an_enum_that_is_misspelt_shows_its_members() -> None:
    with pytest.raises(ArgumentsError, match=r"^x is 'BLUE', but must be .*Colour \| None: RED, GREEN\.$"):
        read(Colour | None, "BLUE")


@given(text=st.text())
def test_any_word_without_annotation_is_itself_or_the_json_that_it_is(text: str) -> None:
    for words in (text, f"[{text}", "[" * 100_000, "NaN", "-Infinity", '"quoted"', "9" * 5000):
        (value,), _ = from_command_line(job_without_annotation(), [words], {})
        assert value == words or not isinstance(value, str)


def test_a_word_without_annotation_that_is_json_is_read_as_such() -> None:
    assert [read(Any, text) for text in ("5", "1.5", "true", "null", "[1]")] == [5, 1.5, True, None, [1]]
    assert [read(Any, text) for text in ("NaN", '"5"', "007", "[")] == ["NaN", '"5"', "007", "["]


@pytest.mark.parametrize(
    ("hint", "value", "found"),
    [
        (None, "5", "5"),
        (Any, "null", "null"),
        (Call, "5", "5"),
        (str | int, "5", "5"),
        (int | str, 5, 5),
        (bool | int, 1, 1),
        (int, "5", 5),
        (Decimal, 5, Decimal(5)),
        (str | None, None, None),
        (date, "2026-12-01", date(2026, 12, 1)),
        (Range, {"first": "2026-12-01"}, Range(date(2026, 12, 1))),
    ],
    ids=short,
)
def test_a_value_in_kwargs_is_json_first(hint: Any, value: Any, found: Any) -> None:
    job_class = job_without_annotation() if hint is None else job_with(hint)
    _, named = from_command_line(job_class, [], {"x": value})
    assert (type(named["x"]), named["x"]) == (type(found), found)


@pytest.mark.parametrize(
    ("hint", "value"),
    [(int, None), (str, 5), (str, None), (str, ["a"]), (Path, 5), (int, 1.5), (datetime, 5), (list[int], {"a": 1})],
    ids=short,
)
def test_a_value_in_kwargs_that_does_not_fit_is_named(hint: Any, value: Any) -> None:
    with pytest.raises(ArgumentsError, match=r"^x is '.*', but must be "):
        read_json(hint, value)


def test_rest_arguments_are_read_as_their_annotations_say() -> None:
    class Job:
        def __init__(self, first: str, *rest: int, flag: bool = False, **named: date) -> None:
            pass

    assert from_command_line(Job, ["1", "2", "3"], {"flag": True, "named": "2026-12-01", "rest": "2026-12-02"}) == (
        ["1", 2, 3],
        {"flag": True, "named": date(2026, 12, 1), "rest": date(2026, 12, 2)},
    )
    with pytest.raises(ArgumentsError, match="rest is 'x', but must be int"):
        from_command_line(Job, ["1", "x"], {})


@pytest.mark.parametrize(
    ("positional", "named", "message"),
    [
        (["1", "2", "3"], {}, r"takes 2 arguments, but 3 were given. Its parameters are \(a"),
        ([], {}, "missing a required argument: 'a'"),
        (["1"], {"a": 1}, "multiple values for argument 'a'"),
        (["1"], {"z": 1}, "unexpected keyword argument 'z'"),
    ],
)
def test_a_call_that_cannot_be_made_is_refused(positional: list[str], named: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentsError, match=message):
        from_command_line(Named, positional, named)


def test_an_annotation_for_type_checkers_alone_leaves_the_others_their_meaning() -> None:
    class Job:
        def __init__(self, a: "OnlyForTypeCheckers", b: "uuid.UUID") -> None:  # type: ignore[name-defined]  # noqa: F821
            pass

    assert from_command_line(Job, ["5", UUID_TEXT], {}) == ([5, uuid.UUID(UUID_TEXT)], {})

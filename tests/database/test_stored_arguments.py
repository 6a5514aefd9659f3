"""Arguments through a real jsonb column: they come back exactly, and no forged row does more than be refused."""

import dataclasses
import enum
import json
import sys
import uuid
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import psycopg
import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from jobq import Job, register_job
from jobq.arguments import CODECS_BY_NAME, MAX_DEPTH, decode, encode, encode_value, rebuild, storable
from jobq.errors import ArgumentsError
from jobq.store.database import Database

if TYPE_CHECKING:
    from conftest import Application, Store


@storable
class Colour(enum.Enum):
    RED = 1
    GREEN = {"$": "date"}  # noqa: RUF012 - values are not stored


@storable
class Access(enum.Flag):
    READ = enum.auto()
    WRITE = enum.auto()


@storable
@dataclasses.dataclass
class Item:
    name: Any
    amount: Any = dataclasses.field(default=0, kw_only=True)


@register_job
class Keep(Job):
    def __init__(self, value: Any, *rest: Any, **named: Any) -> None:
        self.kept = (value, rest, named)

    def run(self) -> None:
        pass


# Values of every kind

ZONES = [UTC, timezone(timedelta(hours=-3, minutes=-30)), ZoneInfo("Europe/Berlin"), ZoneInfo("America/New_York")]

texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    ["$", "v", "datetime", '{"$": "date", "v": 1}', "\\u0024", "\\u0000", "'; DROP TABLE jobs; --", "__class__"]
)
keys = texts | st.sampled_from(["$", "v", "tuple", "dict", "*rest", "**named"])
floats = st.floats() | st.sampled_from([-0.0, 1e15, 1e16, -1e16, 1e22, 1e300, 5e-324, 0.1, 2.0**53, float("-inf")])
integers = st.integers() | st.sampled_from([2**63, -(10**40), 10**4000])
hashable = st.one_of(
    st.none(),
    st.booleans(),
    integers,
    floats,
    texts,
    st.binary(max_size=12),
    st.decimals(allow_nan=False) | st.sampled_from([Decimal(text) for text in ("1.10", "-0", "1E+9999", "NaN")]),
    st.uuids(),
    st.dates(),
    st.timedeltas(),
    st.times(timezones=st.none() | st.sampled_from(ZONES)),
    st.datetimes(timezones=st.none() | st.sampled_from(ZONES)),
    st.sampled_from([Path("a/../b"), Path("/"), PurePosixPath("a"), PureWindowsPath("C:\\a")]),
    st.sampled_from([*Colour, *Access, Access(0), Access.READ | Access.WRITE]),
)
frozen = st.recursive(
    hashable, lambda inner: st.lists(inner, max_size=3).map(tuple) | st.frozensets(inner, max_size=3), max_leaves=5
)
values = st.recursive(
    hashable,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(keys, inner, max_size=4),
        st.dictionaries(frozen, inner, max_size=3),
        st.sets(frozen, max_size=3),
        st.builds(Item, inner, amount=inner),
    ),
    max_leaves=12,
)


def shape(value: Any) -> Any:
    """Tells apart what is equal and not the same: 1, 1.0 and True; 0.0 and -0.0; a time of two folds."""
    match value:
        case list() | tuple():
            return type(value), [shape(item) for item in value]
        case set() | frozenset():
            return type(value), sorted((shape(item) for item in value), key=repr)
        case dict():
            return dict, sorted(((shape(key), shape(item)) for key, item in value.items()), key=repr)
        case Item():
            return Item, shape(value.name), shape(value.amount)
    return type(value), repr(value)


class Column:
    """A jsonb column that holds one value after another."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self.connection = connection
        connection.execute("CREATE TEMPORARY TABLE kept (arguments jsonb)")

    def through(self, text: str) -> str:
        """What PostgreSQL gives back for JSON text."""
        row = self.connection.execute(
            "INSERT INTO kept VALUES (%s::jsonb) RETURNING arguments::text", [text]
        ).fetchone()
        assert row is not None
        return str(row[0])


@pytest.fixture
def column(connection: psycopg.Connection[Any]) -> Column:
    return Column(connection)


in_one_database = hypothesis_settings(
    max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@pytest.mark.one_server
@in_one_database
@given(value=values)
@example(value={"$": "datetime", "v": ["2026-01-01", 0, None]})
@example(value={1: "a", "1": "b", None: "c", (1, "$"): {"$": {"$": {}}}})
@example(value=datetime(2026, 10, 25, 2, 30, tzinfo=ZoneInfo("Europe/Berlin"), fold=1))
@example(value=time(2, 30, tzinfo=ZoneInfo("Europe/Berlin"), fold=1))
@example(value=[float("nan"), float("inf"), -0.0, 0.0, 1e16, 1e300, 10**4000])
def test_every_value_comes_back_exactly_as_it_was(value: Any, column: Column) -> None:
    for arguments in ({"value": value}, {"value": [value]}, {"*rest": (value,), "**named": {"$": value}}):
        assert shape(decode(column.through(encode(arguments)))) == shape(arguments)
    column.through(encode_value(value))


def test_what_is_as_deep_as_allowed_comes_back_and_what_is_deeper_is_refused(column: Column) -> None:
    wraps: list[Callable[[Any], Any]] = [
        lambda inner: [inner],
        lambda inner: (inner,),
        lambda inner: {"a": inner},
        lambda inner: {"$": inner},
        lambda inner: {1: inner},
        lambda inner: frozenset([inner]),
        lambda inner: Item(inner),
    ]
    for wrap in wraps:
        value: Any = "end"
        stored = []
        for _ in range(MAX_DEPTH + 1):
            value = wrap(value)
            try:
                stored.append((encode({"value": value}), value))
            except ArgumentsError as error:
                refused = str(error)
        text, deepest = stored[-1]
        assert shape(decode(column.through(text))) == shape({"value": deepest})
        assert len(stored) >= MAX_DEPTH // 2
        assert f"nested deeper than {MAX_DEPTH} levels" in refused


def test_a_job_is_made_again_from_its_row_as_it_was(database: Database, store: "Store") -> None:
    calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
        ((float("nan"),), {}),
        (({"$": "date", "v": "x"}, {1, "1"}, -0.0), {"$": 1, "v": b"\0", "a b": (Colour.RED, Item("a", amount=1e16))}),
        ((uuid.UUID(int=1),), {"cls": date(2026, 1, 1), "value ": Path("/a")}),
    ]
    for args, kwargs in calls:
        assert Keep(*args, **kwargs).run_in_worker() is not None
    assignments = store.claim(store.worker(), classes=[f"{__name__}.Keep"])
    made = [rebuild(Keep, decode(assignment.arguments)) for assignment in assignments]
    assert [shape(job.kept) for job in made if isinstance(job, Keep)] == [
        shape((args[0], args[1:], kwargs)) for args, kwargs in calls
    ]


# Rows written by somebody else

names = st.sampled_from([*sorted(CODECS_BY_NAME), "os.system", "builtins.eval", "subprocess", "", "$", "__import__"])
forged = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts
    | names
    | st.sampled_from(["../../etc/passwd", "Europe", "2026-01-01T00:00", "1e999999999", "antigravity", "a" * 5000]),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(keys, inner, max_size=3),
        st.fixed_dictionaries({"$": names | inner, "v": inner}),
        st.fixed_dictionaries({"$": names, "v": inner, "more": inner}),
        st.fixed_dictionaries({"$": names}),
        st.fixed_dictionaries({"$": names, "v": st.lists(st.lists(inner, max_size=3), max_size=3)}),
    ),
    max_leaves=15,
)


@pytest.mark.one_server
@in_one_database
@given(row=st.dictionaries(st.sampled_from(["value", "*rest", "**named", "$", "v", "x"]), forged) | forged)
def test_a_forged_row_is_read_as_data_or_refused_and_nothing_is_imported(row: Any, column: Column) -> None:
    text = column.through(json.dumps(row))
    modules = set(sys.modules)
    with suppress(ArgumentsError):
        rebuild(Keep, decode(text))
    assert not {name for name in set(sys.modules) - modules if not name.startswith("tzdata")}


UNREADABLE = {
    "deep": '{"value": ' + "[" * 4000 + "]" * 4000 + "}",
    "deep tags": '{"value": ' + '{"$": "tuple", "v": [' * 2000 + "]}" * 2000 + "}",
    "deep, but tuples": '{"value": ' + '{"$": "tuple", "v": [' * 200 + "]}" * 200 + "}",
    "a long number": '{"value": 1e100000}',
    "unknown tag": '{"value": {"$": "os.system", "v": "true"}}',
    "damaged": '{"value": {"$": "datetime", "v": ["2026-01-01", 7, null]}}',
    "endless duration": '{"value": {"$": "timedelta", "v": [1e300, 0, 0]}}',
    "no such zone": '{"value": {"$": "time", "v": ["09:00", 0, "Mars/Olympus"]}}',
    "unhashable": '{"value": {"$": "set", "v": [[1], {}]}}',
    "no pairs": '{"value": {"$": "dict", "v": [[1, 2, 3]]}}',
    "two values": '{"value": 1, "**named": {"value": 2}}',
}


@pytest.mark.one_server
def test_rows_that_cannot_be_read_are_errored_one_by_one_and_hide_no_other(
    application: "Application", store: "Store"
) -> None:
    application.write(
        "jobs.py",
        """
        from jobq import Job, register_job

        @register_job
        class Keep(Job):
            def __init__(self, value, **named):
                pass

            def run(self):
                return "ran"
        """,
    )
    ids = {store.add(job_class="jobs.Keep", arguments=text): name for name, text in UNREADABLE.items()}
    good = store.add(job_class="jobs.Keep", arguments='{"value": {"$": "time", "v": ["09:00", 0]}}')

    def shown(*which: str) -> set[int]:
        assert application.jobq("list", *which).returncode == 0
        listed = application.jobq("list", *which, "--json")
        deep, number = (str(job) for job, name in ids.items() if name in ("deep", "a long number"))
        assert "unreadable" in application.jobq("show", deep).stdout
        assert "unreadable" in json.loads(application.jobq("show", number, "--json").stdout)["arguments"]
        return {job["id"] for job in json.loads(listed.stdout)}

    assert shown() == {*ids, good}
    assert application.jobq("run", "--drain", "-p", "1").returncode == 1
    outcomes = {result.id: (result.outcome, result.error_type) for result in store.rows(
        "SELECT id, outcome, error_type FROM jobq.results"
    )}  # fmt: skip
    assert outcomes.pop(good) == ("successful", None)
    assert set(outcomes) == set(ids)
    readable = {"deep", "deep, but tuples"}  # the one by some interpreters, the other by all
    assert {outcome for job, outcome in outcomes.items() if ids[job] not in readable} == {
        ("errored", "jobq.errors.ArgumentsError")
    }
    assert shown("finished") == {*ids, good}

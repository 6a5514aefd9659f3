"""Asking without waiting: what goes over a line is what any other driver would have sent and read."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from jobq.settings import Settings
from jobq.store.callers.steps import Rows
from jobq.store.database import Database
from jobq.store.line import Line, numbered
from tests.conftest import Store, carried_out_on, wait_until

texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))


def asked(line: Line, statement: bytes, **parameters: Any) -> Rows:
    def steps() -> Any:
        return (yield statement, parameters)

    rows: Rows = carried_out_on(line, steps())
    return rows


@pytest.fixture(params=["prepared", "behind a pooler"])
def any_line(request: pytest.FixtureRequest, settings: Settings) -> Iterator[Line]:
    connection = Database(settings).connect("test")
    if request.param != "prepared":
        connection.prepare_threshold = None
    line = Line(connection, lambda _channel, _text: None)
    yield line
    line.close()


@hypothesis_settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    values=st.tuples(
        st.none() | texts,
        st.lists(st.none() | texts),
        st.lists(st.none() | st.integers(-(2**63), 2**63 - 1)),
        st.booleans(),
        st.floats(allow_nan=False),
    )
)
def test_every_parameter_arrives_as_it_was(any_line: Line, values: tuple[Any, ...]) -> None:
    statement = b"SELECT %(a)s::text, %(b)s::text[], %(c)s::bigint[], %(d)s::boolean, %(e)s::float8, '9%%', %(a)s::text"
    text, listed, integers, boolean, number = values
    rows = asked(any_line, statement, a=text, b=listed, c=integers, d=boolean, e=number)
    assert rows == [(*values, "9%", text)]


def test_a_parameter_that_is_named_twice_is_sent_once() -> None:
    assert numbered(b"SELECT %(b)s, %(a)s, %(b)s, 5 %% 2") == (b"SELECT $1, $2, $1, 5 % 2", ("b", "a"))


def test_what_does_not_fit_into_the_socket_is_sent_bit_by_bit(line: Line) -> None:
    text = "x" * (20 << 20)
    assert asked(line, b"SELECT length(%(text)s::text)", text=text) == [(len(text),)]


def test_a_statement_without_rows_is_answered_too(line: Line) -> None:
    for statement in (b"BEGIN", b"CREATE TEMPORARY TABLE one (a integer)", b"COMMIT", b"INSERT INTO one VALUES (1)"):
        assert asked(line, statement) == []
    assert asked(line, b"SELECT a FROM one") == [(1,)]


def test_an_error_is_the_servers(line: Line) -> None:
    with pytest.raises(psycopg.errors.DivisionByZero):
        asked(line, b"SELECT 1 / %(by)s::integer", by=0)


def test_an_end_of_the_connection_is_heard_though_nothing_was_asked(line: Line, store: Store) -> None:
    ((pid,),) = asked(line, b"SELECT pg_backend_pid()")
    store.execute("SELECT pg_terminate_backend(%s, 10000)", pid)

    def hear() -> bool:
        try:
            line.hear()
        except psycopg.OperationalError:
            return True
        return False

    wait_until(hear)
    assert line.fileno() > 0, "whoever listens can still leave"

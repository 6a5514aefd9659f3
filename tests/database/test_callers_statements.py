"""Statements on callers' connections mean the same on each: whatever the driver, its codecs and the session."""

import ast
import re
from pathlib import Path
from typing import Any

import psycopg
import pytest

from jobq.store.callers.placeholders import numbered
from jobq.store.statements import statement

PACKAGE = Path(__file__).parent.parent.parent / "jobq"

PLAIN = {"bigint", "bigint[]", "boolean", "double precision", "integer", "smallint", "text", "text[]", "void"}
"""Types that every driver reads as the same values, and that nobody gives another meaning."""


OF_WORKERS = {"claiming.py", "line.py", "workers.py"}
"""Modules whose steps are carried out on a worker's own connection."""


def statements_of_steps() -> set[str]:
    """The names of all statements that functions name which are Steps: what is carried out on callers' connections."""
    return {
        call.args[0].value
        for file in PACKAGE.rglob("*.py")
        if file.name not in OF_WORKERS and "runtime" not in file.parts
        for function in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(function, ast.FunctionDef) and function.returns and "Steps[" in ast.unparse(function.returns)
        for call in ast.walk(function)
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "statement"
        if isinstance(call.args[0], ast.Constant)
    }


NAMES = sorted(statements_of_steps())


def test_the_statements_are_found() -> None:
    assert {"enqueue", "enqueue_many", "draw_ids", "copied_at", "wake", "finish"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_statement_names_the_type_of_every_parameter_and_takes_only_plain_ones(
    name: str, connection: psycopg.Connection[Any]
) -> None:
    """Else asyncpg must guess it, and a codec of the caller's, of jsonb or timestamptz say, be asked for its text."""
    text = statement(name, "jobq").decode()
    assert re.findall(r"%\(\w+\)s(?!::)", text) == []
    if not is_copy(name):
        arrays = {"boolean[]", "double precision[]", "integer[]", "real[]", "smallint[]"}
        assert types(described(name, connection)[0], connection) <= PLAIN | arrays | {"real"}


@pytest.mark.parametrize("name", NAMES)
def test_a_statement_answers_in_numbers_and_texts(name: str, connection: psycopg.Connection[Any]) -> None:
    """A time would be read by the session's datestyle and the driver's codec, and JSON be parsed by some drivers."""
    if not is_copy(name):
        assert types(described(name, connection)[1], connection) <= PLAIN


def is_copy(name: str) -> bool:
    return "\nCOPY " in statement(name, "jobq").decode()


def described(name: str, connection: psycopg.Connection[Any]) -> tuple[list[int], list[int]]:
    """The types of what a statement takes and of what it answers, as PostgreSQL sees them."""
    text, _ = numbered(statement(name, "jobq"))
    server = connection.pgconn
    server.prepare(name.encode(), text.encode())
    found = server.describe_prepared(name.encode())
    assert not found.error_message, found.error_message
    taken = [found.param_type(index) for index in range(found.nparams)]
    return taken, [found.ftype(index) for index in range(found.nfields)]


def types(oids: list[int], connection: psycopg.Connection[Any]) -> set[str]:
    return {name for (name,) in connection.execute("SELECT oid::regtype::text FROM unnest(%s::oid[]) AS oid", [oids])}

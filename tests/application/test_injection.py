"""Names and values of any characters, through every entry: stored exactly, or refused in words, never a part of SQL.

A few examples each time; `EXAMPLES=1000 pytest tests/application/test_injection.py` tries more.
"""

import contextlib
import io
import json
import os
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from jobq import Job, cli, filters, observe, operate, register_job
from jobq.errors import JobqError
from jobq.filters import Filter, Pattern, Term
from jobq.store.database import Database

if TYPE_CHECKING:
    from conftest import Store

EXAMPLES = int(os.environ.get("EXAMPLES", "30"))

PIECES = [
    "'", '"', ";", "--", "/*", "*/", "\\", "\\'", "%", "%s", "%(id)s", "$1", "$$", "{schema}", "{condition}", "SCHEMA",
    "CONDITION", "\0", "\n", "\x1b[2J", "'; DROP TABLE jobq.jobs; --", "' OR '1'='1", ") OR (true", "x", "mail", ",",
    ":", "*", ".", " ", "é", "\ud800", "\u202e", "[red]", "-", "q" * 100, "x" * 10_000,
]  # fmt: skip

TEXTS = st.lists(st.sampled_from(PIECES), min_size=1, max_size=6).map("".join) | st.text(min_size=1, max_size=12)

tried = settings(
    max_examples=EXAMPLES,
    derandomize="EXAMPLES" not in os.environ,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@register_job
class Keep(Job):
    def __init__(self, value: Any = None, **named: Any) -> None: ...

    def run(self) -> None: ...


NAME = f"{__name__}.Keep"


@pytest.fixture(autouse=True)
def nothing_else_happens(store: "Store") -> Any:
    """Whatever was tried, one row is as it was, and so are the tables."""
    store.add(job_class="bystander", unique_key="bystander")
    tables = store.rows("SELECT tablename FROM pg_tables WHERE schemaname = 'jobq' ORDER BY 1")
    yield
    assert len(store.rows("SELECT FROM jobq.jobs WHERE job_class = 'bystander' AND state = 'pending'")) == 1
    assert store.rows("SELECT tablename FROM pg_tables WHERE schemaname = 'jobq' ORDER BY 1") == tables


@tried
@given(text=TEXTS)
@example(text="'; DROP SCHEMA jobq CASCADE; --")
def test_what_python_enqueues_is_stored_exactly_or_refused(text: str, database: Database, store: "Store") -> None:
    try:
        record = Keep(text, **{text: text}).run_in_worker(queue=text, unique_key=text)
    except JobqError:
        return
    assert record is not None
    row = store.job(record.id)
    assert (row.queue, row.unique_key, row.arguments["value"]) == (text, text, text)
    assert row.arguments["**named"] == {text: text}
    same = (Pattern((text,)),)
    for term in (Term("queue", same), Term("key", same), Term("args", same, path=("value",))):
        assert observe.select(database, Filter((term,))).ids == (record.id,)
        assert observe.select(database, filters.parse(str(term))).ids == (record.id,), "as it is written out"
    assert observe.select(database, Filter((Term("args", same, path=("**named", text)),))).ids == (record.id,)
    assert operate.pause_queues(database, [text]) == [text]
    assert operate.resume_queues(database, [text]) == [text]
    assert operate.cancel(database, [record.id]).done == [record.id]


@tried
@given(text=TEXTS)
def test_what_sql_enqueues_is_stored_exactly_or_refused(text: str, store: "Store") -> None:
    try:
        ((job,),) = store.execute(
            "SELECT jobq.enqueue(%s, jsonb_build_object(%s::text, %s::text), queue => %s, unique_key => %s)",
            *[text] * 5,
        ).fetchall()
    except (psycopg.DataError, UnicodeEncodeError, psycopg.errors.InvalidParameterValue):
        return
    row = store.job(job)
    assert (row.job_class, row.queue, row.unique_key, row.arguments) == (text, text, text, {text: text})
    store.cancel(job)


@tried
@given(text=TEXTS)
@example(text="-x")
@example(text="²")
@example(text="9" * 5000)
@example(text="0001-01-01T00:00-23:59")
def test_what_is_typed_in_a_shell_is_stored_exactly_or_refused(
    text: str, database: Database, store: "Store", monkeypatch: pytest.MonkeyPatch
) -> None:
    assert database.settings.database_url is not None
    monkeypatch.setenv("JOBQ_DATABASE_URL", database.settings.database_url)
    code, said = typed("enqueue", NAME, "--queue", text, "--unique-key", text, "--json")
    if code == 0:
        job = json.loads(said)["id"]
        assert (store.job(job).queue, store.job(job).unique_key) == (text, text)
        store.cancel(job)
    for command in (["list", text], ["list", f"args.{text}:x"], ["pause", text], ["resume", text], ["enqueue", text],
                    ["list", "--class", text], ["jobs", text], ["why", text], ["schedules", "run", text],
                    ["retry", text, "--arguments", "{}"], ["stats", "--since", text]):  # fmt: skip
        code, said = typed(*command)
        assert code in (0, 1, 2), said[-2000:]
        assert "psycopg" not in said


def typed(*arguments: str) -> tuple[int, str]:
    """The exit code of a command, and all that it said. Anything but an exit is a traceback that a person would see."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said), pytest.raises(SystemExit) as left:
        cli.main([*arguments])
    return int(left.value.code or 0), said.getvalue()

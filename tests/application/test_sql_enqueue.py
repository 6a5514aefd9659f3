"""`jobq.enqueue(…)` in plain SQL: it obeys the rules of `run_in_worker()`."""

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from jobq import Job, register_job
from jobq.errors import JobqError
from jobq.records import ClassRecord
from jobq.settings import Settings
from jobq.store import migrations
from jobq.store.database import Database, use_database
from jobq.store.statements import channel

if TYPE_CHECKING:
    from conftest import Store


@register_job
class Mail(Job):
    def __init__(self, to: str = "") -> None:
        self.to = to

    def run(self) -> None:
        pass

    def on_aborted(self, result: Any) -> None:
        pass


NAME = f"{__name__}.Mail"

CLASSES = [ClassRecord(NAME, (), (), None, has_abort_hook=True)]


def call(store: "Store", **arguments: Any) -> int | None:
    named = ", ".join(f"{name} => %({name})s" for name in arguments)
    row = store.connection.execute(f"SELECT jobq.enqueue({named})".encode(), arguments).fetchone()
    assert row is not None
    return row[0]


SAME_EITHER_WAY = [
    ({}, {}),
    ({"queue": "mail", "priority": -7, "retries": 3}, {"queue": "mail", "priority": -7, "retries": 3}),
    ({"delay": timedelta(hours=2)}, {"delay": 7200}),
    ({"unique_key": "a"}, {"unique_key": "a"}),
    ({"unique_key": ""}, {"unique_key": ""}),
    ({"timeout": timedelta(minutes=1)}, {"timeout": 60}),
]


@pytest.mark.parametrize(("in_sql", "in_python"), SAME_EITHER_WAY)
def test_a_job_is_the_same_whichever_way_it_was_enqueued(
    database: Database, store: "Store", in_sql: dict[str, Any], in_python: dict[str, Any]
) -> None:
    record = Mail("ada").run_in_worker(**in_python)
    assert record is not None
    store.execute("CREATE TABLE by_python AS SELECT * FROM jobq.jobs")
    store.execute("DELETE FROM jobq.jobs")
    call(store, job_class=NAME, arguments='{"to": "ada"}', **in_sql)

    (python,) = store.rows("SELECT *, run_at - enqueued_at AS wait FROM by_python")
    (sql,) = store.rows("SELECT *, run_at - enqueued_at AS wait FROM jobq.jobs")
    differ = {name for name in python._fields if getattr(python, name) != getattr(sql, name)}
    # Only Python knows the line, and that the class has a hook where no worker has said so yet.
    assert differ <= {"id", "enqueued_at", "run_at", "source", "has_abort_hook"}


REFUSED = [
    {"queue": ""},
    {"queue": "a\nb"},
    {"queue": "x" * 101},
    {"priority": 32768},
    {"priority": -32768},
    {"retries": -1},
    {"retries": 1_000_001},
    {"unique_key": "x" * 251},
    {"unique_key": "a\x1bb"},
    {"delay": timedelta(seconds=-1)},
    {"delay": timedelta(days=40000)},
    {"timeout": timedelta(0)},
]


@pytest.mark.parametrize("options", REFUSED, ids=str)
def test_what_one_way_refuses_the_other_does_too(database: Database, store: "Store", options: dict[str, Any]) -> None:
    with pytest.raises(JobqError):
        Mail().run_in_worker(**options)
    with pytest.raises(psycopg.errors.InvalidParameterValue, match=next(iter(options))):
        call(store, job_class=NAME, **options)
    assert store.unfinished() == []


def test_arguments_are_an_object_and_not_too_large(store: "Store") -> None:
    with pytest.raises(psycopg.errors.InvalidParameterValue, match="JSON object"):
        call(store, job_class=NAME, arguments="[1]")
    with pytest.raises(psycopg.errors.InvalidParameterValue, match="262144 are allowed"):
        call(store, job_class=NAME, arguments='{"to": "%s"}' % ("x" * 262144))
    store.execute("SET jobq.max_arguments_bytes = 300000")
    assert call(store, job_class=NAME, arguments='{"to": "%s"}' % ("x" * 262144)) is not None


def test_a_held_unique_key_is_answered_by_null(store: "Store") -> None:
    assert call(store, job_class=NAME, unique_key="one") is not None
    assert call(store, job_class=NAME, unique_key="one") is None
    assert len(store.unfinished()) == 1


RULED = [
    ({"on_held": "replace"}, {"on_held": "replace"}),
    ({"on_held": "return", "unique_for": timedelta(minutes=10)}, {"on_held": "return", "unique_for": 600}),
    ({"on_held": "debounce", "debounce_limit": timedelta(hours=1)}, {"on_held": "debounce", "debounce_limit": 3600}),
    ({"on_held": "rerun"}, {"on_held": "rerun"}),
    ({"on_held": "newest"}, {"on_held": "newest"}),
    ({"unique_until": "started"}, {"unique_until": "started"}),
    ({"unique_for": timedelta(minutes=10)}, {"unique_for": timedelta(minutes=10)}),
]


@pytest.mark.parametrize(("in_sql", "in_class"), RULED, ids=str)
@pytest.mark.parametrize("is_running", [False, True], ids=["waiting", "running"])
def test_a_held_key_has_the_same_effect_whichever_way_the_later_job_came(
    database: Database,
    store: "Store",
    monkeypatch: pytest.MonkeyPatch,
    in_sql: dict[str, Any],
    in_class: dict[str, Any],
    is_running: bool,
) -> None:
    for name, value in in_class.items():
        monkeypatch.setattr(Mail, name, value)

    def rows_after(second: Callable[[], Any]) -> list[Any]:
        record = Mail("ada").run_in_worker(unique_key="k", delay=0)
        assert record is not None
        if is_running:
            store.claim(store.worker(classes=CLASSES), classes=[NAME])
        second()
        rows = store.rows(
            "SELECT arguments, queue, retries, timeout, unique_key, state, follow_up -> 'arguments' AS next, "
            "has_abort_hook, cancel_requested_by, replaced_at IS NOT NULL AS is_replaced FROM jobq.jobs ORDER BY id"
        )
        store.execute("UPDATE jobq.jobs SET follow_up = NULL")
        store.execute("DELETE FROM jobq.jobs")
        store.execute("DELETE FROM jobq.throttles")
        return rows

    store.worker(classes=CLASSES)
    python = rows_after(lambda: Mail("bob").run_in_worker(unique_key="k", retries=2, timeout=60))
    options = {"unique_key": "k", "retries": 2, "timeout": timedelta(seconds=60), **in_sql}
    sql = rows_after(lambda: call(store, job_class=NAME, arguments='{"to": "bob"}', **options))
    assert python == sql


def test_sql_is_told_the_job_in_which_its_own_ended_up(store: "Store") -> None:
    first = call(store, job_class=NAME, unique_key="k")
    assert call(store, job_class=NAME, unique_key="k", on_held="return") == first
    assert call(store, job_class=NAME, unique_key="k", on_held="replace") == first
    assert call(store, job_class=NAME, unique_key="k", on_held="rerun") == first
    store.claim(store.worker(), classes=[NAME])
    assert call(store, job_class=NAME, unique_key="k", on_held="rerun") == first
    assert call(store, job_class=NAME, unique_key="k", on_held="replace") is None


CONTRADICTORY = [
    {"on_held": "queue"},
    {"unique_until": "ended"},
    {"unique_for": timedelta(0)},
    {"debounce_limit": timedelta(seconds=-1)},
    {"debounce_limit": timedelta(seconds=1)},
    {"on_held": "debounce"},
    {"on_held": "rerun", "unique_until": "started"},
    {"on_held": "newest", "unique_until": "started"},
    {"on_held": "rerun", "unique_for": timedelta(seconds=1)},
]


@pytest.mark.parametrize("options", CONTRADICTORY, ids=str)
def test_rules_that_a_class_may_not_have_sql_may_not_have_either(
    database: Database, store: "Store", monkeypatch: pytest.MonkeyPatch, options: dict[str, Any]
) -> None:
    for name, value in options.items():
        monkeypatch.setattr(Mail, name, value)
    with pytest.raises(JobqError):
        Mail().run_in_worker(unique_key="k")
    with pytest.raises(psycopg.errors.InvalidParameterValue, match=list(options)[-1] + "|debounce_limit"):
        call(store, job_class=NAME, unique_key="k", **options)
    assert store.unfinished() == []


def test_rules_mean_nothing_without_a_key(store: "Store") -> None:
    assert call(store, job_class=NAME, on_held="replace") != call(store, job_class=NAME, on_held="replace")


def test_a_trigger_enqueues_within_its_transaction_and_wakes_a_worker_that_waits(store: "Store") -> None:
    store.execute(
        """
        CREATE TABLE orders (id bigint);
        CREATE FUNCTION send_mail() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            PERFORM jobq.enqueue('shop.Mail', jsonb_build_object('order', NEW.id), queue => 'mail');
            RETURN NEW;
        END $$;
        CREATE TRIGGER send_mail AFTER INSERT ON orders FOR EACH ROW EXECUTE FUNCTION send_mail();
        """
    )
    worker = store.worker()
    store.execute("UPDATE jobq.workers SET waiting = true WHERE id = %s", worker)
    with store.another() as listening, store.another() as shop:
        listening.execute(f'LISTEN "{channel("jobq")}"')
        with shop.connection.transaction(force_rollback=True):
            shop.execute("INSERT INTO orders VALUES (1)")
        assert store.unfinished() == []
        shop.execute("INSERT INTO orders VALUES (2)")
        (job,) = store.unfinished()
        assert (job.job_class, job.arguments, job.queue) == ("shop.Mail", {"order": 2}, "mail")
        heard = next(listening.connection.notifies(timeout=10, stop_after=1))
        assert heard.payload == "mail"


@pytest.mark.parametrize("schema", ["o'clock \\ %s", 'a "quoted" name', "x" * 63])
def test_it_works_in_a_schema_of_any_name(database_url: str, schema: str) -> None:
    database = Database(Settings(database_url=database_url, schema=schema))
    try:
        migrations.migrate(database)
        use_database(database)
        quoted = '"' + schema.replace('"', '""') + '"'
        with database.connect("test") as connection:
            connection.execute(f"UPDATE {quoted}.workers SET waiting = true".encode())
            (added,) = connection.execute(f"SELECT {quoted}.enqueue('shop.Mail')".encode()).fetchone() or (None,)
            assert added == 1
    finally:
        use_database(None)
        database.close()

"""docs/functions.md says what is true: its jobs are defined, enqueued and run as it types them."""

from typing import TYPE_CHECKING

from pages import docs
from services import serving

if TYPE_CHECKING:
    from conftest import Application, Store

PAGE = docs("functions")


def values(store: "Store") -> dict[str, list[object]]:
    """What the jobs returned, by the names of their functions."""
    found: dict[str, list[object]] = {}
    for result in store.results():
        assert result.outcome == "successful", result.traceback
        found.setdefault(result.job_class, []).append(result.value)
    return found


def test_a_function_is_called_enqueued_and_run_as_the_page_types_it(application: "Application", store: "Store") -> None:
    definition, use = PAGE.code("A function")
    application.write("jobs.py", definition)
    assert application.python(use).stdout == "Welcome, friend (7)\n"

    shown = []
    for command in PAGE.commands("A function"):
        finished = application.jobq(*command[1:], *(["--drain"] if command[1] == "run" else []))
        assert finished.returncode == 0, finished.stderr
        shown.append(finished.stdout)

    assert values(store) == {
        "jobs.welcome": ["Welcome, friend (7)", "Welcome, Ada (8)", "Welcome, Eve (9)"],
        "jobs.report": ["ops: 1 days"],
    }
    assert "Sends a new user a first mail." in shown[-1]
    assert "user_id: int" in shown[-1]


def test_options_are_obeyed_as_on_the_page(application: "Application", store: "Store") -> None:
    definition, use = PAGE.code("Options")
    application.write("jobs.py", definition)
    application.python(use)

    first, *others = store.unfinished()
    assert (first.queue, first.priority, first.state) == ("books", 5, "scheduled")
    assert [job.unique_key for job in (first, *others)] == [
        "invoice-7-final",
        "invoice-8-final",
        "invoice-9-draft",
        "digest of ops",
    ]
    application.jobq("run", "--drain", "--max-processes", "1")
    assert store.rows("SELECT expression FROM jobq.schedules WHERE name = 'jobs.digest'")[0].expression == "0 9 * * *"


def test_a_job_is_retried_unless_it_fails_as_on_the_page(application: "Application", store: "Store") -> None:
    (definition,) = PAGE.code("Retries")
    application.write("jobs.py", definition)

    def answer(path: str, _: str, times: int) -> tuple[int, str]:
        return (404, "") if path == "/gone" else (200 if times > 1 else 503, "page")

    with serving(answer) as site:
        application.python(f"from jobs import fetch; [fetch.later('{site.url}/' + page) for page in ('gone', 'busy')]")
        application.jobq("run", "--drain", "--max-processes", "1")
        (busy,) = store.unfinished()
        assert 1 < (busy.run_at - store.results(busy.id)[0].ended_at).total_seconds() < 3
        store.execute("UPDATE jobq.jobs SET run_at = now()")
        application.jobq("run", "--drain", "--max-processes", "1")

    assert [(result.outcome, result.value) for result in store.results(busy.id)] == [
        ("errored", None),
        ("successful", 4),
    ]
    (gone,) = store.results(busy.id - 1)
    assert (gone.outcome, gone.error_type, gone.retried) == ("errored", "jobq.Fail", False)


def test_a_retry_is_due_at_once_where_no_delay_is_given(application: "Application", store: "Store") -> None:
    assert "Without it the next attempt is due at once" in PAGE.text
    application.write("jobs.py", "from jobq import job\n@job(retries=1)\ndef fail(): raise ValueError('no')\n")
    application.python("from jobs import fail; fail.later()")
    application.jobq("run", "--drain", "--max-processes", "1")
    assert [result.retried for result in store.results()] == [True, False]


def test_the_running_job_is_known_as_on_the_page(application: "Application", store: "Store") -> None:
    (definition,) = PAGE.code("The running job")
    application.write("jobs.py", definition)
    application.python("from jobs import import_orders; import_orders.later(['a.csv', 'b.csv'])")

    finished = application.jobq("run", "--drain", "--max-processes", "1")

    assert "job 1 reads b.csv" in finished.stdout
    assert values(store) == {"jobs.import_orders": [1]}


def test_the_class_on_the_page_does_the_same(application: "Application", store: "Store") -> None:
    (definition,) = PAGE.code("The class is the full form")
    application.write("jobs.py", definition)
    application.python("from jobs import Welcome; Welcome(7).run_in_worker(); Welcome(700).run_in_worker()")
    assert [job.queue for job in store.unfinished()] == ["first", "default"]
    application.jobq("run", "--drain", "--max-processes", "1")
    assert values(store) == {"jobs.Welcome": ["Welcome (7)", "Welcome (700)"]}


def test_the_key_of_a_row_is_typed_as_on_the_page(
    application: "Application", store: "Store", database_url: str
) -> None:
    (command,) = PAGE.commands("Rows from the shell")
    application.write("shop/__init__.py", "")
    application.write(
        "shop/jobs.py",
        """
        import os
        from psycopg import connect
        from sqlalchemy import create_engine
        from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, sessionmaker
        from jobq import job
        from jobq.references import use_sqlalchemy

        engine = create_engine("postgresql+psycopg://", creator=lambda: connect(os.environ["SHOP"]))
        Session = sessionmaker(engine)

        class Base(DeclarativeBase):
            pass

        class Order(Base):
            __tablename__ = "orders"
            id: Mapped[int] = mapped_column(primary_key=True)
            customer: Mapped[str]

        use_sqlalchemy(Session, Base)

        @job
        def ship(order: Order):
            return order.customer
        """,
    )
    store.execute("CREATE TABLE orders (id int PRIMARY KEY, customer text)")
    store.execute("INSERT INTO orders VALUES (2, 'ada')")
    environment = {"SHOP": database_url}

    finished = application.jobq(*command[1:], environment=environment)
    assert finished.returncode == 0, finished.stderr
    refused = application.jobq(*command[1:-1], "3", environment=environment)
    application.jobq("run", "--drain", "--max-processes", "1", environment=environment)

    assert refused.returncode == 2
    assert "shop.jobs.Order 3 is gone" in refused.stderr
    assert values(store) == {"shop.jobs.ship": ["ada"]}

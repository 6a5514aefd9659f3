"""docs/unique-keys.md says what is true: its examples run on a real worker, and its table is complete."""

import re
from typing import TYPE_CHECKING, get_args

from jobq.options import OnHeld
from pages import docs

if TYPE_CHECKING:
    from conftest import Application, Store

PAGE = docs("unique-keys")

CLASSES = ["Newest", "Until the start", "One in ten minutes"]


def write_jobs(application: "Application") -> None:
    """The page's classes, as one module of jobs."""
    texts = PAGE.code("") + [PAGE.code(section)[0] for section in [*CLASSES, "Debounce"]]
    application.write("jobs.py", "\n\n".join(texts))


def values(store: "Store") -> list[object]:
    return [result.value for result in store.results()]


def test_the_table_has_every_mode_and_no_other() -> None:
    modes = re.findall(r'^\| `"(\w+)"`', PAGE.text, re.MULTILINE)
    assert modes == list(get_args(OnHeld))


def test_a_waiting_job_is_replaced_and_runs_with_the_last_arguments(application: "Application", store: "Store") -> None:
    write_jobs(application)
    application.python(PAGE.code("Replace")[0] + PAGE.code("Rerun")[0])
    assert [job.arguments for job in store.unfinished()] == [{"product": 1, "revision": 5}]
    assert application.jobq("run", "--drain").returncode == 0
    assert values(store) == [5]


def test_a_debounced_job_waits_for_its_last_call(application: "Application", store: "Store") -> None:
    write_jobs(application)
    application.python("from jobs import SendDigest\n" + PAGE.code("Debounce")[1])
    (job,) = store.unfinished()
    assert (job.arguments, job.state) == ({"messages": 2}, "scheduled")


def test_the_other_classes_do_what_the_page_says_of_them(application: "Application", store: "Store") -> None:
    write_jobs(application)
    application.python("""if True:
        from jobs import CountVisits, Preview, WarnOperator
        Preview("a").run_in_worker()
        assert Preview("abc").run_in_worker().on_held == "replaced"
        assert CountVisits().run_in_worker()
        assert CountVisits().run_in_worker() is None
        assert WarnOperator().run_in_worker()
    """)
    assert application.jobq("run", "--drain").returncode == 0
    assert values(store) == [3, "counted", "warned"]
    application.python("""if True:
        from jobs import CountVisits, WarnOperator
        assert CountVisits().run_in_worker()
        assert WarnOperator().run_in_worker() is None
    """)


def test_the_statements_in_sql_obey_the_same_rules(application: "Application", store: "Store") -> None:
    for statement in PAGE.code("In SQL", "sql")[0].splitlines():
        store.execute(statement)
    assert [job.arguments for job in store.unfinished()] == [{"product": 2, "revision": 2}, {}]
    assert [row.unique_key for row in store.rows("SELECT unique_key FROM jobq.throttles")] == ["disk-full"]

"""docs/forecast.md: its sentences are those that are said, its commands run, and SQL answers the same."""

from math import ceil
from typing import TYPE_CHECKING, Any

from jobq.observe import Forecast, Outlook
from pages import docs

if TYPE_CHECKING:
    from conftest import Application

PAGE = docs("forecast")


def test_the_sentences_are_those_that_are_said() -> None:
    mail, imports = PAGE.code("", "text")[0].splitlines()
    first = Forecast("mail", 5000, 0.0, 24, (Outlook(24, 2460.0), Outlook(48, 840.0)), 21)
    second = Forecast("imports", 5000, 0.0, 24, (Outlook(24, None), Outlook(48, 840.0)), 31)
    assert [mail, imports] == [f"{one.queue}: {one.text}" for one in (first, second)]


def test_the_commands_and_the_sql_of_the_page_give_one_answer(application: "Application", store: Any) -> None:
    store.worker()
    for _ in range(300):
        store.add(queue="mail")
    store.execute(
        "INSERT INTO jobq.metrics (minute, queue, job_class, successful, runs) "
        "SELECT date_trunc('minute', now()), 'mail', job_class, 10, 10 * 10::numeric ^ (12 * 69) "
        "FROM jobq.jobs LIMIT 1"
    )
    ((seconds,),) = store.rows("SELECT usual_seconds FROM jobq.queue_work('mail', '10 minutes')")
    assert seconds > 0
    commands = PAGE.commands("")
    said = [application.jobq(*words[1:]) for words in commands]
    assert [(one.returncode, one.stderr) for one in said] == [(0, ""), (0, "")]
    assert all(one.stdout.startswith("mail: empty in ") for one in said)
    assert "with these 1 process" in said[0].stdout
    assert "with 60" in said[1].stdout
    (sql,) = PAGE.code("Autoscaling", "sql")
    ((wanted,),) = store.connection.execute(sql.encode()).fetchall()
    assert wanted == ceil(round(300 * seconds / 600, 3))

"""docs/last-words.md does what it says."""

import re
import signal
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pages import Page, docs

if TYPE_CHECKING:
    from conftest import Application, Store

PAGE = docs("last-words")
ENVIRONMENT = {"JOBQ_APP": "shop", "JOBQ_MAX_LOSSES": "1"}


def first_blocks(page: Page, language: str) -> list[str]:
    return [block.text for block in page.blocks() if (block.section, block.language) == ("", language)]


def run_all(application: "Application", commands: list[list[str]]) -> str:
    """What the last of them shows."""
    shown = ""
    for command in commands:
        finished = application.jobq(*command[1:], environment=ENVIRONMENT)
        assert finished.returncode in (0, 1), finished.stderr  # 1: a job has failed
        shown = finished.stdout
    return shown


def typed(text: str) -> list[list[str]]:
    from pages import typed as words_of

    return words_of(text)


def without_times(text: str) -> str:
    return re.sub(r"\d\d:\d\d:\d\d\.\d{3}", "TIME", text).strip()


def test_the_job_of_the_page_leaves_the_lines_of_the_page(application: "Application", store: "Store") -> None:
    application.write("shop.py", first_blocks(PAGE, "python")[0])
    shown = run_all(application, typed(first_blocks(PAGE, "console")[0]))
    assert without_times(shown) == without_times(first_blocks(PAGE, "text")[0])

    again, as_json, whole = [application.jobq(*command[1:]) for command in typed(PAGE.code("Look", "console")[0])]
    assert again.stdout == shown
    assert '"message": "reading prices.csv"' in as_json.stdout
    assert "attempt 1 said 3 lines: jobq logs 1 --attempt 1" in whole.stdout


def test_a_class_says_what_it_keeps(application: "Application", store: "Store") -> None:
    application.write("shop.py", PAGE.code("Choose what is kept")[0])
    job = store.add(job_class="shop.CloseMonth")
    run_all(application, [["jobq", "run", "--drain"]])
    assert "stdout | 12 accounts closed" in application.jobq("logs", str(job)).stdout


def test_the_tail_of_the_page_shows_what_comes(
    application: "Application", store: "Store", eventually: Callable[..., Any]
) -> None:
    application.write("shop.py", first_blocks(PAGE, "python")[0])
    (command,) = typed(PAGE.code("Look", "console")[1])
    with application.start(*command[1:], environment=ENVIRONMENT) as tail:
        eventually(lambda: store.rows("SELECT FROM jobq.follows"))
        store.add(job_class="shop.ImportPrices", arguments='{"file": "prices.csv"}')
        run_all(application, [["jobq", "run", "--drain"]])
        eventually(lambda: "row 40,101 has no currency" in tail.stdout)
        assert "reading prices.csv" not in tail.stdout
        tail.signal(signal.SIGINT)
        assert tail.wait() == 0
    assert store.rows("SELECT FROM jobq.follows") == []

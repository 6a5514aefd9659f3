"""Small applications, each with its framework, used as their makers would: a program that enqueues, and a worker."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Application, Store

SHOPS = Path(__file__).parent / "shops"


@pytest.fixture
def shop(application: "Application", database_url: str, monkeypatch: pytest.MonkeyPatch) -> "Application":
    monkeypatch.setenv("JOBQ_DATABASE_URL", database_url)
    return application


def move_in(shop: "Application", name: str) -> None:
    shutil.copytree(SHOPS / name, shop.path, dirs_exist_ok=True)


@pytest.mark.parametrize(
    ("name", "table", "gone"),
    [("django", "shop_order", "shop.Order 3 is gone"), ("sqlalchemy", "orders", "shop.Order 3 is gone")],
)
def test_a_row_travels_with_its_transaction_and_comes_back_as_it_is_then(
    shop: "Application", store: "Store", name: str, table: str, gone: str
) -> None:
    move_in(shop, name)

    assert shop.python("-m", "main").stdout == "nothing was placed for bob\n"
    assert len(store.unfinished()) == 2
    finished = shop.jobq("run", "--drain", "--max-processes", "1")
    assert finished.returncode == 1, finished.stderr

    ada, eve = store.results()
    assert (ada.outcome, ada.value, ada.traceback) == ("successful", "ada", None)
    assert store.rows(f"SELECT shipped FROM {table}")[0].shipped is True
    assert (eve.outcome, eve.retried, eve.error_type) == ("errored", False, "jobq.errors.RowGone")
    assert gone in eve.error_message
    assert "too late" not in finished.stderr


def test_a_row_that_is_gone_is_waited_for_where_the_class_asks(shop: "Application", store: "Store") -> None:
    move_in(shop, "sqlalchemy")
    jobs = shop.path / "jobs.py"
    jobs.write_text(jobs.read_text().replace("    def run", "    retry_when_row_is_gone = True\n\n    def run"))

    shop.python("-m", "main")
    shop.jobq("run", "--drain", "--max-processes", "1")

    (waiting,) = store.unfinished()
    (gone,) = store.results(waiting.id)
    assert (gone.error_type, gone.retried, waiting.state) == ("jobq.errors.RowGone", True, "scheduled")


def ship_by_key(shop: "Application", key: str) -> list[str]:
    """What `jobq enqueue jobs.Ship KEY` says: exit code, output, error."""
    done = shop.jobq("enqueue", "jobs.Ship", key)
    assert "Traceback" not in done.stderr
    return [str(done.returncode), done.stdout.strip(), done.stderr]


@pytest.mark.parametrize("name", ["django", "sqlalchemy"])
def test_a_row_is_enqueued_from_the_shell_by_its_key(shop: "Application", store: "Store", name: str) -> None:
    """A number in its place would reach the job as a number, and fail there."""
    move_in(shop, name)
    shop.python("-m", "main")
    before = {job.id for job in store.unfinished()}

    code, job_id, _ = ship_by_key(shop, "1")
    missing, text = ship_by_key(shop, "99"), ship_by_key(shop, "ada")
    named = shop.jobq("enqueue", "jobs.Ship", "--kwargs", '{"order": 1}')

    assert (code, named.returncode) == ("0", 0)
    typed, by_name = (store.job(int(one)).arguments["order"] for one in (job_id, named.stdout))
    assert typed == by_name == store.job(min(before)).arguments["order"]
    assert missing[0] == "2"
    assert "shop.Order" in missing[2]
    assert "99" in missing[2]
    assert "gone" in missing[2]
    assert text[0] == "2"
    assert "order is 'ada', but must be the key of a row: shop" in text[2]
    assert len(store.unfinished()) == len(before) + 2

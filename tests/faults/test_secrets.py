"""Passwords of addresses and secret arguments are looked for in all that anybody is shown."""

import json
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from jobq import cli
from jobq.errors import JobqError
from jobq.settings import Settings
from jobq.store.database import Database

if TYPE_CHECKING:
    from conftest import Application, Store

Eventually = Callable[..., Any]

PASSWORD, SECRET = "hunter2-of-the-database", "open-sesame-of-the-job"

JOBS = """
    from pathlib import Path
    import time

    from jobq import Job, Secret, register_job


    @register_job
    class Charge(Job):
        def __init__(self, card: Secret, then: str):
            self.card, self.then = card, then

        def run(self):
            Path("began").touch()
            while not Path("go").exists():
                time.sleep(0.01)
            if self.then == "fail":
                raise ValueError(f"{self.card} of {vars(self)}: {self.card.reveal()} is refused")
            return {"used": self.card, "all": [self.card]}
"""

LOOKS = [
    ["list"], ["list", "finished"], ["show", "1"], ["show", "2"], ["stats"], ["workers"], ["queues"], ["schedules"],
    ["jobs"], ["failures"], ["why", "3"], ["audit"], ["doctor"], ["config"], ["migrate", "--plan"],
]  # fmt: skip


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """All that a command says, on both ways out."""

    def run(*arguments: str) -> str:
        with pytest.raises(SystemExit):
            cli.main(list(arguments))
        said = capsys.readouterr()
        return said.out + said.err

    return run


def leaks(texts: dict[str, str]) -> list[str]:
    return [where for where, text in texts.items() if PASSWORD in text or SECRET in text]


def test_nothing_shows_the_addresss_password_or_a_secret_argument(
    application: "Application",
    store: "Store",
    database_url: str,
    eventually: Eventually,
    shown: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    url = psycopg.conninfo.make_conninfo(database_url, password=PASSWORD)
    application.write("pyproject.toml", f"[tool.jobq]\ndatabase_url = {json.dumps(url)}\n")
    application.write("jobs.py", JOBS)
    caplog.set_level(logging.DEBUG)
    for then in ("fail", "return"):
        stored = json.dumps({"card": {"$": "secret", "v": SECRET}, "then": then})
        store.add(job_class="jobs.Charge", arguments=stored, unique_key=then)
    store.add(job_class="jobs.Charge", arguments=stored, delay=3600)
    texts: dict[str, str] = {}
    with application.start("run", "-p", "1", "--log-level", "debug") as worker:
        eventually((application.path / "began").exists)
        for pid in (worker.pid, *worker.descendants()):
            for file in ("cmdline", "comm"):
                texts[f"/proc/{pid}/{file}"] = Path(f"/proc/{pid}/{file}").read_text()
        monkeypatch.chdir(application.path)
        texts["stack"] = shown("stack", "1")
        (application.path / "go").touch()
        eventually(lambda: len(store.results()) == 2)
        for look in LOOKS:
            texts[" ".join(look)] = shown(*look)
            texts[" ".join(look) + " as JSON"] = shown(*look, "--json")
        texts["cancel"] = shown("cancel", "3", "--yes")
        texts["retry"] = shown("retry", SECRET, "--yes")
        texts["audit"] = shown("audit", "--json")
    texts["the worker's log"] = worker.stderr + worker.stdout
    texts["logs here"] = caplog.text
    texts["audit rows"] = repr(store.rows("SELECT * FROM jobq.audit WHERE verb <> 'retry'"))
    texts["workers' rows"] = repr(store.rows("SELECT * FROM jobq.workers"))
    texts["what failed"] = repr(store.rows("SELECT error_type, error_message, traceback FROM jobq.results"))
    texts["what the server is told of its clients"] = repr(
        store.rows("SELECT application_name, query FROM pg_stat_activity WHERE datname = current_database()")
    )
    assert leaks(texts) == []
    assert "Secret(•••)" in texts["show 1"]
    assert "•••" in texts["show 2 as JSON"]
    assert "••• is refused" in texts["show 1"]
    assert "***" in texts["config"]
    assert [where for where, text in texts.items() if not text] == ["logs here"]


BAD_ADDRESSES = [
    f"postgresql://u:{PASSWORD}@127.0.0.1:1/db",
    f"postgresql://u:{PASSWORD}@nowhere.invalid/db",
    f"postgresql://u:{PASSWORD}@h:notaport/db",
    f"postgresql://u:{PASSWORD}@[::1/db",
    f"postgresql://u:pa/{PASSWORD}@h/db",
    f"postgresql://u:pa@{PASSWORD}@127.0.0.1:1/db",
    f"postgresql://u:%zz{PASSWORD}@h/db",
    f"postgresql://u:pa#?{PASSWORD}@h/db",
    f"postgresql://u@h/db?pasword={PASSWORD}",
    f"postgresql://u@127.0.0.1:1/db?password={PASSWORD}",
    f"postgresql://u:{PASSWORD}@127.0.0.1:1/db?connect_timeout=soon",
    f"postgresql://u:{PASSWORD}\udcff@127.0.0.1:1/db",
    f"host=127.0.0.1 port=1 password={PASSWORD}",
    f"host=127.0.0.1 port=1 password='it is {PASSWORD}",
    f"host=127.0.0.1 password = '{PASSWORD}' no",
    f"host=127.0.0.1 password='it\\'s {PASSWORD}' prt=1",
    f"host=127.0.0.1 pasword={PASSWORD}",
    f"password=pa {PASSWORD}",
    f"mysql://u:{PASSWORD}@h/db",
    f"u:{PASSWORD}@h/db",
    f"//u:{PASSWORD}@h",
]


def test_no_address_that_is_wrong_is_refused_with_its_password(
    application: "Application",
    shown: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.chdir(application.path)
    caplog.set_level(logging.DEBUG)
    texts = {address: shown("stats", "--database-url", address) for address in BAD_ADDRESSES}
    assert leaks(texts) == []
    assert all(texts.values())
    assert "Traceback" not in "".join(texts.values())
    assert PASSWORD not in caplog.text
    assert leaks({address: repr(Settings(database_url=address)) for address in BAD_ADDRESSES}) == []


@pytest.mark.parametrize(
    "arguments",
    [
        [f"postgresql://u:{PASSWORD}@h/db"],
        ["tui", f"postgresql://u:{PASSWORD}@h/db"],
        ["stats", "--since", f"postgresql+asyncpg://u:{PASSWORD}@h/db"],
        ["stats", f"--database={PASSWORD}"],
        ["list", f"password={PASSWORD}"],
    ],
)
def test_an_address_that_was_typed_in_another_place_is_not_repeated(
    arguments: list[str], shown: Callable[..., str]
) -> None:
    said = shown(*arguments)
    assert PASSWORD not in said
    assert said


def test_a_password_that_the_server_refuses_is_not_repeated(settings: Settings) -> None:
    assert settings.database_url is not None
    url = psycopg.conninfo.make_conninfo(settings.database_url, user="nobody_of_that_name", password=PASSWORD)
    with pytest.raises(JobqError) as refused, Database(replace(settings, database_url=url)).connection():
        pass
    assert "nobody_of_that_name" in str(refused.value)
    assert PASSWORD not in str(refused.value)
    assert refused.value.__cause__ is None

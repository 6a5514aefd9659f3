"""The form of a new job does what its line of `jobq enqueue` does: the class's own methods choose what is left open."""

import json
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from driving import line_with, opened, press, run, text_of, type_text
from jobq.tui.live import LiveSource
from jobq.tui.source import NewJob, Target
from jobq.tui.troubles import Place

from jobq import Job, job, observe, operate
from jobq.class_options import constant_options
from jobq.commands import command
from jobq.errors import EnqueueError
from jobq.operate import planning
from jobq.records import ClassRecord, KeyRules, ParameterRecord
from jobq.store.database import Database

CODE = '''
from dataclasses import replace
from datetime import timedelta
from jobq import Job, job, register_job

print("this application talks")

@register_job
class Charge(Job):
    """Charges an order."""
    on_held = "return"
    def __init__(self, order: int, tenant: str = "a", *notes, **more):
        if order < 0:
            raise ValueError("an order is no debt")
        self.order, self.tenant = order, tenant
    def run(self):
        raise AssertionError("nobody runs it here")
    def get_queue(self): return f"pay-{self.tenant}"
    def get_priority(self): return 7
    def get_retries(self): return self.order
    def get_timeout(self): return timedelta(seconds=30)
    def get_unique_key(self): return f"order-{self.order}"
    def on_aborted(self, result): pass
'''
CHARGE = "charging.jobs.Charge"
PARAMETERS = (
    ParameterRecord("order", "any", "int", None, required=True),
    ParameterRecord("tenant", "any", "str", "'a'", required=False),
    ParameterRecord("notes", "rest", None, None, required=False),
    ParameterRecord("more", "named rest", None, None, required=False),
)
REPORTED: dict[str, Any] = {"priority": 7, "timeout": 30.0}
COLUMNS = (
    "job_class, arguments, queue, priority, retries, unique_key, timeout, has_abort_hook, "
    "round(extract(epoch FROM run_at - enqueued_at)) AS delay"
)


SHELL = """
import contextlib, io, json, sys
from jobq.cli import main
for line in sys.stdin:
    told = io.StringIO()
    with contextlib.redirect_stdout(told):
        try:
            main(json.loads(line))
        except SystemExit as end:
            code = end.code
    print(json.dumps([code, told.getvalue()]), flush=True)
"""
"""One process that runs many commands: a process for each would take a minute."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an application."""
    path = tmp_path_factory.mktemp("charging")
    (path / "pyproject.toml").write_text("[tool.jobq]\n")
    (path / "charging").mkdir()
    (path / "charging" / "__init__.py").touch()
    (path / "charging" / "jobs.py").write_text(CODE)
    return path


@pytest.fixture(scope="module")
def process(folder: Path) -> Iterator[Any]:
    with subprocess.Popen(
        [sys.executable, "-c", SHELL], cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process
        process.stdin.close()  # type: ignore[union-attr]


@pytest.fixture
def shell(process: Any, database: Database) -> Callable[..., tuple[int, str]]:
    """Runs `jobq` with these words, on the test's database."""
    settings = database.settings
    where = [f"--database-url={settings.database_url}", f"--schema={settings.schema}"]

    def run(verb: str, *words: str) -> tuple[int, str]:
        process.stdin.write(json.dumps([verb, *where, *words]) + "\n")
        process.stdin.flush()
        code, told = json.loads(process.stdout.readline())
        return code, told

    return run


@pytest.fixture
def here(shell: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the form asks of the application is answered by the process that is there already."""

    def asked(_settings: Any, words: Sequence[str]) -> Any:
        verb, *others = words
        return planning.answer_in(shell(verb, "--plan", *others)[1].encode())

    monkeypatch.setattr(planning, "asked", asked)


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """The application's code is not here."""
    monkeypatch.setattr(planning, "asked", lambda _settings, _words: {"not_here": "There is no such class."})


@pytest.fixture
def source(database: Database, store: Any) -> LiveSource:
    rules = KeyRules("return", "finished", None, None)._asdict()
    record = ClassRecord(CHARGE, (), PARAMETERS, None, has_abort_hook=True, options=REPORTED, key_rules=rules)
    store.worker(classes=[record])
    source = LiveSource(database, Target("db-1", "jobq", "development", is_read_only=False), lambda: None)
    source.classes()
    return source


def form(texts: dict[str, str], **options: str) -> NewJob:
    empty = dict.fromkeys(("queue", "delay", "priority", "retries", "timeout", "unique_key"), "")
    return NewJob(CHARGE, texts, **{**empty, **options})


FORMS = {
    "nothing else": form({"order": "5"}),
    "another argument": form({"order": "5", "tenant": "b"}),
    "queue": form({"order": "5"}, queue="slow lane"),
    "delay": form({"order": "5"}, delay="in 10m"),
    "priority": form({"order": "5"}, priority="-3"),
    "retries": form({"order": "5"}, retries="0"),
    "timeout": form({"order": "5"}, timeout="5m"),
    "key": form({"order": "5"}, unique_key="mine"),
    "no key": form({"order": "5"}, unique_key='""'),
    "text that looks like an option": form({"order": "5", "tenant": "--queue"}),
    "arguments in order": form({"order": "5", "tenant": "-b", "notes": '["x", 2]'}),
    "arguments by other names": form({"order": "5", "more": '{"colour": "red", "size": 4}'}),
}


@pytest.mark.parametrize("name", FORMS)
def test_the_form_and_its_line_enqueue_the_same_job(
    name: str, source: LiveSource, store: Any, here: None, shell: Any
) -> None:
    new = FORMS[name]
    assert source.check(new) == {}
    source.enqueue(new)
    (by_form,) = store.rows(f"DELETE FROM jobq.jobs RETURNING {COLUMNS}")
    _, *words = shlex.split(command(*source.ordering.words(new)))
    code, told = shell(*words)
    assert code == 0, told
    (by_line,) = store.rows(f"DELETE FROM jobq.jobs RETURNING {COLUMNS}")
    assert by_form == by_line
    assert by_form.has_abort_hook


def test_the_class_chooses_what_the_form_leaves_open(source: LiveSource, store: Any, here: None) -> None:
    planned = source.plan(form({"order": "5", "tenant": "b"}))
    assert planned.problems == {}
    assert planned.options == {
        "queue": "pay-b", "priority": "7", "retries": "5", "timeout": "30", "unique_key": "order-5",
    }  # fmt: skip
    first = source.enqueue(form({"order": "5", "tenant": "b"}))
    again = source.enqueue(form({"order": "5", "tenant": "c"}))
    assert first is not None
    assert again is not None
    assert (again.id, again.on_held) == (first.id, "returned"), "by the class's on_held"
    assert [job.queue for job in store.unfinished()] == ["pay-b"]


def test_the_code_is_asked_in_a_process_of_its_own(
    database: Database, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    new = operate.plan(database.settings, ["enqueue", CHARGE, "--kwargs", '{"order": 5}', "--queue", "mine"])
    assert (new.queue, new.unique_key, new.timeout, new.key_rules) == (
        "mine", "order-5", 30.0, KeyRules("return", "finished", None, None),
    )  # fmt: skip
    assert "charging" not in sys.modules


def test_what_the_code_refuses_is_said_and_not_enqueued(source: LiveSource, store: Any, here: None) -> None:
    debt = form({"order": "-5"})
    assert source.plan(debt).problems == {"class": f"{CHARGE} raised ValueError: an order is no debt"}
    with pytest.raises(EnqueueError, match="no debt"):
        source.enqueue(debt)
    assert store.unfinished() == []


def test_a_name_from_a_row_never_says_which_module_is_imported(shell: Any) -> None:
    code, told = shell("enqueue", "--plan", "this.Class")
    assert code == 0
    assert "not_here" in told
    assert "Zen" not in told


# Where the code is not


def test_without_the_code_what_the_class_computes_must_be_said(source: LiveSource, store: Any, elsewhere: None) -> None:
    new = form({"order": "5"})
    planned = source.plan(new)
    assert planned.problems == dict.fromkeys(("queue", "retries", "unique_key"), "its code computes it: say it")
    assert planned.options == {"priority": "7", "timeout": "30"}
    with pytest.raises(
        EnqueueError, match="the queue and the retries and the unique key, but the code is not available"
    ):
        source.enqueue(new)
    assert store.unfinished() == []


def test_without_the_code_nothing_is_lost_of_what_the_workers_report(
    source: LiveSource, store: Any, elsewhere: None
) -> None:
    said = form({"order": "5"}, queue="pay-a", retries="5", unique_key="order-5")
    assert source.plan(said).problems == {}
    first, again = source.enqueue(said), source.enqueue(said)
    assert first is not None
    assert again is not None
    assert again.on_held == "returned"
    (row,) = store.rows(f"SELECT {COLUMNS} FROM jobq.jobs")
    assert (row.queue, row.priority, row.retries, row.unique_key, row.timeout, row.has_abort_hook) == (
        "pay-a", 7, 5, "order-5", 30.0, True,
    )  # fmt: skip
    none = source.enqueue(form({"order": "6"}, queue="pay-a", retries="5", unique_key="''"))
    assert none is not None
    assert none.unique_key is None


def test_what_no_worker_would_report_is_refused(source: LiveSource, store: Any, elsewhere: None) -> None:
    said = form({"order": "5"}, queue="pay-a", retries="5", unique_key="order-5")
    store.execute("UPDATE jobq.workers SET classes = jsonb_set(classes, '{0,key_rules}', '{\"on_held\": 1}')")
    store.execute(
        'UPDATE jobq.workers SET classes = jsonb_set(classes, \'{0,options}\', \'{"priority": "x", "y": 1}\')'
    )
    source.classes()
    assert "priority" in source.plan(replace(said, timeout="60")).problems["class"]
    assert "cannot be read" in source.plan(replace(said, timeout="60", priority="1")).problems["class"]


def test_workers_report_what_a_class_says_whatever_its_arguments_are() -> None:
    class Plain(Job):
        """Says nothing."""

    class Said(Job):
        def __init__(self, tenant: str) -> None:
            self.tenant = tenant

        def get_queue(self) -> str:
            return f"pay-{self.tenant}"

        def get_priority(self) -> int:
            return -(2**3)

        def get_retries(self) -> int:
            return len(CHARGE)

        def get_timeout(self) -> float:
            return 1e99

        def get_unique_key(self) -> str:
            return "one"

    nothing = {"queue": "default", "priority": 0, "retries": 0, "timeout": None, "unique_key": None}
    assert constant_options(Plain) == nothing
    assert constant_options(Said) == {"priority": -8, "unique_key": "one"}

    @job(queue="mail", retries=3, timeout=timedelta(minutes=1), unique_key="welcome-{user}")
    def welcome(user: int) -> None: ...

    assert constant_options(welcome.job_class) == {"queue": "mail", "priority": 0, "retries": 3, "timeout": 60.0}


def test_an_argument_that_can_only_be_given_in_order_needs_those_before_it(source: LiveSource) -> None:
    problems = source.check(form({"order": "5", "notes": "[1]"}))
    assert problems == {"argument tenant": "must be given, for one that comes after it is"}


def test_a_secret_that_is_not_shown_is_not_enqueued_as_it_is_masked(source: LiveSource) -> None:
    problems = source.check(form({"order": "5", "tenant": '{"$": "secret", "v": "•••"}'}))
    assert problems == {"argument tenant": "••• stands for a secret that is not shown: type the secret itself"}


# In the console


def test_a_job_is_run_again_with_the_key_of_its_new_arguments(source: LiveSource, store: Any, here: None) -> None:
    old = source.enqueue(form({"order": "5"}, queue="by hand"))
    assert old is not None

    async def flow() -> None:
        async with opened(source, place=Place("jobs", "pending")) as pilot:
            await press(pilot, "e")
            assert f"like #{old.id}" in text_of(pilot.app)
            assert "= order-5" in text_of(pilot.app)
            assert "by hand" in line_with(pilot.app, "queue "), "what the class would not have chosen is kept"
            await press(pilot, "tab", "backspace")
            await type_text(pilot, "8")
            assert "= order-8" in text_of(pilot.app)
            await press(pilot, "ctrl+s")
            assert f"enqueued {CHARGE}" in text_of(pilot.app)

    run(flow)
    new = store.unfinished()[-1]
    assert (new.queue, new.retries, new.unique_key, new.timeout) == ("by hand", 8, "order-8", 30.0)
    (act, *_) = observe.audit(source._database)
    assert (act.verb, act.selection, act.ids) == ("run again", f"id:{old.id}", (new.id,))


def test_the_form_says_what_cannot_be_known_where_the_code_is_not(
    source: LiveSource, store: Any, elsewhere: None
) -> None:
    async def flow() -> None:
        async with opened(source, size=(120, 40)) as pilot:
            await press(pilot, "n")
            await type_text(pilot, CHARGE)
            await press(pilot, "tab", "5", "ctrl+s")
            text = text_of(pilot.app)
            assert "the rest by its workers: its code is not in this folder" in text
            assert "its code computes it: say it" in text
            assert "= jobq enqueue charging.jobs.Charge" in text

    run(flow)
    assert store.unfinished() == []

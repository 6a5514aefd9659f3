"""The README says what is true: its code runs, its commands exist, its tables are the program's own."""

import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import pytest

from jobq.cli import COMMANDS, cli
from jobq.settings import NAMES, Settings
from pages import README

if TYPE_CHECKING:
    from conftest import Application, Store

code, commands, blocks, between = README.code, README.commands, README.blocks, README.between


def test_the_smallest_job_is_enqueued_run_and_seen_as_the_readme_types_it(
    application: "Application", store: "Store"
) -> None:
    definition, use = code("The smallest job")
    application.write("jobs.py", definition)
    application.python(use)

    shown = []
    for command in commands("The smallest job"):
        assert command[0] == "jobq"
        finished = application.jobq(*command[1:], *(["--drain"] if command[1] == "run" else []))
        assert finished.returncode == 0, finished.stderr
        shown.append(finished.stdout)

    assert [result.outcome for result in store.results()] == ["successful"]
    assert [(job.id, job.state) for job in store.unfinished()] == [(2, "scheduled"), (3, "scheduled")]
    assert store.job(2).unique_key == "welcome-2"
    assert "jobs.WelcomeUser" in shown[-1]


def test_jobs_defined_as_in_the_readme_have_what_they_ask_for(application: "Application", store: "Store") -> None:
    definition, use, function = code("Defining jobs")
    application.write("jobs.py", definition + function)
    application.python(use)

    receipts = store.unfinished()
    assert [(job.queue, job.priority, job.retries) for job in receipts] == [("mail", 10, 5)] * 2
    assert [job.unique_key for job in receipts] == ["receipt-1", "receipt-2"]
    application.jobq("run", "--drain")
    assert [result.value for result in store.results()] == [{"sent": 1}, {"sent": 2}]

    application.python("from jobs import remind; assert remind(7) and remind.later(7).unique_key == 'reminder-7'")
    application.jobq("run", "--drain")
    assert store.results()[-1].value == "reminded of order 7"


SHOP = """
import os

from psycopg import connect
from sqlalchemy import create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, sessionmaker

engine = create_engine("postgresql+psycopg://", creator=lambda: connect(os.environ["JOBQ_DATABASE_URL"]))
Session = sessionmaker(engine)

class Base(DeclarativeBase):
    pass

class Order(Base):
    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    customer: Mapped[str]
    shipped: Mapped[bool] = mapped_column(default=False)

Base.metadata.create_all(engine)
"""


def test_a_transaction_as_in_the_readme_ships_its_order(
    application: "Application", store: "Store", database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JOBQ_DATABASE_URL", database_url)
    use, definition = code("Transactions")
    application.write("shop.py", SHOP)
    application.write("jobs.py", definition)

    application.python(use)
    (shipping,) = store.unfinished()
    assert application.jobq("run", "--drain").returncode == 0
    (result,) = store.results(shipping.id)
    assert (result.outcome, result.value) == ("successful", "shipped")
    assert store.rows("SELECT shipped FROM orders")[0].shipped is True

    (statement,) = code("Transactions", "sql")
    store.execute(statement)
    (reminder,) = store.unfinished()
    assert (reminder.job_class, reminder.queue, reminder.unique_key) == ("jobs.Remind", "mail", "ada")
    assert (reminder.state, reminder.arguments) == ("scheduled", {"customer": "ada"})


def test_parameters_as_in_the_readme_are_kept_migrated_and_checked(application: "Application", store: "Store") -> None:
    (definition,) = code("Parameters")
    application.write("jobs.py", definition)
    application.python("from jobs import Charge, Secret; Charge('ada', Secret('open-sesame')).run_in_worker()")
    store.add(job_class="jobs.Charge", arguments='{"user": "eve", "token": {"$": "secret", "v": "abc"}}')

    assert application.jobq("check", "--pending").returncode == 0
    listed = application.jobq("list", "--json").stdout
    application.jobq("run", "--drain", "--max-processes", "1")

    assert "•••" in listed
    assert "open-sesame" not in listed
    assert [result.value for result in store.results()] == [
        "charged ada with a token of 11 characters",
        "charged eve with a token of 3 characters",
    ]


def test_the_middleware_in_the_readme_surrounds_jobs(application: "Application", store: "Store") -> None:
    (middleware,), (settings,) = code("Coroutines and middleware"), code("Coroutines and middleware", "toml")
    application.write("shop_middleware.py", middleware)
    pyproject = application.path / "pyproject.toml"
    pyproject.write_text(pyproject.read_text() + settings.replace("[tool.jobq]", ""))
    application.write("jobs.py", code("The smallest job")[0])
    store.add(job_class="jobs.WelcomeUser", arguments='{"user_id": 1}')

    assert "WelcomeUser took 0." in application.jobq("run", "--drain").stdout


def test_the_test_in_the_readme_passes(application: "Application") -> None:
    (example,) = code("Testing your jobs")
    application.write("jobs.py", code("Defining jobs")[0])
    application.write(
        "shop.py",
        """
        from jobs import SendReceipt

        def place_order(number):
            SendReceipt(number).run_in_worker()
        """,
    )
    application.write("test_shop.py", f"from jobs import SendReceipt\nfrom shop import place_order\n{example}")
    finished = application.python("-m", "pytest", "-q", "-p", "no:cacheprovider", "test_shop.py")
    assert "1 passed" in finished.stdout


def test_the_catalogue_of_what_fails_names_tests_that_there_are() -> None:
    tests = Path(__file__).parent
    catalogue = (tests / "faults" / "README.md").read_text(encoding="utf-8")
    rows = [line for line in catalogue.splitlines() if line.startswith("| ") and not line.startswith("| what |")]
    assert len(rows) > 40
    for row in rows:
        named = re.findall(r"`([\w/]+\.py)::(\w+)`", row)
        assert named, f"no test in: {row}"
        for file, test in named:
            assert f"def {test}(" in (tests / file).read_text(encoding="utf-8"), f"{file}::{test} is not there"
    for module in re.findall(r"python -m ([\w.]+)", catalogue):
        path = tests.parent / module.replace(".", "/")
        assert path.with_suffix(".py").exists() or (path / "__main__.py").exists(), f"{module} is not there"


def test_every_command_is_in_the_readme() -> None:
    missing = [name for name in COMMANDS if not re.search(rf"`jobq [^`]*\b{name}\b|`jobq {name}", README.text)]
    assert missing == []


def test_every_command_and_option_that_the_readme_names_exists() -> None:
    typed = set(re.findall(r"`jobq ([a-z]+)", README.text)) | {
        words[1] for block in blocks() if block.language == "console" for words in commands(block.section)
        if words[:1] == ["jobq"]
    }  # fmt: skip
    assert typed <= set(COMMANDS)
    named = set(re.findall(r"--[a-z][a-z-]+", between("## Commands", "## Settings")))
    assert named <= set(options_of(cli))


def options_of(command: click.Command) -> Iterator[str]:
    """The options of a command and of those below it."""
    for parameter in command.params:
        yield from parameter.opts
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from options_of(below)


def test_the_settings_in_the_readme_are_those_that_there_are() -> None:
    assert between("<!-- settings -->", "<!-- end of settings -->") == settings_table()


def test_the_actions_in_the_readme_are_those_that_there_are() -> None:
    from jobq.tui.actions import ACTIONS

    named = re.findall(r"`(\w+)`", between("<!-- actions -->", "<!-- end of actions -->"))
    assert named == [action.name for action in ACTIONS]


def settings_table() -> str:
    rows = [
        f"| `{field.name}` | {shown(field.metadata['default'])} | {field.metadata['help']} |"
        for field in fields(Settings)
        if field.name in NAMES
    ]
    return "\n".join(["| setting | default | what it is |", "|---|---|---|", *rows])


def shown(default: Any) -> str:
    if default is None or default == ():
        return "none"
    if isinstance(default, bool):
        return "yes" if default else "no"
    return f"{default:g}" if isinstance(default, float) else str(default)


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_explains_itself(application: "Application", command: str) -> None:
    finished = application.jobq(command, "--help")
    assert finished.returncode == 0
    assert finished.stdout.startswith(f"Usage: jobq {command}")

"""docs/roles.md says what is true: its tables are those of `jobq.store.rights`, its examples give and take rights."""

import re
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg import errors as pg

from jobq.runtime.hints import BURST, PAUSE_SECONDS
from jobq.store.rights import ROLES, Role
from pages import docs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import Application

PAGE = docs("roles")

WORDS = {
    "SELECT": "read", "INSERT": "add", "UPDATE": "change", "DELETE": "remove", "USAGE": "use", "EXECUTE": "call",
}  # fmt: skip


def rows_of(heading: str) -> list[list[str]]:
    """The cells of the table whose heading begins so."""
    lines = PAGE.text.partition(f"| {heading} |")[2].partition("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def in_words(role: Role, thing: str) -> str:
    found = {
        word: [right.columns for right in role.rights if (right.privilege, right.thing) == (privilege, thing)]
        for privilege, word in WORDS.items()
    }
    return ", ".join(word + (" some" if all(columns) else "") for word, columns in found.items() if columns)


def test_each_role_does_what_the_code_says_of_it() -> None:
    assert rows_of("role") == [[f"`{role.name}`", role.does] for role in ROLES.values()]


def test_the_table_of_rights_is_complete_and_true() -> None:
    things = sorted({right.thing for role in ROLES.values() for right in role.rights})
    assert rows_of("in the schema") == [
        [f"`{thing}`", *(in_words(role, thing) for role in ROLES.values())] for thing in things
    ]


def test_the_limits_are_those_of_a_worker() -> None:
    assert f"first {BURST}," in PAGE.text
    assert f"{1 / PAUSE_SECONDS:g} times a second" in PAGE.text


@pytest.fixture
def app_web(connection: Any, database_url: str) -> "Iterator[str]":
    """The page's role, and the address for it. It belongs to the server, which other tests share."""
    name = f"app_web_{connection.info.dbname}"
    connection.execute(f"CREATE ROLE {name} LOGIN")
    yield psycopg.conninfo.make_conninfo(database_url, user=name)
    connection.execute(f"DROP OWNED BY {name}; DROP ROLE {name}")


def test_a_role_gets_its_rights_enqueues_in_sql_and_loses_them(
    application: "Application", connection: Any, app_web: str
) -> None:
    name = psycopg.conninfo.conninfo_to_dict(app_web)["user"]
    create, grant = PAGE.commands("Give a role its rights")
    assert create == ["psql", "-c", "CREATE ROLE app_web LOGIN"]
    command = [str(name) if word == "app_web" else word for word in grant[1 : grant.index("|")]]
    printed = application.jobq(*command)
    assert printed.returncode == 0, printed.stderr
    connection.execute(printed.stdout)
    (enqueue,) = PAGE.code("Enqueueing", "sql")
    with psycopg.connect(app_web, autocommit=True) as web:
        assert web.execute(enqueue.encode()).fetchone() == (1,)
        with pytest.raises(pg.InsufficientPrivilege):
            web.execute("INSERT INTO jobq.jobs (job_class) VALUES ('jobs.Resize')")
        (revoke,) = PAGE.code("Give a role its rights", "sql")
        connection.execute(re.sub("app_web", str(name), revoke))
        with pytest.raises(pg.InsufficientPrivilege):
            web.execute(enqueue.encode())
    left = "SELECT FROM pg_shdepend WHERE refobjid = %s::regrole AND deptype = 'a'"
    assert connection.execute(left, [name]).fetchall() == []


def test_the_names_without_a_kind_are_those_on_the_page(application: "Application") -> None:
    printed = application.jobq("migrate", "--grants")
    named = set(re.findall(r'TO "(\w+)"', printed.stdout))
    assert named == {f"jobq_{name}" for name in ROLES}
    assert named <= set(re.findall(r"`(jobq_\w+)`", PAGE.text))

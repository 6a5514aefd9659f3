"""What the documentation takes from the code is what the code says: else run `python -m tests.reference`."""

import re
from pathlib import Path

import psycopg
import pytest

from jobq import __all__ as public
from pages import ROOT, docs
from tests import manual
from tests.proofs import PROOFS
from tests.reference import MAN_PAGE, PARTS, Connection, Part

AGAIN = "run: python -m tests.reference"


@pytest.mark.parametrize("part", [part for part in PARTS if not part.is_from_database], ids=lambda part: part.name)
def test_a_part_that_is_made_from_the_code_is_up_to_date(part: Part) -> None:
    assert part.written() == part.make(), AGAIN


def test_the_reference_on_sql_is_what_the_comments_in_the_database_say(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        check_against(connection)


def check_against(connection: Connection) -> None:
    for part in PARTS:
        if part.is_from_database:
            assert part.written() == part.make(connection), AGAIN


def test_the_man_page_is_what_the_commands_say() -> None:
    assert MAN_PAGE.read_text(encoding="utf-8") == manual.page(), AGAIN


def test_the_reference_has_every_public_name() -> None:
    listed = re.findall(r"^::: jobq\.(\w+)$", docs("reference/python").text, re.M)
    assert sorted(listed) == sorted([*public, "testing"])


def test_every_proof_is_on_the_list() -> None:
    """A module that is started as a program, but for those that write or list, and applications that tests use."""
    found = set()
    for folder in ("tests", "benchmarks"):
        for path in (ROOT / folder).rglob("*.py"):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__main__")
            is_program = '\nif __name__ == "__main__":' in path.read_text(encoding="utf-8")
            if is_program and "application" not in path.parts and not path.name.startswith("test_"):
                found.add(name)
    assert {proof.module for proof in PROOFS} == found - {"tests.proofs", "tests.reference"}


def test_the_picture_of_the_house_shows_only_imports_that_are_allowed() -> None:
    from tests.test_architecture import MAY_IMPORT

    picture = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8").partition("```mermaid")[2].partition("```")[0]
    arrows = re.findall(r"^ +(\w+)(?:\[[^]]*\])? --> (\w+)", picture, re.M)
    assert len(arrows) > 10
    for importer, imported in arrows:
        assert imported in MAY_IMPORT[importer], f"{importer} must not import {imported}"
    assert {"cli", "tui", "django", "web", "operate", "observe", "runtime", "store", "testing"} <= {
        name for arrow in arrows for name in arrow
    }


def test_every_page_is_in_the_navigation_of_the_site() -> None:
    listed = set(re.findall(r"([\w/-]+\.md)$", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), re.M))
    pages = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    assert pages == listed


PAGES = [*sorted((ROOT / "docs").rglob("*.md")), *sorted(ROOT.glob("*.md"))]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_every_link_to_a_file_leads_somewhere(path: Path) -> None:
    for target, anchor in re.findall(r"\]\((?!https?:|#)([^)#\s]+)(?:#([^)]+))?\)", path.read_text(encoding="utf-8")):
        found = path.parent / target
        assert found.exists(), f"{path.name} links to {target}"
        if anchor:
            assert anchor in anchors_of(found.read_text(encoding="utf-8")), f"{path.name}: {target}#{anchor}"


def anchors_of(text: str) -> set[str]:
    """The anchors of the headings, as the site and the usual hosts of repositories make them."""
    headings = re.findall(r"^#+ (.+)$", text, re.M)
    return {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}

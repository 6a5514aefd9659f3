"""docs/database.md is true: its commands run, its examples do what they say."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import pytest
from psycopg.conninfo import conninfo_to_dict

from conftest import Application, Store
from jobq import addresses
from jobq.errors import ConfigurationError
from jobq.projects import find_project
from jobq.settings import load
from pages import docs

PAGE = docs("database")


@pytest.fixture
def folder(application: Application) -> Application:
    (application.path / "pyproject.toml").unlink()
    return application


@pytest.fixture
def url(database_url: str) -> str:
    """The test's database in the form of the page."""
    found = conninfo_to_dict(database_url)
    place = f"host={quote(found['host'], safe='')}&port={found['port']}" if "host" in found else ""
    return f"postgresql://{found.get('user', '')}@/{found['dbname']}?{place}"


def type_commands(application: Application, section: str, environment: dict[str, str]) -> list[str]:
    """Types what a section does, in its order; an `export` holds for what follows."""
    outputs = []
    environment = dict(environment)
    for word, *arguments in PAGE.commands(section):
        if word == "export":
            environment |= dict([arguments[0].split("=", 1)])
            continue
        assert word == "jobq"
        if arguments == ["run"]:
            arguments.append("--drain")
        done = application.jobq(*arguments, environment=environment)
        assert done.returncode == 0, done.stderr
        outputs.append(done.stdout + done.stderr)
    return outputs


def test_a_project_starts_as_the_page_types_it(folder: Application, url: str, store: Store) -> None:
    outputs = type_commands(folder, "Start a project", {"JOBQ_DATABASE_URL": url})
    assert "Hello, you!" in outputs[-1]
    assert (folder.path / "pyproject.toml").exists()
    assert [result.outcome for result in store.results()] == ["successful"]


def test_the_order_of_the_table_is_that_of_the_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    """Each place in turn is taken away, from the strongest on."""
    rows = re.findall(r"^\| (.+?) \| (.*) \|$", PAGE.between("wins:", "`jobq config` shows"), re.M)[1:]
    places = [place for place, _ in rows]
    assert places == [
        "the option", "`JOBQ_DATABASE_URL`", "`[tool.jobq]` in `pyproject.toml`", "Django's `DATABASES`",
        "`DATABASE_URL`", "none of them",
    ]  # fmt: skip
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "django.conf", raising=False)
    (tmp_path / "pyproject.toml").write_text('[tool.jobq]\ndatabase_url = "postgresql://file/"\n')
    (tmp_path / "manage.py").write_text('os.environ.setdefault("DJANGO_SETTINGS_MODULE", "page_settings")\n')
    (tmp_path / "page_settings.py").write_text(
        'DATABASES = {"default": {"ENGINE": "django.db.backends.postgresql", "NAME": "shop", "HOST": "django"}}\n'
    )
    monkeypatch.setenv("JOBQ_DATABASE_URL", "postgresql://variable/")
    monkeypatch.setenv("DATABASE_URL", "postgres://other/")
    assert load(database_url="postgresql://option/").database_url == "postgresql://option/"
    assert load().database_url == "postgresql://variable/"
    monkeypatch.delenv("JOBQ_DATABASE_URL")
    assert load().database_url == "postgresql://file/"
    (tmp_path / "pyproject.toml").write_text("[tool.jobq]\n")
    assert load().database_url == "dbname=shop host=django"
    (tmp_path / "manage.py").unlink()
    assert load().database_url == "postgres://other/"
    monkeypatch.delenv("DATABASE_URL")
    assert load().database_url is None


def test_an_address_as_an_env_file_leaves_it_is_read(tmp_path: Path) -> None:
    (line,) = PAGE.code("Which database", "sh")
    said = subprocess.run(
        ["sh", "-c", f'{line}\nprintf %s "$JOBQ_DATABASE_URL"'], capture_output=True, text=True, check=True
    )
    address = addresses.understood(said.stdout)
    assert address == "postgresql://app@db.example.org/shop?sslmode=require"


def test_the_characters_of_a_password_are_written_as_the_page_says() -> None:
    named = dict(re.findall(r"`(.)` as `(%..)`", PAGE.text)) | {" ": "%20"}
    assert {character: quote(character, safe="") for character in named} == named
    secret = "".join(named)
    assert addresses.parse(f"postgresql://app:{''.join(named.values())}@db/shop")["password"] == secret


def test_production_refuses_the_embedded_database(folder: Application, url: str, store: Store) -> None:
    refused = folder.jobq("list", environment={"JOBQ_ENV": "production"})
    assert refused.returncode == 2
    folder.write(
        "jobs.py", "from jobq import Job, register_job\n@register_job\nclass A(Job):\n    def run(self): ...\n"
    )
    type_commands(folder, "Production", {"JOBQ_DATABASE_URL": url})


def test_django_as_on_the_page(folder: Application, url: str, database_url: str, store: Store) -> None:
    found = conninfo_to_dict(database_url)
    entry = {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": found["dbname"],
        "USER": found.get("user", ""),
        "HOST": found.get("host", ""),
        "PORT": found.get("port", ""),
    }
    (alias,) = PAGE.code("Django")
    folder.write("site_settings.py", f"DATABASES = {{'default': {{}}, 'jobs': {entry}}}\n{alias}")
    config, _migrate = type_commands(folder, "Django", {"DJANGO_SETTINGS_MODULE": "site_settings"})
    assert 'Django\'s DATABASES["jobs"] (site_settings)' in config


def test_the_embedded_database_is_chosen_as_on_the_page(folder: Application) -> None:
    status, _reset = type_commands(folder, "The embedded PostgreSQL", {"DATABASE_URL": "postgresql://db/other"})
    assert "running  no" in status


def test_the_project_is_found_in_the_order_of_the_page(tmp_path: Path) -> None:
    assert [line[:2] for line in PAGE.text.splitlines() if re.match(r"\d\. ", line)] == ["1.", "2.", "3."]
    deep = tmp_path / "workspace" / "member" / "deep"
    deep.mkdir(parents=True)
    assert find_project(deep) is None
    (tmp_path / "workspace" / "member" / "manage.py").touch()
    assert find_project(deep) == tmp_path / "workspace" / "member"
    (tmp_path / "workspace" / "pyproject.toml").write_text("[tool.jobq]\n")
    assert find_project(deep) == tmp_path / "workspace"


def test_a_connection_of_ones_own_as_on_the_page(folder: Application, url: str, store: Store) -> None:
    (use,) = PAGE.code("Your own connection")
    folder.jobq("init", environment={"JOBQ_DATABASE_URL": url})
    before = f"import psycopg\nfrom jobs import Greet\naddress = {json.dumps(url)}\n"
    ran = folder.python(before + use)
    assert "connection= leads to database" in ran.stderr
    assert [job.job_class for job in store.unfinished()] == ["jobs.Greet"]
    same = folder.python(f"import os\nos.environ['JOBQ_DATABASE_URL'] = {json.dumps(url)}\n{before}{use}")
    assert same.stderr == ""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to others")
def test_a_folder_of_somebody_else_is_allowed_as_on_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (line,) = PAGE.code("Whose files jobq trusts", "sh")
    name, _, _ = line.removeprefix("export ").strip().partition("=")
    shop = tmp_path / "shop"
    shop.mkdir()
    (shop / "pyproject.toml").touch()
    os.chown(shop, 65534, 65534)
    with pytest.raises(ConfigurationError, match=f"export {name}={shop}"):
        find_project(shop)
    for value in (f"/srv:{shop}", f"{tmp_path}/*", "*"):
        monkeypatch.setenv(name, value)
        assert find_project(shop) == shop

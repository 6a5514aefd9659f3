"""The name of a build: from the setting, from git's files, from the installed version."""

import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from jobq.builds import build_of
from jobq.errors import ConfigurationError
from jobq.observe.builds import Origin, origin_text, regression
from jobq.settings import Settings, load


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org")
    done = subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "shop"
    folder.mkdir()
    git(folder, "init", "--quiet")
    git(folder, "commit", "--quiet", "--allow-empty", "--message", "Begin")
    return folder


def build_in(folder: Path) -> str | None:
    return build_of(replace(Settings(), root=folder))


def test_the_build_is_the_commit_that_is_checked_out(repository: Path) -> None:
    commit = git(repository, "rev-parse", "HEAD")[:7]
    (repository / "app").mkdir()
    assert build_in(repository) == build_in(repository / "app") == commit


@pytest.mark.parametrize("how", ["packed", "detached", "worktree"])
def test_the_commit_is_found_however_git_keeps_it(repository: Path, how: str) -> None:
    commit, folder = git(repository, "rev-parse", "HEAD")[:7], repository
    if how == "packed":
        git(repository, "pack-refs", "--all")
    elif how == "detached":
        git(repository, "checkout", "--quiet", "--detach")
    else:
        folder = repository.parent / "other"
        git(repository, "worktree", "add", "--quiet", str(folder))
        git(repository, "pack-refs", "--all")
    assert build_in(folder) == commit


@pytest.mark.parametrize("head", ["", "ref: refs/heads/none", "ref: ../../../../etc/passwd", "\xff", "no commit"])
def test_a_repository_that_names_no_commit_gives_no_build(tmp_path: Path, head: str) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git/HEAD").write_text(head, encoding="latin-1")
    assert build_in(tmp_path) is None


def test_without_git_the_build_is_the_installed_version(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "jobq"\n')
    import jobq

    assert build_in(tmp_path) == jobq.__version__
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "not-installed-anywhere"\n')
    assert build_in(tmp_path) is None


def test_the_setting_wins(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOBQ_BUILD", "2026.12.1")
    assert build_of(load(repository)) == "2026.12.1"
    for wrong in (">a", "two words", "x" * 101):
        monkeypatch.setenv("JOBQ_BUILD", wrong)
        with pytest.raises(ConfigurationError, match="JOBQ_BUILD: build is"):
            load(repository)


@pytest.mark.parametrize(
    ("order", "failed", "before", "expected"),
    [
        ("abc", "c", True, ("c", ("b", "a"))),  # it failed before the last builds
        ("abc", "c", False, (None, ())),  # new in c
        ("abc", "ac", False, ("c", ("b",))),
        ("abcd", "acd", False, ("c", ("b",))),
        ("abc", "abc", False, (None, ())),
        ("abc", "a", False, (None, ())),
        ("abc", "", True, (None, ())),
        ("", "", True, (None, ())),
    ],
)
def test_a_group_that_was_quiet_for_a_build_and_is_back_is_a_regression(
    order: str, failed: str, before: bool, expected: tuple[str | None, tuple[str, ...]]
) -> None:
    assert regression(list(order), set(failed), has_failed_before=before) == expected


def test_an_origin_says_the_build_the_time_and_the_attempts_before_it() -> None:
    at = datetime(2026, 12, 1, 14, 1, tzinfo=UTC)
    new = Origin(at, "a41c9e2", 41_200)
    assert origin_text(new, at) == "first in a41c9e2, 14:01 UTC; none of 41,200 attempts before it"
    back = replace(new, back_in="c0ffee1", quiet_in=("b22d1aa",), attempts_before=0)
    later = datetime(2026, 12, 2, tzinfo=UTC)
    assert origin_text(back, later) == "back in c0ffee1, after none in b22d1aa; first in a41c9e2, 2026-12-01 14:01 UTC"

"""Settings: who wins, what is refused and in which words, and that no password is ever shown."""

import sys
from dataclasses import FrozenInstanceError, fields
from pathlib import Path
from typing import Any, get_args

import pytest

from jobq.errors import ConfigurationError
from jobq.records import MAX_ARGUMENTS_BYTES
from jobq.settings import CHOICES, CONVERTERS, MINIMA, NAMES, TYPES, WORDS, Settings, load


@pytest.fixture(autouse=True)
def no_django_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another test of this process may have set it up: its database would be found."""
    monkeypatch.delitem(sys.modules, "django.conf", raising=False)


SOME_VALUES = {
    "database_url": ("postgresql://a/b", "postgresql://a/b"),
    "schema": ("work", "work"),
    "app": ("shop.jobs, shop.more", ("shop.jobs", "shop.more")),
    "env": ("production", "production"),
    "transaction_pooler": ("yes", True),
    "listen": ("off", False),
    "log_format": ("json", "json"),
    "log_level": ("debug", "debug"),
    "job_logs": ("all", "all"),
    "job_log_level": ("debug", "debug"),
    "health": (":8080", ":8080"),
    "heartbeat_timeout": ("77", 77.0),
    "timezone": ("Europe/Berlin", "Europe/Berlin"),
    "alerts": ("shop.jobs.Tell", "shop.jobs.Tell"),
    "alert_command": ("notify-send jobq", "notify-send jobq"),
    "build": ("a41c9e2", "a41c9e2"),
    "middleware": ("shop.timed,shop.logged", ("shop.timed", "shop.logged")),
}
"""For the settings that are not simply numbers: a text, and what it means."""


def text_and_value(name: str) -> tuple[str, Any]:
    return SOME_VALUES.get(name) or ("7", 7.0 if TYPES[name] is float else 7)


def write(folder: Path, *lines: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "pyproject.toml"
    file.write_text("\n".join(lines) + "\n")
    return file


def test_without_any_setting_there_are_the_defaults(tmp_path: Path) -> None:
    settings = load(tmp_path)
    assert settings == Settings(root=tmp_path)
    assert (settings.heartbeat_every, settings.heartbeat_timeout, settings.max_losses) == (10, 60, 3)
    assert (settings.job_history_days, settings.stats_every, settings.schema) == (30, 60, "jobq")


@pytest.mark.parametrize("name", sorted(NAMES))
def test_every_setting_can_be_made_by_its_variable(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text, value = text_and_value(name)
    monkeypatch.setenv(f"JOBQ_{name.upper()}", text)
    assert getattr(load(tmp_path), name) == value


@pytest.mark.parametrize("name", sorted(NAMES))
def test_a_flag_wins_over_a_variable_and_that_over_the_file(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text, value = text_and_value(name)
    spelled = f'"{text}"' if not isinstance(value, bool | float | int) else str(value).lower()
    others = {int: ("8", 8), float: ("8.5", 8.5), bool: (str(not value), not value)}
    other_text, other = others.get(type(value), others.get(float if TYPES[name] is float else str, ("other", "other")))
    if name in CHOICES:
        other_text = other = next(word for word in CHOICES[name] if word != value)
    if name in ("app", "middleware"):
        other_text, other = "other", ("other",)
    if name == "timezone":
        other_text = other = "Asia/Tokyo"
    if name == "heartbeat_timeout":
        other_text, other = "88", 88.0
    write(tmp_path, "[tool.jobq]", f"{name} = {spelled}")
    assert getattr(load(tmp_path), name) == value
    monkeypatch.setenv(f"JOBQ_{name.upper()}", other_text)
    assert getattr(load(tmp_path), name) == other
    assert getattr(load(tmp_path, **{name: value}), name) == value


def test_what_is_not_given_does_not_win(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "[tool.jobq]", 'schema = "work"', 'app = ["shop.jobs"]')
    monkeypatch.setenv("JOBQ_SCHEMA", "")
    settings = load(tmp_path, schema=None, app=())
    assert (settings.schema, settings.app) == ("work", ("shop.jobs",))


def test_the_nearest_pyproject_counts_and_its_folder_is_the_root(tmp_path: Path) -> None:
    write(tmp_path, "[tool.jobq]", 'schema = "outer"')
    write(tmp_path / "inner", "[tool.jobq]", 'schema = "inner"')
    deep = tmp_path / "inner" / "a" / "b"
    deep.mkdir(parents=True)
    settings = load(deep)
    assert (settings.schema, settings.root) == ("inner", tmp_path / "inner")


def test_a_pyproject_without_our_table_is_the_root_all_the_same(tmp_path: Path) -> None:
    write(tmp_path, "[project]", 'name = "shop"')
    (tmp_path / "src").mkdir()
    assert load(tmp_path / "src") == Settings(root=tmp_path)


def test_a_list_of_modules_may_be_a_text(tmp_path: Path) -> None:
    write(tmp_path, "[tool.jobq]", 'app = "shop.jobs  shop.more,shop.last"')
    assert load(tmp_path).app == ("shop.jobs", "shop.more", "shop.last")


WRONG = [
    (name, wrong)
    for name in sorted(NAMES)
    for wrong in {
        bool: ["maybe", "2"],
        int: ["many", "1.5", ""],
        float: ["soon", "nan", "inf", "-inf"],
    }.get(next((t for t in (bool, int, float) if TYPES[name] in (t, t | None)), str), [])
    if wrong
]


@pytest.mark.parametrize(("name", "wrong"), WRONG)
def test_a_variable_of_the_wrong_type_is_named_with_what_it_must_be(
    name: str, wrong: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"JOBQ_{name.upper()}", wrong)
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path)
    message = str(caught.value)
    assert f"JOBQ_{name.upper()}" in message
    assert name in message
    assert repr(wrong) in message
    assert WORDS[TYPES[name]] in message


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("schema = 5", "schema"),
        ("database_url = true", "database_url"),
        ("listen = 2", "listen"),
        ("max_losses = 1.5", "max_losses"),
        ("max_losses = true", "max_losses"),
        ("poll_every = false", "poll_every"),
        ("poll_every = nan", "poll_every"),
        ("app = 5", "app"),
        ("app = [5]", "app"),
    ],
)
def test_a_wrong_type_in_the_file_is_named_with_the_file(line: str, name: str, tmp_path: Path) -> None:
    file = write(tmp_path, "[tool.jobq]", line)
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path)
    assert str(file) in str(caught.value)
    assert name in str(caught.value)


@pytest.mark.parametrize("name", sorted(MINIMA))
def test_a_value_below_the_least_is_refused_with_its_place(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    too_small = MINIMA[name] - 1
    monkeypatch.setenv(f"JOBQ_{name.upper()}", str(too_small))
    with pytest.raises(ConfigurationError, match=rf"JOBQ_{name.upper()}: {name} is {too_small}.* at least"):
        load(tmp_path)
    with pytest.raises(ConfigurationError, match=f"{name} is .* at least"):
        Settings(**{name: too_small})


NUMBERS = [name for name in sorted(NAMES) if {int, float} & {TYPES[name], *get_args(TYPES[name])}]


@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_beyond_what_threads_and_postgresql_can_count_is_refused(name: str) -> None:
    """Where it was not, a thread of the worker ended at its first wait."""
    with pytest.raises(ConfigurationError, match=f"{name} is .* at most"):
        Settings(**{name: 1e300 if TYPES[name] is float else 10**30})


def test_no_more_arguments_may_be_enqueued_than_a_worker_loads() -> None:
    assert Settings(max_arguments_bytes=64 << 20).max_arguments_bytes == MAX_ARGUMENTS_BYTES
    with pytest.raises(ConfigurationError, match="max_arguments_bytes is 67108865, but must be at most 67,108,864"):
        Settings(max_arguments_bytes=(64 << 20) + 1)


@pytest.mark.parametrize("name", sorted(CHOICES))
def test_a_word_that_is_none_of_the_choices_is_refused_with_its_place(name: str, tmp_path: Path) -> None:
    file = write(tmp_path, "[tool.jobq]", f'{name} = "loud"')
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path)
    assert str(file) in str(caught.value)
    assert all(word in str(caught.value) for word in (name, "'loud'", *CHOICES[name]))


@pytest.mark.parametrize("schema", ["", "x" * 64, "ü" * 32, "a\0b", "pg_jobs"])
def test_a_schema_that_postgresql_would_not_have_is_refused(schema: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="--schema: schema is"):
        load(tmp_path, schema=schema)


@pytest.mark.parametrize("schema", ["x" * 63, 'a "b"', "100%", "Größe", "a b"])
def test_a_schema_may_have_any_other_name(schema: str) -> None:
    assert Settings(schema=schema).schema == schema


def test_a_timeout_shorter_than_two_heartbeats_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"heartbeat_timeout \(15 s\).*heartbeat_every \(10 s\)"):
        load(tmp_path, heartbeat_timeout=15)


def test_a_setting_that_does_not_exist_is_refused_and_those_that_do_are_listed(tmp_path: Path) -> None:
    file = write(tmp_path, "[tool.jobq]", "heartbeat = 10")
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path)
    assert str(file) in str(caught.value)
    assert "'heartbeat'" in str(caught.value)
    assert all(name in str(caught.value) for name in NAMES)


def test_a_variable_of_another_program_is_none_of_our_business(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOBQ_NO_SUCH_SETTING", "1")
    assert load(tmp_path) == Settings(root=tmp_path)


@pytest.mark.parametrize("content", [b"[tool.jobq", b"\xff\xfe", b"tool = 5\n[tool.jobq]\n"])
def test_a_file_that_is_no_toml_is_named(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"pyproject\.toml"):
        load(tmp_path)


@pytest.mark.parametrize("content", ["tool.jobq = 5", "[[tool.jobq]]", "tool = 5"])
def test_a_table_that_is_none_is_refused(content: str, tmp_path: Path) -> None:
    write(tmp_path, content)
    with pytest.raises(ConfigurationError, match=r"pyproject\.toml must be a table"):
        load(tmp_path)


def test_settings_do_not_change() -> None:
    with pytest.raises(FrozenInstanceError):
        Settings().schema = "other"  # type: ignore[misc]


def test_every_type_of_setting_can_be_read_and_is_said_in_words() -> None:
    wanted = {TYPES[name] for name in NAMES}
    assert wanted <= set(CONVERTERS)
    assert wanted <= set(WORDS)


def test_every_setting_says_what_it_is_for() -> None:
    assert [f.name for f in fields(Settings) if f.name in NAMES and not f.metadata.get("help")] == []
    assert set(MINIMA) | set(CHOICES) <= NAMES


def test_settings_as_shown_hide_the_password() -> None:
    shown = repr(Settings(database_url="postgresql://ada:s3cret@db/shop", max_losses=9))
    assert "s3cret" not in shown
    assert "postgresql://ada:***@db/shop" in shown
    assert "max_losses=9" in shown
    assert "heartbeat_every" not in shown, "only what differs from the default"

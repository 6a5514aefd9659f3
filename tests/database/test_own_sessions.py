"""How jobq's own sessions begin: with its settings, beside those of the user, and with nothing set afterwards."""

from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from jobq.settings import Settings
from jobq.store.database import Database
from jobq.store.sessions import begin, is_alone, merged, options_of


def shown(connection: "psycopg.Connection[Any]", *names: str) -> list[str]:
    return [row[0] for name in names for row in connection.execute(f"SHOW {name}".encode()).fetchall()]


def test_a_session_begins_with_its_settings_and_is_never_set(settings: Settings) -> None:
    with Database(settings).connect("test", walk_indexes=True, lock_seconds=0.5) as own:
        assert shown(own, "search_path", "row_security", "jit") == ["pg_catalog, pg_temp", "off", "off"]
        assert shown(own, "enable_seqscan", "plan_cache_mode") == ["off", "force_generic_plan"]
        assert shown(own, "lock_timeout", "default_transaction_isolation") == ["500ms", "read committed"]
        set_afterwards = own.execute("SELECT name FROM pg_settings WHERE source = 'session'").fetchall()
        assert set_afterwards == [("idle_in_transaction_session_timeout",)]
        assert is_alone(own)


def test_only_those_who_walk_indexes_are_kept_from_other_plans(settings: Settings) -> None:
    with Database(settings).connect("test") as own:
        assert shown(own, "enable_seqscan", "lock_timeout") == ["on", "0"]


def test_settings_of_the_user_are_kept_beside_those_of_jobq(database_url: str) -> None:
    address = make_conninfo(database_url, options="-c work_mem=7MB -c search_path=mine")
    with Database(Settings(database_url=address)).connect("test") as own:
        assert shown(own, "work_mem", "search_path") == ["7MB", "pg_catalog, pg_temp"]


def test_settings_of_the_environment_are_kept(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGOPTIONS", "-c work_mem=9MB")
    with Database(settings).connect("test") as own:
        assert shown(own, "work_mem", "jit") == ["9MB", "off"]


def test_settings_of_a_service_are_kept(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "services.conf"
    file.write_text("[shop]\noptions=-c work_mem=11MB\n")
    monkeypatch.setenv("PGSERVICEFILE", str(file))
    with Database(Settings(database_url=make_conninfo(database_url, service="shop"))).connect("test") as own:
        assert shown(own, "work_mem", "jit") == ["11MB", "off"]


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://one.invalid:1,two.invalid:2/shop?options=-c%20a%3Db",
        "hostaddr=192.0.2.1 options='-c a=b'",
        "",
    ],
)
def test_the_settings_of_an_address_are_found_without_reaching_for_its_server(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PGOPTIONS", raising=False)
    assert options_of(address) == ("-c a=b" if "options" in address else "")


def test_blanks_and_backslashes_of_a_setting_arrive(database_url: str) -> None:
    settings = {"application_name": r"two words \ one"}
    with psycopg.connect(database_url, options=merged("", settings)) as own:
        assert own.info.parameter_status("application_name") == settings["application_name"]


def test_an_error_of_the_server_is_not_taken_for_a_pooler(database_url: str) -> None:
    with pytest.raises(psycopg.OperationalError, match="work_mem"):
        begin(make_conninfo(database_url, options="-c work_mem=none"), {}, {}, idle_seconds=1.0)


def test_the_limit_of_an_administrator_holds(settings: Settings, connection: "psycopg.Connection[Any]") -> None:
    with Database(settings).connect("test") as own:
        (ours,) = shown(own, "idle_in_transaction_session_timeout")
    connection.execute(
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET idle_in_transaction_session_timeout = ''7s''', "
        "current_database()); END $$"
    )
    with Database(settings).connect("test") as own:
        (theirs,) = shown(own, "idle_in_transaction_session_timeout")
    assert (ours, theirs) == ("1min", "7s")  # that after which a worker is declared dead

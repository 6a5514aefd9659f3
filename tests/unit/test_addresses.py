"""Addresses of databases: every form that users have is understood, and no secret of one is ever shown."""

import re
from dataclasses import replace
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from jobq import addresses
from jobq.errors import ConfigurationError, JobqError
from jobq.settings import Settings, convert
from jobq.store.database import Database


@pytest.mark.parametrize(
    ("given_address", "meant"),
    [
        ("postgresql+psycopg://ada:x@db/shop", "postgresql://ada:x@db/shop"),
        ("postgresql+asyncpg://ada:x@db/shop", "postgresql://ada:x@db/shop"),
        ("postgres+psycopg2://ada:x@db/shop", "postgres://ada:x@db/shop"),
        ("POSTGRESQL+PG8000://ada@db/shop", "postgresql://ada@db/shop"),
        ("postgis://ada@db/shop", "postgresql://ada@db/shop"),
        ('  "postgresql://ada:x@db/shop"\n', "postgresql://ada:x@db/shop"),
        ("' postgresql://ada@db/shop '", "postgresql://ada@db/shop"),
        ("postgresql+asyncpg://ada@db/shop?ssl=require", "postgresql://ada@db/shop?sslmode=require"),
        ("postgresql+asyncpg://ada@db/shop?ssl=verify-full", "postgresql://ada@db/shop?sslmode=verify-full"),
        ("postgresql+asyncpg://ada@db/shop?ssl=true", "postgresql://ada@db/shop?sslmode=require"),
        ("postgresql+asyncpg://ada@db/shop?prepared_statement_cache_size=0", "postgresql://ada@db/shop"),
        ("postgresql://ada@db/shop?conn_max_age=600&sslmode=require", "postgresql://ada@db/shop?sslmode=require"),
        ("postgresql+psycopg://ada@/shop?host=one:1&host=two:2", "postgresql://ada@/shop?host=one,two&port=1,2"),
        ("postgresql+psycopg2://ada@/shop?host=/run/postgresql", "postgresql://ada@/shop?host=/run/postgresql"),
        ("postgresql+psycopg://ada:x?ssl=1@db/shop", "postgresql://ada:x?ssl=1@db/shop"),
        ("host=db dbname='my shop'", "host=db dbname='my shop'"),
    ],
)
def test_what_an_env_file_or_another_driver_makes_of_an_address_is_understood(given_address: str, meant: str) -> None:
    assert convert("database_url", given_address, "JOBQ_DATABASE_URL") == meant
    assert addresses.parse(meant)


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("mysql://ada:s3cret@db/shop", "not an address of PostgreSQL"),
        ("postgresql://ada:s3@cret@db/shop", "one @ too many in it. In a password, write @ as %40"),
        ("postgresql://ada:s3/cret@db/shop", "one @ too many in it"),
        ("postgresql://ada:s3cret@db:fivefour/shop", "its port is not a number"),
        ("postgresql://ada@db/shop?pasword=s3cret", r"knows no option that it names \(did you mean password\?\)"),
        ("postgresql://ada@db/shop?pgbouncer=s3cret", "knows no option that it names:|names. It is not shown"),
        ("host=db pasword=s3cret", r"did you mean password\?"),
        ("host=db password='s3cret", "unterminated quoted string"),
        ("password=pa s3cret", 'missing "=" after "…"'),
        ("postgresql://ada:s3cret@db/shop?connect_timeout=s3cret", "connect_timeout is not a number"),
        ("s3cret", 'missing "="'),
    ],
)
def test_an_address_that_cannot_be_is_refused_in_words_that_quote_nothing_of_it(address: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message) as refused:
        addresses.parse(address, "DATABASE_URL")
    assert "s3cret" not in str(refused.value)
    assert "cret" not in str(refused.value)
    assert str(refused.value).startswith("DATABASE_URL is not the address of a PostgreSQL database: ")
    assert addresses.HIDDEN in addresses.shown(address)
    assert "cret" not in addresses.shown(address)


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("postgresql://ada:s3cret@db:5432/shop", "postgresql://ada:***@db:5432/shop"),
        ("postgres://:s3cret@/shop", "postgres://:***@/shop"),
        ("postgresql://ada:s3cret@[::1]:5432/shop", "postgresql://ada:***@[::1]:5432/shop"),
        ("postgresql://ada:s3cret@one:1,two:2/shop", "postgresql://ada:***@one:1,two:2/shop"),
        ("postgresql://db/shop?user=ada&password=s3cret&port=1", "postgresql://ada:***@db:1/shop"),
        ("postgresql://ada@db:5432/shop", "postgresql://ada@db:5432/shop"),
        ("postgresql://ada:s3%20cret@db/shop?sslmode=require", "postgresql://ada:***@db/shop?sslmode=require"),
        ("postgresql://ada@/shop?host=/run/postgresql", "postgresql://ada@/shop?host=/run/postgresql"),
        ("host=db password=s3cret dbname=shop", "password=*** dbname=shop host=db"),
        ("host=db password=first@SECONDHALF", "password=*** host=db"),
        ("host=db password = 's3 \\' cret' dbname='my shop'", "password=*** dbname='my shop' host=db"),
        ("host=db sslkey=/k.pem sslpassword=s3cret", "host=db sslkey=/k.pem sslpassword=***"),
        ("host=db passfile=/home/ada/.pgpass", "passfile=/home/ada/.pgpass host=db"),
        ("host=db dbname=shop", "dbname=shop host=db"),
    ],
)
def test_of_an_address_everything_is_shown_but_its_secrets(address: str, shown: str) -> None:
    assert addresses.shown(address) == shown
    assert "s3cret" not in repr(Settings(database_url=address))


@pytest.mark.parametrize(
    ("address", "short"),
    [
        ("postgresql://ada:s3cret@db:5432/shop?sslmode=require", "ada@db:5432/shop"),
        ("host=db password=s3cret user=ada dbname=shop", "ada@db/shop"),
        ("host=db password='s3cret", "database"),
    ],
)
def test_a_database_has_a_short_name_for_titles(address: str, short: str) -> None:
    assert addresses.short(address) == short


@pytest.mark.parametrize(
    "message",
    [
        "connection to postgresql://ada:s3cret@db failed",
        "connection to postgresql+asyncpg://ada:s3cret and more@db failed",
        "connection to postgresql://ada:s3cret\tand\nmore@db failed",
        "mysql://ada:s3cret@db is not supported",
        "failed: password=s3cret",
        "failed: PASSWORD = 's3cret and more' host=db",
        "failed: sslpassword=s3cret",
        "failed: oauth_client_secret=s3cret",
        "failed: scram_client_key=s3cret scram_server_key='s3cret'",
    ],
)
def test_an_address_within_a_message_is_shown_without_its_secrets(message: str) -> None:
    shown = addresses.redacted(message)
    assert "s3cret" not in shown
    assert "and more" not in shown
    assert addresses.HIDDEN in shown


@pytest.mark.parametrize(
    "message",
    [
        'password authentication failed for user "ada"',
        "the console, for one browser: http://127.0.0.1:8000/ by ada@here",
        "worker ada@here:17 stopped; queue=mail key=7",
        f"Its form is postgresql://{addresses.FORM}/database.",
    ],
)
def test_a_message_without_a_secret_stays_as_it_is(message: str) -> None:
    assert addresses.redacted(message) == message


def test_every_option_of_libpq_that_is_secret_is_hidden() -> None:
    """libpq marks what a dialog should not show; what it has for tests of its own it marks with a D."""
    marked = {option.keyword.decode() for option in pq.Conninfo.get_defaults() if option.dispchar == b"*"}
    named = {option.keyword.decode() for option in pq.Conninfo.get_defaults()}
    assert {name for name in marked if not addresses.is_secret(name)} == set()
    assert {name for name in named if addresses.is_secret(name)} == marked | (
        named & {"scram_client_key", "scram_server_key"}
    )


SECRET = st.text(st.characters(blacklist_characters="\0", blacklist_categories=["Cs"]), min_size=1, max_size=30).map(
    lambda text: f"SEC{text}RET"
)

OPTIONS = st.sampled_from(["password", "sslpassword", "oauth_client_secret", "scram_client_key", "scram_server_key"])

FORMS = st.sampled_from(
    [
        "postgresql://ada:{encoded}@127.0.0.1:1/shop",
        "postgresql://ada:{raw}@127.0.0.1:1/shop",
        "postgres+psycopg://ada:{raw}@127.0.0.1:1,127.0.0.1:2/shop?ssl=disable",
        "postgresql://ada@127.0.0.1:1/shop?{option}={encoded}",
        "postgresql://ada@127.0.0.1:1/shop?{option}={raw}",
        "host=127.0.0.1 port=1 {option}={quoted} dbname=shop",
        "host=127.0.0.1 port=1 {option}={raw} dbname=shop",
        "host=127.0.0.1 port=1 {option}='{raw}' dbname=shop",
        "host=127.0.0.1 port=1 {option} = '{raw}",
        "{option}={raw}",
        "mysql://ada:{raw}@127.0.0.1/shop",
        "ada:{raw}@127.0.0.1/shop",
    ]
)


def pieces(secret: str) -> set[str]:
    """What would give a part of it away: the marked ends, which no other text here has."""
    return {piece for piece in re.split(r"[@:/?#\s&='\"\\%]", secret) if "SEC" in piece or "RET" in piece}


def outputs(address: str) -> list[str]:
    """All in which an address, or an error about it, is put into words."""
    settings = Settings(database_url=addresses.understood(address))
    assert settings.database_url is not None
    database = Database(settings)
    said = [repr(settings), addresses.shown(settings.database_url), addresses.short(settings.database_url)]
    said += [database.shown_url, addresses.redacted(f"it is {settings.database_url}", settings.database_url)]
    try:
        with database.connection():
            raise AssertionError("nothing listens there")
    except JobqError as error:
        said += [str(error), repr(error), repr(error.__cause__)]
    return said


@given(secret=SECRET, option=OPTIONS, form=FORMS)
@example(secret="SEC@RET", option="password", form="postgresql://ada:{raw}@127.0.0.1:1/shop")
@example(secret="SEC@RET", option="password", form="host=127.0.0.1 port=1 {option}={raw} dbname=shop")
@example(secret="SEC\tRET", option="password", form="postgresql://ada:{raw}@127.0.0.1:1/shop")
@example(secret="SEC\nRET", option="password", form="host=127.0.0.1 port=1 {option}={raw} dbname=shop")
@example(secret="SEC/RET", option="password", form="postgresql://ada:{raw}@127.0.0.1:1/shop")
@example(secret="SEC?a=RET", option="password", form="postgresql://ada:{raw}@127.0.0.1:1/shop")
def test_whatever_the_secret_and_its_form_no_part_of_it_is_in_any_word(secret: str, option: str, form: str) -> None:
    quoted = addresses.quoted(secret)
    address = form.format(raw=secret, encoded=quote(secret, safe=""), quoted=quoted, option=option)
    assert [text for text in outputs(address) if any(piece in text for piece in pieces(secret))] == []


@given(secret=SECRET, host=st.sampled_from(["db", "/run/postgresql", "one,two"]))
def test_whatever_the_password_its_place_in_a_conninfo_is_taken_by_stars(secret: str, host: str) -> None:
    address = make_conninfo(host=host, password=secret, dbname="shop")
    assert conninfo_to_dict(addresses.shown(address)) == {**conninfo_to_dict(address), "password": "***"}


@given(values=st.dictionaries(st.sampled_from(["user", "password", "dbname", "host"]), SECRET))
def test_a_conninfo_is_read_as_what_it_was_made_of(values: dict[str, str]) -> None:
    assert conninfo_to_dict(addresses.conninfo(values)) == values


def test_a_setting_that_is_no_text_is_refused_without_its_value(tmp_path: object) -> None:
    with pytest.raises(ConfigurationError, match="database_url is something else, but must be text") as refused:
        convert("database_url", ["postgresql://ada:s3cret@db/shop"], "[tool.jobq]")
    assert "s3cret" not in str(refused.value)
    assert "s3cret" not in repr(replace(Settings(), database_url="postgresql://ada:s3cret@db/shop"))


@pytest.mark.parametrize(
    ("given_address", "url"),
    [
        ("host=db dbname=shop user=ada password='x@/: ?'", "postgresql://ada:x%40%2F%3A%20%3F@db/shop"),
        ("postgresql+asyncpg://ada@db:5433/shop?ssl=require", "postgresql://ada@db:5433/shop?sslmode=require"),
        ("host=/run/pg port=5432 dbname=shop user=a/b", "postgresql://a%2Fb@/shop?port=5432&host=/run/pg"),
    ],
)
def test_an_address_of_any_form_becomes_an_url_that_means_the_same(given_address: str, url: str) -> None:
    made = addresses.url_of(given_address)
    assert sorted(re.split("[?&]", made)) == sorted(re.split("[?&]", url))
    assert conninfo_to_dict(made) == addresses.parse(addresses.understood(given_address))

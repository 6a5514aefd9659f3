"""Each role may do what `jobq.store.rights` says of it, and nothing else.

The tests try, as that role, every table, column, sequence and function of the schema. What a later migration adds is
tried by itself.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from test_roles import granted

from jobq.store.rights import ROLES, Role


@dataclass(frozen=True, slots=True)
class Deed:
    """One thing that a role may be able to do, and the statement that shows whether it is."""

    privilege: str
    thing: str
    column: str
    statement: str

    def is_for(self, role: Role) -> bool:
        return any(
            right.privilege == self.privilege
            and right.thing == self.thing
            and (not right.columns or self.column in right.columns)
            for right in role.rights
        )

    def __str__(self) -> str:
        return f"{self.privilege} {self.thing}" + (f".{self.column}" if self.column else "")


def deeds_on_columns(store: Any) -> Iterator[Deed]:
    """None touches a row: the rights are asked all the same."""
    columns = store.rows(
        "SELECT relname AS thing, attname AS name FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid "
        "WHERE relnamespace = 'jobq'::regnamespace AND relkind IN ('r', 'p', 'v') AND attnum > 0 AND NOT attisdropped"
    )
    assert {"jobs", "new_jobs", "audit", "results_default"} <= {column.thing for column in columns}
    for thing, name in columns:
        table, column = f"jobq.{thing}", f'"{name}"'
        yield Deed("SELECT", thing, name, f"SELECT {column} FROM {table} LIMIT 0")
        inserted = f"INSERT INTO {table} ({column}) OVERRIDING SYSTEM VALUE SELECT NULL WHERE false"
        yield Deed("INSERT", thing, name, inserted)
        yield Deed("UPDATE", thing, name, f"UPDATE {table} SET {column} = NULL WHERE false")
    for thing in sorted({column.thing for column in columns}):
        yield Deed("DELETE", thing, "", f"DELETE FROM jobq.{thing} WHERE false")
        yield Deed("TRUNCATE", thing, "", f"TRUNCATE jobq.{thing} CASCADE")
        yield Deed("OWN", thing, "", f"ALTER TABLE jobq.{thing} RENAME TO taken")


def deeds_on_sequences(store: Any) -> Iterator[Deed]:
    found = store.rows("SELECT relname FROM pg_class WHERE relnamespace = 'jobq'::regnamespace AND relkind = 'S'")
    assert found
    for (name,) in found:
        yield Deed("USAGE", name, "", f"SELECT nextval('jobq.{name}')")
        yield Deed("UPDATE", name, "", f"SELECT setval('jobq.{name}', 9)")
        yield Deed("SELECT", name, "", f"SELECT last_value FROM jobq.{name}")


def deeds_on_functions(store: Any) -> Iterator[Deed]:
    """Called with NULL for everything. An error of its own shows that the function was entered."""
    found = store.rows(
        "SELECT proname, (SELECT string_agg(format('NULL::%I.%I', nspname, typname), ', ' ORDER BY place) "
        "FROM unnest(proargtypes::oid[]) WITH ORDINALITY AS argument (type, place) "
        "JOIN pg_type ON pg_type.oid = type JOIN pg_namespace ON pg_namespace.oid = typnamespace) AS arguments "
        "FROM pg_proc WHERE pronamespace = 'jobq'::regnamespace"
    )
    assert len({name for name, _ in found}) == len(found)  # grants name them without their parameters
    for name, arguments in found:
        yield Deed("EXECUTE", name, "", f"SELECT jobq.{name}({arguments or ''})")


TRY = """
CREATE FUNCTION public.try(statements text[], is_call boolean) RETURNS boolean[] LANGUAGE plpgsql AS $$
DECLARE
    tried text;
    answers boolean[] := '{}';
BEGIN
    FOREACH tried IN ARRAY statements LOOP
        BEGIN
            EXECUTE tried;
            RAISE EXCEPTION USING ERRCODE = 'JQ999'; -- it could; and nothing of it stays
        EXCEPTION
            WHEN SQLSTATE 'JQ999' THEN answers := answers || true;
            WHEN insufficient_privilege THEN answers := answers || false;
            WHEN OTHERS THEN answers := answers || is_call;
        END;
    END LOOP;
    RETURN answers;
END $$
"""


@pytest.mark.parametrize("role", ROLES.values(), ids=lambda role: role.name)
def test_a_role_can_do_what_is_said_of_it_and_nothing_else(role: Role, store: Any) -> None:
    store.execute(TRY)
    on_rows = [*deeds_on_columns(store), *deeds_on_sequences(store)]
    calls = list(deeds_on_functions(store))
    with granted(role, store) as database, database.connect("test") as connection:
        answers = [
            connection.execute("SELECT public.try(%s, %s)", [[deed.statement for deed in deeds], deeds is calls])
            for deeds in (on_rows, calls)
        ]
        could = [is_able for (answer,) in [cursor.fetchone() or ([],) for cursor in answers] for is_able in answer]
        may_create = connection.execute("SELECT has_schema_privilege('jobq', 'CREATE')").fetchone()
    able = {str(deed) for deed, is_able in zip([*on_rows, *calls], could, strict=True) if is_able}
    said = {str(deed) for deed in (*on_rows, *calls) if deed.is_for(role)}
    assert able - said == set()
    assert said - able == set()
    assert may_create == (False,)


def test_all_that_is_said_of_roles_is_there(store: Any) -> None:
    deeds = [*deeds_on_columns(store), *deeds_on_sequences(store), *deeds_on_functions(store)]
    there = {(deed.thing, deed.column) for deed in deeds} | {(deed.thing, "") for deed in deeds}
    for role in ROLES.values():
        for right in role.rights:
            assert {(right.thing, column) for column in right.columns or ("",)} <= there, str(right)


def test_public_has_no_rights(store: Any) -> None:
    granted_to_public = store.rows(
        "SELECT name, privilege_type FROM ("
        "SELECT relname::text AS name, relacl AS acl FROM pg_class WHERE relnamespace = 'jobq'::regnamespace "
        "UNION ALL SELECT attname::text, attacl FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid "
        "WHERE relnamespace = 'jobq'::regnamespace "
        "UNION ALL SELECT nspname::text, nspacl FROM pg_namespace WHERE nspname = 'jobq' "
        # A function without a list may be called by everybody.
        "UNION ALL SELECT proname::text, coalesce(proacl, acldefault('f', proowner)) FROM pg_proc "
        "WHERE pronamespace = 'jobq'::regnamespace"
        ") AS thing CROSS JOIN LATERAL aclexplode(acl) AS entry WHERE entry.grantee = 0"
    )
    assert granted_to_public == []


def test_what_acts_for_its_owner_looks_up_names_where_nobody_can_put_any(store: Any) -> None:
    acting = store.rows(
        "SELECT proname, proconfig FROM pg_proc WHERE pronamespace = 'jobq'::regnamespace AND prosecdef"
    )
    assert {"enqueue", "begin_act", "make_partition"} <= {row.proname for row in acting}
    for name, settings in acting:
        assert "search_path=pg_catalog, pg_temp" in (settings or []), name


def test_the_view_of_numbered_jobs_has_every_column_of_jobs_that_can_be_written(store: Any) -> None:
    """A column that is added to jobs later must be added to the view, by CREATE OR REPLACE VIEW in that migration."""
    columns = (
        "SELECT attname FROM pg_attribute WHERE attrelid = 'jobq.{}'::regclass AND attnum > 0 AND attgenerated = '' "
        "AND NOT attisdropped ORDER BY attname"
    )
    assert store.rows(columns.format("numbered_jobs")) == store.rows(columns.format("jobs"))

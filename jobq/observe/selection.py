"""Translates a filter for the database: each term becomes a condition with parameters, for lists and for acts."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from jobq.filters import Comparison, Filter, Moment, Pattern, Term, Value
from jobq.states import FINISHED, Outcome, State
from jobq.store.statements import GATED, PENDING, RUNNING, SCHEDULED, quote_identifier, worker_name


@dataclass(slots=True)
class Parameters:
    """The parameters of a condition, each under its own name."""

    values: dict[str, Any] = field(default_factory=dict)

    def add(self, value: Any, cast: str) -> str:
        name = f"filter_{len(self.values)}"
        self.values[name] = value
        return f"%({name})s::{cast}"


@dataclass(frozen=True, slots=True)
class Table:
    """How terms are written for one of the two tables."""

    time: str  # compared by since: and until:
    ran: str
    waited: str
    errors: str  # condition for errors, with a part on error_type and error_message


FINISHED_JOBS = Table("ended_at", "ended_at - started_at", "started_at - run_at", "(CONDITION)")
UNFINISHED_JOBS = Table(
    "enqueued_at",
    "statement_timestamp() - started_at",
    "coalesce(started_at, statement_timestamp()) - run_at",
    # Only a job with earlier attempts can have an error, so the history is not searched for the others. Not as EXISTS,
    # since the planner may turn that into one read of the whole history.
    "jobs.attempt > 0 AND coalesce("
    "(SELECT true FROM SCHEMA.results AS failed WHERE failed.id = jobs.id AND (CONDITION) LIMIT 1), false)",
)

Meaning = Callable[[Term, Value, Table, Parameters], str]


def condition_of(selection: Filter, schema: str) -> tuple[str, dict[str, Any]]:
    """A filter as a condition on the rows of `results` or `jobs`, with its parameters."""
    table = FINISHED_JOBS if selection.is_finished else UNFINISHED_JOBS
    parameters = Parameters()
    conditions = [
        meaning_of(term, table, parameters)
        for term in selection.checked().terms
        if not (term.key == "state" and selection.is_finished)  # the state chose the table
    ]
    condition = " AND ".join(conditions) or "true"
    return with_schema(condition, schema), parameters.values


def with_schema(condition: str, schema: str) -> str:
    return condition.replace("SCHEMA", quote_identifier(schema).replace("%", "%%"))


def meaning_of(term: Term, table: Table, parameters: Parameters) -> str:
    """A term: any of its values. An unknown value, as the run time of a job that never began, matches nothing."""
    fits = any_text(term, parameters) or " OR ".join(
        f"({MEANINGS[term.key](term, value, table, parameters)})" for value in term.values
    )
    return f"NOT coalesce(({fits}), false)" if term.is_negated else f"({fits})"


def any_text(term: Term, parameters: Parameters) -> str | None:
    """Several exact texts of one column as one comparison, which an index can serve. None if the term is not of that
    kind."""
    exact = [value.text for value in term.values if isinstance(value, Pattern) and value.is_exact]
    if term.key not in COLUMNS or term.key == "class" or len(exact) < max(2, len(term.values)):
        return None
    return f"{COLUMNS[term.key]} = ANY ({parameters.add(exact, 'text[]')})"


COLUMNS = {
    "outcome": "outcome",
    "queue": "queue",
    "class": "job_class",
    "key": "unique_key",
    "group": "fingerprint",
    "gate": "gate",
    "lane": "lane",
}
"""Keys that compare one text column."""


def compares_column(term: Term, value: Value, _table: Table, parameters: Parameters) -> str:
    return matches(COLUMNS[term.key], value, parameters)


def matches(column: str, value: Value, parameters: Parameters) -> str:
    assert isinstance(value, Pattern)
    if value.is_exact:
        return f"{column} = {parameters.add(value.text, 'text')}"
    return f"{column} LIKE {parameters.add(like(value), 'text')}"


def is_of_class(_term: Term, value: Value, _table: Table, parameters: Parameters) -> str:
    """Under any of its names, as workers know them: a class may have been renamed."""
    assert isinstance(value, Pattern)
    meant, named = matches("job_class", value, parameters), matches("meant.name", value, parameters)
    return f"{meant} OR job_class = ANY (ARRAY({OTHER_NAMES.replace('MEANT', named)}))"


OTHER_NAMES = (
    "SELECT other.name FROM (SELECT classes FROM SCHEMA.workers ORDER BY workers.id DESC LIMIT 100) AS youngest "
    "CROSS JOIN LATERAL jsonb_array_elements(classes) AS class "
    "CROSS JOIN LATERAL (SELECT class -> 'aliases' || jsonb_build_array(class -> 'name') AS all_of_it) AS names "
    "CROSS JOIN LATERAL jsonb_array_elements_text(all_of_it) AS meant (name) "
    "CROSS JOIN LATERAL jsonb_array_elements_text(all_of_it) AS other (name) "
    "WHERE class -> 'aliases' <> '[]' AND (MEANT)"
)
"""All names of the classes that have one name matching MEANT. Not tied to a row, so PostgreSQL looks them up once."""


STATES: dict[str, str] = {
    State.SCHEDULED: SCHEDULED,
    State.PENDING: PENDING,
    State.GATED: GATED,
    State.RUNNING: RUNNING.replace("{schema}", "SCHEMA"),
    FINISHED: "false",  # for an unfinished job
}


def is_in_state(_term: Term, value: Value, _table: Table, _parameters: Parameters) -> str:
    """Written so that an index serves it: no index has the column `state`."""
    assert isinstance(value, Pattern)
    return STATES[value.text]


def has_error(_term: Term, value: Value, table: Table, parameters: Parameters) -> str:
    assert isinstance(value, Pattern)
    return error_like(value, table, parameters)


def error_like(pattern: Pattern, table: Table, parameters: Parameters) -> str:
    part = parameters.add(f"%{like(pattern)}%", "text")
    return table.errors.replace("CONDITION", f"error_type ILIKE {part} OR error_message ILIKE {part}")


def was_run_by(_term: Term, value: Value, _table: Table, parameters: Parameters) -> str:
    """A worker by its name, its machine, or its id."""
    named = " OR ".join(
        matches(column, value, parameters)
        for column in (worker_name(), "host || '/' || pid", "host", "workers.id::text")
    )
    return f"worker_id IN (SELECT workers.id FROM SCHEMA.workers WHERE {named})"


def was_of_build(_term: Term, value: Value, _table: Table, parameters: Parameters) -> str:
    return f"worker_id IN (SELECT workers.id FROM SCHEMA.workers WHERE {matches('build', value, parameters)})"


def has_argument(term: Term, value: Value, _table: Table, parameters: Parameters) -> str:
    if term.is_of_any_argument:
        return has_value(value, parameters)
    return matches(f"({SEARCHED})::jsonb #>> {parameters.add(list(term.path), 'text[]')}", value, parameters)


def has_value(value: Value, parameters: Parameters) -> str:
    """Any argument, or a value within one. Compared first as text, which costs a tenth of parsing the JSON."""
    assert isinstance(value, Pattern)
    within = Pattern(("", *(json.dumps(part, ensure_ascii=False)[1:-1] for part in value.parts), ""))
    return (
        f"{SEARCHED} LIKE {parameters.add(like(within), 'text')} AND EXISTS ("
        f"SELECT FROM jsonb_path_query(({SEARCHED})::jsonb, 'strict $.**') AS one (value) "
        f"WHERE jsonb_typeof(value) NOT IN ('object', 'array') AND {matches(VALUE, value, parameters)})"
    )


VALUE = "(value #>> '{}')"
"""A JSON value as text."""


def compares_number(column: str) -> Meaning:
    def compared(_term: Term, value: Value, _table: Table, parameters: Parameters) -> str:
        assert isinstance(value, Comparison)
        return f"{column} {value.word} {parameters.add(value.number, 'bigint')}"

    return compared


def compares_duration(which: str) -> Meaning:
    def compared(_term: Term, value: Value, table: Table, parameters: Parameters) -> str:
        assert isinstance(value, Comparison)
        duration = getattr(table, which)
        return f"extract(epoch FROM {duration}) {value.word} {parameters.add(value.number, 'float8')}"

    return compared


def compares_time(word: str) -> Meaning:
    def compared(_term: Term, value: Value, table: Table, parameters: Parameters) -> str:
        assert isinstance(value, Moment)
        if value.is_deploy:
            return f"{table.time} {word} (SELECT at FROM SCHEMA.deploys ORDER BY id DESC LIMIT 1)"
        if value.at is not None:
            return f"{table.time} {word} {parameters.add(value.at, 'timestamptz')}"
        age = f"{parameters.add(value.seconds_ago, 'float8')} * interval '1 second'"
        return f"{table.time} {word} statement_timestamp() - {age}"

    return compared


TEXT = (
    "CASE WHEN pg_column_size(arguments) <= 500 AND pg_column_compression(arguments) IS NULL THEN arguments::text "
    "ELSE SCHEMA.readable(arguments, 1048576)::text END"
)
"""Arguments that are too large to be shown are not searched either."""

SEARCHED = (
    f"""CASE WHEN position('"$": "secret"' IN {TEXT}) = 0 THEN {TEXT} ELSE regexp_replace("""
    f"""{TEXT}, '("\\$": "secret", "v": )"([^"\\\\]|\\\\.)*"', '\\1""', 'g') END"""
)
"""The arguments as text, without the contents of secrets: a search must not reveal by its matches what is hidden.

PostgreSQL writes the tag in this form. A text that imitates it has its quotes escaped.
"""


def mentions(_term: Term, value: Value, table: Table, parameters: Parameters) -> str:
    """Free text: anywhere in the shown fields of a job."""
    assert isinstance(value, Pattern)
    part = parameters.add(f"%{like(value)}%", "text")
    columns = ("job_class", "queue", "unique_key", SEARCHED)
    return " OR ".join([*(f"{column} ILIKE {part}" for column in columns), error_like(value, table, parameters)])


MEANINGS: dict[str, Meaning] = {
    "": mentions,
    **dict.fromkeys(COLUMNS, compares_column),
    "state": is_in_state,
    "class": is_of_class,
    "error": has_error,
    "worker": was_run_by,
    "build": was_of_build,
    "id": compares_number("id"),
    "args": has_argument,
    "since": compares_time(">="),
    "until": compares_time("<"),
    "tries": compares_number("attempt"),
    "ran": compares_duration("ran"),
    "wait": compares_duration("waited"),
}


def slow_terms(selection: Filter) -> tuple[str, ...]:
    """The terms that no index serves, by name, if no other term narrows the search."""
    return tuple(dict.fromkeys(term.name for term in slow_parts(selection)))


def slow_parts(selection: Filter) -> tuple[Term, ...]:
    """The terms that no index serves, if no other term narrows the search: they may reach the time limit."""
    if any(is_narrow(term) for term in selection.terms):
        return ()
    return tuple(term for term in selection.terms if not is_served(term, selection.is_finished))


def served(selection: Filter) -> Filter | None:
    """The terms by which an index finds the newest jobs of a list. None if an index serves the whole filter."""
    is_running = selection.states == (State.RUNNING,)
    if is_running or any(map(finds_few, selection.terms)):
        return None
    keys = ("state", "outcome", "since", "until") if selection.is_finished else ()
    terms = tuple(term for term in selection.terms if term.key in keys)
    is_whole = len(terms) == len(selection.terms) or all(term.key == "state" for term in selection.terms)
    return None if is_whole else Filter(terms)


def finds_few(term: Term) -> bool:
    """Whether an index finds exactly the term's jobs: certain ids, or the failures of a group."""
    if term.is_negated:
        return False
    are_equal = all(isinstance(value, Comparison) and value.word == "=" for value in term.values)
    return term.key == "group" or (term.key == "id" and are_equal)


def is_narrow(term: Term) -> bool:
    """Whether an index finds the term's jobs, and they are few."""
    if term.is_negated:
        return False
    if term.key == "outcome":
        return all(isinstance(value, Pattern) and value.text != Outcome.SUCCESSFUL for value in term.values)
    if term.key == "state":
        return term.values == (Pattern((State.RUNNING.value,)),)
    return term.key in ("id", "group", "since")


def is_served(term: Term, is_finished: bool) -> bool:
    return term.key in ("state", "outcome", "until") or (term.key == "queue" and not is_finished)


def like(pattern: Pattern) -> str:
    """A pattern for LIKE whose literal parts are escaped."""
    return "%".join(part.translate(LITERALLY) for part in pattern.parts)


LITERALLY = str.maketrans({"\\": "\\\\", "%": "\\%", "_": "\\_"})

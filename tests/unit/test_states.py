"""`states.py` against everything that must agree with it: the constraints, the statements, and what they do."""

import re
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from jobq.records import KeyRules
from jobq.schedules import MISSED, OVERLAP, Verdict
from jobq.states import (
    FINISHED,
    TRANSITIONS,
    WAITING,
    Outcome,
    State,
    Transition,
    is_loss,
    may_retry,
    may_run_again,
)
from jobq.store import acts, audit

STATEMENTS = {
    file.name.removesuffix(".sql"): re.sub(r"--.*", "", file.read_text())
    for file in resources.files("jobq.sql").iterdir()
    if file.name.endswith(".sql")
}

OTHER_WORDS = {
    *(
        "WorkerLost",
        "CutOff",
        "Cancelled",
        "Expired",
        "UTC",
        "infinity",
        "epoch",
        "name",
        "aliases",
        "id",
        "stopped",
        "stopping",
        "silent",
    ),
    *("active", "inactive", "jobs", "workers", "queues", "metrics", "schedules", "server_version", "max_connections"),
    *("error_message", "traceparent", *Verdict, *OVERLAP),
    *("UTF8", "SELECT", "INSERT", "DELETE", "EXECUTE", "USAGE", "number", "object"),
    *(
        "arguments",
        "value",
        "options",
        "default",
        "queue",
        "progress",
        "migrations",
        "test_clock",
        "test_run",
        "f",
        "p",
        "r",
    ),
    *("attempt", "attempts", "job", "outcome", "worker", "error_type", "traceback", "run_at", "started_at", "ended_at"),
    *(
        "gate",
        "lane",
        "adopt",
        "limit",
        "lane_limit",
        "rate",
        "lane_rate",
        "starts",
        "seconds",
        "burst",
        "by",
        "is_strict",
        "waits_after_loss",
    ),
    *("log", "follow", "classes", "YYYYMMDD", "logs_", "logs_default"),
    *("retry", "cancel", "purge", "pause", "resume", "mute"),
    *("stop", "stack", "rescue", "live", "left", "begun", "search_path", "idle_in_transaction_session_timeout"),
}
"""Words in quotes that are neither states nor outcomes: types of errors, keys of JSON, reasons of a worker's end, what
the doctor asks the server about, what becomes of a schedule's tick, an encoding, rights, what is wanted of a worker,
verbs of the audit, names of columns and tables, and kinds of things in PostgreSQL's catalogue."""


def words_allowed_by(connection: Any, table: str, column: str) -> set[str]:
    """What the CHECK constraints of a column allow, as the database has them."""
    rows = connection.execute(
        "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = %s::regclass AND contype = 'c'",
        [f"jobq.{table}"],
    ).fetchall()
    (listed,) = [text for (text,) in rows if re.match(rf"CHECK \(\({column} = ANY", text)]
    return set(re.findall(r"'(\w+)'::text", listed))


def test_the_database_allows_the_states_that_there_are(connection: Any) -> None:
    ((expression,),) = connection.execute(
        "SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef "
        "JOIN pg_attribute ON (attrelid, attnum) = (adrelid, adnum) "
        "WHERE adrelid = 'jobq.jobs'::regclass AND attname = 'state'"
    ).fetchall()
    assert set(re.findall(r"'(\w+)'::text", expression)) == set(State)


def test_the_database_allows_the_outcomes_that_there_are(connection: Any) -> None:
    assert words_allowed_by(connection, "results", "outcome") == set(Outcome)


@pytest.mark.parametrize(
    ("table", "column", "words"),
    [("ticks", "verdict", Verdict), ("schedules", "missed", MISSED), ("schedules", "overlap", OVERLAP)],
)
def test_the_database_allows_the_words_of_schedules(connection: Any, table: str, column: str, words: Any) -> None:
    assert words_allowed_by(connection, table, column) == set(words)


def test_no_word_is_both_a_state_and_an_outcome() -> None:
    assert set(State) & set(Outcome) == set()
    assert FINISHED not in set(State) | set(Outcome)


@pytest.mark.parametrize("name", sorted(STATEMENTS))
def test_every_word_that_a_statement_compares_is_a_state_or_an_outcome(name: str) -> None:
    words = set(re.findall(r"'([A-Za-z]\w*)'", STATEMENTS[name]))
    assert words <= {*State, *Outcome, FINISHED, *OTHER_WORDS}


@pytest.mark.parametrize("name", sorted(STATEMENTS))
def test_every_state_that_a_statement_names_is_one(name: str) -> None:
    named = re.findall(r"\bstate\s*=\s*'(\w+)'", STATEMENTS[name])
    for listed in re.findall(r"\bstate\s+IN\s*\(([^)]*)\)", STATEMENTS[name]):
        named += re.findall(r"'(\w+)'", listed)
    assert set(named) <= set(State)


# One act a transition: it brings a job to where the transition leaves from, and returns the call of the statement
# that makes the transition.


def promote(store: Any, report: Any) -> Callable[[], object]:
    store.add(delay=60)
    store.execute("UPDATE jobq.jobs SET run_at = now()")
    return lambda: store.promote()


def replace(first: float, second: float) -> Callable[[Any, Any], Callable[[], object]]:
    """A waiting job takes over the delay of a later one with its key."""

    def prepare(store: Any, report: Any) -> Callable[[], object]:
        rules = KeyRules("replace", "finished", None, None)
        store.add(unique_key="k", key_rules=rules, delay=first)
        return lambda: store.add(unique_key="k", key_rules=rules, delay=second)

    return prepare


def claim(store: Any, report: Any) -> Callable[[], object]:
    store.add()
    worker = store.worker()
    return lambda: store.claim(worker)


def running(store: Any) -> tuple[int, Any]:
    store.add()
    worker = store.worker()
    (assignment,) = store.claim(worker)
    return worker, assignment


def give_back(store: Any, report: Any) -> Callable[[], object]:
    worker, assignment = running(store)
    return lambda: store.give_back(worker, assignment)


def finish_as(outcome: Outcome) -> Callable[[Any, Any], Callable[[], object]]:
    def prepare(store: Any, report: Any) -> Callable[[], object]:
        worker, assignment = running(store)
        return lambda: store.finish(worker, report(assignment, outcome))

    return prepare


def retry_after(delay: float) -> Callable[[Any, Any], Callable[[], object]]:
    def prepare(store: Any, report: Any) -> Callable[[], object]:
        worker, assignment = running(store)
        return lambda: store.retry(worker, report(assignment, Outcome.ERRORED, retry_delay=delay))

    return prepare


def rescue_with(max_losses: int) -> Callable[[Any, Any], Callable[[], object]]:
    def prepare(store: Any, report: Any) -> Callable[[], object]:
        worker, assignment = running(store)
        store.declare_dead(worker, assignment)
        return lambda: store.rescue(max_losses=max_losses)

    return prepare


def rescue_later(store: Any, report: Any) -> Callable[[], object]:
    worker, assignment = running(store)
    store.execute("UPDATE jobq.jobs SET losses = 1")
    store.declare_dead(worker, assignment)
    return lambda: store.rescue(spread=1000.0)


def cancel_after(delay: float) -> Callable[[Any, Any], Callable[[], object]]:
    def prepare(store: Any, report: Any) -> Callable[[], object]:
        job = store.add(delay=delay)
        return lambda: store.cancel(job)

    return prepare


def defer_for(delay: float) -> Callable[[Any, Any], Callable[[], object]]:
    def prepare(store: Any, report: Any) -> Callable[[], object]:
        worker, assignment = running(store)
        return lambda: store.retry(worker, report(assignment, Outcome.DEFERRED, retry_delay=delay, excused=True))

    return prepare


def expire_after(delay: float) -> Callable[[Any, Any], Callable[[], object]]:
    def prepare(store: Any, report: Any) -> Callable[[], object]:
        store.add(delay=delay, expires_in=60.0)
        store.execute("UPDATE jobq.jobs SET expires_at = now() - interval '1 second'")
        return lambda: store.expire()

    return prepare


def retry_by_hand(store: Any, report: Any) -> Callable[[], object]:
    worker, assignment = running(store)
    store.finish(worker, report(assignment, Outcome.ERRORED))
    return lambda: store.retry_by_hand(assignment.id)


def undo_retry(store: Any, report: Any) -> Callable[[], object]:
    retry_by_hand(store, report)()
    (job,) = store.unfinished()
    audit.keep(store.connection, store.schema, 1, [(job.id, job.attempt)])
    return lambda: audit.undo_retry(store.connection, store.schema, 1, [job.id])


def undo_cancel_after(delay: float) -> Callable[[Any, Any], Callable[[], object]]:
    def prepare(store: Any, report: Any) -> Callable[[], object]:
        job = store.add(delay=delay)
        acts.cancel(store.connection, store.schema, [job], cancelled_by="ada@here", act=1)
        return lambda: audit.undo_cancel(store.connection, store.schema, 1, [job])

    return prepare


ACTS: dict[str, Callable[[Any, Any], Callable[[], object]]] = {
    "enqueue": lambda store, report: lambda: store.add(),
    "schedule": lambda store, report: lambda: store.add(delay=60),
    "promote": promote,
    "put off": replace(0, 60),
    "bring forward": replace(60, 0),
    "claim": claim,
    "give back": give_back,
    "succeed": finish_as(Outcome.SUCCESSFUL),
    "fail": finish_as(Outcome.ERRORED),
    "retry": retry_after(60),
    "retry at once": retry_after(0),
    "rescue": rescue_with(2),
    "rescue later": rescue_later,
    "give up": rescue_with(1),
    "defer": defer_for(60),
    "defer at once": defer_for(0),
    "cancel": cancel_after(0),
    "cancel scheduled": cancel_after(60),
    "cancel running": finish_as(Outcome.CANCELLED),
    "expire": expire_after(0),
    "expire scheduled": expire_after(60),
    "retry by hand": retry_by_hand,
    "undo retry": undo_retry,
    "undo cancel": undo_cancel_after(0),
    "undo cancel scheduled": undo_cancel_after(60),
}


class AtGate:
    """A store whose jobs go through a gate."""

    def __init__(self, store: Any) -> None:
        self._store = store
        store.gate()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def add(self, **fields: Any) -> int | None:
        added: int | None = self._store.add(gate="g", lane="a", **fields)
        return added

    def claim(self, worker: int) -> Any:
        return self._store.claim_through(worker).assignments


def at_gate(act: Callable[[Any, Any], Callable[[], object]]) -> Callable[[Any, Any], Callable[[], object]]:
    return lambda store, report: act(AtGate(store), report)


ACTS |= {
    "enqueue at a gate": at_gate(ACTS["enqueue"]),
    "promote to a gate": at_gate(promote),
    "put off at a gate": at_gate(replace(0, 60)),
    "bring forward to a gate": at_gate(replace(60, 0)),
    "pass a gate": at_gate(claim),
    "give back to a gate": at_gate(give_back),
    "retry at a gate": at_gate(retry_after(0)),
    "rescue to a gate": at_gate(rescue_with(2)),
    "defer to a gate": at_gate(defer_for(0)),
    "cancel at a gate": at_gate(cancel_after(0)),
    "expire at a gate": at_gate(expire_after(0)),
    "retry by hand at a gate": at_gate(retry_by_hand),
    "undo retry at a gate": at_gate(undo_retry),
    "undo cancel at a gate": at_gate(undo_cancel_after(0)),
}


def standing(store: Any) -> str | None:
    """The state of the one job that there is."""
    return next((job.state for job in store.unfinished()), None)


@pytest.mark.parametrize("transition", TRANSITIONS, ids=lambda transition: transition.name)
def test_every_transition_is_made_by_a_statement(transition: Transition, store: Any, report: Any) -> None:
    act = ACTS[transition.name](store, report)
    recorded = len(store.results())
    assert standing(store) == transition.source
    act()
    assert standing(store) == transition.target
    assert [result.outcome for result in store.results()[recorded:]] == (
        [transition.outcome] if transition.outcome else []
    )


def test_no_act_is_tested_that_is_no_transition() -> None:
    assert set(ACTS) == {transition.name for transition in TRANSITIONS}


def test_transitions_have_names_of_their_own_and_lead_somewhere_else() -> None:
    assert len({transition.name for transition in TRANSITIONS}) == len(TRANSITIONS)
    assert all(transition.source != transition.target for transition in TRANSITIONS)


def test_a_job_leaves_the_table_only_with_an_outcome() -> None:
    """Only an undone retry leaves it without one: the outcome it had before is its outcome again."""
    for transition in TRANSITIONS:
        if transition.target is None and not transition.name.startswith("undo retry"):
            assert transition.outcome is not None, transition.name


def test_every_state_can_be_reached_and_left() -> None:
    assert {transition.target for transition in TRANSITIONS} == {*State, None}
    assert {transition.source for transition in TRANSITIONS} == {*State, None}


def test_only_a_running_job_has_an_attempt_to_end_besides_a_cancelled_one() -> None:
    for transition in TRANSITIONS:
        if transition.outcome not in (None, Outcome.CANCELLED):
            assert transition.source is State.RUNNING, transition.name


@pytest.mark.parametrize("name", ["cancel", "expire"])
def test_what_is_called_off_at_once_is_what_is_not_running(name: str) -> None:
    assert set(WAITING) == set(State) - {State.RUNNING}
    assert "AND worker_id IS NULL" in STATEMENTS[name], "see the column `state` of jobs"


def test_the_diagram_in_the_documentation_has_every_transition_and_no_other() -> None:
    page = (Path(__file__).parents[2] / "docs" / "how-it-works.md").read_text(encoding="utf-8")
    diagram = page[page.index("stateDiagram-v2") :].partition("```")[0]
    drawn = set(re.findall(r"^ +(\S+) --> (\S+): (.+)$", diagram, re.MULTILINE))
    assert drawn == {
        (transition.source or "[*]", transition.target or transition.outcome or "[*]", transition.name)
        for transition in TRANSITIONS
    }


@pytest.mark.parametrize("retries", range(4))
def test_a_job_that_always_fails_is_tried_once_and_then_as_often_as_it_has_retries(retries: int) -> None:
    tries = 1
    while may_retry(tries=tries, retries=retries):
        tries += 1
    assert tries == 1 + retries


@pytest.mark.parametrize("max_losses", range(1, 5))
def test_a_job_that_always_kills_its_process_is_lost_as_often_as_allowed(max_losses: int) -> None:
    losses = 1
    while may_run_again(losses=losses, max_losses=max_losses):
        losses += 1
    assert losses == max_losses


@pytest.mark.parametrize(
    ("ran_apart", "lost_together", "apart", "losses", "counts"),
    [
        (False, 1, 0, 0, True),
        (False, 1, 0, 2, True),
        (False, 2, 0, 0, False),
        (False, 2, 1, 0, False),
        (True, 1, 1, 0, True),
        (True, 5, 1, 0, True),
        (True, 2, 2, 0, True),
        (True, 2, 2, 2, False),
    ],
)
def test_a_loss_counts_only_where_it_points_at_one_job(
    *, ran_apart: bool, lost_together: int, apart: int, losses: int, counts: bool
) -> None:
    assert counts is is_loss(ran_apart=ran_apart, lost_together=lost_together, apart=apart, losses=losses, max_losses=3)

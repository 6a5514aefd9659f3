"""The checker can fail: each kind of broken promise is planted into the evidence of a good run, and named by it."""

from collections import Counter
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from tests.faults.ledger import RULES, Entry, Evidence, Fault, check, report

START = datetime(2026, 1, 1, tzinfo=UTC)
OFFSET = START.timestamp() - 1000.0
"""The ledger's clock stands at 1000 s when the run begins."""


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def result(job: int, attempt: int = 1, outcome: str = "successful", **fields: Any) -> SimpleNamespace:
    values = {
        "id": job,
        "job_class": "jobs.Short",
        "unique_key": None,
        "gate": None,
        "lane": None,
        "arguments": {"token": f"t{job}"},
        "source": "enqueuer.py:1",
        "attempt": attempt,
        "worker_id": 1,
        "enqueued_at": at(job),
        "started_at": at(job + 1),
        "ended_at": at(job + 2),
        "outcome": outcome,
        "retried": outcome == "lost",
        "error_type": "ProcessDied" if outcome == "lost" else None,
        "error_message": "child process 77 was killed by SIGKILL" if outcome == "lost" else None,
    }
    return SimpleNamespace(**values | fields)


def entry(seconds: float, event: str, *words: object) -> Entry:
    return Entry(1000 + seconds, event, tuple(map(str, words)))


def told(job: int, attempt: int = 1) -> list[Entry]:
    """What a job that runs to its end leaves in the ledger, with its enqueuer's lines before its first attempt."""
    asked = [entry(job, "asked", f"t{job}", "single"), entry(job, "acknowledged", f"t{job}", job)]
    run = [entry(job + 1.2, "began", job, attempt, f"t{job}", 50), entry(job + 1.8, "ended", job, attempt, f"t{job}")]
    return (asked if attempt == 1 else []) + run


def good() -> Evidence:
    """A child was killed, an operator acted, a schedule had its ticks, a caller rolled back: all is well."""
    ticks = [
        SimpleNamespace(schedule="s", tick_at=START + timedelta(minutes=n), verdict="enqueued", job_id=20 + n)
        for n in range(3)
    ]
    by_schedule = {"arguments": {}, "source": "schedule s"}
    return Evidence(
        entries=[
            *(line for job in (1, 2, 3, 4, 5, 6) for line in told(job)),
            *told(2, attempt=2),
            entry(7, "asked", "t7", "transactional"),
            entry(7, "rolled_back", "t7"),
            entry(8, "asked", "t8", "keyed"),
            entry(8, "held", "t8"),
            entry(9, "asked", "t9", "single"),
            entry(9, "unknown", "t9"),
            entry(10, "asked", "t10", "single"),
            entry(10, "refused", "t10", "DatabaseUnreachable"),
            entry(9, "acted", "purge", "6"),
            *(line for n in range(3) for line in (entry(60 * n, "began", 20 + n, 1, "-", 50),)),
            *(entry(60 * n, "ended", 20 + n, 1, "-") for n in range(3)),
        ],
        results=[
            result(1),
            result(2, outcome="lost"),
            result(2, attempt=2),
            result(3, job_class="jobs.Keyed", unique_key="k"),
            result(4, job_class="jobs.Keyed", unique_key="k", enqueued_at=at(5.5)),
            result(5, job_class="jobs.ExactlyOnce"),
            *(result(20 + n, **by_schedule) for n in range(3)),
        ],
        unfinished=[],
        workers={1: 50},
        ticks=ticks,
        acts={"purge": {6}},
        affected={"purge": 1},
        faults=[Fault("child killed", 1003.0, frozenset({77}), 1003.0)],
        wall_minus_monotonic=OFFSET,
        exactly_once=frozenset({"jobs.ExactlyOnce"}),
        gate_limits={"far end": (2, 1)},
        effects=Counter(["t5"]),
        orders=set(),
    )


def change(row: int, **fields: Any) -> Callable[[Evidence], None]:
    def plant(evidence: Evidence) -> None:
        for name, value in fields.items():
            setattr(evidence.results[row], name, value)

    return plant


def add(*rows: SimpleNamespace, entries: list[Entry] | None = None) -> Callable[[Evidence], None]:
    def plant(evidence: Evidence) -> None:
        evidence.results.extend(rows)
        evidence.entries.extend(entries or [])

    return plant


def take(row: int) -> Callable[[Evidence], None]:
    return lambda evidence: evidence.results.__delitem__(row)


def waits(evidence: Evidence) -> None:
    evidence.unfinished.append(SimpleNamespace(**vars(result(1)), state="pending"))


def through_a_gate(lanes: dict[int, str]) -> Callable[[Evidence], None]:
    """These jobs went through it, and all of them had begun before the first one ended."""

    def plant(evidence: Evidence) -> None:
        for row in evidence.results:
            if row.id in lanes:
                row.gate, row.lane = "far end", lanes[row.id]
        evidence.entries[:] = [
            replace(line, at=1000.0) if line.event == "began" and int(line.words[0]) in lanes else line
            for line in evidence.entries
        ]

    return plant


PLANTED: dict[str, Callable[[Evidence], None]] = {
    "an acknowledged job is nowhere": take(0),
    "a job was left in the queue": waits,
    "a job has ended, and is in the queue": waits,
    "a job has several final states": add(result(1, attempt=2)),
    "a job is to run again, and is not in the queue": change(0, outcome="errored", retried=True),
    "an attempt has several ends": add(result(1)),
    "an attempt ran several times": add(entries=[entry(4, "began", 1, 1, "t1", 50)]),
    "an attempt ran, and has no record": add(entries=[entry(4, "began", 1, 2, "t1", 50)]),
    "recorded as successful, but did not run to its end": lambda e: e.entries.remove(told(1)[3]),
    "a job ran again without a reason": add(result(1, attempt=2), entries=told(1, attempt=2)),
    "an attempt was lost without a cause": lambda e: e.faults.clear(),
    "a job was given up too early": add(result(30, outcome="lost", retried=False)),
    "an attempt failed that must not": change(0, outcome="errored"),
    "an error that is not one of jobq's": add(entries=[entry(4, "surprise", "t1", "OperationalError()")]),
    "a job was cancelled by nobody": change(0, outcome="cancelled"),
    "an act is not in the audit": lambda e: e.affected.clear(),
    "rolled back, but enqueued": add(result(7)),
    "its key was held, but enqueued": add(result(8)),
    "refused, but enqueued": add(result(10)),
    "a job that nobody has enqueued": add(result(31), entries=[entry(31, "began", 31, 1, "t31", 50)]),
    "enqueued once, and there are several": add(result(32, arguments={"token": "t1"})),
    "a unique key had two unfinished jobs": change(4, enqueued_at=at(3)),
    "two jobs of a unique key ran at once": lambda e: e.entries.__setitem__(
        slice(None), [x if x.words != ("4", "1", "t4", "50") else entry(4.5, "began", *x.words) for x in e.entries]
    ),
    "a gate let too many through": through_a_gate({1: "a", 3: "b", 4: "c"}),
    "a lane let too many through": through_a_gate({3: "a", 4: "a"}),
    "a tick was left out": lambda e: e.ticks.pop(1),
    "the job of a tick is nowhere": take(6),
    "ticks share a job": lambda e: setattr(e.ticks[1], "job_id", 20),
    "a tick was enqueued twice": add(result(33, arguments={}, source="schedule s")),
    "half of a caller's transaction": lambda e: e.orders.add("t7") if e.orders is not None else None,
    "an effect and its success do not agree": lambda e: e.effects.update(["t5"]),
}


def test_a_good_run_is_found_to_be_good() -> None:
    assert check(good()) == []
    assert report(good()) == ["every job is accounted for"]


@pytest.mark.parametrize("rule", PLANTED)
def test_a_broken_promise_is_named(rule: str) -> None:
    evidence = deepcopy(good())
    PLANTED[rule](evidence)

    found = check(evidence)

    assert rule in {violation.rule for violation in found}


def test_every_rule_is_broken_by_something_that_is_planted() -> None:
    broken = set()
    for plant in PLANTED.values():
        evidence = deepcopy(good())
        plant(evidence)
        broken |= {rule for rule in RULES if list(rule(evidence))}

    assert broken == set(RULES)


def test_a_loss_is_excused_only_by_what_happened_to_that_process_or_shortly_before() -> None:
    lost_worker = {"outcome": "lost", "retried": True, "error_type": "WorkerLost", "error_message": "worker gone"}
    evidence = good()
    evidence.results[1] = result(2, **lost_worker)
    assert [v.rule for v in check(evidence)] == ["an attempt was lost without a cause"]

    evidence.faults.append(Fault("network cut", 1002.0, frozenset({50}), 1003.0))
    assert check(evidence) == []

    evidence.faults[-1] = Fault("network cut", 900.0, frozenset({50}), 950.0)
    assert [v.rule for v in check(evidence)] == ["an attempt was lost without a cause"]

    evidence.faults[-1] = Fault("supervisor killed", 900.0, frozenset({50}), 950.0)
    assert check(evidence) == [], "it stays silent, however long nobody else lives to see it"


def test_what_was_lost_together_or_in_a_stop_is_no_loss_towards_the_limit() -> None:
    evidence = replace(good(), max_losses=1)
    given_up = result(2, outcome="lost", retried=False)
    evidence.results[1] = given_up
    too_early = "a job was given up too early"
    assert too_early not in [found.rule for found in check(evidence)]

    given_up.error_message += "; other jobs were lost with it, so this does not count as a loss, and it will run apart"
    assert too_early in [found.rule for found in check(evidence)]


def test_the_story_of_an_offender_has_its_lines_its_records_and_the_faults_of_that_time() -> None:
    evidence = good()
    evidence.results[2].retried = True
    violation = next(found for found in check(evidence) if found.job == 2)

    story = evidence.story(violation)

    assert "acknowledged t2 2" in story
    assert "RECORDED attempt 1 lost" in story
    assert "FAULT child killed" in story
    assert "began 2 2 t2 50" in story

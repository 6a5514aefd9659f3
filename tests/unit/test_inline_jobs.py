"""Jobs that run at once, where they are enqueued, without a database."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, ClassVar

import pytest

import jobq
from jobq import Cancel, Defer, Job, enqueue_many, enqueue_many_async, register_job
from jobq.errors import ArgumentsError, ConfigurationError
from jobq.store.database import use_database
from jobq.testing import immediately
from jobq.testing.inline import MAX_DEPTH, Inline

RAN: list[Any] = []


@pytest.fixture(autouse=True)
def inline(monkeypatch: pytest.MonkeyPatch) -> Iterator[Inline]:
    """Nothing here may reach for a database: in production without an address, that is refused."""
    monkeypatch.setenv("JOBQ_ENV", "production")
    use_database(None)
    RAN.clear()
    with immediately() as inline:
        yield inline
    use_database(None)


@register_job
class Notes(Job):
    def __init__(self, what: Any) -> None:
        self.what = what

    def run(self) -> Any:
        RAN.append(self.what)
        return self.what


@register_job
class Awaits(Job):
    def __init__(self, text: str) -> None:
        self.text = text

    async def run(self) -> None:
        await asyncio.sleep(0)
        RAN.append(self.text)


@register_job
class Raises(Job):
    def __init__(self, error: str) -> None:
        self.error = error

    def run(self) -> None:
        RAN.append(self.error)
        raise {"cancel": Cancel("not needed"), "defer": Defer(60)}.get(self.error) or LookupError(self.error)

    def get_retries(self) -> int:
        return 3


@register_job
class Nests(Job):
    def __init__(self, depth: int, key: str | None = None) -> None:
        self.depth, self.key = depth, key

    def run(self) -> None:
        if self.depth:
            RAN.append(Nests(self.depth - 1, self.key).run_in_worker())

    def get_unique_key(self) -> str | None:
        return self.key


def test_a_job_has_run_when_it_is_enqueued(inline: Inline) -> None:
    record = Notes("a").run_in_worker(queue="mail", priority=5)
    assert RAN == ["a"]
    assert record is not None
    assert (record.state, record.outcome, record.attempt) == ("finished", "successful", 1)
    assert (record.queue, record.priority, record.arguments) == ("mail", 5, {"what": "a"})
    assert record.started_at is not None
    assert record.ended_at is not None
    assert inline.records == [record]


def test_arguments_make_their_way_through_json() -> None:
    given = {"price": Decimal("9.90"), "at": datetime(2030, 1, 1, tzinfo=UTC), "tags": ("a", "b")}
    Notes(given).run_in_worker()
    (ran,) = RAN
    assert ran == given
    assert ran is not given
    with pytest.raises(ArgumentsError, match="Notes"):
        Notes(object()).run_in_worker()


def test_what_a_job_raises_is_raised_where_it_is_enqueued(inline: Inline) -> None:
    with pytest.raises(LookupError, match="no paint"):
        Raises("no paint").run_in_worker()
    assert RAN == ["no paint"], "no retries"
    assert [(record.outcome, record.error_message) for record in inline.records] == [("errored", "no paint")]


@pytest.mark.parametrize(("directive", "outcome"), [("cancel", "cancelled"), ("defer", "deferred")])
def test_a_directive_is_an_outcome_and_no_error(directive: str, outcome: str) -> None:
    record = Raises(directive).run_in_worker()
    assert record is not None
    assert record.outcome == outcome


def test_a_delay_counts_for_nothing() -> None:
    Notes("later").run_in_worker(delay=3600)
    assert RAN == ["later"]


def test_many_run_in_their_order() -> None:
    records = enqueue_many([Notes(number) for number in range(3)])
    assert RAN == [0, 1, 2]
    assert [record and record.outcome for record in records] == ["successful"] * 3


class Again(Job):
    """Enqueues itself under the same key while it runs, once."""

    met: ClassVar[list[Any]] = []

    def __init__(self, turn: int) -> None:
        self.turn = turn

    def get_unique_key(self) -> str:
        return "k"

    def run(self) -> int:
        RAN.append(self.turn)
        if self.turn == 1:
            self.met.append(type(self)(2).run_in_worker())
            self.met.append(type(self)(3).run_in_worker())
        return self.turn


@pytest.mark.parametrize(
    ("on_held", "ran", "met"),
    [
        ("skip", [1], [None, None]),
        ("replace", [1], [None, None]),
        ("return", [1], ["returned", "returned"]),
        ("rerun", [1, 3], ["followed", "followed"]),
        ("newest", [1, 3], ["followed", "followed"]),
        ("debounce", [1, 3], ["followed", "followed"]),
    ],
)
def test_a_held_key_goes_by_the_rules_of_its_class(on_held: str, ran: list[int], met: list[Any]) -> None:
    members: dict[str, Any] = {"on_held": on_held, "met": [], "__module__": __name__}
    members |= {"debounce_limit": 60} if on_held == "debounce" else {}
    kind: Any = type(f"Again{on_held.title()}", (Again,), members)
    record = register_job(kind)(1).run_in_worker()
    assert (record.state, record.outcome) == ("finished", "successful")
    assert ran == RAN
    assert [one and (one.on_held, one.id, one.state) for one in kind.met] == [
        word and (word, record.id, "running") for word in met
    ]


def test_a_key_that_is_free_from_the_start_does_not_hold_while_its_job_runs() -> None:
    kind: Any = type("AgainStarted", (Again,), {"unique_until": "started", "met": [], "__module__": __name__})
    register_job(kind)(1).run_in_worker()
    assert RAN == [1, 2, 3]


def test_a_time_span_lets_one_job_through() -> None:
    kind: Any = type("AgainLater", (Again,), {"unique_for": 600, "met": [], "__module__": __name__})
    register_job(kind)
    assert kind(4).run_in_worker() is not None
    assert kind(5).run_in_worker() is None
    assert RAN == [4]


def test_a_unique_key_holds_while_its_job_runs() -> None:
    assert Nests(2, key="one").run_in_worker() is not None
    assert RAN == [None], "the one inside was refused"
    assert Nests(0, key="one").run_in_worker() is not None, "and then it is free"


def test_jobs_enqueue_jobs_up_to_a_depth_that_is_a_mistake() -> None:
    Nests(3).run_in_worker()
    assert [record.outcome for record in RAN] == ["successful"] * 3
    with pytest.raises(AssertionError, match=f"{MAX_DEPTH} jobs run inside each other"):
        Nests(MAX_DEPTH + 1).run_in_worker()


def test_a_coroutine_runs_to_its_end() -> None:
    Awaits("outside of a loop").run_in_worker()
    assert RAN == ["outside of a loop"]


def test_from_a_loop_a_coroutine_runs_too() -> None:
    async def enqueue() -> None:
        await Awaits("awaited").run_in_worker_async()
        Awaits("in the loop").run_in_worker()
        await enqueue_many_async([Notes("many")])
        with pytest.raises(LookupError):
            await Raises("in a thread").run_in_worker_async()

    asyncio.run(enqueue())
    assert RAN == ["awaited", "in the loop", "many", "in a thread"]


def test_a_job_that_ran_is_found_and_waited_for_without_a_database() -> None:
    when = datetime(2026, 1, 2, tzinfo=UTC)
    record = Notes(when).run_in_worker()
    assert record is not None

    assert record.wait(timeout=0).value == when
    assert record.refresh().value == when
    assert {job: attempt.outcome for job, attempt in jobq.wait([record, None]).items()} == {record.id: "successful"}


def test_in_a_loop_a_job_that_ran_is_found_too() -> None:
    async def enqueue() -> tuple[Any, Any]:
        record = await Notes("awaited").run_in_worker_async()
        assert record is not None
        return (await record.wait_async(timeout=0)).value, (await jobq.get_async(record)).state

    assert asyncio.run(enqueue()) == ("awaited", "finished")


def test_a_job_that_failed_at_once_is_found_with_its_error(inline: Inline) -> None:
    with pytest.raises(LookupError):
        Raises("no such user").run_in_worker()
    (record,) = inline.records
    attempt = record.wait(timeout=0)
    assert (attempt.outcome, attempt.error_type, attempt.error_message) == ("errored", "LookupError", "no such user")


def test_afterwards_jobs_go_to_the_database_again() -> None:
    with immediately():
        pass
    Notes("still inside the other").run_in_worker()
    from jobq import stand_ins

    stand_ins.run_inline = None
    with pytest.raises(ConfigurationError, match="production"):
        Notes("outside").run_in_worker()
    assert RAN == ["still inside the other"]

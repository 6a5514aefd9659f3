"""A Job on its way to a row: every option that cannot be is refused, by name, before the database is asked."""

import copy
import functools
import pickle
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobq import Job, register_job
from jobq.enqueueing import new_job
from jobq.errors import ArgumentsError, EnqueueError, UnknownJobClass
from jobq.frames import JOBQ
from jobq.options import MAX_DELAY_SECONDS, checked_int, checked_key, checked_queue, due
from jobq.records import NewJob
from jobq.settings import Settings
from jobq.store.database import Database, use_database, who_am_i


@pytest.fixture(autouse=True)
def nowhere() -> Iterator[None]:
    """No database: whoever asked one would fail."""
    use_database(Database(Settings(database_url="host=/nowhere connect_timeout=1")))
    yield
    use_database(None)


@register_job
class Send(Job):
    def __init__(self, to: str, *, copies: int = 1) -> None:
        self.to = to

    def run(self) -> None:
        pass


@register_job
@dataclass(frozen=True)
class Frozen(Job):
    to: str
    copies: int = 1

    def run(self) -> None:
        pass


def test_a_job_that_says_nothing_waits_in_the_default_queue_once_and_at_once() -> None:
    new = new_job(Send("ada"))
    assert (new.queue, new.priority, new.retries, new.unique_key, new.delay, new.run_at) == (
        "default",
        0,
        0,
        None,
        0.0,
        None,
    )


def test_a_job_may_be_a_frozen_dataclass() -> None:
    assert new_job(Frozen("ada")).arguments == new_job(Send("ada")).arguments


def test_a_copied_job_is_the_same_job() -> None:
    job = Send("ada", copies=2)
    arguments = new_job(job).arguments
    assert new_job(copy.copy(job)).arguments == arguments
    assert new_job(copy.deepcopy(job)).arguments == arguments
    assert new_job(pickle.loads(pickle.dumps(job))).arguments == arguments


def test_a_job_without_run_says_so() -> None:
    with pytest.raises(NotImplementedError, match="Job does not define run"):
        Job().run()


def test_a_class_that_is_not_registered_is_refused() -> None:
    class Unknown(Job):
        def run(self) -> None:
            pass

    with pytest.raises(UnknownJobClass, match=r"Unknown is not registered.*@register_job"):
        Unknown().run_in_worker()


BAD_OPTIONS: list[tuple[str, Any, str]] = [
    ("delay", -1, "past"),
    ("delay", timedelta(seconds=-1), "past"),
    ("delay", float("nan"), "nan"),
    ("delay", float("inf"), "100 years"),
    ("delay", float("-inf"), "past"),
    ("delay", 10**400, "100 years"),
    ("delay", 10**5000, "100 years"),
    ("delay", -(10**400), "past"),
    ("delay", timedelta.max, "100 years"),
    ("delay", MAX_DELAY_SECONDS + 1, "100 years"),
    ("delay", True, "True"),
    ("delay", "60", "'60'"),
    ("delay", Decimal(1), "Decimal"),
    ("delay", datetime(2030, 1, 1), "time zone"),  # noqa: DTZ001 - the naive one is the point
    ("delay", datetime.max.replace(tzinfo=UTC), "9998"),
    ("delay", datetime.min.replace(tzinfo=UTC), "1970"),
    ("queue", "", "''"),
    ("queue", "q" * 101, "101 characters"),
    ("queue", "q" * 10_000, "10,000 characters"),
    ("queue", "two\nlines", "control"),
    ("queue", "nul\0", "control"),
    ("queue", "\ud800", "control"),
    ("queue", 5, "5"),
    ("queue", b"mail", "b'mail'"),
    ("priority", 32768, "32767"),
    ("priority", -32768, "-32767"),
    ("priority", 10**400, "32767"),
    ("priority", 1.0, "whole number"),
    ("priority", True, "whole number"),
    ("priority", "high", "whole number"),
    ("retries", -1, "between 0 and"),
    ("retries", 1_000_001, "1000000"),
    ("retries", 2.5, "whole number"),
    ("retries", False, "whole number"),
    ("unique_key", 5, "5"),
    ("unique_key", "k" * 251, "251 characters"),
    ("unique_key", "nul\0", "control"),
    ("unique_key", b"k", "b'k'"),
]


# The values are no ids: some are longer than Python prints.
NAMED = [pytest.param(*bad, id=f"{bad[0]}-{number}") for number, bad in enumerate(BAD_OPTIONS)]


@pytest.mark.parametrize(("option", "value", "said"), NAMED)
def test_an_option_that_cannot_be_is_refused_by_name(option: str, value: Any, said: str) -> None:
    with pytest.raises(EnqueueError) as caught:
        Send("ada").run_in_worker(**{option: value})
    assert str(caught.value).startswith(option)
    assert said in str(caught.value)
    assert len(str(caught.value)) < 300, "however long the value"


@pytest.mark.parametrize(("option", "value", "said"), [bad for bad in NAMED if bad.values[0] != "delay"])
def test_what_a_method_says_is_checked_as_what_is_passed(
    option: str, value: Any, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Send, f"get_{option}", lambda self: value)
    with pytest.raises(EnqueueError, match=f"^{option}"):
        new_job(Send("ada"))


def test_a_value_whose_repr_raises_is_refused_all_the_same() -> None:
    class Rude:
        def __repr__(self) -> str:
            raise RuntimeError("no")

    for option in ("delay", "queue", "priority", "retries", "unique_key"):
        with pytest.raises(EnqueueError, match=f"^{option} is a Rude"):
            new_job(Send("ada"), **{option: Rude()})


@pytest.mark.parametrize("build", [lambda: Send(), lambda: Send("a", "b"), lambda: Send("a", colour=1)])
def test_arguments_that_do_not_fit_are_refused_where_the_job_is_made(build: Any) -> None:
    with pytest.raises(TypeError):
        build()


def test_arguments_that_cannot_be_stored_name_the_class_and_the_argument() -> None:
    with pytest.raises(ArgumentsError, match=r"Send.*to"):
        new_job(Send(object()))  # type: ignore[arg-type]


def test_an_empty_unique_key_is_none() -> None:
    assert checked_key("") is None
    assert new_job(Send("ada"), unique_key="").unique_key is None


def test_an_empty_key_passed_frees_a_job_of_its_own_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Send, "get_unique_key", lambda self: "own")
    assert new_job(Send("ada")).unique_key == "own"
    assert new_job(Send("ada"), unique_key="").unique_key is None


def test_a_zero_passed_wins_over_the_method(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Send, "get_priority", lambda self: 7)
    monkeypatch.setattr(Send, "get_retries", lambda self: 7)
    new = new_job(Send("ada"), priority=0, retries=0, delay=0)
    assert (new.priority, new.retries, new.delay) == (0, 0, 0.0)


@given(seconds=st.floats(0, MAX_DELAY_SECONDS) | st.integers(0, int(MAX_DELAY_SECONDS)))
def test_a_delay_in_seconds_is_that_many_seconds(seconds: float) -> None:
    assert due(seconds) == (float(seconds), None)
    assert isinstance(due(seconds)[0], float)


@given(delta=st.timedeltas(timedelta(0), timedelta(days=36_000)))
def test_a_timedelta_is_its_seconds(delta: timedelta) -> None:
    assert due(delta) == (delta.total_seconds(), None)


@given(
    when=st.datetimes(
        datetime(1971, 1, 1), datetime(9997, 1, 1),  # noqa: DTZ001 - hypothesis wants naive bounds
        timezones=st.just(UTC) | st.just(timezone(timedelta(hours=-11))),
    )
)  # fmt: skip
def test_an_aware_datetime_is_kept_as_it_is(when: datetime) -> None:
    assert due(when) == (0.0, when)


@given(name=st.text(min_size=1, max_size=100).filter(str.isprintable))
def test_any_printable_name_may_be_a_queue_or_a_key(name: str) -> None:
    assert checked_queue(name) == checked_key(name) == name


@given(value=st.integers(-5, 5))
def test_a_whole_number_within_its_bounds_is_taken(value: int) -> None:
    assert checked_int("priority", value, 5) == value


def test_the_source_is_outside_jobq_even_in_a_folder_whose_name_begins_alike() -> None:
    """An application in `jobq-shop/` beside `jobq/` is not jobq."""
    file = JOBQ.rstrip("/") + "-shop/orders.py"
    assert new_by(file).source == f"{file}:3"


def test_the_source_is_the_application_when_a_library_calls_what_it_was_given() -> None:
    """As Django does after a commit: `on_commit(job.run_in_worker)`."""
    call = calling_from("/srv/lib/site-packages/django/transaction.py")
    source = call(functools.partial(new_job, Send("ada"))).source
    assert source.startswith(f"{__file__}:")


def test_the_source_is_the_application_where_it_is_installed_like_a_library() -> None:
    file = "/srv/lib/site-packages/shop/orders.py"
    assert new_by(file, module=f"{Send.__module__}.orders").source == f"{file}:3"


def test_the_source_is_the_user_where_only_a_program_beside_python_called() -> None:
    """The stub that an installer wrote, such as `bin/jobq` or `bin/django-admin`, is nobody's code."""
    program = str(Path(sys.executable).parent / "shop-admin")
    with ThreadPoolExecutor(1) as pool:  # where no frame is a test's
        assert pool.submit(calling_from(program), functools.partial(new_job, Send("ada"))).result().source == who_am_i()


def test_the_source_is_the_user_where_no_frame_is_the_applications() -> None:
    """As in a thread of a pool."""
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(new_job, Send("ada")).result().source == who_am_i()


def calling_from(file: str) -> Callable[..., Any]:
    """A function of this file that calls what it is given."""
    space: dict[str, Any] = {}
    exec(compile("def call(given):\n    return given()", file, "exec"), space)
    call: Callable[..., Any] = space["call"]
    return call


def new_by(file: str, module: str = "orders") -> NewJob:
    """A job made in the third line of a file."""
    space: dict[str, Any] = {"new_job": new_job, "Send": Send, "__name__": module}
    exec(compile("\n\nnew = new_job(Send('ada'))", file, "exec"), space)
    new: NewJob = space["new"]
    return new

"""`@job`: which functions may be jobs, what a call of one stores, and what it stays for those who call it."""

import asyncio
import contextvars
import copy
import functools
import inspect
import json
import pickle
import sys
import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

import jobq
from jobq import Job, Schedule, application, enqueue_many, functions, job, register_job, register_schedule
from jobq.arguments import decoded
from jobq.errors import ArgumentsError, EnqueueError, NotRunning, RegistrationError
from jobq.names import check_name, name_of
from jobq.records import Assignment, Report
from jobq.registry import registry
from jobq.runtime.execution import execute, perform
from jobq.runtime.stacks import readable
from jobq.testing import assert_enqueued, run_due_jobs

if TYPE_CHECKING:
    from conftest import Store
    from jobq.store.database import Database


@job
def greet(name: str, greeting: str = "Hello") -> str:
    """Greets somebody."""
    return f"{greeting}, {name}"


@job(
    queue="mail",
    priority=5,
    retries=3,
    retry_delay=lambda attempt: 10.0 * attempt,
    timeout=timedelta(minutes=1),
    unique_key="order-{order_id}-{kind}",
    alias="shop.old_ship",
    retry_when_row_is_gone=True,
)
def ship(order_id: int, kind: str = "parcel") -> int:
    return order_id


@job
async def fetch(address: "str", *, times: "int | None" = None) -> str:
    await asyncio.sleep(0)
    return f"{address} {times}"


@job
def gather(first: int, /, *rest: int, flag: bool = False, **named: int) -> Any:
    return [first, rest, flag, named]


@pytest.fixture(autouse=True)
def no_more_registered() -> Iterator[None]:
    """What a test registers is of no concern to the next."""
    before = (dict(registry._classes), dict(registry._aliases), dict(registry._scheduled))
    yield
    registry._classes, registry._aliases, registry._scheduled = before


def run(function: Any, arguments: str) -> Report:
    name = name_of(function.job_class)
    return execute(Assignment(7, 1, 0, 0, 0, 0, 0, "default", name, arguments), registry)


# What a function stays


def test_an_ordinary_call_returns_what_the_function_returns() -> None:
    assert greet("Ada") == "Hello, Ada"
    assert asyncio.run(fetch("here", times=2)) == "here 2"


def test_a_job_has_the_name_the_docstring_and_the_signature_of_its_function() -> None:
    assert (greet.__name__, greet.__doc__, greet.__module__) == ("greet", "Greets somebody.", __name__)
    assert str(inspect.signature(greet)) == "(name: str, greeting: str = 'Hello') -> str"
    assert repr(greet) == f"<job {__name__}.greet>"
    if sys.version_info >= (3, 12):
        assert inspect.iscoroutinefunction(fetch)
    assert not inspect.iscoroutinefunction(greet)


def test_a_job_is_pickled_and_copied_as_functions_are() -> None:
    assert pickle.loads(pickle.dumps(greet)) is greet
    assert copy.deepcopy(greet) is greet


# What is enqueued


def test_later_enqueues_a_call_with_the_options_of_the_decorator(database: "Database", store: "Store") -> None:
    record = ship.later(7, kind="letter")

    assert record is not None
    assert (record.job_class, record.queue, record.priority) == ("shop.old_ship", "mail", 5)
    assert (record.retries, record.timeout, record.unique_key) == (3, 60, "order-7-letter")
    assert record.arguments == {"order_id": 7, "kind": "letter"}
    assert record.source is not None
    assert record.source.startswith(__file__)
    assert ship.later(7, "letter") is None, "the unique key is held"


def test_options_win_over_the_decorator(database: "Database", store: "Store") -> None:
    record = ship.options(queue="slow", priority=-1, retries=0, unique_key="{as it is}", timeout=5).later(7)
    later = ship.options(delay=60, expires=90).later(7)

    assert record is not None
    assert (record.queue, record.priority, record.retries, record.unique_key) == ("slow", -1, 0, "{as it is}")
    assert record.timeout == 5
    assert later is not None
    assert (later.queue, later.state) == ("mail", "scheduled")
    assert later.expires_at is not None


def test_a_call_is_part_of_the_callers_transaction(database: "Database", store: "Store") -> None:
    with store.connection.transaction(force_rollback=True):
        assert greet.options(connection=store.connection).later("Ada") is not None
    assert store.unfinished() == []


def test_later_async_enqueues_from_an_event_loop(database: "Database", store: "Store") -> None:
    async def enqueue() -> list[Any]:
        return [await greet.later_async("Ada"), await greet.options(queue="slow").later_async("Eve")]

    assert [record.queue for record in asyncio.run(enqueue())] == ["default", "slow"]


def test_calls_are_enqueued_together_with_jobs_of_classes(database: "Database", store: "Store") -> None:
    enqueue_many([greet.job("Ada"), ship.job(1), ship.job(2)])
    assert [row.unique_key for row in store.unfinished()] == [None, "order-1-parcel", "order-2-parcel"]
    assert_enqueued(ship, queue="mail", arguments={"order_id": 2})
    assert_enqueued(greet, count=1)


def test_jobs_queued_under_an_alias_are_found_by_the_function(database: "Database", store: "Store") -> None:
    store.add(job_class="shop.old_ship", arguments='{"order_id": 4}')
    assert_enqueued(ship, arguments={"order_id": 4})
    assert [attempt.value for attempt in run_due_jobs()] == [4]


@pytest.mark.parametrize("wrong", [{}, {"nmae": "Ada"}, {"name": "Ada", "greting": "Hi"}])
def test_a_call_that_does_not_fit_is_refused_at_once(wrong: dict[str, Any]) -> None:
    with pytest.raises(ArgumentsError, match=r"greet\(\) cannot be called like this: .* Its parameters are \(name"):
        greet.job(**wrong)


# What runs


def test_functions_run_with_their_arguments_in_any_form(database: "Database") -> None:
    greet.later("Ada")
    fetch.later("here", times=3)
    gather.later(1, 2, 3, flag=True, self=4, first=5)
    assert [attempt.value for attempt in run_due_jobs()] == [
        "Hello, Ada",
        "here 3",
        [1, (2, 3), True, {"self": 4, "first": 5}],
    ]


def test_a_shell_reads_arguments_as_the_annotations_say() -> None:
    from jobq.arguments import from_command_line

    assert from_command_line(fetch.job_class, ["7"], {"times": "3"}) == (["7"], {"times": 3})
    assert from_command_line(gather.job_class, ["7", "8"], {"flag": "yes", "x": "9"}) == (
        [7, 8],
        {"flag": True, "x": 9},
    )


def test_a_list_of_classes_describes_functions_too() -> None:
    described = {record.name: record for record in application.describe()}
    found = described[f"{__name__}.greet"]
    assert (found.summary, found.is_coroutine, found.has_abort_hook) == ("Greets somebody.", False, False)
    assert [parameter.shown_as(parameter.name) for parameter in found.parameters] == [
        "name: str",
        "greeting: str = 'Hello'",
    ]
    assert described[f"{__name__}.fetch"].is_coroutine
    assert described[f"{__name__}.ship"].aliases == ("shop.old_ship",)


def test_a_traceback_begins_in_the_function() -> None:
    @job
    def breaks() -> None:
        raise ValueError("it broke")

    report = run(breaks, "{}")
    assert report.traceback is not None
    files = [line for line in report.traceback.splitlines() if line.startswith("  File ")]
    assert len(files) == 1
    assert __file__ in files[0]
    assert report.frame is not None
    assert report.frame.endswith("breaks")


def test_a_coroutine_that_raises_has_a_traceback_that_begins_in_the_function() -> None:
    @job
    async def breaks() -> None:
        raise ValueError("it broke")

    report = run(breaks, "{}")
    assert report.traceback is not None
    files = [line for line in report.traceback.splitlines() if line.startswith("  File ")]
    assert len(files) == 1
    assert __file__ in files[0]


def test_a_stack_begins_in_the_function() -> None:
    written = (
        "Current thread 0x01 (most recent call first):\n"
        f'  File "{__file__}", line 7 in ship\n'
        f'  File "{functions.__file__}", line 200 in run\n'
        f'  File "{perform.__file__}", line 150 in run\n'
    )
    assert readable(written) == f'main thread (most recent call last):\n  File "{__file__}", line 7, in ship\n'


def test_the_retry_delay_is_a_number_a_timedelta_or_a_function_of_the_attempt() -> None:
    @job(retry_delay=timedelta(minutes=2))
    def waits() -> None: ...

    assert ship.job(1).get_retry_delay(3) == 30
    assert waits.job().get_retry_delay(1) == 120
    assert ship.job_class.retry_when_row_is_gone


def test_a_unique_key_is_a_text_a_template_or_a_function_of_the_arguments() -> None:
    @job(unique_key="the only one")
    def alone() -> None: ...

    @job(unique_key=lambda user_id, kind: f"{kind}:{user_id}")
    def counted(user_id: int, kind: str = "visit") -> None: ...

    assert alone.job().get_unique_key() == "the only one"
    assert counted.job(3).get_unique_key() == "visit:3"
    assert ship.job(kind="x", order_id=2).get_unique_key() == "order-2-x"


def test_a_schedule_is_a_cron_expression_or_a_schedule() -> None:
    @job(schedule="0 9 * * *")
    def daily(team: str = "all") -> None: ...

    @job(schedules=[Schedule.from_cron("0 9 * * *", name="early", arguments={"team": "ops"})])
    def often(team: str) -> None: ...

    name = f"{daily.__module__}.{daily.__qualname__}"
    assert {one.name: one.schedule.expression for one in registry.scheduled if one.job_class is daily.job_class} == {
        name: "0 9 * * *"
    }
    assert [one.schedule.name for one in registry.scheduled if one.job_class is often.job_class] == ["early"]
    register_schedule("hello", greet.job("Ada"), "0 3 * * *")
    assert "hello" in [one.name for one in registry.scheduled]


def test_middleware_and_decorators_below_are_kept() -> None:
    def twice(function: Any) -> Any:
        @functools.wraps(function)
        def called(*args: Any, **kwargs: Any) -> Any:
            return function(*args, **kwargs) * 2

        return called

    @job
    @twice
    def number(value: int) -> int:
        return value

    assert number(3) == 6
    assert json_of(run(number, '{"value": 4}')) == "8"
    assert str(inspect.signature(number)) == "(value: int) -> int"


def test_a_cached_function_may_be_a_job() -> None:
    assert json_of(run(cached, '{"value": 4}')) == "5"


@job
@functools.lru_cache
def cached(value: int) -> int:
    return value + 1


def json_of(report: Report) -> str:
    assert report.outcome == "successful", report.traceback
    assert report.value is not None
    return report.value


# What is refused


class Shop:
    def method(self) -> None: ...

    @staticmethod
    def static() -> None: ...


def generator() -> Iterator[int]:
    yield 1


@pytest.mark.parametrize(
    ("thing", "said"),
    [
        (lambda: None, "a lambda has no name for a worker to find. Define the function with def."),
        (Shop.method, r"Shop\.method is a method"),
        (Shop().method, r"Shop\.method is a method"),
        (Shop.static, r"Shop\.static is a method"),
        (Shop.__dict__["static"], "@job on a staticmethod: a job is a function at the top level of a module"),
        (generator, r"\.generator is a generator: a call of it runs nothing"),
        (Shop, r"Shop is a class: @job is for functions.*decorate it with @register_job"),
        (greet, r"<job .*\.greet> is a job already"),
        (functools.partial(len), "is not a function with a name"),
        ("mail", r"options are given by name, as in @job\(queue='mail'\)"),
    ],
)
def test_what_is_no_function_of_a_module_is_refused(thing: Any, said: str) -> None:
    with pytest.raises(RegistrationError, match=said):
        job(thing)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"queue": ""}, "plain: queue is ''"),
        ({"priority": 10**6}, "priority is 1000000"),
        ({"retries": -1}, "retries is -1"),
        ({"retry_delay": -1}, "retry_delay is -1, but must be seconds, a timedelta, or a function of the attempt"),
        ({"timeout": 0}, "timeout is 0"),
        ({"schedule": "every day"}, "plain: "),
        ({"unique_key": "user-{id}"}, "unique_key 'user-{id}' names 'id', which is not a parameter. Parameters are: x"),
        ({"unique_key": "user-{}"}, "names '', which is not a parameter"),
        ({"unique_key": "user-{"}, "cannot be read: "),
        ({"alias": ""}, "alias ''"),
        ({"que": "mail"}, "@job has no option 'que'. Options are: queue, priority, retries"),
    ],
)
def test_an_option_that_cannot_be_is_refused_when_the_function_is_decorated(options: dict[str, Any], said: str) -> None:
    def plain(x: int = 1) -> None: ...

    with pytest.raises(RegistrationError, match=said):
        job(**options)(plain)


def test_register_job_on_a_function_says_what_it_needs() -> None:
    with pytest.raises(RegistrationError, match=r"generator is a function: decorate it with @job"):
        register_job(generator)  # type: ignore[type-var]
    with pytest.raises(RegistrationError, match=r"greet is a function: decorate it with @job"):
        register_job(greet)  # type: ignore[type-var]


def test_what_is_defined_in_a_function_is_refused_where_no_test_can_run_it(
    database: "Database", store: "Store", monkeypatch: pytest.MonkeyPatch
) -> None:
    @job
    def inner() -> str:
        return "ran"

    @register_job
    class Inner(Job):
        def run(self) -> None: ...

    inner.later()
    assert [attempt.value for attempt in run_due_jobs()] == ["ran"]

    monkeypatch.delitem(sys.modules, "jobq.testing")
    for enqueue in (inner.later, Inner().run_in_worker, lambda: enqueue_many([inner.job()])):
        with pytest.raises(EnqueueError, match=r"<locals>\.[Ii]nner is defined inside a function, so no worker has"):
            enqueue()
    assert store.unfinished() == []


def test_names_of_modules_are_not_looked_at_closely(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "jobq.testing")
    check_name(greet.job_class, name_of(greet.job_class), lambda: pytest.fail("the project is not asked for"))


# The job that is running


def helper() -> tuple[int, int]:
    running = jobq.current()
    running.progress(1, 2, "half")
    assert not running.cancel_requested
    return running.job.id, running.job.attempt


def test_current_is_the_running_job_for_whatever_it_calls() -> None:
    @job
    def asks() -> tuple[int, int]:
        return helper()

    @job
    async def asks_beside() -> list[Any]:
        tasks = [asyncio.create_task(asyncio.to_thread(helper)), asyncio.create_task(asyncio.to_thread(helper))]
        return [helper(), *await asyncio.gather(*tasks)]

    @register_job
    class Asks(Job):
        def run(self) -> Any:
            found: list[Any] = []
            target = contextvars.copy_context().run
            thread = threading.Thread(target=target, args=(lambda: found.append(helper()),))
            thread.start()
            thread.join()
            return found[0] == (self.job.id, self.job.attempt)

    assert decoded(json.loads(json_of(run(asks, "{}")))) == (7, 1)
    assert decoded(json.loads(json_of(run(asks_beside, "{}")))) == [(7, 1)] * 3
    name = name_of(Asks)
    assert json_of(execute(Assignment(9, 2, 0, 0, 0, 0, 0, "q", name, "{}"), registry)) == "true"


def test_outside_of_a_job_there_is_no_current_one() -> None:
    with pytest.raises(NotRunning, match="current\\(\\) is known only inside a running job"):
        jobq.current()

    @job
    def in_a_bare_thread() -> str:
        found: list[str] = []

        def ask() -> None:
            try:
                jobq.current()
            except NotRunning as error:
                found.append(str(error))

        thread = threading.Thread(target=contextvars.Context().run, args=(ask,))
        thread.start()
        thread.join()
        return found[0]

    assert "copy_context()" in json_of(run(in_a_bare_thread, "{}"))
    with pytest.raises(NotRunning):
        jobq.current()


def test_a_job_that_runs_inside_another_gives_the_place_back() -> None:
    @job
    def outer() -> list[int]:
        inner = execute(Assignment(8, 1, 0, 0, 0, 0, 0, "q", name_of(asks.job_class), "{}"), registry)
        assert inner.value == "8"
        return [jobq.current().job.id]

    @job
    def asks() -> int:
        return jobq.current().job.id

    assert json_of(run(outer, "{}")) == "[7]"


def test_a_function_has_the_rules_for_its_unique_key_that_a_class_has() -> None:
    decorated = job(unique_key="only", on_held="debounce", debounce_limit=60)(plain_function)
    assert (decorated.job_class.on_held, decorated.job_class.debounce_limit) == ("debounce", 60)
    with pytest.raises(RegistrationError, match="needs a debounce_limit"):
        job(unique_key="only", on_held="debounce")(plain_function)


def plain_function() -> None: ...

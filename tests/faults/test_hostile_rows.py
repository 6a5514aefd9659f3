"""Rows of the table of jobs that somebody wrote by hand, the worst that its columns take, beside good ones."""

import json
from collections.abc import Callable
from contextlib import closing
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from jobq import observe, operate
from jobq.filters import parse
from jobq.store import workers
from jobq.store.database import Database

if TYPE_CHECKING:
    from conftest import Application, Store

Eventually = Callable[..., Any]

JOBS = """
    import sys

    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider

    from jobq import Job, register_job

    trace.set_tracer_provider(TracerProvider())  # what is to be read of a row's trace context is read


    @register_job
    class Keep(Job):
        def __init__(self, value=None, **named):
            pass

        def run(self):
            return sorted(name for name in ("antigravity", "this", "shop_of_horrors") if name in sys.modules)

        def on_aborted(self, result):
            pass
"""

TRAP = """
    from pathlib import Path

    Path("imported").touch()


    class Trap:
        def __init__(self, *args, **kwargs):
            Path("called").touch()

        def run(self):
            Path("run").touch()
"""

KEEP = "jobs.Keep"


def tagged(name: str, value: Any) -> str:
    return json.dumps({"value": {"$": name, "v": value}})


WRONG_ARGUMENTS = {
    "deep": '{"value": ' + "[" * 5000 + "]" * 5000 + "}",
    "megabytes of tags": json.dumps({"value": [{"$": "os.system", "v": "x" * 100}] * 30_000}),
    "a number without end": '{"value": 1' + "0" * 100_000 + "}",
    "a parameter that is none": '{"valeu": 1}',
    "self": '{"**named": {"self": 1}}',
    "a class": '{"value": 1, "__class__": "os.system"}',
    **{f"forged {name}": tagged(name, value) for name, value in {
        "os.system": "touch called",
        "builtins.eval": "open('called', 'w')",
        "subprocess.Popen": [["touch", "called"]],
        "shop_of_horrors.Trap": {},
        "secret": ["x"],
        "datetime": ["2026-02-31T00:00", 0, None],
        "date": 20260101,
        "time": ["25:00", 0, "../../etc/passwd"],
        "timedelta": [1e300, None, "x"],
        "decimal": ["1e999999999"],
        "uuid": "not one",
        "bytes": "?",
        "path": {"a": 1},
        "pure_posix_path": 5,
        "pure_windows_path": None,
        "tuple": 5,
        "set": [[1], {}],
        "frozenset": {"$": "set", "v": [[]]},
        "dict": [[[], 1]],
        "float": {"__float__": 1},
        "shop.jobs.Colour": "RED",
        "": None,
    }.items()},
    "a tag that is no text": '{"value": {"$": {"$": ["os.system"]}, "v": 1}}',
    "a tag with more": '{"value": {"$": "date", "v": "2026-01-01", "import": "os"}}',
}  # fmt: skip
"""Each of these ends as errored, before the job's own code begins."""

ODD = {
    "megabytes": {"arguments": json.dumps({"value": [[["x" * 100] * 100] * 100] * 3})},
    "megabytes of levels": {"arguments": json.dumps({"value": [json.loads("[" * 300 + "]" * 300)] * 3000})},
    "a trace that is a list": {"trace_context": "[1, 2]"},
    "a trace that is a number": {"trace_context": "7"},
    "a trace of wrong types": {"trace_context": '{"traceparent": {"a": [1]}, "tracestate": 5, "baggage": [null]}'},
    "a trace that is no trace": {"trace_context": '{"traceparent": "00-zz-!!-99", "tracestate": "=,=,="}'},
    "a trace nested without end": {"trace_context": '{"traceparent": ' + "[" * 5000 + "]" * 5000 + "}"},
    "megabytes of trace": {"trace_context": json.dumps({"baggage": "x" * 3_000_000})},
    "a progress that is none": {"progress": '["x"]'},
    "a progress of wrong types": {"progress": '{"attempt": 1, "done": "x", "total": [], "at": "yesterday"}'},
    "a progress beyond all numbers": {
        "progress": '{"attempt": 1, "done": 1e400, "total": 1e401, "message": null, "at": "2026-01-01"}'
    },
    "a progress before all times": {
        "progress": '{"attempt": 1, "done": 1, "total": 3, "message": null, "at": "0001-01-01T00:00+23:00"}'
    },
    "all attempts used": {"attempt": 2**31 - 1, "excused": 2**31 - 1, "losses": 2**31 - 1, "retries": 2**31 - 1},
    "more excused than begun": {"attempt": 0, "excused": 2**31 - 1},
    "the highest priority": {"priority": 32767},
    "the lowest priority": {"priority": -32767},
    "markup": {"source": "[red]\x1b]0;x\x07\u202e" * 1000, "unique_key": "[/]\x1b[2J\u202e"},
    "the beginning of time": {"run_at": "1970-01-01Z", "enqueued_at": "1970-01-01Z"},
    "the largest number": {"id": 2**63 - 1},
    "scheduled, and due": {"is_due": False, "run_at": "1970-01-01Z"},
    "enqueued at the end of time": {"enqueued_at": "9998-12-31Z"},
    "due at the end of time, and pending": {"run_at": "9998-12-31Z"},
}
"""Each of these is an ordinary job all the same, and runs."""

LEFT_ALONE = {
    "a class that nobody registered": {"job_class": "shop_of_horrors.Trap"},
    "a function": {"job_class": "os.system", "arguments": '{"command": "touch called"}'},
    "a path": {"job_class": "../../shop_of_horrors"},
    "no name at all": {"job_class": "\u202e'; DROP TABLE jobq.jobs; --\x1b[2J"},
    "due at the end of time": {"is_due": False, "run_at": "9998-12-31Z"},
}
"""Nobody runs these, and `jobq why` says why."""

REFUSED = {
    "never due": {"run_at": "infinity"},
    "always due": {"run_at": "-infinity"},
    "due after all calendars": {"run_at": "20000-01-01Z"},
    "due before them": {"run_at": "1000-01-01Z BC"},
    "always enqueued": {"enqueued_at": "-infinity"},
    "never expires": {"expires_at": "infinity"},
    "cancelled at no time": {"cancel_requested_at": "infinity"},
    "scheduled for never": {"is_due": False, "run_at": "infinity"},
    "started at no time": {"worker_id": 7, "started_at": "-infinity"},
    "a number that means something else": {"id": -1},
    "no number": {"id": 0},
    "no time to run": {"timeout": "-1"},
    "a time that is none": {"timeout": "NaN"},
    "endless time": {"timeout": "Infinity"},
    "less than no attempt": {"attempt": -1},
    "below all": {"priority": -32768},
    "arguments that are no object": {"arguments": "[1]"},
    "running, nowhere": {"started_at": "now"},
    "a queue without end": {"queue": "q" * 401},
    "a class without end": {"job_class": "c" * 1001},
}
"""The table does not take these: they would mean something else to a statement, or stop it."""


def insert(store: "Store", **columns: Any) -> int:
    columns = {"job_class": KEEP, **columns}
    names, values = ", ".join(columns), ", ".join(["%s"] * len(columns))
    statement = f"INSERT INTO jobq.jobs ({names}) VALUES ({values}) RETURNING id"
    ((job_id,),) = store.execute(statement, *columns.values()).fetchall()
    assert isinstance(job_id, int)
    return job_id


@pytest.mark.parametrize("row", REFUSED.values(), ids=list(REFUSED))
def test_the_table_takes_no_row_that_would_stop_a_statement(row: dict[str, Any], store: "Store") -> None:
    with pytest.raises(psycopg.errors.CheckViolation):
        insert(store, **row)


def test_a_row_written_by_hand_is_errored_or_left_alone_and_holds_up_no_other(
    application: "Application", store: "Store", eventually: Eventually
) -> None:
    application.write("jobs.py", JOBS)
    application.write("shop_of_horrors.py", TRAP)
    good = [insert(store) for _ in range(10)]
    wrong = {insert(store, arguments=text): name for name, text in WRONG_ARGUMENTS.items()}
    odd = {insert(store, **row): name for name, row in ODD.items()}
    held = {insert(store, worker_id=10**12 + n, started_at="now", **{"attempt": 1, **row}): name
            for n, (name, row) in enumerate(ODD.items())
            if not {"is_due", "run_at", "unique_key", "id"} & row.keys()}  # fmt: skip
    workers.note_claims(store.connection, store.schema)
    left = {insert(store, **row): name for name, row in LEFT_ALONE.items()}
    good += [insert(store) for _ in range(10)]

    with closing(Database(store.settings)) as database:  # all that looks at them can
        for text in ("", "state:running"):
            page = observe.list_jobs(database, parse(text), limit=1000)
        assert {job.id for job in page.jobs} == held.keys()
        assert {job.progress for job in page.jobs} == {None}
        for job in (*held, *left):
            assert observe.show(database, job).job.id == observe.why(database, job).job.id == job

    quick = {"JOBQ_HEARTBEAT_EVERY": "0.2", "JOBQ_HEARTBEAT_TIMEOUT": "1", "JOBQ_POLL_EVERY": "0.2"}
    with application.start("run", "-p", "2", environment=quick) as worker:
        eventually(lambda: {job.id for job in store.rows("SELECT id FROM jobq.jobs")} == left.keys(), 60)
        late = insert(store)  # … and the worker is as good as before
        eventually(lambda: store.results(late))
        ended = store.rows("SELECT id, outcome, retried, error_type, value FROM jobq.results")
        assert len(worker.descendants()) >= 2
        listed = application.jobq("list", "--limit", "1000", "--json")
        reasons = {job: application.jobq("why", str(job)).stdout for job in left}
        assert "shop_of_horrors.Trap" in application.jobq("doctor").stdout

    ends = {result.id: (result.outcome, result.error_type) for result in ended if not result.retried}
    assert {job: ends[job] for job in [*good, late]} == dict.fromkeys([*good, late], ("successful", None))
    assert {name: ends[job] for job, name in wrong.items()} == dict.fromkeys(
        wrong.values(), ("errored", "jobq.errors.ArgumentsError")
    )
    assert {name: ends[job][0] for job, name in odd.items()} == dict.fromkeys(odd.values(), "successful")
    # A row that says it runs is a job of a worker that is gone. Nobody knows whether it had begun: that is no loss.
    assert {name: ends[job][0] for job, name in held.items()} == dict.fromkeys(held.values(), "successful")
    assert all(result.value == [] for result in ended if result.outcome == "successful")
    assert {job["id"] for job in json.loads(listed.stdout)} == left.keys()
    assert all(reason for reason in reasons.values())
    assert not {"imported", "called", "run"} & {path.name for path in application.path.iterdir()}
    assert "Traceback" not in worker.stderr
    assert "service failed" not in worker.stderr
    assert "child died" not in worker.stderr


TOO_LARGE = {
    "numbers": "jsonb_build_object('value', (SELECT jsonb_agg(1e131071::numeric) FROM generate_series(1, 9000)))",
    "fractions": "jsonb_build_object('value', (SELECT jsonb_agg(1e-16383::numeric) FROM generate_series(1, 9000)))",
}
"""Some kilobytes as stored, and more as text than any process should hold: the first would be 1.1 GB."""

WITHOUT_ARGUMENTS = "SELECT id, outcome, error_type, error_message, started_at FROM jobq.results ORDER BY id"


def test_a_job_whose_arguments_nobody_can_read_ends_as_errored_and_is_named_with_the_act_that_removes_it(
    application: "Application", store: "Store"
) -> None:
    application.write("jobs.py", JOBS)
    statement = "INSERT INTO jobq.jobs (job_class, arguments, priority) SELECT %s, {}, 5 RETURNING id"
    texts = [*TOO_LARGE.values(), *TOO_LARGE.values()]
    large = [job for text in texts for (job,) in store.execute(statement.format(text), KEEP).fetchall()]
    good = insert(store)
    *waiting, cancelled, last = large
    with closing(Database(store.settings)) as database:
        for job in large:
            assert "too large to show" in observe.show(database, job).job.arguments
            assert [reason.kind for reason in observe.why(database, job).reasons] == ["impossible"]
        assert len(observe.list_jobs(database, parse("")).jobs) == 5
        acted = operate.cancel(database, [cancelled, last])
        assert acted.done == [cancelled, last]
        assert acted.act is not None

        assert application.jobq("run", "--drain").returncode == 1

        results = {one.id: one for one in store.rows(WITHOUT_ARGUMENTS)}
        assert results[good].outcome == "successful"
        for job in waiting:
            result = results[job]
            assert (result.outcome, result.error_type, result.started_at) == ("errored", "ArgumentsTooLarge", None)
            assert f"jobq purge {job}" in result.error_message
        (reason,) = observe.why(database, waiting[0]).reasons
        assert (reason.kind, reason.remedy) == ("impossible", f"jobq purge {waiting[0]}")
        assert operate.purge(database, large).done == sorted(large)
    assert [result.id for result in store.rows(WITHOUT_ARGUMENTS)] == [good]

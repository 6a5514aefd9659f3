"""The commands, as a shell runs them: what they print, what they refuse, and with which exit code."""

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from jobq.store.database import who_am_i

if TYPE_CHECKING:
    from conftest import Application, Store

JOB_FIELDS = {
    "id", "job_class", "queue", "priority", "state", "outcome", "attempt", "retries", "unique_key", "arguments",
    "enqueued_at", "run_at", "started_at", "ended_at", "error_type", "error_message", "worker",
}  # fmt: skip


def document(finished: "subprocess.CompletedProcess[str]") -> Any:
    assert finished.returncode == 0, finished.stderr
    return json.loads(finished.stdout)


def refused(finished: "subprocess.CompletedProcess[str]", *words: str, exit_code: int = 2) -> None:
    """It says what was wrong in the words given, on stderr alone, without a traceback of ours."""
    assert finished.returncode == exit_code, (finished.stdout, finished.stderr)
    assert finished.stdout == ""
    assert "/jobq/" not in finished.stderr
    for word in words:
        assert word in finished.stderr


# Enqueueing


def test_enqueue_prints_the_new_jobs_id(sample: "Application", store: "Store") -> None:
    finished = sample.jobq("enqueue", "jobs.Echo", "7", "--queue", "slow", "--priority", "5", "--retries", "2")

    (job,) = store.unfinished()
    assert finished.stdout.strip() == str(job.id)
    assert (job.job_class, job.arguments) == ("jobs.Echo", {"value": 7})
    assert (job.queue, job.priority, job.retries) == ("slow", 5, 2)
    assert job.source == who_am_i()


def test_enqueue_as_json_gives_the_new_jobs_object(sample: "Application") -> None:
    job = document(sample.jobq("enqueue", "jobs.Echo", "--kwargs", '{"value": [1, null]}', "--json"))

    assert set(job) >= JOB_FIELDS
    assert (job["state"], job["arguments"], job["attempt"]) == ("pending", {"value": [1, None]}, 0)


def test_enqueue_as_json_gives_null_when_the_unique_key_is_held(sample: "Application", store: "Store") -> None:
    sample.jobq("enqueue", "jobs.Echo", "--unique-key", "k")

    second = sample.jobq("enqueue", "jobs.Echo", "--unique-key", "k", "--json")

    assert document(second) is None
    assert "unique key" in second.stderr
    assert len(store.unfinished()) == 1


@pytest.mark.parametrize("delay", ["60", "5m", "1h30m", "2099-12-01T09:00Z"])
def test_a_delay_is_seconds_or_a_duration_or_a_time(sample: "Application", delay: str) -> None:
    assert document(sample.jobq("enqueue", "jobs.Echo", "--delay", delay, "--json"))["state"] == "scheduled"


def test_negative_numbers_go_after_two_dashes(sample: "Application", store: "Store") -> None:
    sample.jobq("enqueue", "jobs.Echo", "--", "-1")

    assert store.unfinished()[0].arguments == {"value": -1}


def test_arguments_are_read_as_the_annotations_say(sample: "Application", store: "Store") -> None:
    sample.write(
        "shop/jobs.py",
        """
        from datetime import date
        from jobq import Job, register_job

        @register_job
        class Bill(Job):
            def __init__(self, number: str, day: date, *, is_draft: bool = False): ...
            def run(self): ...
        """,
    )

    finished = sample.jobq("enqueue", "shop.jobs.Bill", "007", "2026-12-01", "--kwargs", '{"is_draft": true}')

    assert finished.returncode == 0, finished.stderr
    assert store.unfinished()[0].arguments == {
        "number": "007",
        "day": {"$": "date", "v": "2026-12-01"},
        "is_draft": True,
    }


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["jobs.Ecko"], ["No job class 'jobs.Ecko'", "jobs.Echo"]),
        (["nowhere.Job"], ["nowhere"]),
        (["jobs.Echo", "1", "2"], ["Echo()", "(value=None)"]),
        (["jobs.Wait"], ["Wait()", "'started'"]),
        (["jobs.Echo", "--kwargs", "{"], ["--kwargs is not JSON"]),
        (["jobs.Echo", "--kwargs", "[1]"], ["not a JSON object"]),
        (["jobs.Echo", "--kwargs", "[" * 100_000], ["--kwargs is not JSON", "too deep"]),
        (["jobs.Echo", "--kwargs", '{"value": NaN}'], ["--kwargs is not JSON", "NaN"]),
        (["jobs.Echo", "--kwargs", '{"nope": 1}'], ["Echo()", "nope"]),
        (["jobs.Echo", "--kwargs", '{"value": ["a\\u0000b"]}'], ["value[0]", "NUL"]),
        (["jobs.Echo", "--kwargs", '{"value": "\\ud800"}'], ["value", "surrogate"]),
        (["jobs.Echo", "--delay", "-5"], ["delay", "-5"]),
        (["jobs.Echo", "--delay", "1e400"], ["--delay"]),
        (["jobs.Echo", "--delay", "999999999999"], ["delay", "100 years"]),
        (["jobs.Echo", "--delay", "2026-12-01T09:00"], ["no time zone"]),
        (["jobs.Echo", "--delay", "tomorrow"], ["tomorrow", "5m"]),
        (["jobs.Echo", "--queue", "q" * 10_000], ["10,000 characters"]),
        (["jobs.Echo", "--queue", "a\nb"], ["control characters"]),
        (["jobs.Echo", "--queue", ""], ["queue"]),
        (["jobs.Echo", "--priority", "40000"], ["priority is 40000", "32767"]),
        (["jobs.Echo", "--retries", "-1"], ["retries is -1"]),
        (["jobs.Echo", "--unique-key", "k" * 300], ["unique_key", "300 characters"]),
    ],
)
def test_what_cannot_be_enqueued_is_refused_with_its_reason(
    sample: "Application", store: "Store", arguments: list[str], words: list[str]
) -> None:
    refused(sample.jobq("enqueue", *arguments), *words)

    assert store.unfinished() == []


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("'x' * 100_000_000", ["100,0", "bytes", "max_arguments_bytes"]),
        ("print", ["value", "function"]),
        ("object()", ["value", "object"]),
        ("[{'deep': {1, object()}}]", ["value[0].deep"]),
    ],
)
def test_arguments_that_cannot_be_stored_are_refused_with_their_place(
    sample: "Application", store: "Store", value: str, words: list[str]
) -> None:
    script = f"from jobq import JobqError\nfrom jobs import Echo\ntry:\n    Echo({value}).run_in_worker()\n"
    script += "except JobqError as error:\n    print(error)"

    finished = subprocess.run(
        [sys.executable, "-c", script], cwd=sample.path, capture_output=True, text=True, check=True
    )

    for word in words:
        assert word in finished.stdout
    assert store.unfinished() == []


def test_a_module_that_does_not_import_shows_the_users_own_traceback_and_no_more(sample: "Application") -> None:
    sample.write("broken.py", "def helper():\n    return 1 / 0\n\nhelper()\n")

    finished = sample.jobq("enqueue", "broken.Job")

    refused(finished, "ZeroDivisionError", "broken.py", "does not import")
    assert "importlib" not in finished.stderr


def test_perform_runs_the_job_here_and_prints_what_it_returned(sample: "Application", store: "Store") -> None:
    assert document(sample.jobq("perform", "jobs.Echo", '{"a": 1}')) == {"a": 1}
    assert store.unfinished() == []
    assert store.results() == []


def test_perform_fails_with_the_users_own_traceback(sample: "Application") -> None:
    refused(sample.jobq("perform", "jobs.Fail"), "RuntimeError: the look-up failed", "return table[key]", exit_code=1)


def test_what_a_jobs_own_code_raises_or_returns_is_told_as_such_and_takes_no_effect(sample: "Application") -> None:
    sample.write(
        "jobs.py",
        """
        import sys
        from jobq import Job, register_job

        @register_job
        class Made(Job):
            def __init__(self): raise ValueError("made \\x1b[2J")
            def run(self): ...

        @register_job
        class Queued(Job):
            def run(self): ...
            def get_queue(self): raise LookupError("queued \\x1b[2J")

        @register_job
        class Run(Job):
            def __init__(self, how): self.how = how
            def run(self):
                if self.how == "raises": raise ValueError("run \\x1b[2J")
                if self.how == "leaves": sys.exit(3)
                return {"odd": "\\ud800\\u202e"} if self.how == "odd" else {(1, 2): "\\x1b[2J"}
        """,
    )

    refused(sample.jobq("enqueue", "jobs.Made"), "ValueError: made ␛[2J\njobq: error: jobs.Made raised ValueError")
    refused(sample.jobq("perform", "jobs.Made"), "def __init__", "jobs.Made raised ValueError: made ␛[2J")
    raised = sample.jobq("enqueue", "jobs.Queued")
    assert raised.returncode == 2
    said = "LookupError: queued ␛[2J\n"
    assert raised.stderr.endswith(f"{said}jobq: error: jobs.Queued raised {said}")
    refused(sample.jobq("perform", "jobs.Run", "raises"), "ValueError: run ␛[2J", exit_code=1)
    refused(sample.jobq("perform", "jobs.Run", "leaves"), "SystemExit: 3", exit_code=1)
    assert sample.jobq("perform", "jobs.Run", "odd").stdout == '{"odd": "\\ud800\\u202e"}\n'
    assert sample.jobq("perform", "jobs.Run", "no JSON").stdout == "{(1, 2): '\\x1b[2J'}\n"


# The database


@pytest.mark.parametrize("command", [["stats"], ["list"], ["show", "1"], ["enqueue", "jobs.Echo"], ["run"]])
def test_an_unreachable_database_is_named_without_its_password(sample: "Application", command: list[str]) -> None:
    address = "postgresql://someone:hush@127.0.0.1:1/nowhere"

    finished = sample.jobq(*command, "--database-url", address)

    refused(finished, "127.0.0.1", "cannot be reached", exit_code=3)
    assert "hush" not in finished.stderr


def test_an_address_that_is_none_is_refused(sample: "Application") -> None:
    refused(sample.jobq("stats", "--database-url", "here there"), "is not the address", "postgresql://user")


@pytest.mark.parametrize("command", [["stats"], ["list"], ["show", "1"], ["enqueue", "jobs.Echo"], ["run"]])
def test_a_database_without_the_schema_says_what_to_run(sample: "Application", command: list[str]) -> None:
    refused(sample.jobq(*command, "--schema", "elsewhere"), "elsewhere", "jobq migrate", exit_code=3)


def test_a_read_only_database_is_named_as_such(sample: "Application", store: "Store") -> None:
    (name,) = store.rows("SELECT current_database()")[0]
    store.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')

    refused(sample.jobq("enqueue", "jobs.Echo"), "read-only", exit_code=3)


def test_the_embedded_server_is_refused_in_production(sample: "Application") -> None:
    sample.write("pyproject.toml", "")

    refused(sample.jobq("stats", environment={"JOBQ_ENV": "production"}), "JOBQ_DATABASE_URL")


def test_migrate_prints_its_plan_and_runs_it_once(sample: "Application") -> None:
    plan = sample.jobq("migrate", "--plan", "--schema", "another")
    first = sample.jobq("migrate", "--schema", "another")
    second = sample.jobq("migrate", "--schema", "another")

    assert 'CREATE TABLE "another".jobs' in plan.stdout
    assert "applied 0001_schema" in first.stdout
    assert (second.returncode, second.stdout) == (0, "")
    assert "up to date" in second.stderr
    assert document(sample.jobq("stats", "--schema", "another", "--json"))["pending"] == 0


def test_migrate_warns_where_an_applications_tables_would_go_among_jobqs(sample: "Application", store: "Store") -> None:
    """The search_path of a role with the name of the schema leads there."""
    (name,) = store.rows("SELECT current_database()")[0]
    store.execute(f'ALTER DATABASE "{name}" SET search_path = jobq, public')

    warned = sample.jobq("migrate")
    _, _, remedy = warned.stderr.partition("or run: ")
    store.execute(remedy)
    mended = sample.jobq("migrate")

    assert "schema 'jobq' is the first of search_path" in warned.stderr
    assert remedy.startswith("ALTER ROLE")
    assert (warned.returncode, mended.returncode) == (0, 0)
    assert "warning" not in mended.stderr


# Looking


def test_of_what_is_too_much_to_count_it_is_said_how_much_is_known(sample: "Application", store: "Store") -> None:
    store.execute(  # nobody else analyses them
        "DO $$ DECLARE one regclass; BEGIN FOR one IN SELECT oid FROM pg_class "
        "WHERE relnamespace = 'jobq'::regnamespace AND relkind = 'r' "
        "LOOP EXECUTE format('ALTER TABLE %s SET (autovacuum_enabled = off)', one); END LOOP; END $$"
    )
    store.execute("INSERT INTO jobq.jobs (job_class) SELECT 'jobs.Echo' FROM generate_series(1, 10500)")
    store.execute(
        "INSERT INTO jobq.results (id, attempt, ended_at, enqueued_at, run_at, retries, priority, retried, outcome, "
        "queue, job_class, arguments) SELECT n, 1, now(), now(), now(), 0, 0, false, 'successful', 'default', "
        "'jobs.Echo', '{}' FROM generate_series(1, 20500) AS n"
    )
    before = sample.jobq("stats").stdout
    assert "pending 10,000+ " in before
    assert "successful 20,000+ " in before
    store.execute("ANALYZE jobq.jobs; ANALYZE jobq.results")
    after = sample.jobq("stats").stdout
    assert "pending about 10,500 " in after
    assert "successful about 20,500 " in after
    assert "default  10,000+ " in sample.jobq("queues").stdout


def test_stats_as_json_has_the_shape_that_was_promised(sample: "Application", store: "Store") -> None:
    for queue, delay in (("a", 0), ("a", 0), ("b", 0), ("b", 60)):
        store.add(job_class="jobs.Echo", queue=queue, delay=delay)

    stats = document(sample.jobq("stats", "--json"))

    assert (stats["scheduled"], stats["pending"], stats["running"]) == (1, 3, 0)
    assert stats["outcomes"] == dict.fromkeys(("successful", "errored", "cancelled", "deferred", "lost"), 0)
    seen = [(queue["name"], queue["pending"], queue["scheduled"]) for queue in stats["queues"]]
    assert seen == [("a", 2, 0), ("b", 1, 1)]
    assert set(stats["queues"][0]) >= {"name", "pending", "running", "scheduled", "oldest_seconds", "paused"}
    assert stats["workers"] == []


@pytest.mark.parametrize("state", ["pending", "scheduled", "running", "finished"])
def test_list_as_json_is_an_array_of_jobs(sample: "Application", store: "Store", state: str) -> None:
    store.add(job_class="jobs.Echo")
    store.add(job_class="jobs.Echo", delay=60)
    worker = store.worker()
    store.add(job_class="jobs.Echo", queue="other")
    store.claim(worker, ["other"], classes=["jobs.Echo"])
    cancelled = store.add(job_class="jobs.Echo", queue="third")
    assert cancelled is not None
    store.cancel(cancelled)

    (job,) = document(sample.jobq("list", state, "--json"))

    assert set(job) >= JOB_FIELDS
    assert job["state"] == state
    assert (job["outcome"] == "cancelled") == (state == "finished")
    assert (job["worker"] == "here/1") == (state == "running")


def test_show_has_every_attempt_with_its_traceback(sample: "Application", store: "Store") -> None:
    job_id = store.add(job_class="jobs.Fail", retries=1)
    sample.jobq("run", "--drain")

    shown = document(sample.jobq("show", str(job_id), "--json"))
    text = sample.jobq("show", str(job_id)).stdout

    assert [attempt["attempt"] for attempt in shown["attempts"]] == [1, 2]
    assert all("KeyError: 'missing'" in attempt["traceback"] for attempt in shown["attempts"])
    assert (shown["outcome"], shown["error_type"]) == ("errored", "RuntimeError")
    assert text.count("return table[key]") == 2


def test_a_job_that_does_not_exist_is_said_not_to(sample: "Application") -> None:
    refused(sample.jobq("show", "4711"), "no job 4711")
    refused(sample.jobq("show", str(10**30)), "no job")


def test_nothing_that_is_shown_takes_effect(sample: "Application", store: "Store") -> None:
    evil = "\x1b]0;title\x07\x1b[2J\x9b31m\u202e[red]x[/red]\u200b"
    job_id = store.add(job_class="jobs.Echo", arguments=json.dumps({evil: evil}), queue=f"q{evil}")
    store.add(job_class=f"jobs.{evil}")

    for command in (["list"], ["stats"], ["queues"], ["show", str(job_id)]):
        for form in ([], ["--json"]):
            finished = sample.jobq(*command, *form)
            shown = finished.stdout + finished.stderr
            assert finished.returncode == 0, shown
            assert not set(shown) & {"\x1b", "\x07", "\x9b", "\u202e", "\u200b"}
    assert document(sample.jobq("show", str(job_id), "--json"))["arguments"] == {evil: evil}
    assert "[red]x[/red]" in sample.jobq("show", str(job_id)).stdout


def test_jobs_lists_what_live_workers_know_and_what_is_here(sample: "Application") -> None:
    nothing = document(sample.jobq("jobs", "--json"))
    local = {entry["name"]: entry for entry in document(sample.jobq("jobs", "--local", "--json"))}
    with sample.start("run") as worker:
        from conftest import wait_until

        wait_until(lambda: "application loaded" in worker.stderr)
        known = wait_until(lambda: document(sample.jobq("jobs", "--json")))

    assert nothing == []
    assert [entry["name"] for entry in known] == sorted(local)
    assert local["jobs.NewName"]["aliases"] == ["jobs.OldName"]
    assert [parameter["name"] for parameter in local["jobs.Note"]["parameters"]] == ["file", "text"]


def test_config_says_where_each_setting_comes_from(sample: "Application") -> None:
    shown = document(sample.jobq("config", "--json", environment={"JOBQ_MAX_LOSSES": "7"}))

    assert shown["max_losses"] == {**shown["max_losses"], "value": 7, "from": "JOBQ_MAX_LOSSES"}
    assert "pyproject.toml" in shown["database_url"]["from"]
    assert shown["poll_every"]["from"] == "default"


# Acting


def finished_job(sample: "Application", store: "Store", **fields: Any) -> int:
    job_id = store.add(**{"job_class": "jobs.Fail", **fields})
    assert job_id is not None
    fails = "job_class" not in fields
    assert sample.jobq("run", "--drain").returncode == int(fails)
    return job_id


def test_retry_queues_a_finished_job_again_with_one_more_attempt(sample: "Application", store: "Store") -> None:
    job_id = finished_job(sample, store)

    finished = sample.jobq("retry", str(job_id))
    sample.jobq("run", "--drain")

    assert "retried 1" in finished.stdout
    assert [(result.attempt, result.retried) for result in store.results(job_id)] == [(1, True), (2, False)]


def test_what_an_act_leaves_alone_is_said_with_its_reason(sample: "Application", store: "Store") -> None:
    pending = store.add(job_class="jobs.Echo")
    running = store.add(job_class="jobs.Echo", queue="other")
    store.claim(store.worker(), ["other"], classes=["jobs.Echo"])

    retried = sample.jobq("retry", str(pending), "4711")
    cancelled = sample.jobq("cancel", str(pending), str(running), "--json")

    assert retried.returncode == 1
    assert "it is pending" in retried.stderr
    assert "no such job" in retried.stderr
    assert document(cancelled).items() >= {"done": [pending], "asked": [running], "skipped": {}}.items()


def test_an_act_by_filter_shows_the_count_and_asks(sample: "Application", store: "Store") -> None:
    for _ in range(5):
        store.add(job_class="jobs.Echo", queue="wrong")
    kept = store.add(job_class="jobs.Echo", queue="right")

    declined = sample.jobq("cancel", "--queue", "wrong", input="n\n")
    confirmed = sample.jobq("cancel", "--queue", "wrong", input="y\n")

    assert declined.returncode != 0
    assert "5 pending or gated jobs match: 5 jobs.Echo" in declined.stderr
    assert "cancelled 5" in confirmed.stdout
    assert [job.id for job in store.unfinished()] == [kept]
    assert {result.outcome for result in store.results()} == {"cancelled"}


def test_purge_deletes_the_history_of_what_was_selected(sample: "Application", store: "Store") -> None:
    failed = finished_job(sample, store, retries=1)
    kept = finished_job(sample, store, job_class="jobs.Echo")

    finished = sample.jobq("purge", "--outcome", "errored", "--yes")

    assert "purged 1" in finished.stdout
    assert store.results(failed) == []
    assert store.results(kept) != []


def test_an_act_needs_ids_or_a_filter_and_not_both(sample: "Application") -> None:
    for command in ("retry", "cancel", "purge"):
        refused(sample.jobq(command), "which jobs")
        refused(sample.jobq(command, "1", "--queue", "x"), "either ids, or a filter")


def test_a_variable_that_is_not_set_selects_nothing(sample: "Application", store: "Store") -> None:
    """`jobq cancel "$JOB" --yes` would cancel everything."""
    store.add(job_class="jobs.Echo")
    for arguments in ([""], [" "], ["", "1"], ["--error", ""], ["--queue", "default", ""]):
        refused(sample.jobq("cancel", *arguments, "--yes"))
    assert len(store.unfinished()) == 1


# The command line itself


def test_help_and_version_need_no_database_and_no_application(tmp_path: Path) -> None:
    for arguments in (["--help"], ["--version"], ["run", "--help"], ["enqueue", "--help"]):
        finished = subprocess.run(
            [sys.executable, "-m", "jobq", *arguments], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert finished.returncode == 0
        assert "jobq" in finished.stdout


def test_help_loads_nothing_heavy(tmp_path: Path) -> None:
    script = (
        "import sys\nfrom jobq.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "print([name for name in ('psycopg', 'rich', 'textual', 'croniter', 'opentelemetry') if name in sys.modules])"
    )

    finished = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)

    assert finished.stdout.splitlines()[-1] == "[]"


def test_an_unknown_command_suggests_a_near_one(sample: "Application") -> None:
    refused(sample.jobq("enqeue"), "Did you mean enqueue")


def test_a_reader_that_goes_away_is_no_error(sample: "Application", store: "Store") -> None:
    for _ in range(300):
        store.add(job_class="jobs.Echo", arguments=json.dumps({"value": "x" * 500}))
    for command, shown in (("list --limit 300 --json | head -n 1", "[\n"), ("list | true", ""), ("--help | true", "")):
        assert shell(sample, command) == (0, shown, "")


def test_streams_that_are_closed_or_full_are_no_surprise(sample: "Application", store: "Store") -> None:
    job = store.add(job_class="jobs.Echo")
    assert shell(sample, "list >&-") == (0, "", "")
    assert shell(sample, "show 99 2>&-") == (2, "", "")
    assert shell(sample, "cancel queue:default <&-")[0] == 130
    assert shell(sample, "list --json > /dev/full") == (1, "", "jobq: error: [Errno 28] No space left on device.\n")
    assert shell(sample, "run --drain -p 1 <&- >&- 2>&-") == (0, "", "")
    assert [result.outcome for result in store.results(job)] == ["successful"]


def test_a_terminal_without_unicode_gets_what_it_can_show(sample: "Application", store: "Store") -> None:
    store.add(job_class="jobs.Echo", arguments=json.dumps({"value": "é€"}))
    plain = {"PYTHONIOENCODING": "ascii"}

    assert "? pending" in sample.jobq("list", environment=plain).stdout
    assert document(sample.jobq("list", "--json", environment=plain))[0]["arguments"] == {"value": "é€"}


def shell(sample: "Application", command: str) -> tuple[int, str, str]:
    """What a line of bash that begins with a command of ours ends with, prints and says."""
    finished = subprocess.run(
        ["/bin/bash", "-o", "pipefail", "-c", f"{sys.executable} -m jobq {command}"],
        cwd=sample.path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return finished.returncode, finished.stdout, finished.stderr

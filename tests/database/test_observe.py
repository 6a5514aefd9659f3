"""What an operator is told: why a job waits, what fails in groups, what is wrong."""

import os
import shlex
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from psycopg.conninfo import make_conninfo

from jobq import observe
from jobq.errors import JobNotFound
from jobq.filters import Moment, of
from jobq.fingerprints import fingerprint
from jobq.observe import Finding, Verdict, doctor
from jobq.records import ClassRecord
from jobq.settings import Settings
from jobq.states import Outcome
from jobq.store import workers
from jobq.store.database import Database

JOB_CLASS = "shop.jobs.Work"
KNOWN = ClassRecord(JOB_CLASS, ("shop.jobs.OldWork",), (), None)
AN_HOUR = Moment(3600.0)


# Why


@pytest.fixture
def kinds(database: Database) -> Callable[[int | None], list[str]]:
    """The kinds of the reasons for which a job waits, in order."""

    def of_job(job_id: int | None) -> list[str]:
        assert job_id is not None
        return [reason.kind for reason in observe.why(database, job_id).reasons]

    return of_job


Kinds = Callable[[int | None], list[str]]


def test_a_job_waits_where_no_worker_runs(store: Any, kinds: Kinds) -> None:
    assert kinds(store.add()) == ["no worker"]


def test_nothing_is_wrong_with_the_next_one(store: Any, kinds: Kinds) -> None:
    store.worker(classes=[KNOWN])
    assert kinds(store.add()) == ["next"]


def test_a_job_waits_while_every_worker_that_could_run_it_is_silent(store: Any, kinds: Kinds) -> None:
    silent = store.worker(classes=[KNOWN])
    store.execute("UPDATE jobq.workers SET heartbeat_at = heartbeat_at - interval '57 s' WHERE id = %s", silent)
    job = store.add()
    assert kinds(job) == ["silent"]
    store.worker(pid=2, classes=[KNOWN])
    assert kinds(job) == ["next"]


def test_a_class_is_known_by_its_alias_too(store: Any, kinds: Kinds) -> None:
    store.worker(classes=[KNOWN])
    assert kinds(store.add(job_class="shop.jobs.OldWork")) == ["next"]


def test_a_job_waits_for_a_worker_that_knows_its_class(store: Any, kinds: Kinds) -> None:
    store.worker(classes=[KNOWN])
    assert kinds(store.add(job_class="crm.Merge")) == ["class not known"]


def test_a_job_waits_for_a_worker_of_its_queue(store: Any, kinds: Kinds) -> None:
    store.worker(classes=[KNOWN])
    store.execute("UPDATE jobq.workers SET queues = '{mail,low}'")
    assert kinds(store.add(queue="archive")) == ["queue not worked"]
    assert kinds(store.add(queue="low")) == ["next"]


def test_a_job_waits_while_its_queue_is_paused(store: Any, database: Database) -> None:
    store.worker(classes=[KNOWN])
    store.execute("INSERT INTO jobq.queues VALUES ('a b', now(), 'ana@ops')")
    job = store.add(queue="a b")
    (reason,) = observe.why(database, job).reasons
    assert reason.kind == "paused"
    assert "by ana@ops" in reason.text
    assert reason.remedy == "jobq resume 'a b'"


def test_a_job_waits_until_it_is_due(store: Any, kinds: Kinds) -> None:
    store.worker(classes=[KNOWN])
    assert kinds(store.add(delay=600)) == ["not due"]


def test_a_retry_says_which_attempt_did_not_succeed(store: Any, report: Any, database: Database) -> None:
    worker = store.worker(classes=[KNOWN])
    store.add(retries=1)
    (assignment,) = store.claim(worker)
    store.retry(worker, report(assignment, Outcome.ERRORED, retry_delay=60.0))
    (reason,) = observe.why(database, assignment.id).reasons
    assert "after attempt 1 did not succeed" in reason.text


def test_a_job_waits_behind_those_before_it_and_says_for_how_long(store: Any, database: Database) -> None:
    store.worker(classes=[KNOWN])
    store.add_many(*[{"priority": 1}] * 30, *[{}] * 20)
    job = store.add()
    store.add_many(*[{}] * 5)
    store.execute(
        "INSERT INTO jobq.metrics (minute, queue, job_class, successful, waits, runs) "
        "VALUES (date_trunc('minute', now()), 'default', 'x', 600, 0, 0)"
    )
    found = observe.why(database, job)
    assert [reason.kind for reason in found.reasons] == ["behind"]
    assert found.ahead == 50
    assert found.estimated_seconds == pytest.approx(50)


def test_a_job_waits_while_every_process_is_busy(store: Any, kinds: Kinds) -> None:
    worker = store.worker(classes=[KNOWN])
    running, waiting = store.add(), store.add()
    store.claim(worker, most=1)
    assert kinds(waiting) == ["busy"]
    assert kinds(running) == ["running"]


def test_several_reasons_are_all_told(store: Any, kinds: Kinds) -> None:
    store.worker(classes=[KNOWN])
    store.execute("INSERT INTO jobq.queues VALUES ('default', now(), NULL)")
    store.add()
    assert kinds(store.add(job_class="crm.Merge")) == ["paused", "class not known", "behind"]


def test_a_running_job_whose_worker_is_silent_or_gone_says_so(store: Any, kinds: Kinds) -> None:
    worker = store.worker(classes=[KNOWN])
    job = store.add()
    store.claim(worker)
    store.execute("UPDATE jobq.workers SET heartbeat_at = now() - interval '40 s'")
    assert kinds(job) == ["running", "silent"]
    store.declare_dead(worker)
    assert kinds(job) == ["running", "lost"]


def test_a_finished_job_waits_for_nothing_and_says_who_holds_its_key(
    store: Any, report: Any, database: Database
) -> None:
    worker = store.worker()
    store.add(unique_key="k")
    (assignment,) = store.claim(worker)
    store.finish(worker, report(assignment, Outcome.ERRORED))
    holder = store.add(unique_key="k")
    first, second = observe.why(database, assignment.id).reasons
    assert first.remedy == f"jobq retry {assignment.id}"
    assert f"held by job {holder}, which is pending" in second.text


def test_a_job_that_does_not_exist_has_no_reason(database: Database) -> None:
    with pytest.raises(JobNotFound):
        observe.why(database, 4711)


# Failures


def fail(store: Any, report: Any, error: str, count: int = 1, *, retried: bool = False, **fields: Any) -> str:
    """Failures of one kind; returns their group."""
    worker = store.worker()
    group = fingerprint(JOB_CLASS, error, "shop.py:1 run", "")
    store.add_many(*[{"queue": "failing", "retries": int(retried), **fields}] * count)
    reports = [
        report(
            assignment,
            Outcome.ERRORED,
            error_type=error,
            error_message=f"number {assignment.id}",
            fingerprint=group,
            frame="shop.py:1 run",
            retry_delay=600.0 if retried else None,
        )
        for assignment in store.claim(worker, ["failing"], most=count)
    ]
    assert (store.retry if retried else store.finish)(worker, *reports) == count
    return group


def test_failures_come_in_groups_the_largest_first(store: Any, report: Any, database: Database) -> None:
    few = fail(store, report, "KeyError", 2)
    many = fail(store, report, "TimeoutError", 5)
    fail(store, report, "TimeoutError", 1, retried=True)
    store.finish(store.worker())

    first, second = observe.failures(database, AN_HOUR)

    assert (first.group, first.attempts, first.at_rest) == (many, 6, 5)
    assert (second.group, second.attempts, second.at_rest) == (few, 2, 2)
    assert (first.error_type, first.frame, first.job_class) == ("TimeoutError", "shop.py:1 run", JOB_CLASS)
    assert first.error_message == f"number {first.example_id}"
    assert sum(first.steps) == 6
    assert first.is_new
    assert first.first_at <= first.last_at


def test_a_group_that_was_there_before_the_period_is_not_new(store: Any, report: Any, database: Database) -> None:
    fail(store, report, "KeyError")
    store.execute("UPDATE jobq.results SET ended_at = ended_at - interval '3 hours'")
    assert observe.failures(database, AN_HOUR) == ()
    fail(store, report, "KeyError")
    (group,) = observe.failures(database, AN_HOUR)
    assert (group.attempts, group.is_new) == (1, False)
    assert group.ever_first_at < group.first_at


def test_a_group_selects_the_jobs_at_rest_in_it(store: Any, report: Any, database: Database) -> None:
    group = fail(store, report, "KeyError", 3)
    fail(store, report, "ValueError", 2)
    selected = observe.select(database, of("group", group)).ids
    assert len(selected) == 3
    assert {job.error_type for job in observe.list_jobs(database, of("group", group)).jobs} == {"KeyError"}


def test_a_lost_worker_makes_a_group_of_its_own(store: Any, database: Database) -> None:
    worker = store.worker()
    store.add()
    store.declare_dead(worker, *store.claim(worker))
    store.rescue(max_losses=1)
    (group,) = observe.failures(database, AN_HOUR)
    assert (group.group, group.frame) == (fingerprint(JOB_CLASS, "WorkerLost"), None)


# Doctor


def wrong(findings: tuple[Finding, ...]) -> dict[str, list[Finding]]:
    """What is wrong, by check."""
    found: dict[str, list[Finding]] = {}
    for finding in findings:
        if finding.verdict is Verdict.WRONG:
            found.setdefault(finding.check, []).append(finding)
    return found


@pytest.fixture
def healthy(store: Any) -> Any:
    """A database with a live worker that knows its classes."""
    store.worker(classes=[KNOWN])
    store.execute("UPDATE jobq.workers SET version = '0.1.0'")
    store.add()
    return store


def test_nothing_is_wrong_with_a_healthy_database(healthy: Any, database: Database) -> None:
    findings = observe.doctor(database)
    assert wrong(findings) == {}
    assert {finding.check for finding in findings} >= {
        "connection", "clock", "schema", "pooler", "listen", "vacuum", "dead rows", "history", "workers", "queues",
        "classes", "schedules", "poison", "failures",
    }  # fmt: skip


def test_each_finding_says_what_helps(healthy: Any, database: Database) -> None:
    healthy.execute("UPDATE jobq.workers SET queues = '{default}', heartbeat_at = now() - interval '50 s'")
    healthy.execute("INSERT INTO jobq.queues VALUES ('default', now(), 'ana@ops')")
    healthy.add(queue="archive")
    healthy.add(job_class="crm.Merge", priority=1)
    found = wrong(observe.doctor(database))
    assert set(found) == {"workers", "queues", "classes"}
    assert {finding.remedy for finding in found["queues"]} == {"jobq resume default", "jobq run --queue archive"}
    assert "ana@ops" in found["queues"][1].text
    assert "crm.Merge" in found["classes"][0].text
    assert all(finding.remedy for findings in found.values() for finding in findings)


def test_a_command_that_helps_stays_one_whatever_is_in_its_names(healthy: Any, database: Database) -> None:
    hostile = "x';touch pwned;"
    job = healthy.add(job_class=hostile, queue=hostile)
    found = wrong(observe.doctor(database))
    (unknown,) = [finding.remedy for finding in found["classes"]]
    assert shlex.split(str(unknown).partition("or: ")[2]) == ["jobq", "cancel", f'class:"{hostile}"']
    healthy.execute("INSERT INTO jobq.queues (name, paused_at) VALUES (%s, now())", hostile)
    mends = [str(reason.remedy) for reason in observe.why(database, job).reasons]
    assert ["jobq", "resume", hostile] in [shlex.split(remedy) for remedy in mends]


def test_a_worker_that_was_declared_dead_is_named(healthy: Any, database: Database) -> None:
    healthy.declare_dead(healthy.worker(host="web-3", pid=7121))
    (finding,) = wrong(observe.doctor(database))["workers"]
    assert "web-3/7121 was declared dead" in finding.text


def test_who_holds_back_vacuum_is_named_with_the_query(
    healthy: Any, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor_module(), "OLD_SNAPSHOT_SECONDS", 0.0)
    with healthy.another() as other, other.connection.transaction():
        other.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        other.execute("SELECT count(*) FROM jobq.results")
        pid = other.connection.info.backend_pid
        found = wrong(observe.doctor(database))["vacuum"]
    (finding,) = [finding for finding in found if str(pid) in finding.text]
    assert "SELECT count(*) FROM jobq.results" in finding.text
    assert f"pg_terminate_backend({pid})" in str(finding.remedy)


def test_dead_rows_that_pile_up_are_counted(
    healthy: Any, database: Database, monkeypatch: pytest.MonkeyPatch, eventually: Any
) -> None:
    monkeypatch.setattr(doctor_module(), "MANY_DEAD", 100)
    healthy.execute("ALTER TABLE jobq.jobs SET (autovacuum_enabled = false)")
    healthy.add_many(*[{}] * 500)
    healthy.execute("DELETE FROM jobq.jobs")
    healthy.execute("SELECT pg_stat_force_next_flush()")
    finding = eventually(lambda: wrong(observe.doctor(database)).get("dead rows"))[0]
    assert "501" in finding.text
    assert "VACUUM" in str(finding.remedy)


def test_jobs_that_kill_their_process_every_time_are_named(healthy: Any, report: Any, database: Database) -> None:
    worker = healthy.worker()
    healthy.execute("UPDATE jobq.workers SET version = '0.1.0'")
    (assignment,) = healthy.claim(worker)
    healthy.finish(worker, report(assignment, Outcome.LOST, error_type="ProcessDied", fingerprint="f"))
    (finding,) = wrong(observe.doctor(database))["poison"]
    assert finding.remedy == f"jobq show {assignment.id}"


def test_a_job_set_running_by_hand_is_named_until_it_has_a_claim(healthy: Any, database: Database) -> None:
    worker = healthy.worker()
    job = healthy.add()
    healthy.execute("UPDATE jobq.jobs SET worker_id = %s, started_at = now() WHERE id = %s", worker, job)
    (finding,) = wrong(observe.doctor(database))["rows"]
    assert f"1 job set running by hand, such as {job}: " in finding.text
    workers.note_claims(healthy.connection, healthy.schema)
    assert "rows" not in wrong(observe.doctor(database))


def test_a_schema_that_is_behind_is_found_and_the_rest_still_checked(healthy: Any, database: Database) -> None:
    healthy.execute("DELETE FROM jobq.migrations WHERE version = (SELECT max(version) FROM jobq.migrations)")
    found = wrong(observe.doctor(database))
    assert found["schema"][0].remedy == "jobq migrate"
    assert set(found) == {"schema"}


def test_a_worker_of_another_version_is_found(healthy: Any, database: Database) -> None:
    healthy.execute("UPDATE jobq.workers SET version = '0.0.9'")
    (finding,) = wrong(observe.doctor(database))["versions"]
    assert "0.0.9" in finding.text


def test_a_clock_that_is_off_is_found(healthy: Any, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_module(), "CLOCK_SECONDS", -1.0)
    assert "clock" in wrong(observe.doctor(database))


def test_a_pooler_that_was_not_configured_is_not_seen_where_there_is_none(healthy: Any, settings: Settings) -> None:
    pooled = Database(replace(settings, transaction_pooler=True))
    try:
        assert wrong(observe.doctor(pooled)) == {}
    finally:
        pooled.close()


def test_partitions_that_nobody_makes_are_found(healthy: Any, database: Database) -> None:
    healthy.execute(
        "INSERT INTO jobq.results (id, attempt, ended_at, enqueued_at, run_at, retries, priority, retried, outcome, "
        "queue, job_class, arguments) VALUES (1, 1, '2020-01-01', now(), now(), 0, 0, false, 'lost', 'q', 'c', '{}')"
    )
    assert "history" in wrong(observe.doctor(database))


def test_a_schedule_that_stopped_is_found_where_there_are_schedules(healthy: Any, database: Database) -> None:
    assert "schedules" not in wrong(observe.doctor(database))
    healthy.execute(
        "INSERT INTO jobq.schedules (name, next_at, paused_at, undeclared_at, job_class, arguments, queue, priority, "
        "retries, expression, timezone, missed, overlap, jitter) "
        "SELECT entry.*, 'shop.Nightly', '{}', 'default', 0, 0, '0 9 * * *', 'UTC', 'once', 'allow', 0 FROM (VALUES "
        "('nightly', now() - interval '1 hour', NULL::timestamptz, NULL::timestamptz), "
        "('paused', now() - interval '1 hour', now(), NULL), ('gone', NULL, NULL, now()), "
        "('fine', now() + interval '1 hour', NULL, NULL)) AS entry"
    )
    found = wrong(observe.doctor(database))["schedules"]
    assert [finding.text.split()[1] for finding in found] == ["gone", "nightly"]


def test_a_check_that_may_not_be_made_says_so_and_the_others_go_on(
    healthy: Any, settings: Settings, database_url: str
) -> None:
    role = f"weak_{os.getpid()}"
    healthy.execute(f"CREATE ROLE {role} LOGIN")
    try:
        healthy.execute(f"GRANT USAGE ON SCHEMA jobq TO {role}")
        healthy.execute(f"GRANT SELECT ON jobq.migrations, jobq.workers, jobq.jobs, jobq.claims TO {role}")
        weak = Database(replace(settings, database_url=make_conninfo(database_url, options=f"-crole={role}")))
        try:
            findings = observe.doctor(weak)
        finally:
            weak.close()
    finally:
        healthy.execute(f"DROP OWNED BY {role}")
        healthy.execute(f"DROP ROLE {role}")
    found = wrong(findings)
    assert "could not be checked" in found["needs"][0].text
    assert "listen" not in found
    assert any(finding.check == "workers" and finding.verdict is Verdict.FINE for finding in findings)


def doctor_module() -> Any:
    from importlib import import_module

    assert doctor is not None
    return import_module("jobq.observe.doctor")

"""What operators do: the record of it, in the transaction of the act itself, and the way back."""

import json
import shlex
from typing import Any

import pytest

from jobq import Job, observe, operate
from jobq.class_options import constant_options
from jobq.errors import ActNotUndone, ArgumentsError, DatabaseError, JobNotFound, UnknownJobClass
from jobq.filters import Moment, of
from jobq.operate import acting
from jobq.records import ClassRecord, ParameterRecord
from jobq.states import Outcome
from jobq.store import audit
from jobq.store.database import Database, who_am_i

JOB_CLASS = "shop.jobs.Work"


def failed(store: Any, report: Any, count: int = 1, **fields: Any) -> list[int]:
    """Jobs that ended as errored."""
    worker = store.worker()
    ids = store.add_many(*[{"queue": "failing", **fields}] * count)
    reports = [report(one, Outcome.ERRORED) for one in store.claim(worker, ["failing"], most=count)]
    assert store.finish(worker, *reports) == count
    return [job for job in ids if job is not None]


def pretend(store: Any, seconds: int) -> None:
    """Everything in the audit was done so long ago."""
    store.execute("UPDATE jobq.audit SET at = at - %s * interval '1 s', ended_at = ended_at - %s * interval '1 s'",
                  seconds, seconds)  # fmt: skip


# The record


def test_an_act_is_recorded_with_who_what_and_which(store: Any, report: Any, database: Database) -> None:
    ids = failed(store, report, 30)

    acted = operate.retry(database, ids, selection="outcome:errored")

    (act,) = observe.audit(database)
    assert (act.id, act.verb, act.selection, act.affected) == (acted.act, "retry", "outcome:errored", 30)
    assert act.who == who_am_i()
    assert act.database_user == store.rows("SELECT session_user AS name")[0].name
    assert list(act.ids) == ids[: audit.NAMED_IDS]


def test_an_act_in_many_chunks_is_one_row(store: Any, database: Database) -> None:
    ids = [job for job in store.add_many(*[{}] * 1200) if job]
    seen: list[int] = []
    operate.cancel(database, ids, progress=seen.append)
    (act,) = observe.audit(database)
    assert act.affected == 1200
    assert len(act.ids) == audit.NAMED_IDS
    assert seen == [500, 1000, 1200]


def test_an_act_that_does_nothing_leaves_no_record(store: Any, database: Database) -> None:
    pending = store.add()
    acted = operate.retry(database, [pending, 4711])
    assert (acted.done, acted.act) == ([], None)
    assert acted.skipped == {
        pending: "it is pending: only finished jobs can be retried",
        4711: "there is no such job",
    }
    assert observe.audit(database) == ()


def test_an_act_and_its_record_are_one_transaction(store: Any, database: Database) -> None:
    job = store.add()

    def fail_at_the_end() -> None:
        with acting(database, "cancel") as act:
            act.connection.execute("DELETE FROM jobq.jobs")
            act.did([job])
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_at_the_end()
    assert store.job(job) is not None
    assert observe.audit(database) == ()


def test_a_chunk_that_fails_leaves_the_record_of_those_before(
    store: Any, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [job for job in store.add_many(*[{}] * 700) if job]
    really = audit.note
    calls: list[int] = []

    def fail_the_second_time(*args: Any, **fields: Any) -> None:
        calls.append(1)
        if len(calls) == 2:
            raise RuntimeError
        really(*args, **fields)

    monkeypatch.setattr(audit, "note", fail_the_second_time)
    with pytest.raises(RuntimeError):
        operate.cancel(database, ids)
    (act,) = observe.audit(database)
    assert act.affected == 500
    assert len(store.unfinished()) == 200


def test_acts_are_found_by_person_and_by_job(store: Any, database: Database) -> None:
    first, second = store.add(), store.add()
    operate.cancel(database, [first])
    operate.cancel(database, [second])
    assert [act.ids for act in observe.audit(database, job_id=first)] == [(first,)]
    assert observe.audit(database, who="nobody@nowhere") == ()
    newest, oldest = observe.audit(database)
    assert [act.id for act in observe.audit(database, below=newest.id)] == [oldest.id]


# The way back


def test_a_retry_after_a_restore_without_sequences_says_how_to_mend_them(
    store: Any, report: Any, database: Database
) -> None:
    *_, last = failed(store, report, 2)
    store.execute("ALTER TABLE jobq.jobs ALTER id RESTART WITH 1")
    with pytest.raises(DatabaseError, match="after a restore without sequences") as caught:
        operate.retry(database, [last])
    store.execute(shlex.split(str(caught.value))[-1])
    assert operate.retry(database, [last]).done == [last]


def test_a_retry_is_undone_for_what_has_not_started(store: Any, report: Any, database: Database) -> None:
    ids = failed(store, report, 3)
    operate.retry(database, ids)
    store.claim(store.worker(), ["failing"], most=1)

    undone, acted = operate.undo(database)

    assert undone.verb == "retry"
    assert acted.done == ids[1:]
    assert acted.skipped == {ids[0]: "it has started since"}
    assert [job.id for job in store.unfinished()] == [ids[0]]
    assert [result.retried for result in store.results()] == [True, False, False]
    assert observe.show(database, ids[1]).job.outcome == "errored"


def test_a_retry_is_not_undone_for_a_job_that_waits_for_yet_another_attempt(
    store: Any, report: Any, database: Database
) -> None:
    ids = failed(store, report, 1)
    operate.retry(database, ids)
    worker = store.worker()
    (again,) = store.claim(worker, ["failing"])
    store.retry(worker, report(again, "errored", retry_delay=0.0))

    _, acted = operate.undo(database)

    assert acted.done == []
    assert [(job.id, job.attempt) for job in store.unfinished()] == [(ids[0], again.attempt)]


def test_a_cancelled_job_comes_back_as_it_was(store: Any, database: Database) -> None:
    pending = store.add(priority=7, retries=2, unique_key="k", arguments='{"a": [1, {"b": "ü"}]}', source="x.py:1")
    scheduled = store.add(delay=600)
    before = store.unfinished()
    operate.cancel(database, [pending, scheduled])
    assert store.unfinished() == []

    _, acted = operate.undo(database)

    assert acted.done == [pending, scheduled]
    assert store.unfinished() == before
    assert store.results() == []


def test_a_cancelled_job_whose_key_is_taken_stays_cancelled(store: Any, database: Database) -> None:
    first, other = store.add(unique_key="k"), store.add()
    operate.cancel(database, [first, other])
    second = store.add(unique_key="k")

    _, acted = operate.undo(database)

    assert acted.done == [other]
    assert acted.skipped == {first: "its unique key is held by another job now, or its row was too large to be kept"}
    assert [job.id for job in store.unfinished()] == [other, second]
    assert [result.id for result in store.results()] == [first]


def test_purged_jobs_are_out_of_sight_at_once_and_come_back(store: Any, report: Any, database: Database) -> None:
    ids = failed(store, report, 2, arguments='{"n": 1.5}', retries=0)
    before = store.results()
    operate.purge(database, ids)
    assert store.results() == []
    with pytest.raises(JobNotFound):
        observe.show(database, ids[0])

    _, acted = operate.undo(database)

    assert acted.done == ids
    assert store.results() == before


def test_purged_jobs_are_deleted_later(store: Any, report: Any, database: Database) -> None:
    ids = failed(store, report, 2)
    operate.purge(database, ids)
    audit.forget_kept(store.connection, store.schema)
    assert len(store.rows("SELECT id FROM jobq.kept")) == 2
    store.execute("UPDATE jobq.kept SET kept_at = kept_at - interval '1 hour'")
    audit.forget_kept(store.connection, store.schema)
    assert store.rows("SELECT id FROM jobq.kept") == []


def test_paused_queues_are_resumed(store: Any, database: Database) -> None:
    with acting(database, "pause") as act:
        act.connection.execute("INSERT INTO jobq.queues (name, paused_at) VALUES ('mail', now()), ('other', now())")
        act.did(names=["mail"])

    undone, _ = operate.undo(database)

    assert undone.names == ("mail",)
    assert store.rows("SELECT name FROM jobq.queues WHERE paused_at IS NOT NULL") == [("other",)]


def test_a_muted_group_of_failures_is_named_so_until_its_time_is_over_or_it_is_undone(
    store: Any, report: Any, database: Database
) -> None:
    for letter, count in (("a", 2), ("b", 1)):
        ids = failed(store, report, count)
        store.execute("UPDATE jobq.results SET fingerprint = repeat(%s, 16) WHERE id = ANY (%s)", letter, ids)

    def muted() -> dict[str, bool]:
        return {one.group[0]: one.muted_until is not None for one in observe.failures(database, Moment(3600.0))}

    assert list(muted()) == ["a", "b"]
    assert operate.mute_failures(database, ["a" * 16, "nothing"], seconds=60) == ["a" * 16]
    assert list(muted().items()) == [("b", False), ("a", True)]
    (group,) = [one for one in observe.failures(database, Moment(3600.0)) if one.muted_until is not None]
    assert group.muted_by == who_am_i()
    act, _ = operate.undo(database)
    assert (act.verb, act.names) == ("mute", ("a" * 16,))
    assert muted() == {"a": False, "b": False}
    operate.mute_failures(database, ["a" * 16], seconds=60)
    assert operate.unmute_failures(database, ["a" * 16, "b" * 16]) == ["a" * 16]
    operate.mute_failures(database, ["a" * 16], seconds=60)
    store.execute("UPDATE jobq.mutes SET muted_until = now() - interval '1 s'")
    assert muted() == {"a": False, "b": False}
    assert operate.unmute_failures(database, ["a" * 16]) == []


def test_paused_schedules_fire_again_from_their_next_tick_on(store: Any, database: Database) -> None:
    store.execute(
        "INSERT INTO jobq.schedules (name, next_at, job_class, arguments, queue, priority, retries, expression, "
        "timezone, missed, overlap, jitter) SELECT name, now() - interval '1 hour', 'x.A', '{}', 'default', 0, 0, "
        "'0 3 * * *', 'UTC', 'once', 'skip', 0 FROM unnest(ARRAY['nightly', 'weekly']) AS name"
    )
    operate.pause_schedule(database, ["nightly", "weekly"])
    store.execute("UPDATE jobq.schedules SET paused_at = now() + interval '1 second' WHERE name = 'weekly'")

    undone, _ = operate.undo(database)

    assert (undone.verb, undone.names) == ("pause schedule", ("nightly", "weekly"))
    rows = store.rows("SELECT name, paused_at IS NULL AS on, next_at > now() FROM jobq.schedules ORDER BY 1")
    assert rows == [("nightly", True, True), ("weekly", False, False)]
    assert store.rows("SELECT names FROM jobq.audit WHERE verb = 'undo'") == [(["nightly"],)]


def test_an_undo_is_recorded_and_cannot_be_repeated(store: Any, database: Database) -> None:
    job = store.add()
    act = operate.cancel(database, [job]).act
    operate.undo(database, act)
    last, first = observe.audit(database)
    assert (last.verb, last.undoes, last.ids) == ("undo", act, (job,))
    assert first.undone_at is not None
    with pytest.raises(ActNotUndone, match="undone already"):
        operate.undo(database, act)
    with pytest.raises(ActNotUndone, match="nothing to undo"):
        operate.undo(database)


def test_what_was_done_too_long_ago_is_not_undone(store: Any, database: Database) -> None:
    act = operate.cancel(database, [store.add()]).act
    pretend(store, 61)
    with pytest.raises(ActNotUndone, match="61 s ago: an act can be undone for 60 s"):
        operate.undo(database, act)
    with pytest.raises(ActNotUndone, match="nothing to undo"):
        operate.undo(database)
    with pytest.raises(ActNotUndone, match="There is no act 4711"):
        operate.undo(database, 4711)


def test_what_somebody_else_did_is_undone_by_its_number_only(store: Any, database: Database) -> None:
    act = operate.cancel(database, [store.add()]).act
    store.execute("UPDATE jobq.audit SET who = 'ana@ops'")
    with pytest.raises(ActNotUndone, match="somebody else"):
        operate.undo(database)
    _, acted = operate.undo(database, act)
    assert len(acted.done) == 1


# Edit and run again


KNOWN = ClassRecord(
    JOB_CLASS,
    ("shop.jobs.OldWork",),
    (
        ParameterRecord("order", "any", "int", None, True),
        ParameterRecord("note", "keyword", "str", "''", False),
        ParameterRecord("rest", "named rest", None, None, False),
    ),
    None,
)


def test_a_job_runs_again_as_a_new_one_with_other_arguments(store: Any, report: Any, database: Database) -> None:
    (old,) = failed(store, report, arguments='{"order": 1}', priority=3, retries=2)
    store.execute("UPDATE jobq.results SET retries = 2")
    before = store.results()

    record = operate.run_again(database, old, {"order": 2, "note": "mended"}, known=[KNOWN])

    assert record is not None
    (job,) = store.unfinished()
    assert job.id == record.id != old
    assert (job.arguments, job.queue, job.priority, job.retries) == ({"order": 2, "note": "mended"}, "failing", 3, 2)
    assert (job.attempt, job.source) == (0, f"{who_am_i()}, like job {old}")
    assert store.results() == before
    (act,) = observe.audit(database)
    assert (act.verb, act.selection, act.ids) == ("run again", f"id:{old}", (record.id,))


def test_a_held_unique_key_keeps_the_new_job_out(store: Any, report: Any, database: Database) -> None:
    (old,) = failed(store, report, unique_key="k")
    store.add(unique_key="k", job_class=KNOWN.stored_name)
    assert operate.run_again(database, old, {"order": 2}, known=[KNOWN]) is None
    assert observe.audit(database) == ()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, "order is missing.*order: int"),
        ({"order": 1, "nope": 2}, "no argument nope"),
        ({"order": {"$": "no such tag", "v": 1}}, "no argument type"),
        ({"order": "a\0b"}, "NUL"),
        ({"order": "x" * 300_000}, "bytes"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(
    arguments: dict[str, Any], words: str, store: Any, report: Any, database: Database
) -> None:
    (old,) = failed(store, report)
    with pytest.raises(ArgumentsError, match=words):
        operate.run_again(database, old, arguments, known=[KNOWN])
    assert store.unfinished() == []


def test_tagged_arguments_are_kept_as_they_are(store: Any, report: Any, database: Database) -> None:
    (old,) = failed(store, report)
    tagged = {"order": {"$": "date", "v": "2026-12-01"}}
    operate.run_again(database, old, tagged, known=[KNOWN])
    assert store.unfinished()[0].arguments == tagged


def test_arguments_that_nobody_can_check_are_refused(store: Any, report: Any, database: Database) -> None:
    (old,) = failed(store, report)
    with pytest.raises(UnknownJobClass, match="Neither a live worker nor this folder's application knows"):
        operate.run_again(database, old, {})


def test_a_live_worker_knows_the_parameters(store: Any, report: Any, database: Database) -> None:
    (old,) = failed(store, report)
    store.worker(classes=[KNOWN])
    assert operate.run_again(database, old, {"order": 5}) is not None
    assert json.loads(json.dumps(store.unfinished()[0].arguments)) == {"order": 5}


def test_a_filter_and_an_act_mean_the_same_jobs(store: Any, report: Any, database: Database) -> None:
    ids = failed(store, report, 3)
    mails = failed(store, report, 2)
    store.execute("UPDATE jobq.results SET job_class = 'shop.jobs.Mail' WHERE id = ANY (%s)", mails)
    selected = observe.select(database, of("outcome", "errored"))
    assert set(ids) < set(selected.ids)
    assert selected.classes == ((JOB_CLASS, 3), ("shop.jobs.Mail", 2))
    assert sorted(operate.retry(database, selected.ids).done) == sorted(selected.ids)
    assert observe.select(database, of("outcome", "errored")).ids == ()


def test_what_is_done_for_somebody_is_recorded_as_theirs(store: Any, database: Database) -> None:
    """In the rows that an act leaves, and not in the audit alone: here the process is a web server's."""
    user = ParameterRecord("user", "named", "int", default=None, required=True)
    store.worker(classes=[ClassRecord("shop.jobs.Work", (), (user,), None, options=constant_options(Job))])
    ended = store.add(arguments='{"user": 1}')
    with operate.acting_as("ana (admin)"):
        added = operate.enqueue(database, "shop.jobs.Work", {"user": 1}, queue="mail")
        again = operate.run_again(database, ended, {"user": 2})
        operate.pause_queues(database, ["mail"])
        operate.stop_workers(database, ["here/1"])
    assert added is not None
    assert again is not None
    assert store.job(added.id).source == "ana (admin)"
    assert store.job(again.id).source == f"ana (admin), like job {ended}"
    assert [row.paused_by for row in store.rows("SELECT paused_by FROM jobq.queues")] == ["ana (admin)"]
    assert [one.stop_requested_by for one in observe.workers(database)] == ["ana (admin)"]
    assert {act.who for act in observe.audit(database)} == {"ana (admin)"}

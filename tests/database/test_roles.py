"""What `jobq migrate --grants` prints is enough for each kind of role, and no more."""

import ast
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from inspect import signature
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import errors as pg
from test_ticks import NIGHTLY, RULED, Schedules, like_nightly

import jobq
from jobq import Job, observe, operate
from jobq.class_options import constant_options
from jobq.errors import DatabaseForbidden, JobNotFinished, NotRunning
from jobq.filters import Filter, Moment, of, parse
from jobq.observe.orders import Order
from jobq.operate.rights import NEEDS
from jobq.records import ClassRecord, KeyRules, NewJob
from jobq.store import enqueueing, history, migrations, rights, workers
from jobq.store.database import Database, use_database
from jobq.store.rights import ENQUEUER, OPERATOR, READER, WEB, WORKER, Right, Role

JOB_CLASS = "shop.jobs.Work"

AWAITED = operate.Awaited("a41c9e2", is_younger=False)

BOTH = (Filter(), of("state", "finished"))
"""The jobs that have not ended, and those that have."""

Connection = psycopg.Connection[Any]


@contextmanager
def granted(role: Role, store: Any, *, name: str = "", schema: str | None = None) -> Iterator[Database]:
    """The database, for a new role of this kind."""
    schema = schema or store.schema
    name = name or f"{role.name}_{store.connection.info.dbname}"
    quoted = '"' + name.replace('"', '""') + '"'
    store.execute(f"CREATE ROLE {quoted} LOGIN")
    store.connection.execute(rights.grants(role, schema, name).encode())
    url = psycopg.conninfo.make_conninfo(store.settings.database_url, user=name)
    database = Database(replace(store.settings, database_url=url, schema=schema))
    database.role = name  # as it is after the first connection
    try:
        yield database
    finally:
        database.close()
        store.connection.execute(f"DROP OWNED BY {quoted}".encode())
        store.connection.execute(f"DROP ROLE {quoted}".encode())


def refused(connection: Connection, *statements: str) -> None:
    for statement in statements:
        with pytest.raises(pg.InsufficientPrivilege):
            connection.execute(statement.encode())


def add_paused_schedule(store: Any) -> None:
    store.execute(
        "INSERT INTO jobq.schedules (name, job_class, arguments, queue, priority, retries, expression, timezone, "
        "missed, overlap, jitter, next_at, paused_at) VALUES ('nightly', 'shop.jobs.Work', '{}', 'default', 0, 0, "
        "'0 2 * * *', 'UTC', 'once', 'allow', 0, now() + interval '1 day', now())"
    )


def verdict(added: enqueueing.Added | None) -> tuple[str, str | None]:
    """What came of an enqueue that met a held key, and the arguments of the holder as far as they were told."""
    assert added is not None
    assert added.holder is not None
    return added.holder.verdict, added.holder.arguments


def test_an_enqueuer_enqueues_and_reads_nothing_of_others(store: Any) -> None:
    with granted(ENQUEUER, store) as database, database.connect("test") as connection:
        assert enqueueing.enqueue(connection, "jobq", NewJob(JOB_CLASS, "{}", unique_key="a"))
        assert enqueueing.enqueue(connection, "jobq", NewJob(JOB_CLASS, "{}", unique_key="a")) is None
        many = [NewJob(JOB_CLASS, "{}", delay=60.0, timeout=1.0, expires_in=99.0), NewJob(JOB_CLASS, "{}")]
        assert None not in enqueueing.enqueue_many(connection, "jobq", many)
        sql = "SELECT jobq.enqueue('shop.jobs.Work', '{}', unique_key => 'b')"
        assert connection.execute(sql.encode()).fetchone() != (None,)
        ruled = NewJob(JOB_CLASS, '{"a": 1}', unique_key="c", key_rules=KeyRules("rerun", "finished", None, None))
        assert enqueueing.enqueue(connection, "jobq", ruled)
        assert verdict(enqueueing.enqueue(connection, "jobq", ruled)) == ("replaced", None)
        returning = ruled._replace(key_rules=KeyRules("return", "finished", None, None))
        assert verdict(enqueueing.enqueue(connection, "jobq", returning)) == ("held", None)
        throttled = NewJob(JOB_CLASS, "{}", unique_key="d", key_rules=KeyRules("skip", "finished", 60.0, None))
        assert enqueueing.enqueue(connection, "jobq", throttled)
        refused(
            connection,
            "SELECT arguments FROM jobq.jobs",
            "SELECT until FROM jobq.throttles",
            "UPDATE jobq.jobs SET queue = 'mine'",
            "DELETE FROM jobq.jobs",
            "INSERT INTO jobq.jobs (job_class, losses) VALUES ('x', 1)",
            "SELECT 1 FROM jobq.results",
            "SELECT host FROM jobq.workers",
            "INSERT INTO jobq.queues (name, paused_at) VALUES ('default', now())",
            "CREATE TABLE jobq.mine ()",
            "SELECT jobq.drop_partition(current_date)",
        )
        with pytest.raises(DatabaseForbidden, match=r"permission denied for table .*jobq migrate --grants"):
            observe.list_jobs(database, of("state", "finished"))
    assert len(store.unfinished()) == 6


@contextmanager
def as_default(database: Database) -> Iterator[None]:
    use_database(database)
    try:
        yield
    finally:
        use_database(None)


def ended_with_secrets(store: Any, report: Any, outcome: str = "successful") -> int:
    """A job that has ended, with something in every column that is nobody's business."""
    private = '{"card": "4111-1111"}'
    job_id: int = store.add(arguments=private, unique_key="ada@home", source="shop.py:7")
    worker = store.worker(host="inside.example")
    (claimed,) = store.claim(worker)
    told = {"error_type": "E", "error_message": "4111-1111", "traceback": "4111-1111"} if outcome == "errored" else {}
    store.finish(worker, report(claimed, outcome, value='"4111-1111"', **told))
    return job_id


def test_a_web_tier_enqueues_and_sees_how_jobs_stand_and_no_more(store: Any, report: Any) -> None:
    done, failed = ended_with_secrets(store, report), ended_with_secrets(store, report, "errored")
    open_ = store.add(arguments='{"card": "4111-1111"}', unique_key="eve@home", queue="mail")
    with granted(WEB, store) as database, as_default(database), database.connect("test") as connection:
        assert enqueueing.enqueue(connection, "jobq", NewJob(JOB_CLASS, "{}", unique_key="a"))
        assert enqueueing.enqueue(connection, "jobq", NewJob(JOB_CLASS, "{}", unique_key="a")) is None
        found = jobq.get(done)
        assert (found.state, found.outcome, found.attempt, found.value) == ("finished", "successful", 1, None)
        assert found.arguments == {}
        assert {"arguments", "unique_key", "source", "worker", "error_message"} <= set(found.hidden)
        assert {"value", "traceback", "worker", "error_message"} <= set(found.attempts[0].hidden)
        assert "state" not in found.hidden
        assert (jobq.get(failed).error, jobq.get(failed, connection=connection).outcome) == ("E", "errored")
        looked_up = [jobq.get(done), jobq.get(failed), jobq.get(open_, connection=connection)]
        seen = [*looked_up, *jobq.wait([done, failed]).values()]
        for told in ("4111-1111", "@home", "inside.example", "shop.py"):
            assert told not in repr(seen)
        with pytest.raises(JobNotFinished, match=r"Job \d+ is pending\. Waited"):
            jobq.get(open_).wait(timeout=0)
        with pytest.raises(DatabaseForbidden, match="jobq migrate --grants"):
            list(jobq.find())
        with pytest.raises(DatabaseForbidden, match="--grants operator"):
            jobq.get(open_).cancel()
        refused(
            connection,
            "SELECT arguments FROM jobq.jobs",
            "SELECT value FROM jobq.results",
            "SELECT traceback FROM jobq.results",
            "SELECT error_message FROM jobq.results",
            "SELECT unique_key FROM jobq.results",
            "SELECT arguments FROM jobq.results",
            "SELECT host FROM jobq.workers",
            "SELECT 1 FROM jobq.audit",
            "UPDATE jobq.jobs SET queue = 'mine'",
            "DELETE FROM jobq.results",
        )
    with granted(ENQUEUER, store) as database, as_default(database):
        with pytest.raises(DatabaseForbidden, match=r"may not SELECT jobq\.jobs.*--grants web --to "):
            jobq.get(done)
        with pytest.raises(DatabaseForbidden, match="--grants web"):
            jobq.wait([done], timeout=0)


def test_a_look_that_shows_less_leaves_the_callers_transaction_whole(store: Any, report: Any) -> None:
    done = ended_with_secrets(store, report)
    with (
        granted(WEB, store) as database,
        as_default(database),
        database.connect("test") as connection,
        connection.transaction(),
    ):
        assert jobq.get(done, connection=connection).outcome == "successful"
        assert enqueueing.enqueue(connection, "jobq", NewJob(JOB_CLASS, "{}"))
    assert len(store.unfinished()) == 1


def test_a_worker_keeps_a_history_that_it_does_not_own(store: Any, report: Any) -> None:
    """The rest of its work is done by a real one, in tests/cli."""
    old, tomorrow = (store.rows(f"SELECT current_date + {days} AS day")[0].day for days in (-90, 1))
    history.drop_partition(store.connection, "jobq", tomorrow)
    history.make_partition(store.connection, "jobq", old)
    with granted(WORKER, store) as database, database.connect("test") as connection:
        rights.require(database, WORKER)
        assert history.make_partitions(connection, "jobq") == [tomorrow]
        assert history.drop_old_partitions(connection, "jobq", keep_days=30) == [old]
        refused(
            connection,
            "CREATE TABLE jobq.mine ()",
            "DROP TABLE jobq.jobs",
            "DELETE FROM jobq.results",
            "UPDATE jobq.results SET outcome = 'successful'",
            "INSERT INTO jobq.audit (who, verb) VALUES ('me', 'retry')",
            "DELETE FROM jobq.audit",
        )
    owners = store.rows("SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'jobq'")
    assert len(owners) == 1


def test_a_worker_serves_the_ticks_of_schedules(store: Any) -> None:
    """Also of one whose jobs follow the rules of a unique key."""
    schedules = Schedules(store)
    with granted(WORKER, store) as database, database.connect("test") as schedules.connection:
        schedules.set_up(NIGHTLY, like_nightly(name="ruled", unique_key="k", key_rules=RULED))
        schedules.pass_time(hours=1)
        assert [tick.verdict for tick in schedules.serve()] == ["enqueued", "enqueued"]
    assert [job.source for job in store.unfinished()] == ["schedule nightly", "schedule ruled"]


def looks(job_id: int) -> dict[str, Callable[[Database], Any]]:
    """Every function of the read model that reads."""
    hour = Moment(3600.0)
    return {
        "act": lambda database: observe.act(database, 1),
        "acts_on": lambda database: observe.acts_on(database, job_id, since=datetime(2001, 1, 1, tzinfo=UTC)),
        "among": lambda database: observe.among(database, of("state", "pending"), [(job_id, None)]),
        "audit": observe.audit,
        "classes": observe.classes,
        "doctor": observe.doctor,
        "ended": lambda database: observe.ended([job_id], database=database),
        "failing": lambda database: observe.failing(database, hour),
        "failures": lambda database: observe.failures(database, hour),
        "figures": lambda database: observe.figures(database, hour),
        "list_jobs": lambda database: [observe.list_jobs(database, one) for one in BOTH],
        "attempt_log": lambda database: observe.attempt_log(database, job_id, 1),
        "last_lines": lambda database: observe.last_lines(database, job_id),
        "log_counts": lambda database: observe.log_counts(database, job_id),
        "longest": lambda database: observe.longest(database, limit=5),
        "look": lambda database: observe.look(database, observe.finding("jobq", job_id)),
        "matches": lambda database: [observe.matches(database, one, limit=9) for one in BOTH],
        "needs_now": observe.needs_now,
        "preview": lambda database: observe.preview(database, timedelta(hours=1)),
        "queues": observe.queues,
        "audit_gate": lambda database: observe.audit_gate(database, "crm", hour),
        "classes_of": lambda database: observe.classes_of(database, "crm"),
        "gate": lambda database: observe.gate(database, "crm"),
        "gates": observe.gates,
        "require_gates": lambda database: observe.require_gates(database, ["crm"]),
        "builds": observe.builds,
        "forecasts": observe.forecasts,
        "waiting_retries": observe.waiting_retries,
        "require_all": lambda database: observe.require_all(database, ["nightly"], {"nightly"}),
        "schedules": observe.schedules,
        "search": lambda database: [observe.search(database, one, limit=9) for one in BOTH],
        "select": lambda database: [observe.select(database, one) for one in BOTH],
        "sorted_page": lambda database: [
            observe.sorted_page(database, one, Order("id", is_falling=True), limit=9) for one in BOTH
        ],
        "show": lambda database: observe.show(database, job_id),
        "stats": observe.stats,
        "stored_arguments": lambda database: observe.stored_arguments(database, job_id),
        "stuck": observe.stuck,
        "top": observe.top,
        "unfinished": lambda database: list(observe.unfinished(database).pages()),
        "unknown_classes": observe.unknown_classes,
        "wanted_processes": lambda database: observe.wanted_processes(database, ["default"]),
        "why": lambda database: observe.why(database, job_id),
        "workers": observe.workers,
    }


def acts(store: Any, report: Any) -> dict[str, Callable[[Database], Any]]:
    """Every act but undo, each on something of its own. One that is refused leaves that as it was."""
    classes = [ClassRecord(JOB_CLASS, (), (), None, options=constant_options(Job), gate={"name": "crm"})]
    worker = store.worker(classes=classes)
    store.execute("INSERT INTO jobq.gates (name, declared_by) VALUES ('crm', %s)", worker)
    failed, purged = store.add(), store.add()
    store.finish(worker, *(report(one, "errored", fingerprint="f00") for one in store.claim(worker)))
    running = store.add()
    assert store.claim(worker)
    waiting, old, adopted = store.add(), store.add(), store.add()
    add_paused_schedule(store)
    gone = store.worker(pid=5)
    store.execute("UPDATE jobq.workers SET heartbeat_at = now() - interval '1 minute' WHERE id = %s", gone)

    def stack(database: Database) -> None:
        with pytest.raises(NotRunning, match="did not answer"):
            operate.stack(database, running, timeout=0.0)

    def follow(database: Database) -> None:
        with operate.Following(database, job_id=running) as following:
            following.keep_up(is_due=True)
            if following.why_not is not None:
                raise DatabaseForbidden(following.why_not)

    def resume_gate(database: Database) -> None:
        operate.resume_gate(database, "crm")
        operate.resume_gate(database, "crm", lane="acme")

    def adopt(database: Database) -> None:
        operate.adopt(database, operate.adoption(database, "crm", parse("")), [adopted])

    return {
        "pause gate": lambda database: operate.pause_gate(database, "crm", lane="acme"),
        "resume gate": resume_gate,
        "limit gate": lambda database: operate.limit_gate(database, "crm", 3, lane="acme"),
        "adopt": adopt,
        "retry": lambda database: operate.retry(database, [failed]),
        "retry on build": lambda database: operate.retry_on_build(database, of("outcome", "errored"), AWAITED),
        "cancel": lambda database: operate.cancel(database, [waiting]),
        "purge": lambda database: operate.purge(database, [purged]),
        "enqueue": lambda database: operate.enqueue(database, JOB_CLASS, {}, queue="default"),
        "run again": lambda database: operate.run_again(database, old, {}),
        "pause": lambda database: operate.pause_queues(database, ["mail"]),
        "resume": lambda database: operate.resume_queues(database, ["mail"]),
        "run schedule": lambda database: operate.run_schedule(database, ["nightly"]),
        "resume schedule": lambda database: operate.resume_schedule(database, ["nightly"]),
        "pause schedule": lambda database: operate.pause_schedule(database, ["nightly"]),
        "mute": lambda database: operate.mute_failures(database, ["f00"]),
        "unmute": lambda database: operate.unmute_failures(database, ["f00"]),
        "stop worker": lambda database: operate.stop_workers(database, [str(worker)]),
        "declare dead": lambda database: operate.declare_dead(database, [str(gone)]),
        "stack": stack,
        "follow": follow,
    }


def test_a_reader_looks_at_everything_and_can_do_nothing(store: Any, report: Any) -> None:
    worker, job = store.worker(), store.add()
    store.finish(worker, *(report(one, "errored", error_type="E", fingerprint="f") for one in store.claim(worker)))
    able = acts(store, report)
    functions = {name: getattr(observe, name) for name in observe.__all__ if name.islower()}
    readers = {name for name, function in functions.items() if "database" in signature(function).parameters}
    assert readers == looks(job).keys()
    with granted(READER, store) as database:
        for look in looks(job).values():
            look(database)
        assert [finding for finding in observe.doctor(database) if "denied" in finding.text] == []
        refusals = operate.refusals(database)
        assert refusals.keys() == NEEDS.keys()
        assert refusals["cancel"] == f"role {database.role} may not UPDATE jobq.jobs"
        for act in able.values():
            with pytest.raises(DatabaseForbidden, match=rf"more\)\. .* --grants operator --to {database.role}"):
                act(database)
        with pytest.raises(DatabaseForbidden, match="--grants worker"):
            rights.require(database, WORKER)
        with database.connect("test") as connection:
            refused(connection, "SELECT 1 FROM jobq.kept", "INSERT INTO jobq.jobs (job_class) VALUES ('x')")


def test_an_act_needs_the_rights_that_are_said_of_it_and_no_others(store: Any, report: Any) -> None:
    able = acts(store, report)
    with granted(READER, store) as database:

        def change(verb: str, right: Right) -> None:
            thing = f"{rights.KINDS.get(right.privilege, 'TABLE')} jobq.{right.thing}"
            store.execute(f"{verb} {right.privilege} ON {thing} {'TO' if verb == 'GRANT' else 'FROM'} {database.role}")

        for verb, act in able.items():
            for right in NEEDS[verb]:
                change("GRANT", right)
            for right in NEEDS[verb]:
                change("REVOKE", right)
                lacks = re.escape(f"{right.privilege} jobq.{right.thing}")
                with pytest.raises(DatabaseForbidden, match=rf"may not {lacks}\."):
                    act(database)
                assert operate.refusals(database)[verb].endswith(f"may not {right.privilege} jobq.{right.thing}")
                change("GRANT", right)
            act(database)
            assert verb not in operate.refusals(database)
            for right in NEEDS[verb]:
                change("REVOKE", right)
    verbs = {
        node.args[1].value
        for path in Path(operate.__file__).parent.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("Act", "acting")
        if len(node.args) > 1 and isinstance(node.args[1], ast.Constant)
    }
    assert verbs | {"stack", "follow"} == NEEDS.keys()
    assert able.keys() | {"undo"} == NEEDS.keys()


def test_an_operator_acts_is_recorded_and_takes_it_back(store: Any, report: Any) -> None:
    worker, failed = store.worker(), store.add()
    store.finish(worker, *(report(one, "errored") for one in store.claim(worker)))
    purged = store.add()
    store.finish(worker, *(report(one, "errored") for one in store.claim(worker)))
    able = acts(store, report)
    waiting = store.add()
    with granted(OPERATOR, store) as database:
        assert operate.refusals(database) == {}
        assert operate.retry(database, [failed]).done == [failed]
        operate.undo(database)
        assert operate.cancel(database, [waiting]).done == [waiting]
        operate.undo(database)
        assert operate.purge(database, [purged]).done == [purged]
        operate.undo(database)
        assert operate.pause_queues(database, ["mail"]) == ["mail"]
        operate.undo(database)
        operate.mute_failures(database, ["f00"])
        operate.undo(database)
        for act in able.values():
            act(database)
        done = {(act.verb, act.database_user) for act in observe.audit(database, limit=100)}
        assert done == {(verb, database.role) for verb in NEEDS.keys() - {"stack", "follow"}}
        with database.connect("test") as connection:
            refused(
                connection,
                "DELETE FROM jobq.audit",
                "UPDATE jobq.audit SET who = 'somebody else'",
                "UPDATE jobq.workers SET heartbeat_at = now()",  # nobody speaks for a worker
                "SELECT jobq.drop_partition(current_date)",
            )


def test_an_operator_can_neither_forge_nor_rewrite_the_audit(store: Any) -> None:
    begin = "SELECT jobq.begin_act('boss@home', 'purge', NULL, NULL)"
    (others,) = store.connection.execute(begin).fetchone()
    with granted(OPERATOR, store) as database, database.connect("test") as connection:
        refused(
            connection,
            "INSERT INTO jobq.audit (who, verb) VALUES ('boss@home', 'purge')",
            "UPDATE jobq.audit SET affected = 0",
            "UPDATE jobq.audit SET undone_at = now()",
            "DELETE FROM jobq.audit",
        )
        ((own,),) = connection.execute(begin.encode()).fetchall()
        note = "SELECT jobq.note_act(%s, %s, ARRAY[7], ARRAY['mail'])"
        connection.execute(note, [own, 2])
        connection.execute(note, [own, -5])
        with pytest.raises(pg.ObjectNotInPrerequisiteState, match=f"act {others} is over, or not of role"):
            connection.execute(note, [others, 1])
        with pytest.raises(pg.InvalidParameterValue, match="no act 999 to undo"):
            connection.execute("SELECT jobq.begin_act('boss@home', 'undo', NULL, 999)")
        for act in (own, others):
            connection.execute("SELECT jobq.mark_undone(%s)", [act])
        rows = store.rows("SELECT database_user, affected, ids, names, undone_at FROM jobq.audit ORDER BY id")
        assert rows[1] == (database.role, 2, [7, 7], ["mail", "mail"], None)
        assert rows[0] == (store.connection.info.user, 0, [], [], None)
        store.execute("UPDATE jobq.audit SET ended_at = now() - interval '61 minutes' WHERE id = %s", own)
        with pytest.raises(pg.ObjectNotInPrerequisiteState, match="is over"):
            connection.execute(note, [own, 1])


def test_an_act_is_marked_as_undone_once_and_by_the_role_that_undid_it(store: Any) -> None:
    with granted(OPERATOR, store) as database, database.connect("test") as connection:
        operate.pause_queues(database, ["mail"])
        operate.undo(database)
        (paused, undo) = observe.audit(database)[::-1]
        assert (undo.undoes, paused.undone_at is not None) == (paused.id, True)
        connection.execute("SELECT jobq.mark_undone(%s)", [paused.id])
        assert observe.audit(database)[1].undone_at == paused.undone_at


FUTURE = 1_000_000


@pytest.mark.parametrize("role", [ENQUEUER, WEB, WORKER, OPERATOR], ids=lambda role: role.name)
def test_nobody_but_the_owner_gives_a_job_an_id_of_the_future(role: Role, store: Any) -> None:
    with granted(role, store) as database, database.connect("test") as connection:
        refused(
            connection,
            f"INSERT INTO jobq.jobs (id, job_class) VALUES ({FUTURE}, 'x')",
            f"INSERT INTO jobq.new_jobs (id, job_class) VALUES ({FUTURE}, 'x')",
            "SELECT setval('jobq.jobs_id_seq', 1)",
        )
        ruled = '[{"id": %s, "place": 0, "job_class": "x", "arguments": {}, "queue": "q", "priority": 0, "retries": 0}]'
        by_rules = "SELECT (job).id FROM jobq.enqueue_by_rules(%s)"
        ((chosen,),) = connection.execute(
            by_rules.encode(),
            [ruled.replace("0}", '0, "unique_key": "k", "on_held": "skip", "has_abort_hook": false}') % FUTURE],
        ).fetchall()
        assert chosen == 1
        if role in (WORKER, OPERATOR):
            insert = b"INSERT INTO jobq.numbered_jobs (id, job_class) VALUES (%s, 'x')"
            with pytest.raises(pg.WithCheckOptionViolation):
                connection.execute(insert, [FUTURE])
            ((drawn,),) = connection.execute("SELECT nextval('jobq.jobs_id_seq')").fetchall()
            connection.execute(insert, [drawn])
    for _ in range(3):
        assert store.add() is not None


@pytest.mark.parametrize("role", [ENQUEUER, WEB, WORKER], ids=lambda role: role.name)
def test_a_role_enqueues_many_jobs_that_may_not_choose_their_ids(role: Role, store: Any) -> None:
    store.add(unique_key="held")
    plain = [NewJob(JOB_CLASS, f'{{"n": {number}}}', delay=60.0 * (number % 2)) for number in range(250)]
    keyed = [NewJob(JOB_CLASS, "{}", unique_key=key) for key in ("z", "held", "a", "z")]
    with granted(role, store) as database, database.connect("test") as connection:
        added = [one for one in enqueueing.enqueue_many(connection, "jobq", plain) if one]
        assert [one.state for one in added] == ["pending", "scheduled"] * 125
        ids = [one.id for one in added]
        assert ids == sorted(ids)
        assert [store.job(ids[number]).arguments for number in (0, 249)] == [{"n": 0}, {"n": 249}]
        first, held, second, again = enqueueing.enqueue_many(connection, "jobq", keyed)
        assert held is again is None
        assert first is not None
        assert second is not None
        assert first.id < second.id
        if role is ENQUEUER:
            assert connection.execute("SELECT id, job_class FROM jobq.new_jobs").fetchall() == []
    assert len(store.unfinished()) == 253


@pytest.mark.parametrize("role", rights.ROLES.values(), ids=lambda role: role.name)
def test_grants_are_quoted_whatever_the_names(role: Role, store: Any) -> None:
    schema, name = 'a "b"; DROP SCHEMA jobq;--', f'it\'s {role.name} "{store.connection.info.dbname}" %s'
    migrations.migrate(Database(replace(store.settings, schema=schema)))
    with granted(role, store, name=name, schema=schema) as database, database.connect("test") as connection:
        assert rights.lacking(connection, schema, role.rights) == []
        refused(connection, "SELECT FROM jobq.migrations")


def test_a_worker_does_a_retry_that_an_operator_left_to_it(store: Any, report: Any) -> None:
    worker, failed = store.worker(), store.add()
    store.finish(worker, *(report(one, "errored") for one in store.claim(worker)))
    with granted(OPERATOR, store) as database:
        operate.retry_on_build(database, of("outcome", "errored"), AWAITED)
    with granted(WORKER, store) as database:
        with database.connect("test") as connection:
            workers.register(
                connection, "jobq", host="there", pid=7, version="1", processes=1, queues=[], classes=[],
                build=AWAITED.build,
            )  # fmt: skip
        operate.do_waiting_retries(database)
    assert [job.id for job in store.unfinished()] == [failed]


def test_a_worker_sees_what_needs_somebody_and_tells_it(store: Any, report: Any) -> None:
    worker = store.worker()
    store.add()
    store.finish(worker, *(report(one, "errored", fingerprint="f00") for one in store.claim(worker)))
    with granted(WORKER, store) as database:
        telling = Database(replace(database.settings, alert_command="true"))
        try:
            operate.look_and_tell(telling)
        finally:
            telling.close()
    assert [row.kind for row in store.rows("SELECT kind FROM jobq.alerts WHERE told_at IS NOT NULL")] == ["failed"]

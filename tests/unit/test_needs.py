"""What needs somebody: the worst first, nothing that is muted, and nothing left out without a word."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from jobq.observe import Failing, FailureGroup, Kind, Need, Stuck, needs
from jobq.observe.needs import Facts, StoppedSchedule, Stranded
from jobq.records import TOO_LARGE, QueueStats, UnknownClass, WorkerRecord
from jobq.settings import Settings

NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)


def a_worker(
    name: str = "web/1", *, silent: float = 2.0, running: int = 0, queues: tuple[str, ...] = ()
) -> WorkerRecord:
    host, _, pid = name.partition("/")
    return WorkerRecord(
        int(pid), name, host, int(pid), "0.1.0", 4, queues, NOW, silent, running, {}, is_silent=silent > 30
    )


def a_queue(name: str, pending: int = 1, **fields: Any) -> QueueStats:
    wanted = {"running": 0, "scheduled": 0, "oldest_seconds": 1.0, "paused": False} | fields
    return QueueStats(name, pending, **wanted)


def a_group(job_class: str, at_rest: int, **fields: Any) -> FailureGroup:
    wanted: dict[str, Any] = {"attempts": 10 * at_rest + 1, "error_type": "KeyError"} | fields
    return FailureGroup(
        group=f"g-{job_class}", at_rest=at_rest, first_at=NOW - timedelta(hours=1), last_at=NOW - timedelta(minutes=5),
        ever_first_at=NOW - timedelta(days=3), is_new=False, steps=(), job_class=job_class, error_message="no",
        frame=None, queue="default", example_id=7, traceback=None, arguments={}, **wanted,
    )  # fmt: skip


def facts(**fields: Any) -> Facts:
    wanted: dict[str, Any] = {
        "queues": (), "workers": (a_worker(),), "unknown": (), "failing": Failing(), "count_limit": 10_000,
        "front_limit": 1000,
    } | fields  # fmt: skip
    return Facts(at=NOW, since="1h", **wanted)


def everything() -> Facts:
    """One fact of each kind, as far as they can be together."""
    return facts(
        workers=(a_worker(), a_worker("web/2", silent=94, running=8), a_worker("web/3", silent=94)),
        queues=(
            a_queue("archive", 3), a_queue("mail", 40, oldest_seconds=301.0),
            a_queue("reports", 5, paused=True, paused_at=NOW - timedelta(hours=3), paused_by="ana@ops"),
        ),
        unknown=(UnknownClass("crm.Merge", 12, ("mail",), (12,)),),
        failing=Failing((a_group("shop.A", 2), a_group("shop.B", 9), a_group("shop.C", 1, outcome="lost")), 3, 17),
        stuck=Stuck((Stranded("web/9", 2),), (StoppedSchedule("nightly", None, 600.0),), 0),
        growth={"mail": 4.0},
    )  # fmt: skip


def kinds(found: tuple[Need, ...]) -> list[Kind]:
    return [need.kind for need in found]


def test_the_worst_kind_comes_first_and_within_a_kind_what_holds_the_most_jobs() -> None:
    found = needs(replace(everything(), workers=(*everything().workers[1:], a_worker(queues=("mail", "reports")))))
    assert kinds(found) == [
        Kind.STRANDED, Kind.DEAD_WORKER, Kind.UNWORKED, Kind.UNKNOWN_CLASS, Kind.SCHEDULE, Kind.LOST, Kind.FAILED,
        Kind.FAILED, Kind.MORE_FAILED, Kind.SILENT_WORKER, Kind.GROWING, Kind.PAUSED,
    ]  # fmt: skip
    assert [need.name for need in found if need.kind is Kind.FAILED] == ["shop.B", "shop.A"]
    assert all(one.kind.rank <= other.kind.rank for one, other in pairwise(found))


def test_a_dead_worker_that_holds_jobs_is_above_any_failure_and_one_that_holds_none_below() -> None:
    workers = (a_worker(), a_worker("web/2", silent=94, running=8), a_worker("web/3", silent=94))
    found = needs(facts(workers=workers, failing=Failing((a_group("shop.A", 5000),))))
    assert [need.text for need in found] == [
        "web/2 silent for 94 s, holds 8 jobs",
        "shop.A: 5,000 × KeyError, last 5 minutes ago",
        "web/3 silent for 94 s",
    ]


def test_without_a_live_worker_everything_waits_for_one() -> None:
    queues = (a_queue("mail", 3), a_queue("slow", 10_000))
    (none,) = needs(facts(workers=(), queues=queues))
    assert (none.kind, none.text, none.remedy) == (
        Kind.NO_WORKER, "no worker runs: 10,003 or more jobs wait", "jobq run",
    )  # fmt: skip
    assert kinds(needs(facts(workers=(a_worker(silent=94),), queues=queues))) == [Kind.NO_WORKER, Kind.SILENT_WORKER]
    assert needs(facts(workers=())) == ()


def test_what_is_muted_or_was_tried_again_needs_nobody() -> None:
    muted = a_group("shop.A", 4, muted_until=NOW, muted_by="ana@ops")
    assert needs(facts(failing=Failing((muted, a_group("shop.B", 0))))) == ()


def test_jobs_that_no_worker_can_read_are_to_be_purged_not_retried() -> None:
    (need,) = needs(facts(failing=Failing((a_group("shop.A", 2, error_type=TOO_LARGE),))))
    assert need.remedy == "jobq purge 'group:g-shop.A since:1h'"


def test_a_worker_that_beats_while_a_part_of_it_waits_for_the_database_is_told() -> None:
    waiting = {"completer": 45.0, "scheduler": 31.0}
    worker = replace(a_worker(running=3), status={"waiting": waiting})
    (need,) = needs(facts(workers=(worker, replace(a_worker("web/2"), status={"waiting": "?"}))))
    assert (need.kind, need.jobs) == (Kind.WAITING_WORKER, 3)
    assert need.text == "web/1: completer and scheduler wait for the database for 45 s"
    assert "'jobq worker completer'" in need.remedy
    assert needs(facts(workers=(a_worker(), replace(worker, is_silent=True))))[0].kind is Kind.DEAD_WORKER


def test_what_is_not_listed_is_counted() -> None:
    more = needs(facts(failing=Failing((a_group("shop.A", 4),), more_groups=3, more_at_rest=17)))[-1]
    assert more.text == "and 3 more groups of failures: 17 jobs at rest"
    assert (more.jobs, more.remedy) == (17, "jobq failures --since 1h")


def test_a_paused_queue_needs_somebody_only_where_jobs_wait_in_it() -> None:
    fields: dict[str, Any] = {"paused": True, "paused_at": NOW - timedelta(hours=3), "paused_by": "ana@ops"}
    (need,) = needs(facts(queues=(a_queue("idle", 0, **fields), a_queue("reports", 40, **fields))))
    assert need.text == "reports paused for 3 hours by ana@ops: 40 jobs wait"
    assert need.remedy == "jobq resume reports"


def test_a_count_that_was_cut_says_that_there_may_be_more() -> None:
    unknown = (UnknownClass("crm.Merge", 300, ("mail",), (300,)),)
    exact, cut = (needs(facts(queues=(a_queue("mail", jobs),), unknown=unknown))[0] for jobs in (1000, 1001))
    assert (exact.text, exact.is_more) == ("crm.Merge: no worker knows it, 300 jobs in mail", False)
    assert (cut.text, cut.is_more) == ("crm.Merge: no worker knows it, 300 jobs or more in mail", True)


def test_a_queue_grows_where_its_jobs_are_old_and_become_more() -> None:
    def grows(seconds: float, growth: dict[str, float]) -> bool:
        return kinds(needs(facts(queues=(a_queue("mail", oldest_seconds=seconds),), growth=growth))) == [Kind.GROWING]

    assert grows(301, {"mail": 0.1})
    assert not grows(300, {"mail": 0.1})
    assert not grows(301, {"mail": 0.0})
    assert not grows(301, {})


def test_each_need_says_what_helps_and_has_a_key_of_its_own() -> None:
    found = needs(everything())
    assert all(need.text and need.remedy for need in found)
    assert len({need.key for need in found}) == len(found)


@pytest.mark.parametrize("every", [0.05, 10.0, 40.0])
@pytest.mark.parametrize("times", [2, 3, 6, 100])
def test_no_legal_setting_calls_a_worker_silent_before_it_missed_a_heartbeat(every: float, times: int) -> None:
    settings = Settings(heartbeat_every=every, heartbeat_timeout=every * times)
    assert 1.5 * every <= settings.silent_after < settings.heartbeat_timeout


def test_a_worker_is_silent_at_half_of_the_time_after_which_it_is_declared_dead() -> None:
    assert Settings().silent_after == Settings().heartbeat_timeout / 2

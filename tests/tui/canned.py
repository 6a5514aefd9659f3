"""A source for the console that answers from memory: always the same, at a clock that stands still."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from jobq.tui import live, search
from jobq.tui.access import Access, Target
from jobq.tui.source import (
    COUNT_LIMIT,
    MATCH_LIMIT,
    JobPage,
    NamedReport,
    NewJob,
    PlannedJob,
    Query,
    Report,
    Snapshot,
    View,
)

from jobq.errors import DatabaseUnreachable, JobNotFound, JobqError, SchemaMissing
from jobq.histograms import BUCKETS, bucket
from jobq.observe import (
    AttemptLog,
    Failing,
    FailureGroup,
    Figures,
    Gated,
    LoggedLine,
    Matches,
    Period,
    Position,
    Preview,
    QueueFlow,
    Reason,
    Selected,
    Step,
    Why,
)
from jobq.operate import Stack
from jobq.records import (
    ActRecord,
    AttemptRecord,
    ClassRecord,
    GateStats,
    JobActs,
    JobDetail,
    JobRecord,
    LaneStats,
    ParameterRecord,
    Progress,
    QueueStats,
    ScheduleRecord,
    Stats,
    TickRecord,
    UnknownClass,
    WorkerRecord,
)
from jobq.states import FINISHED, Outcome, State

NOW = datetime(2026, 11, 3, 14, 32, 7, tzinfo=UTC)

TARGET = Target("app@db-1.example.org:5432/shop", "jobq", "development", is_read_only=False)
PRODUCTION = replace(TARGET, env="production")

TRACEBACK = """Traceback (most recent call last):
  File "/srv/app/billing/jobs.py", line 88, in run
    rate = vat_rate(customer.vat_id, at=invoice.issued)
           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  File "/srv/app/.venv/lib/python3.12/site-packages/orm/query.py", line 512, in load
    return self._fetch(key)
  File "/srv/app/.venv/lib/python3.12/site-packages/orm/session.py", line 77, in _fetch
    return self._rows[key]
  File "/srv/app/billing/vat.py", line 31, in vat_rate
    return TABLE[country][vat_id[:2]]
           ~~~~~~~~~~~~~~^^^^^^^^^^^^
KeyError: 'vat_id'
"""

CLASSES = ("mail.jobs.SendReceipt", "billing.jobs.SyncInvoice", "search.jobs.Reindex", "mail.jobs.Welcome")
QUEUES = ("mail", "default", "default", "mail")
ERRORS = (
    ("TimeoutError", "read timed out after 30s"),
    ("KeyError", "'vat_id'"),
    ("OperationalError", "deadlock detected\nDETAIL: Process 4711 waits for ShareLock on transaction 91"),
    ("ConnectionRefusedError", "smtp-2:587"),
)


def ago(**duration: float) -> datetime:
    return NOW - timedelta(**duration)


def a_job(number: int, state: str = State.PENDING, outcome: str | None = None, **fields: Any) -> JobRecord:
    """One of the shop's jobs; its number decides what it is."""
    kind = number % 4
    job = JobRecord(
        id=number,
        job_class=CLASSES[kind],
        queue=QUEUES[kind],
        priority=10 if kind == 0 else 0,
        state=state,
        outcome=outcome,
        attempt=0,
        retries=4,
        unique_key=f"customer-{number % 97}" if kind == 1 else None,
        arguments={"order_id": number % 8111, "copy_to": None} if kind == 0 else {"invoice": number % 9973},
        enqueued_at=ago(minutes=12, seconds=number % 50),
        run_at=ago(minutes=12, seconds=number % 50),
        source="/srv/app/shop/checkout.py:52",
    )
    return replace(job, **fields)


def ended(number: int, outcome: str = Outcome.SUCCESSFUL, seconds_ago: float = 60.0) -> JobRecord:
    kind = number % 4
    is_bad = outcome in (Outcome.ERRORED, Outcome.LOST)
    error, message = ERRORS[kind] if outcome == Outcome.ERRORED else ("Lost", "its process was killed by SIGKILL")
    return a_job(
        number,
        FINISHED,
        outcome,
        attempt=1 + number % 5 if is_bad else 1,
        started_at=ago(seconds=seconds_ago + (30, 0.4, 2.2, 31)[kind]),
        ended_at=ago(seconds=seconds_ago),
        worker=f"web-{1 + number % 2}/{7100 + number % 3}",
        error_type=error if is_bad else None,
        error_message=message if is_bad else None,
    )


def attempts_of(job: JobRecord) -> tuple[AttemptRecord, ...]:
    if job.state != FINISHED:
        return ()
    found = []
    for number in range(1, job.attempt + 1):
        is_last = number == job.attempt
        end = (job.ended_at or NOW) - timedelta(minutes=2 * (job.attempt - number))
        outcome = job.outcome if is_last and job.outcome else Outcome.ERRORED
        is_bad = outcome == Outcome.ERRORED
        found.append(
            AttemptRecord(
                attempt=number,
                outcome=outcome,
                retried=not is_last,
                started_at=end - timedelta(seconds=0.4),
                ended_at=end,
                worker=job.worker,
                error_type=job.error_type,
                error_message=job.error_message,
                traceback=TRACEBACK if is_bad else None,
                cpu_seconds=0.12,
                peak_memory_bytes=84_000_000,
                enqueued_at=job.enqueued_at,
                run_at=end - timedelta(seconds=2.6),
                source=job.source,
                value={"sent": True, "bytes": 18_211} if outcome == Outcome.SUCCESSFUL else None,
            )
        )
    return tuple(found)


def a_worker(number: int, *, silent: float = 2.0, running: int = 4, queues: tuple[str, ...] = ()) -> WorkerRecord:
    children: list[dict[str, Any]] = [
        {"pid": 7200 + 10 * number + child, "ready": True, "job": 918_300 + 4 * number + child, "seconds": 3.2 * child}
        for child in range(running)
    ]
    children += [{"pid": 7200 + 10 * number + child, "ready": True, "job": None, "seconds": None} for child in (8, 9)]
    return WorkerRecord(
        id=number,
        name=f"web-{number}/{7100 + number}",
        host=f"web-{number}",
        pid=7100 + number,
        version="0.1.0",
        processes=len(children),
        queues=queues,
        started_at=ago(days=2, hours=number),
        heartbeat_seconds=silent,
        is_silent=silent > 30,
        running=running,
        status={"children": children, "done": 412_000 + number, "stopping": False},
    )


NO_OUTCOMES = dict.fromkeys((outcome.value for outcome in Outcome), 0)


def calm() -> tuple[Stats, list[JobRecord]]:
    """Everything is well, and there is work."""
    jobs = [a_job(918_900 - place) for place in range(412)]
    jobs += [a_job(917_000 + place, State.SCHEDULED, run_at=ago(minutes=-3 * place - 1)) for place in range(40)]
    jobs += [running(918_304 + place) for place in range(8)]
    jobs += [ended(916_999 - place, seconds_ago=4.0 * place + 3) for place in range(300)]
    stats = Stats(
        scheduled=40,
        pending=412,
        running=8,
        outcomes={**NO_OUTCOMES, "successful": 412_883, "errored": 91},
        queues=(
            QueueStats("default", pending=206, running=4, scheduled=20, oldest_seconds=9.0, paused=False),
            QueueStats("mail", pending=206, running=4, scheduled=20, oldest_seconds=41.0, paused=False),
            QueueStats("reports", pending=0, running=0, scheduled=0, oldest_seconds=None, paused=False),
        ),
        workers=(a_worker(1), a_worker(2)),
        unknown_classes=(),
        estimated=(),
        at=NOW,
    )
    return stats, jobs


def running(number: int) -> JobRecord:
    seconds = (number % 7) ** 4 + 0.8
    progress = Progress(40.0 + number % 60, 100.0, "rows" if number % 2 else None, NOW) if number % 3 else None
    return a_job(
        number, State.RUNNING, attempt=1, started_at=ago(seconds=seconds), worker="web-1/7101", progress=progress
    )


def a_gate(name: str, **fields: Any) -> GateStats:
    wanted: dict[str, Any] = {
        "declared_limit": 20, "lane_limit": None, "rate": None, "rate_seconds": None, "rate_burst": None,
        "lane_rate": None, "lane_rate_seconds": None, "lane_rate_burst": None, "lane_parameter": None,
        "is_strict": False, "is_known": True, "is_declared": True, "next_start_seconds": None, "running": 0,
        "running_lanes": 0, "running_since": None, "waiting": 0, "lanes": 0, "oldest_seconds": None,
    }  # fmt: skip
    return GateStats(name, **{**wanted, **fields})


GATES = (
    a_gate(
        "crm", lane_limit=2, lane_parameter="customer", running=20, running_lanes=12, running_since=ago(minutes=30),
        waiting=8_112, lanes=37, oldest_seconds=10_800.0, rate=100, rate_seconds=60.0, rate_burst=1,
        next_start_seconds=0.4,
    ),
    a_gate("pdf", declared_limit=3, running=1, running_lanes=1, running_since=ago(seconds=9)),
    a_gate(
        "smtp", declared_limit=50, waiting=40, lanes=1, oldest_seconds=320.0, paused_at=ago(minutes=6),
        paused_until=NOW + timedelta(minutes=24), paused_by="ana@ops", pause_reason="smtp is down",
        set_limit=5, set_at=ago(hours=1), set_by="ben@ops",
    ),
)  # fmt: skip

LANES = (
    LaneStats("acme", 100, 2, ago(minutes=30), 10_800.0),
    LaneStats("globex", 61, 2, ago(minutes=2), 412.0, paused_at=ago(minutes=3), paused_by="ana@ops"),
    LaneStats("initech", 9, 1, ago(seconds=40), 31.0, set_limit=1, set_at=ago(hours=2), set_by="ben@ops"),
    LaneStats("", 0, 1, ago(seconds=3), None),
)


def gated() -> tuple[Stats, list[JobRecord]]:
    """Three gates: one that is full, one with room, one that somebody has paused."""
    stats, jobs = trouble()
    lanes = ("acme", "globex", "initech")
    jobs += [
        a_job(919_000 + place, State.GATED, job_class="crm.jobs.Call", gate="crm", lane=lanes[place % 3])
        for place in range(30)
    ]
    return replace(stats, gates=GATES, gated=sum(gate.waiting for gate in GATES)), jobs


def trouble() -> tuple[Stats, list[JobRecord]]:
    """A silent worker, a paused queue, a class that nobody knows, and failures of three causes."""
    stats, jobs = calm()
    jobs += [ended(918_244 - 3 * place, Outcome.ERRORED, 20.0 * place + 2) for place in range(150)]
    jobs += [ended(910_001, Outcome.LOST, 900.0), ended(910_005, Outcome.CANCELLED, 1200.0)]
    jobs += [a_job(915_000 + place, job_class="crm.jobs.Merge", queue="default") for place in range(12)]
    stats = replace(
        stats,
        pending=41_263,
        estimated=("pending",),
        outcomes={**NO_OUTCOMES, "successful": 412_883, "errored": 1_284, "cancelled": 3, "lost": 2},
        queues=(
            QueueStats("default", pending=2_840, running=4, scheduled=20, oldest_seconds=12.0, paused=False),
            QueueStats("low", pending=0, running=2, scheduled=0, oldest_seconds=None, paused=False),
            QueueStats("mail", pending=COUNT_LIMIT, running=4, scheduled=20, oldest_seconds=2_460.0, paused=False),
            QueueStats(
                "reports",
                pending=311,
                running=0,
                scheduled=0,
                oldest_seconds=11_040.0,
                paused=True,
                paused_at=ago(hours=3),
                paused_by="ana@ops",
                pause_reason="printer down",
            ),
        ),
        workers=(
            a_worker(1),
            replace(a_worker(2), stop_requested_at=ago(minutes=3), stop_requested_by="ana@ops"),
            a_worker(3, silent=94.0, running=8),
        ),
        unknown_classes=(UnknownClass("crm.jobs.Merge", 12, ("default",), (12,)),),
    )
    return stats, jobs


def empty() -> tuple[Stats, list[JobRecord]]:
    return Stats(0, 0, 0, NO_OUTCOMES, (), (), (), (), NOW), []


KNOWN = (
    ClassRecord(
        "billing.jobs.SyncInvoice",
        (),
        (
            ParameterRecord("invoice", "named", "int", None, required=True),
            ParameterRecord("customer", "named", "int | None", "None", required=False),
            ParameterRecord("force", "named", "bool", "False", required=False),
        ),
        "Brings one invoice to the books.",
    ),
    ClassRecord(
        "mail.jobs.SendReceipt",
        (),
        (ParameterRecord("order_id", "named", "int", None, required=True),),
        None,
        options={"queue": "mail", "priority": 0, "retries": 3, "timeout": 30.0},
    ),
)


def a_tick(minutes: float, standing: str | None, seconds: float | None = 2.0, verdict: str = "enqueued") -> TickRecord:
    at = ago(minutes=minutes)
    started = at if standing and seconds is not None else None
    ended_at = (
        started + timedelta(seconds=seconds) if started and seconds is not None and standing != "running" else None
    )
    return TickRecord(
        at, at, by_hand=minutes == 17, verdict=verdict, passed=0, job_id=900_000 + int(minutes) if standing else None,
        standing=standing, started_at=started, ended_at=ended_at,
    )  # fmt: skip


def a_schedule(name: str, words: str, every: float, runs: tuple[TickRecord, ...], **fields: Any) -> ScheduleRecord:
    record = ScheduleRecord(
        name=name,
        job_class=f"reports.jobs.{name.title().replace('-', '')}",
        arguments={},
        queue="reports",
        expression="0 2 * * *",
        words=words,
        timezone="Europe/Zurich",
        missed="once",
        overlap="skip",
        jitter=0.0,
        undeclared_at=None,
        paused_at=None,
        paused_by=None,
        upcoming=tuple(NOW + timedelta(minutes=every * step + 3) for step in range(3)),
        runs=runs,
    )
    return replace(record, **fields)


SCHEDULES = (
    a_schedule(
        "nightly-report",
        "at 02:00, every day",
        1440,
        tuple(a_tick(750 + 1440 * day, "errored" if day == 5 else "successful", 1860.0) for day in range(40)),
    ),
    a_schedule(
        "vat-refresh",
        "every 5 minutes",
        5,
        tuple(
            a_tick(2 + 5 * step, None if step == 13 else "successful", 2.0, "overlapped" if step == 13 else "enqueued")
            for step in range(60)
        ),
        expression="*/5 * * * *",
    ),
    a_schedule(
        "warm-caches",
        "every 15 minutes",
        15,
        (a_tick(2, "running"), a_tick(17, "successful"), a_tick(32, "lost")),
        expression="*/15 * * * *",
        paused_at=ago(hours=3),
        paused_by="ana@ops",
    ),
    a_schedule(
        "weekly-letter",
        "at 07:30 on Monday",
        10_080,
        (),
        expression="30 7 * * 1",
        undeclared_at=ago(days=2),
        upcoming=(),
    ),
)


def group_of(job_class: str) -> str:
    return f"{sum(map(ord, job_class)):08x}"


def groups_of(jobs: list[JobRecord]) -> tuple[FailureGroup, ...]:
    """The failures by class, as the database groups them."""
    found = []
    failed = sorted((job for job in jobs if job.outcome == Outcome.ERRORED and job.ended_at), key=order, reverse=True)
    for name in dict.fromkeys(job.job_class for job in failed):
        alike = [job for job in failed if job.job_class == name]
        first, last = alike[-1], alike[0]
        is_new = name == CLASSES[0]
        found.append(
            FailureGroup(
                group=group_of(name),
                attempts=3 * len(alike),
                at_rest=len(alike),
                first_at=first.ended_at or NOW,
                last_at=last.ended_at or NOW,
                ever_first_at=(first.ended_at or NOW) if is_new else ago(days=6),
                is_new=is_new,
                steps=(0,) * 20 + (3, 18, 41, 52) if is_new else tuple(1 + step % 3 for step in range(24)),
                job_class=name,
                error_type=last.error_type,
                error_message=last.error_message,
                frame="billing/vat.py:31 vat_rate",
                queue=last.queue,
                example_id=last.id,
                traceback=TRACEBACK,
                arguments=last.arguments,
            )
        )
    return tuple(sorted(found, key=lambda group: -group.attempts))


def runs_of(minute: int) -> tuple[int, ...]:
    """How long attempts ran in one minute: slower in the middle of the hour, and none in some minutes."""
    slow = 3 if 25 < minute < 40 else minute % 2
    seconds = 0.01 * 2.2**slow
    counts = dict(zip((seconds * 2**step for step in range(1, 6)), (40, 90, 20, 3 + 9 * slow, slow), strict=True))
    return counted(counts) if minute not in (50, 51, 52) else ()


def counted(counts: dict[float, int]) -> tuple[int, ...]:
    """A histogram, from how many took how many seconds."""
    found = [0] * BUCKETS
    for seconds, count in counts.items():
        found[bucket(seconds)] += count
    return tuple(found)


def a_period(jobs: list[JobRecord]) -> Period:
    """An hour in which much ended, if there is a job at all."""
    size = 1 if jobs else 0
    failing = any(job.outcome == Outcome.ERRORED for job in jobs)
    steps = tuple(
        Step(
            ago(minutes=60 - minute),
            {
                **NO_OUTCOMES,
                "successful": size * int(160 + 60 * math.sin(minute / 7) + 17 * (minute % 3)),
                "errored": size * (int(70 * (minute - 44) / 16) if failing and minute > 44 else minute % 4),
            },
            size * 170,
            size * 180,
            runs_of(minute) if size else (),
        )
        for minute in range(60)
    )
    waits = counted({15.0 * 2**step: size * count for step, count in enumerate((5, 80, 500, 300, 90, 20, 4))})
    runs = counted({0.7 * 2**step: size * count for step, count in enumerate((30, 400, 900, 200, 60, 9))})

    def figures(name: str, good: int, bad: int) -> Figures:
        outcomes = {**NO_OUTCOMES, "successful": good, "errored": bad}
        longest = (1031.4, 25.2) if size else (None, None)
        return Figures(name, outcomes, 3 * bad // 4, waits, runs, *longest)

    queues = ("default", "mail", "reports")
    return Period(
        since=ago(hours=1),
        until=NOW,
        step_seconds=60.0,
        total=figures("", 8_809 * size, 1_284 * size if failing else 3 * size),
        queues=tuple(figures(name, 2_900, 12) for name in queues) if jobs else (),
        classes=tuple(figures(name, 4_410 // (place + 1), 971 // (9 * place + 1) if failing else place)
                      for place, name in enumerate(CLASSES)) if jobs else (),
        flows=tuple(QueueFlow(name, 3_100, 40, 3_060, 3540.0, None) for name in queues) if jobs else (),
        steps=steps,
    )  # fmt: skip


def an_act(number: int, verb: str, minutes: float, **fields: Any) -> ActRecord:
    at = ago(minutes=minutes)
    act = ActRecord(
        id=number, at=at, ended_at=at, who="ana@ops", database_user="app", verb=verb, selection=None, affected=1,
        ids=(918_244,), names=(), undoes=None, undone_at=None, seconds_ago=60 * minutes,
    )  # fmt: skip
    return replace(act, **fields)


ACTS = (
    an_act(9, "retry", 0.4, selection="outcome:errored queue:mail since:1h", affected=1_213),
    an_act(8, "pause schedule", 12, ids=(), names=("warm-caches",)),
    an_act(7, "undo", 44, undoes=6, affected=3, ids=(917_001, 917_002, 917_003)),
    an_act(6, "cancel", 44.5, affected=3, ids=(917_001, 917_002, 917_003), undone_at=ago(minutes=44)),
    an_act(5, "purge", 2900, who="ci@runner-7", selection="outcome:cancelled until:30d", affected=18_004),
)


OWN = {"queue": "billing", "priority": "0", "retries": "3", "timeout": "30", "unique_key": "none"}
PLANNED_BY = "its code, in this folder"


class CannedSource:
    """`fail` makes every question end in an error, as where a database is lost."""

    def __init__(self, world: tuple[Stats, list[JobRecord]], target: Target = TARGET) -> None:
        self.target = target
        self.access = Access(target)
        self.forbidden: dict[str, str] = {}
        self.abilities: frozenset[str] = frozenset({"schedules"})
        self.badge = ""
        self.muted: set[str] = set()
        self.stats, self.all = world
        self.error: JobqError | None = None
        self.acts: list[tuple[str, tuple[int, ...]]] = []
        self.enqueued: list[NewJob] = []
        self.refused: dict[int, str] = {}
        self.named: list[tuple[str, tuple[str, ...], str | None]] = []
        self.look_size: int | None = None  # jobs that one question goes through, where the lists are long
        self._live = live.LiveSource(None, target, lambda: None)
        self._live.ordering.known = {record.name: record for record in KNOWN}

    def lose(self) -> None:
        self.error = DatabaseUnreachable("db-1.example.org cannot be reached: connection refused.")

    @property
    def groups(self) -> tuple[FailureGroup, ...]:
        muted = {"muted_until": NOW + timedelta(hours=21), "muted_by": "ana@ops"}
        groups = [replace(one, **muted) if one.group in self.muted else one for one in groups_of(self.all)]
        return tuple(sorted(groups, key=lambda group: group.muted_until is not None))

    def have_no_tables(self) -> None:
        self.error = SchemaMissing("There are no tables of jobq in schema 'jobq' of db-1. Run: jobq migrate")

    def look(self, seconds: float) -> Snapshot:
        self._require_database()
        jobs = live.cleaned(tuple(self.all))
        groups = live.cleaned(self.groups)
        running = tuple(job for job in jobs if job.state == State.RUNNING)
        period = live.cleaned(a_period(self.all))
        longest = tuple(sorted(running, key=lambda job: job.started_at or NOW))
        return Snapshot(live.cleaned(self.stats), longest, Failing(groups), period, 0.004, self.forbidden)

    def failures(self, seconds: float) -> tuple[FailureGroup, ...]:
        self._require_database()
        return live.cleaned(self.groups)

    def why(self, job_id: int) -> Why:
        job = self.job(job_id).job
        if job.state == FINISHED:
            words = f"it has ended: {job.outcome}, in attempt {job.attempt} of {job.retries + 1}"
            return live.cleaned(Why(job, (Reason("finished", words, f"jobq retry {job.id}"),)))
        reasons = (
            Reason("paused", f"queue {job.queue} is paused, by ana@ops since 3 hours", f"jobq resume {job.queue}"),
            Reason("behind", "jobs of a higher priority go first"),
        )
        return live.cleaned(Why(job, reasons, 311, 840.0))

    def audit(self) -> tuple[ActRecord, ...]:
        return ACTS if self.all else ()

    def acts_on(self, job_id: int, since: datetime) -> JobActs:
        return JobActs((an_act(8, "retry", 3, ids=(job_id,)),), ACTS[:1])

    def undo(self, act_id: int | None) -> Report:
        return Report("undo retry", (918_244,), {})

    def query(self, view: View, text: str) -> Query:
        return search.query(view, text)

    def stored_name(self, job_class: str) -> str:
        return self._live.stored_name(job_class)

    def suggestions(self, text: str) -> list[str]:
        return self._live.suggestions(text)

    def learn(self, job_class: str) -> None:
        self._require_database()
        self._live._seen.add_classes(KNOWN)
        self._live._seen.add_groups(self.groups)
        self._live._seen.add_jobs(live.cleaned(tuple(job for job in self.all if job_class in ("", job.job_class))))

    def jobs(self, query: Query, *, limit: int, after: Position | None) -> JobPage:
        self._require_database()
        below = None if after is None else (after.ended_at or NOW, after.id)
        found = [job for job in self._matching(query) if below is None or order(job) < below]
        if query.order is not None:
            return self._sorted(query, limit, after.place or 0 if after else 0)
        if self.look_size is not None:
            return self._look(query, below)
        page = tuple(live.cleaned(job) for job in found[:limit])
        return JobPage(page, Position(page[-1].id, page[-1].ended_at) if len(found) > limit else None)

    def among(self, query: Query, jobs: Sequence[JobRecord]) -> tuple[JobRecord, ...]:
        self._require_database()
        ids = {job.id for job in jobs}
        return tuple(live.cleaned(job) for job in self._matching(query) if job.id in ids)

    def _sorted(self, query: Query, limit: int, place: int) -> JobPage:
        assert query.order is not None
        name, is_falling = query.order
        column = {"class": "job_class"}.get(name, name)
        found = self._matching(query)
        having = [job for job in found if getattr(job, column) is not None]
        rows = sorted(having, key=lambda job: getattr(job, column), reverse=is_falling)
        rows += [job for job in found if getattr(job, column) is None]
        page = tuple(live.cleaned(job) for job in rows[place : place + limit])
        return JobPage(page, Position(page[-1].id, None, place + limit) if len(rows) > place + limit else None)

    def _look(self, query: Query, below: tuple[datetime, int] | None) -> JobPage:
        """A look at the next jobs of a long list, as where no index serves the filter."""
        assert self.look_size is not None
        within = [job for job in self._matching(search.query(query.view, "")) if below is None or order(job) < below]
        seen = within[: self.look_size]
        found = tuple(live.cleaned(job) for job in seen if job in self._matching(query))
        if len(within) <= self.look_size:
            return JobPage(found, None)
        return JobPage(found, Position(seen[-1].id, seen[-1].ended_at), looked=self.look_size)

    def matches(self, query: Query) -> Matches:
        self._require_database()
        return Matches(min(MATCH_LIMIT, len(self._matching(query))))

    def job(self, job_id: int) -> JobDetail:
        self._require_database()
        for job in self.all:
            if job.id == job_id:
                return live.cleaned(JobDetail(job, attempts_of(job), known=job.job_class != "crm.jobs.Merge"))
        raise JobNotFound(f"There is no job {job_id}.")

    def select(self, query: Query, progress: Any) -> Selected:
        found = self._matching(query)
        classes = Counter(job.job_class for job in found).most_common()
        return live.cleaned(Selected(tuple(job.id for job in found), tuple(classes)))

    def classes(self) -> tuple[ClassRecord, ...]:
        return KNOWN

    def check(self, new: NewJob) -> dict[str, str]:
        return self._live.check(new)

    def plan(self, new: NewJob) -> PlannedJob:
        return PlannedJob({**OWN, **{name: text for name in OWN if (text := getattr(new, name))}}, {}, PLANNED_BY)

    def plan_without_code(self, new: NewJob) -> PlannedJob:
        why = f"There is no job class {new.job_class!r}. Imported: jobs."
        ordering = self._live.ordering
        return ordering._by_workers(new, why) if new.job_class in ordering.known else self.plan(new)

    def enqueue(self, new: NewJob) -> JobRecord | None:
        self.enqueued.append(new)
        return a_job(918_999, job_class=new.job_class, queue=new.queue)

    def act(self, verb: str, selected: Selected, progress: Any, selection: str | None) -> Report:
        ids = selected.ids
        self.acts.append((verb, ids))
        skipped = {job_id: self.refused[job_id] for job_id in ids if job_id in self.refused}
        return Report(verb, tuple(job_id for job_id in ids if job_id not in skipped), skipped)

    def schedules(self) -> tuple[ScheduleRecord, ...]:
        self._require_database()
        return SCHEDULES if self.all else ()

    def preview(self, hours: float) -> tuple[Preview, ...]:
        ticks = [(record, tick) for record in SCHEDULES for tick in record.upcoming]
        return tuple(
            Preview(tick, record.name, record.job_class, record.paused_at is not None)
            for record, tick in sorted(ticks, key=lambda pair: pair[1])
        )

    def act_on_queues(self, verb: str, names: Iterable[str], reason: str | None = None) -> NamedReport:
        names = tuple(names)
        self.named.append((verb, names, reason))
        return NamedReport(f"{verb}d", names, {}, {}, undoable=len(names))

    def gate(self, name: str) -> Gated:
        gate = next(one for one in self.stats.gates if one.name == name)
        return Gated(gate, LANES, is_more=False)

    def act_on_gate(self, verb: str, gate: str, **given: Any) -> NamedReport:
        self.named.append((f"{verb} gate", (gate,), given))
        words = {"limit": "set the limit of", "pause": "paused", "resume": "resumed"}[verb]
        return NamedReport(words, (gate,), {}, {}, undoable=1)

    def act_on_failures(self, verb: str, groups: Iterable[str]) -> NamedReport:
        groups = tuple(groups)
        self.muted = self.muted | set(groups) if verb == "mute" else self.muted - set(groups)
        return NamedReport(f"{verb}d", groups, {}, {})

    def stack(self, job_id: int, attempt: int) -> Stack:
        return live.cleaned(Stack(job_id, attempt, "web-1/7101", TRACEBACK.rpartition("KeyError")[0]))

    def log(self, job_id: int, attempt: int | None, is_followed: bool) -> AttemptLog:
        """Some of the failures said something; the rest said nothing."""
        if job_id % 2 or attempt not in (None, 1):
            return AttemptLog(job_id, attempt, 0, ())
        said = (
            (20, "billing.invoices", "reading 41,200 rows of prices.csv"),
            (30, "billing.invoices", "row 40,101 has no currency"),
            (20, "stdout", "40,000 of 41,200"),
            (40, "billing.invoices", "no rate for XAU\nTraceback (most recent call last):\nKeyError: 'XAU'"),
        )
        lines = tuple(
            LoggedLine(
                *(job_id, 1, "billing.jobs.SyncInvoice", "billing", number if number < 2 else number + 1204),
                *(NOW - timedelta(seconds=30 - number), float(number), level, source, message),
            )
            for number, (level, source, message) in enumerate(said)
        )
        return live.cleaned(AttemptLog(job_id, 1, 1208, lines))

    def act_on_schedules(self, verb: str, names: Iterable[str]) -> NamedReport:
        return NamedReport(verb, tuple(names), {}, {})

    def act_on_workers(self, verb: str, numbers: Iterable[str]) -> NamedReport:
        names = tuple(worker.name for worker in self.stats.workers if str(worker.id) in numbers)
        return NamedReport("asked to stop:", names, {}, {})

    def migrate(self) -> None:
        self.error = None

    def reset(self) -> None:
        """There is nothing to forget."""

    def _matching(self, query: Query) -> list[JobRecord]:
        if query.barred:
            return []
        found = [job for job in self.all if all(fits(job, term) for term in query.meaning.terms)]
        return sorted(found, key=order, reverse=True)

    def _require_database(self) -> None:
        if self.error is not None:
            raise self.error


def order(job: JobRecord) -> tuple[datetime, int]:
    return (job.ended_at or NOW, job.id)


def fits(job: JobRecord, term: Any) -> bool:
    """As far as the tests of the console need it; the real meaning is the database's."""
    if term.key == "since":
        (moment,) = term.values
        return order(job)[0] >= (moment.at or ago(seconds=moment.seconds_ago))
    error = f"{job.error_type} {job.error_message}"
    group = group_of(job.job_class) if job.outcome == Outcome.ERRORED else ""
    values = {"state": job.state, "outcome": job.outcome, "queue": job.queue, "class": job.job_class, "error": error}
    values["group"] = group
    value = values.get(term.key, error)
    texts = [wanted.text for wanted in term.values if hasattr(wanted, "text")]  # a comparison narrows nothing here
    return not texts or any(text in value if term.key in ("error", "") else text == value for text in texts)

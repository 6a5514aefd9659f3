"""Completions for the shell's Tab: names and ids from the database."""

import os
import threading
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from jobq.clean import line
from jobq.errors import JobqError

if TYPE_CHECKING:
    from jobq.filters import Filter
    from jobq.settings import Settings
    from jobq.store.database import Database

PATIENCE = "JOBQ_COMPLETION_SECONDS"
"""The variable that says how many seconds a completion waits for the database. Default: one."""

MAX_IDS = 40
MAX_GATES = 5
"""Lanes are offered of this number of gates: each is a look of its own."""

GROUPS_SECONDS = 7 * 86400.0
"""Groups of failures since this time are offered."""

Offers = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]
Known = Iterable[tuple[str, str]]
"""Values, each with a few words about it."""


def queues(ctx: click.Context, _parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    return items(asked(ctx, known_queues), typed)


def classes(ctx: click.Context, _parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    return items(asked(ctx, known_classes), typed)


def workers(ctx: click.Context, _parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    return items(asked(ctx, known_workers), typed)


def builds(ctx: click.Context, _parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    return items(asked(ctx, known_builds), typed)


def schedules(ctx: click.Context, _parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    return items(asked(ctx, known_schedules), typed)


def gates(ctx: click.Context, _parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    return items(asked(ctx, known_gates), typed)


def groups(ctx: click.Context, _parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    return items(asked(ctx, known_groups), typed)


def outcomes(_ctx: click.Context, _parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    return items(known_outcomes(), typed)


def jobs(ctx: click.Context, _parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    return items(asked(ctx, known_jobs), typed)


def words(ctx: click.Context, parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    """A filter: a state, a key, the value of a key; or for an act the ids of recent jobs.

    bash splits `queue:mail` at the colon, and gets the bare value. Other shells get the whole term.
    """
    before = list(ctx.params.get(parameter.name or "") or ())
    if typed == ":" or before[-1:] == [":"]:
        key = before[-1] if typed == ":" else before[-2] if len(before) > 1 else ""
        return items(values_of(ctx, key), typed.removeprefix(":"))
    key, colon, _ = typed.partition(":")
    if colon:
        return items([(f"{key}:{value}", about) for value, about in values_of(ctx, key)], typed)
    return items([*first_words(ctx, before), *known_keys()], typed)


def first_words(ctx: click.Context, before: list[str]) -> Known:
    if before:
        return []
    return known_states() if ctx.info_name == "list" else asked(ctx, known_jobs)


def values_of(ctx: click.Context, key: str) -> Known:
    ask = {
        "queue": known_queues,
        "class": known_classes,
        "group": known_groups,
        "worker": known_workers,
        "build": known_builds,
        "gate": known_gates,
        "lane": known_lanes,
    }.get(key)
    if ask is not None:
        return asked(ctx, ask)
    return {"state": known_states, "outcome": known_outcomes}.get(key, list)()


def items(known: Known, typed: str) -> list[CompletionItem]:
    """Completions that begin with the typed text. Names can be any text: those that are not a plain line are left
    out."""
    return [
        CompletionItem(value, help=line(about, 60))
        for value, about in known
        if value.startswith(typed) and value == line(value, 200) and not set(value) & set(" \t'\"\\`$")
    ]


def known_states() -> Known:
    from jobq.filters import STATES

    return [(str(state), "jobs in this state") for state in STATES]


def known_outcomes() -> Known:
    from jobq.filters import OUTCOMES

    return [(str(outcome), "finished with this outcome") for outcome in OUTCOMES]


def known_keys() -> Known:
    from jobq.filters import KEYS

    return [(f"{key}:", "a part of a filter") for key in KEYS]


# Database


def asked(ctx: click.Context, ask: "Callable[[Database], Known]") -> Known:
    """The answer of the database that the command line so far selects. Empty if there is none in time."""
    found: list[tuple[str, str]] = []

    def fill() -> None:
        try:
            found.extend(ask(database_of(ctx)))
        except (JobqError, click.ClickException, OSError):
            return  # Tab shows no errors: the command itself will explain them

    thread = threading.Thread(target=fill, daemon=True)
    thread.start()
    thread.join(patience())
    return [] if thread.is_alive() else found


def patience() -> float:
    from jobq.filters import seconds_of

    return seconds_of(os.environ.get(PATIENCE, "")) or 1.0


def database_of(ctx: click.Context) -> "Database":
    from jobq.settings import load
    from jobq.store.database import Database

    chosen = {name: ctx.params.get(name) for name in ("database_url", "schema")}
    database = Database(replace(reached(load(**chosen)), found=None), is_of_program=True)
    database.patience = patience()
    return database


def reached(settings: "Settings") -> "Settings":
    """An embedded server is asked by its address, if it runs: Tab starts nothing."""
    if settings.database_url is not None:
        return settings
    from jobq import embedded
    from jobq.errors import EmbeddedServerError

    status = embedded.status(embedded.default_home(settings.root))
    if status.url is None:
        raise EmbeddedServerError("The embedded PostgreSQL does not run.")
    return replace(settings, database_url=status.url)


def known_queues(database: "Database") -> Known:
    from jobq import observe

    return [(queue.name, f"{queue.pending:,} pending, {queue.running:,} running") for queue in observe.queues(database)]


def known_classes(database: "Database") -> Known:
    from jobq import observe

    return [(record.name, record.summary or "") for record in observe.classes(database)]


def known_workers(database: "Database") -> Known:
    from jobq import observe

    return [(worker.name, f"{worker.running:,} running") for worker in observe.workers(database)]


def known_builds(database: "Database") -> Known:
    from jobq import observe

    return [(build.name, f"{build.workers:,} workers") for build in observe.builds(database)]


def known_schedules(database: "Database") -> Known:
    from jobq import observe

    return [(record.name, record.words or record.expression) for record in observe.schedules(database)]


def known_gates(database: "Database") -> Known:
    from jobq import observe

    return [(one.name, f"{one.waiting:,} waiting, {one.running:,} running") for one in observe.gates(database)]


def known_lanes(database: "Database") -> Known:
    """Those with the most jobs, of the gates there are."""
    from jobq import observe

    found = [
        (lane, gate.name)
        for gate in observe.gates(database)[:MAX_GATES]
        for lane in observe.gate(database, gate.name).lanes[:MAX_IDS]
    ]
    return [(lane.name, f"of {gate}, {lane.waiting:,} waiting") for lane, gate in found if lane.name]


def known_groups(database: "Database") -> Known:
    from jobq import observe
    from jobq.filters import Moment

    since = Moment(seconds_ago=GROUPS_SECONDS)
    return [
        (group.group, f"{group.job_class} {group.error_type}") for group in observe.failures(database, since, limit=20)
    ]


def known_jobs(database: "Database") -> Known:
    """The newest ids, of jobs that have ended and of those that have not."""
    from jobq import filters

    return [*recent(database, filters.parse("")), *recent(database, filters.of("state", "finished"))]


def recent(database: "Database", selection: "Filter") -> list[tuple[str, str]]:
    from jobq import observe

    page = observe.list_jobs(database, selection, limit=MAX_IDS)
    return [(str(job.id), f"{job.outcome or job.state} {job.job_class}") for job in page.jobs]

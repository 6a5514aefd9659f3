"""Times everything that reads, on what `benchmarks.load` made: `python -m benchmarks.look [WORD…] [--rounds N]`.

Each figure is a median over the rounds, with the connection open: what the database took for all statements of the look
together, the worst of that, and the whole with what Python does of it. What is above `--limit` is marked. Load
anew after some time: the last hour should have something in it.

`console`, or no word at all, also opens the console in a pseudo-terminal: how soon its first screen is complete, and
what each idle screen costs. See `benchmarks.console`.
"""

import argparse
import time
from collections.abc import Callable
from functools import partial
from statistics import median
from typing import Any, NoReturn

import psycopg
from jobq.tui.access import Target
from jobq.tui.live import LiveSource
from jobq.tui.source import VIEWS
from jobq.tui.window import PAGE

from benchmarks import console
from benchmarks.load import SCHEMA
from jobq import observe
from jobq.errors import JobqError, QueryTooSlow
from jobq.filters import Moment, joined, of, parse
from jobq.settings import load
from jobq.states import FINISHED
from jobq.store.database import Database

FILTERS = [
    "state:pending",
    "state:pending queue:mail",
    "state:pending queue:images class:images.Scan",
    "state:scheduled",
    "state:running",
    "state:pending args.customer:42",
    "state:pending nothing-has-this",
    "state:finished",
    "state:finished since:1h",
    "state:finished queue:mail",
    "outcome:errored queue:mail,default since:1h -error:Deadlock",
    "outcome:errored error:vat_id",
    "outcome:errored since:24h args.customer:42",
    "outcome:lost",
    "outcome:errored ran:>5s",
    "outcome:cancelled worker:web-3/*",
    "state:finished args.customer:42",
    "state:finished since:1h tries:>1",
    "state:finished nothing-has-this",
]


PERIODS = (
    ("10 s", "an hour", 3600.0),
    ("15 s", "six hours", 6 * 3600.0),
    ("minute", "a day", 86400.0),
    ("7 minutes", "a week", 7 * 86400.0),
)
"""Of which the console's figures are, and how often it reads those."""

HOUR, DAY, MONTH = Moment(3600.0), Moment(86400.0), Moment(30 * 86400.0)

waited = 0.0
"""Seconds that this process has waited for the database."""


def watch() -> None:
    """Has every connection say how long its answers took: between sending and having them, nothing else is done."""
    wait = psycopg.Connection.wait

    def watched(connection: psycopg.Connection[Any], *args: Any, **kwargs: Any) -> Any:
        global waited
        began = time.perf_counter()
        try:
            return wait(connection, *args, **kwargs)
        finally:
            waited += time.perf_counter() - began

    psycopg.Connection.wait = watched  # type: ignore[method-assign]  # in this process only


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="*", help="only what has one of these in its name")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--limit", type=float, default=50.0, help="milliseconds in the database")
    parser.add_argument("--seconds", type=float, default=20.0, help="for which an idle console is watched")
    parser.add_argument("--database-url")
    chosen = parser.parse_args()
    watch()
    database = Database(load(database_url=chosen.database_url, schema=SCHEMA))
    try:
        named = looks(database)
    except JobqError as error:
        raise SystemExit(f"{error}, or load it: python -m benchmarks.load") from None
    print(f"{'':<62} database   worst      all")
    above = sum(
        timed(name, look, chosen.rounds, chosen.limit)
        for name, look in named.items()
        if not chosen.words or any(word in name for word in chosen.words)
    )
    print(f"{above} above {chosen.limit:g} ms in the database")
    if not chosen.words or "console" in chosen.words:
        running = [job.id for job in observe.list_jobs(database, of("state", "running"), limit=1).jobs]
        console.measure(["--schema", SCHEMA, "--database-url", database.url], running, chosen.rounds, chosen.seconds)
    database.close()


def looks(database: Database) -> dict[str, Callable[[], object]]:
    pending, running, finished = (one(database, "state", state) for state in ("pending", "running", FINISHED))
    errored = one(database, "outcome", "errored")
    group = (observe.failures(database, MONTH) or [unloaded("failures")])[0]
    return {
        **screens(database, pending=pending, errored=errored),
        "jobq stats": lambda: observe.stats(database),
        "jobq queues": lambda: observe.queues(database),
        "jobq workers": lambda: observe.workers(database),
        "jobq jobs": lambda: (observe.classes(database), observe.unknown_classes(database)),
        "jobq stats --since 1h": lambda: observe.figures(database, HOUR),
        "jobq stats --since 1d": lambda: observe.figures(database, DAY),
        "jobq stats --since 30d": lambda: observe.figures(database, MONTH),
        "jobq failures --since 1h": lambda: observe.failures(database, HOUR),
        "jobq failures --since 1d": lambda: observe.failures(database, DAY),
        "jobq failures --since 30d": lambda: observe.failures(database, MONTH),
        "jobq list --group": lambda: observe.list_jobs(database, of("group", group.group)),
        "jobq retry --group, a day's, which ones": lambda: observe.select(
            database, joined([of("group", group.group), parse("since:24h")])
        ),
        "jobq show, pending": lambda: observe.show(database, pending),
        "jobq show, running": lambda: observe.show(database, running),
        "jobq show, errored": lambda: observe.show(database, errored),
        "jobq why, the last of its queue": lambda: observe.why(database, pending),
        "jobq why, running": lambda: observe.why(database, running),
        "jobq why, finished": lambda: observe.why(database, finished),
        "jobq schedules": lambda: observe.schedules(database),
        "jobq audit": lambda: observe.audit(database),
        "jobq doctor": lambda: observe.doctor(database),
        **{f"jobq list {text}": lambda text=text: observe.list_jobs(database, parse(text)) for text in FILTERS},
    }


def one(database: Database, term: str, value: str) -> int:
    """The id of a job of that kind."""
    found = observe.list_jobs(database, of(term, value), limit=1).jobs
    return found[0].id if found else unloaded(f"{value} jobs")


def unloaded(missing: str) -> NoReturn:
    raise SystemExit(f"Schema {SCHEMA} has no {missing}. Load it first: python -m benchmarks.load")


def screens(database: Database, *, pending: int, errored: int) -> dict[str, Callable[[], object]]:
    """What each screen of the console asks when it is refreshed, besides the look that all of them share."""
    target = Target("benchmark", SCHEMA, "development", is_read_only=True)
    source = LiveSource(database, target, lambda: None)

    def anew(what: str, seconds: float) -> Callable[[], object]:
        """Figures are read every few seconds only, by one look the ones and by the next the others."""
        of_its_own = LiveSource(database, target, lambda: None)
        of_its_own.look(seconds)

        def look() -> object:
            del of_its_own._kept[what]
            return of_its_own.look(seconds)

        return look

    def failures(seconds: float) -> object:
        source._kept.clear()
        return source.failures(seconds)

    def page(text: str, view: Any) -> Callable[[], object]:
        query = source.query(view, text)
        return lambda: source.jobs(query, limit=PAGE, after=None)

    return {
        "console, each second: the look of all screens": lambda: source.look(3600.0),
        **{
            f"console, each {pace}: with {words} of {period}": anew(what, seconds)
            for pace, period, seconds in PERIODS
            for what, words in (("period", "figures"), ("groups", "failures"))
        },
        **{f"console, Jobs: {view.name}": page("", view) for view in VIEWS},
        "console, Job page: pending": lambda: source.job(pending),
        "console, Job page: errored": lambda: source.job(errored),
        "console, why": lambda: source.why(pending),
        **{f"console, Failures: {period}": partial(failures, seconds) for _, period, seconds in PERIODS},
        "console, Schedules": source.schedules,
        "console, Activity": source.audit,
        "console, Enqueue": source.classes,
    }


def timed(name: str, look: Callable[[], object], rounds: int, limit: float) -> bool:
    """Prints what a look takes; whether that is above the limit."""
    in_database, whole = [], []
    for _ in range(rounds):
        began, began_waiting = time.perf_counter(), waited
        try:
            look()
        except QueryTooSlow as error:
            print(f"{name:<62} {error}", flush=True)
            return True
        whole.append((time.perf_counter() - began) * 1000)
        in_database.append((waited - began_waiting) * 1000)
    is_above = median(in_database) > limit
    figures = f"{median(in_database):6.1f} ms {max(in_database):7.1f} {median(whole):8.1f}"
    print(f"{name:<62} {figures}{'   above' if is_above else ''}", flush=True)
    return is_above


if __name__ == "__main__":
    main()

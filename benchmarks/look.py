"""Times everything that reads, on what `benchmarks.load` made: `python -m benchmarks.look [--rounds N]`.

Each figure is the median and the worst of the rounds, in this process, with the connection open.
"""

import argparse
import time
from collections.abc import Callable
from statistics import median

from benchmarks.load import SCHEMA
from jobq import observe
from jobq.errors import QueryTooSlow
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--database-url")
    chosen = parser.parse_args()
    database = Database(load(database_url=chosen.database_url, schema=SCHEMA))
    for name, look in looks(database).items():
        timed(name, look, chosen.rounds)
    database.close()


def looks(database: Database) -> dict[str, Callable[[], object]]:
    (group, *_) = observe.failures(database, Moment(3600.0))
    pending = observe.list_jobs(database, of("state", "pending"), limit=1).jobs[0].id
    finished = observe.list_jobs(database, of("state", FINISHED), limit=1).jobs[0].id
    return {
        "stats": lambda: observe.stats(database),
        "queues": lambda: observe.queues(database),
        "workers": lambda: observe.workers(database),
        "classes": lambda: observe.classes(database),
        "unknown classes": lambda: observe.unknown_classes(database),
        "figures, an hour": lambda: observe.figures(database, Moment(3600.0)),
        "figures, a day": lambda: observe.figures(database, Moment(86400.0)),
        "figures, 30 days": lambda: observe.figures(database, Moment(30 * 86400.0)),
        "failures, an hour": lambda: observe.failures(database, Moment(3600.0)),
        "failures, a day": lambda: observe.failures(database, Moment(86400.0)),
        "failures, 30 days": lambda: observe.failures(database, Moment(30 * 86400.0)),
        "list a group": lambda: observe.list_jobs(database, of("group", group.group)),
        "select a group of a day": lambda: observe.select(
            database, joined([of("group", group.group), parse("since:24h")])
        ),
        "show, pending": lambda: observe.show(database, pending),
        "show, finished": lambda: observe.show(database, finished),
        "why, last of its queue": lambda: observe.why(database, pending),
        "why, finished": lambda: observe.why(database, finished),
        "audit": lambda: observe.audit(database),
        "doctor": lambda: observe.doctor(database),
        **{f"list {text}": lambda text=text: observe.list_jobs(database, parse(text)) for text in FILTERS},
    }


def timed(name: str, look: Callable[[], object], rounds: int) -> None:
    took = []
    for _ in range(rounds):
        began = time.monotonic()
        try:
            look()
        except QueryTooSlow as error:
            print(f"{name:<62} {error}")
            return
        took.append((time.monotonic() - began) * 1000)
    print(f"{name:<62} {median(took):8.0f} ms   worst {max(took):8.0f} ms", flush=True)


if __name__ == "__main__":
    main()

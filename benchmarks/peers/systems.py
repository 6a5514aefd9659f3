"""The peers. Durability is never traded: all keep their tables logged, and the server's `synchronous_commit` on."""

from typing import ClassVar

from benchmarks.peers import pins
from benchmarks.peers.environment import NewerPythonEnvironment, NodeEnvironment
from benchmarks.peers.peer import Peer


class Pgqueuer(Peer):
    name = "pgqueuer"
    schema = "peer_pgqueuer"
    packages = pins.PGQUEUER
    driver = "pgqueuer_driver.py"
    # Its guide "Performance tuning": a larger batch for short jobs; `pgq autovac` after the installation; asyncpg (1.7
    # times psycopg by its "Benchmarks"), one connection for the queue manager; its own benchmark runs on uvloop.
    options: ClassVar = {"batch_size": 100, "autovacuum": "tuned", "driver": "asyncpg", "loop": "uvloop"}
    remark = "durable tables"


class GraphileWorker(Peer):
    name = "graphile-worker"
    schema = "graphile_worker"
    packages = pins.GRAPHILE_WORKER
    driver = "graphile_worker_driver.mjs"
    environment_kind = NodeEnvironment
    # The configuration at the top of its page "Performance".
    options: ClassVar = {
        "concurrentJobs": 24,
        "maxPoolSize": 25,
        "localQueue": {"size": 500},
        "completeJobBatchDelay": 0,
        "failJobBatchDelay": 0,
    }
    remark = "finished jobs are deleted, without a history"


class PgBoss(Peer):
    name = "pg-boss"
    schema = "pgboss"
    packages = pins.PG_BOSS
    driver = "pg_boss_driver.mjs"
    environment_kind = NodeEnvironment
    # Its page "Workers": by default one job every two seconds; `burstWhenBatchFull` goes on at once while there is
    # more, `localConcurrency` has several fetches under way, and LISTEN/NOTIFY (turned on) wakes an idle worker.
    options: ClassVar = {"batchSize": 500, "burstWhenBatchFull": True, "localConcurrency": 2}
    remark = "useListenNotify, a batch is completed as one"


class Procrastinate(Peer):
    name = "procrastinate"
    schema = "peer_procrastinate"
    packages = pins.PROCRASTINATE
    driver = "procrastinate_driver.py"
    # Its page "Launch many jobs in parallel" (concurrency): coroutines side by side, and a pool that has connections
    # enough for them. There is no fetching or finishing of several at a time.
    options: ClassVar = {"concurrency": 30, "pool": 10}


class Oban(Peer):
    """Oban for Python, as far as it is open source: bulk statements are its Pro's."""

    name = "oban"
    schema = "peer_oban"
    packages = pins.OBAN
    driver = "oban_driver.py"
    environment_kind = NewerPythonEnvironment
    # Its page "Defining Queues": any number of a queue's jobs side by side, and so fetched and acknowledged together;
    # "Ready for Production": its pool of ten serves any such limit, and `oban start`, which runs on uvloop and orjson,
    # is the way to run it. A `debounce_interval` other than its 5 ms drains no faster.
    options: ClassVar = {"limit": 1000}
    remark = "uvloop, orjson, drained when the last end is written"


class Chancy(Peer):
    name = "chancy"
    schema = "peer_chancy"
    packages = pins.CHANCY
    driver = "chancy_driver.py"
    # Its page "Executors": thousands of jobs side by side with asyncio; `Queue`: `eager_polling` fetches as soon as a
    # job ends; "Plugins": of the default ones, those for metrics and workflows (half of its time) are left out, those
    # that recover and prune stay; `Chancy`: LISTEN/NOTIFY, on by default, and calls to push that are synchronous, with
    # which one client is faster.
    options: ClassVar = {"executor": "Async", "concurrency": 1000, "eager_polling": True}
    remark = "sync_push, no plugins for metrics and workflows, drained when the last end is written"


SYSTEMS: list[type[Peer]] = [Pgqueuer, GraphileWorker, PgBoss, Procrastinate, Oban, Chancy]

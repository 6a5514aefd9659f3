"""The peers. Durability is never traded: all keep their tables logged, and the server's `synchronous_commit` on.

Oban for Python is left out: it asks for Python 3.12, and this project goes down to 3.11."""

from typing import ClassVar

from benchmarks.peers import pins
from benchmarks.peers.environment import NodeEnvironment
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


SYSTEMS: list[type[Peer]] = [Pgqueuer, GraphileWorker, PgBoss, Procrastinate]

"""The peers. Durability is never traded: all keep their tables logged, and the server's `synchronous_commit` on."""

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
    # Its page "Workers": by default one job every two seconds; `burstWhenBatchFull` goes on at once while there is more,
    # `localConcurrency` has several fetches under way, and LISTEN/NOTIFY wakes an idle worker (the driver turns it on).
    options: ClassVar = {"batchSize": 500, "burstWhenBatchFull": True, "localConcurrency": 2}
    remark = "useListenNotify, a batch is completed as one"


SYSTEMS: list[type[Peer]] = [Pgqueuer, GraphileWorker, PgBoss]

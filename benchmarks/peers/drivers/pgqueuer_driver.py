"""Drives PgQueuer; see driving.py for the commands."""

import asyncio
import os
import sys
from time import monotonic

import driving

os.environ["PGQUEUER_SCHEMA"] = driving.SCHEMA  # read when pgqueuer is imported

import asyncpg
import uvloop
from pgqueuer import PgQueuer
from pgqueuer.db import AsyncpgDriver
from pgqueuer.models import Job
from pgqueuer.queries import Queries


async def main(command: str, *words: str) -> None:
    connection = await asyncpg.connect(driving.URL)
    queries = Queries(AsyncpgDriver(connection))
    match command:
        case "install":
            await queries.install()
            await queries.optimize_autovacuum()
            driving.say(installed=True)
        case "enqueue":
            await driving.one_by_one(
                lambda number: queries.enqueue("nothing", b"%d" % number), int(words[0]), int(words[1]), float(words[2])
            )
        case "enqueue_many":
            first, jobs = map(int, words)
            payloads: list[bytes | None] = [b"%d" % number for number in range(first, first + jobs)]
            began = monotonic()
            await queries.enqueue(["nothing"] * jobs, payloads, [0] * jobs)
            driving.say(seconds=monotonic() - began)
        case "left":
            driving.say(left=sum(row.count for row in await queries.queue_size()))
        case "work":
            await work(connection)
    await connection.close()


async def work(connection: asyncpg.Connection) -> None:
    manager = PgQueuer(AsyncpgDriver(connection))

    @manager.entrypoint("nothing")
    async def nothing(job: Job) -> None:
        driving.ran(int(job.payload))

    driving.say(ready=True)
    driving.heard()
    worker = asyncio.create_task(manager.run(batch_size=driving.OPTIONS["batch_size"]))
    told = asyncio.create_task(driving.tell_and_wait_for_stop())
    await asyncio.wait([worker, told], return_when=asyncio.FIRST_COMPLETED)
    manager.shutdown.set()
    await worker  # raises what made it end by itself
    driving.say(runs=driving.runs)


uvloop.run(main(*sys.argv[1:]))

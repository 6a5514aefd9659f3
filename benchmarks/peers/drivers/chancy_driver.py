"""Drives Chancy; see driving.py for the commands."""

import asyncio
import logging
import sys
from time import monotonic

import driving
from chancy import Chancy, Queue, Worker, job
from chancy.plugins.leadership import Leadership
from chancy.plugins.pruner import Pruner
from chancy.plugins.recovery import Recovery
from psycopg.conninfo import make_conninfo

app = Chancy(
    make_conninfo(driving.URL, options=f"-csearch_path={driving.SCHEMA}"),
    plugins=[Leadership(), Pruner(), Recovery()],
    no_default_plugins=True,
)
app.log.setLevel(logging.WARNING)  # its log has a line for each job, which nobody would leave on


@job()
async def nothing(*, number: int) -> None:
    driving.ran(number)


def numbered(number: int):
    return nothing.job.with_kwargs(number=number)


async def push(number: int) -> None:
    app.sync_push(numbered(number))


async def main(command: str, *words: str) -> None:
    async with app:
        match command:
            case "install":
                await app.migrate()
                options = driving.OPTIONS | {"executor": Chancy.Executor[driving.OPTIONS["executor"]]}
                # Named as the queue that a worker would declare, with processes, if it were not there.
                await app.declare(Queue("default", **options))
                driving.say(installed=True)
            case "enqueue":
                with app:
                    await driving.one_by_one(push, int(words[0]), int(words[1]), float(words[2]))
            case "enqueue_many":
                first, jobs = map(int, words)
                with app:
                    given = [numbered(number) for number in range(first, first + jobs)]
                    began = monotonic()
                    for _ in app.sync_push_many(given):
                        pass
                    driving.say(seconds=monotonic() - began)
            case "left":
                async with app.pool.connection() as connection:
                    cursor = await connection.execute("SELECT count(*) FROM chancy_jobs WHERE state <> 'succeeded'")
                    driving.say(left=(await cursor.fetchone())[0])
            case "work":
                await work()


async def work() -> None:
    driving.say(ready=True)
    driving.heard()
    async with Worker(app, register_signal_handlers=False) as worker:
        ended = asyncio.create_task(worker.wait_for_shutdown())
        told = asyncio.create_task(driving.tell_and_wait_for_stop())
        await asyncio.wait([ended, told], return_when=asyncio.FIRST_COMPLETED)
        if ended.done():
            await ended  # raises what made it end by itself
        await worker.flush()  # the ends of jobs, which it writes once a second
        recorded = monotonic()
    driving.say(runs=driving.runs, recorded=recorded)


asyncio.run(main(*sys.argv[1:]))

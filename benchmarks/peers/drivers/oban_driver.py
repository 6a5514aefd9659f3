"""Drives Oban for Python; see driving.py for the commands."""

import sys
from time import monotonic
from typing import Any

import driving
import orjson
import uvloop
from oban import Job, Oban, telemetry, worker
from oban.schema import install
from psycopg.types.json import set_json_dumps, set_json_loads
from psycopg_pool import AsyncConnectionPool


@worker()
class Nothing:
    async def process(self, job: Job) -> None:
        driving.ran(job.args["number"])


def numbered(number: int) -> Job:
    return Nothing.new({"number": number})


async def main(command: str, *words: str) -> None:
    # As `oban start` has it, beside uvloop.
    set_json_dumps(orjson.dumps)
    set_json_loads(orjson.loads)
    pool = await Oban.create_pool(driving.URL)
    client = Oban(pool=pool, prefix=driving.SCHEMA)
    match command:
        case "install":
            await install(pool, prefix=driving.SCHEMA)
            driving.say(installed=True)
        case "enqueue":
            await driving.one_by_one(
                lambda number: client.enqueue(numbered(number)), int(words[0]), int(words[1]), float(words[2])
            )
        case "enqueue_many":
            first, jobs = map(int, words)
            given = [numbered(number) for number in range(first, first + jobs)]
            began = monotonic()
            await client.enqueue_many(given)
            driving.say(seconds=monotonic() - began)
        case "left":
            async with pool.connection() as connection:
                cursor = await connection.execute(
                    f"SELECT count(*) FROM {driving.SCHEMA}.oban_jobs WHERE state <> 'completed'"
                )
                driving.say(left=(await cursor.fetchone())[0])
        case "work":
            await work(pool)
    await pool.close()


async def work(pool: AsyncConnectionPool) -> None:
    recorded = [0.0]

    def acknowledged(_event: str, about: dict[str, Any]) -> None:
        if about["count"]:
            recorded.append(monotonic())

    telemetry.attach("driving", ["oban.producer.ack.stop"], acknowledged)
    driving.say(ready=True)
    driving.heard()
    async with Oban(pool=pool, prefix=driving.SCHEMA, queues={"default": driving.OPTIONS}):
        await driving.tell_and_wait_for_stop()
    driving.say(runs=driving.runs, recorded=recorded[-1])


uvloop.run(main(*sys.argv[1:]))

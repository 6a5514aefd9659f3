"""Drives Procrastinate; see driving.py for the commands."""

import asyncio
import sys
from time import monotonic

import driving
from procrastinate import App, PsycopgConnector

app = App(
    connector=PsycopgConnector(
        conninfo=driving.URL,
        kwargs={"options": f"-csearch_path={driving.SCHEMA}"},
        min_size=driving.OPTIONS["pool"],
        max_size=driving.OPTIONS["pool"],
    )
)


@app.task(name="nothing")
async def nothing(number: int) -> None:
    driving.ran(number)


async def main(command: str, *words: str) -> None:
    async with app.open_async():
        match command:
            case "install":
                await app.schema_manager.apply_schema_async()
                driving.say(installed=True)
            case "enqueue":
                await driving.one_by_one(
                    lambda number: nothing.defer_async(number=number), int(words[0]), int(words[1]), float(words[2])
                )
            case "enqueue_many":
                first, jobs = map(int, words)
                given = [{"number": number} for number in range(first, first + jobs)]
                began = monotonic()
                await nothing.batch_defer_async(*given)
                driving.say(seconds=monotonic() - began)
            case "left":
                stats = await app.job_manager.list_queues_async()
                driving.say(left=sum(queue["jobs_count"] - queue["succeeded"] for queue in stats))
            case "work":
                await work()


async def work() -> None:
    driving.say(ready=True)
    driving.heard()
    worker = asyncio.create_task(
        app.run_worker_async(concurrency=driving.OPTIONS["concurrency"], install_signal_handlers=False)
    )
    told = asyncio.create_task(driving.tell_and_wait_for_stop())
    await asyncio.wait([worker, told], return_when=asyncio.FIRST_COMPLETED)
    if worker.done():
        await worker  # raises what made it end by itself
    worker.cancel()  # its documented way: jobs that run are ended and recorded first
    await asyncio.gather(worker, return_exceptions=True)
    driving.say(runs=driving.runs)


asyncio.run(main(*sys.argv[1:]))

"""What the drivers in Python share. Run in a peer's own environment: nothing but the standard library here.

A driver is called with one command and answers with lines of JSON:
    install                       {"installed": true}
    enqueue FIRST JOBS PAUSE      {"seconds": …, "committed": [[number, monotonic seconds], …]}
    enqueue_many FIRST JOBS       {"seconds": …}
    left                          {"left": how many are not finished}
    work                          {"ready": true}; reads "go"; {"ran": …} as it goes on; reads "stop"; when it has
                                  stopped in its orderly way {"runs": [[number, monotonic seconds], …]}, with
                                  "recorded", monotonic seconds, where the ends of jobs are written much later
"""

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Any

URL = os.environ["PEER_URL"]
SCHEMA = os.environ["PEER_SCHEMA"]
OPTIONS = json.loads(os.environ["PEER_OPTIONS"])

TELL_EVERY = 0.02  # seconds: a worker that ran jobs says so

runs: list[tuple[int, float]] = []  # what this process ran, and when


def ran(number: int) -> None:
    """The whole of a job."""
    runs.append((number, monotonic()))


def say(**words: Any) -> None:
    print(json.dumps(words), flush=True)


def heard() -> str:
    """The next word of the benchmark; "" when it has gone."""
    return sys.stdin.readline().strip()


async def one_by_one(enqueue: Callable[[int], Awaitable[object]], first: int, jobs: int, pause: float) -> None:
    committed = []
    began = monotonic()
    for number in range(first, first + jobs):
        await enqueue(number)
        committed.append((number, monotonic()))
        if pause:
            # Not in step with any timer of the worker.
            await asyncio.sleep(pause + 0.0001 * (number % 100))
    say(seconds=monotonic() - began, committed=committed)


async def tell_and_wait_for_stop() -> None:
    """Says how many jobs have run, until the benchmark says "stop" (or has gone)."""
    stop = asyncio.create_task(asyncio.to_thread(heard))
    told = 0
    while not stop.done():
        if len(runs) != told:
            told = len(runs)
            say(ran=told)
        await asyncio.wait([stop], timeout=TELL_EVERY)

"""Asks a running job's process what it is doing."""

import time
from dataclasses import dataclass

from jobq import observe
from jobq.errors import NotRunning
from jobq.operate.rights import permitted
from jobq.records import JobRecord
from jobq.store import control
from jobq.store.database import Database

WAIT_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Stack:
    """What a running job was doing a moment ago."""

    job_id: int
    attempt: int
    worker: str | None  # host/pid
    text: str  # in the form of a traceback, or why there is none


def stack(database: Database, job_id: int, *, timeout: float = 10.0, attempt: int | None = None) -> Stack:
    """The Python stack of a running job, from its process, which continues meanwhile.

    Raises JobNotFound. Raises NotRunning if the job, or this `attempt` of it, does not run, or if its worker did not
    answer within `timeout` seconds.
    """
    job = observe.show(database, job_id).job
    with permitted(database, "stack"), database.connection() as connection:
        asked = control.request_stack(connection, database.schema, job_id, attempt=attempt)
        if asked is None:
            raise NotRunning(why_not(job, attempt))
        deadline = time.monotonic() + timeout
        while (text := control.read_stack(connection, database.schema, asked.id)) is None:
            if time.monotonic() >= deadline:
                raise NotRunning(
                    f"Worker {asked.worker or 'unknown'} did not answer within {timeout:g} s. It may be gone (its jobs "
                    "are rescued then), or be of a release that cannot tell."
                )
            time.sleep(WAIT_SECONDS)
    return Stack(job_id, asked.attempt, asked.worker, text)


def why_not(job: JobRecord, attempt: int | None) -> str:
    if attempt is not None and job.attempt != attempt:
        return f"Attempt {attempt} of job {job.id} runs no more: attempt {job.attempt} is {job.outcome or job.state}."
    return f"Job {job.id} is {job.outcome or job.state}: only a running job has a stack."

"""A job that completes itself on a connection of its own, whatever made it: what it did and its end are one."""

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from connections import ASYNC, SYNC

if TYPE_CHECKING:
    from conftest import Application, Store

JOBS = """
import os

from connections import ASYNC, SYNC, Address

from jobq import Job, register_job
from jobq.errors import AttemptSuperseded

ADDRESS = Address(os.environ["JOBQ_DATABASE_URL"])
PAY = "INSERT INTO payments (job) VALUES ({})"


class Declined(Exception):
    pass


@register_job
class Pay(Job):
    def __init__(self, kind, declined=False):
        self.kind = kind
        self.declined = declined

    def run(self):
        with SYNC[self.kind](ADDRESS) as caller:
            caller.execute("SET LOCAL datestyle = 'German'")
            caller.execute(PAY.format(self.job.id))
            self.complete(caller.connection, {"paid": self.job.id})
            try:
                self.complete(caller.connection)
            except AttemptSuperseded:
                if self.declined:
                    raise Declined from None
                caller.commit()


@register_job
class PayAsync(Job):
    def __init__(self, kind, declined=False):
        self.kind = kind
        self.declined = declined

    async def run(self):
        async with ASYNC[self.kind](ADDRESS) as caller:
            await caller.execute("SET LOCAL datestyle = 'German'")
            await caller.execute(PAY.format(self.job.id))
            await self.complete_async(caller.connection, {"paid": self.job.id})
            try:
                await self.complete_async(caller.connection)
            except AttemptSuperseded:
                if self.declined:
                    raise Declined from None
                await caller.commit()
"""


def test_a_job_completes_itself_once_and_only_with_its_transaction_on_every_kind_of_connection(
    application: "Application", store: "Store"
) -> None:
    application.write("jobs.py", JOBS)
    shutil.copy(Path(__file__).parent / "connections.py", application.path)
    store.execute("CREATE TABLE payments (job bigint NOT NULL)")
    added = {
        (job_class, kind, declined): store.add(
            job_class=job_class, arguments=json.dumps({"kind": kind, "declined": declined})
        )
        for job_class, kinds in (("jobs.Pay", SYNC), ("jobs.PayAsync", ASYNC))
        for kind in kinds
        for declined in (False, True)
    }

    finished = application.jobq("run", "--drain", "-p", "2")

    assert "too late" not in finished.stderr
    assert store.unfinished() == []
    payments = [row.job for row in store.rows("SELECT job FROM payments ORDER BY job")]
    assert payments == sorted(job for (_, _, declined), job in added.items() if job is not None and not declined)
    for (_, kind, declined), job in added.items():
        (result,) = store.results(job)
        if declined:
            assert (kind, result.outcome, result.error_type) == (kind, "errored", "jobs.Declined")
        else:
            assert (kind, result.outcome, result.value) == (kind, "successful", {"paid": job})

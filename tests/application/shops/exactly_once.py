"""A job that pays, and records its own end in the same transaction; it can be held up at every step of the way."""

import os
import time
from pathlib import Path

import psycopg

from jobq import Job, register_job


@register_job
class Pay(Job):
    def __init__(self, folder, hold_at=None):
        self.folder = Path(folder)
        self.hold_at = hold_at

    def run(self):
        self.reached("begun")
        with psycopg.connect(os.environ["JOBQ_DATABASE_URL"]) as connection:
            connection.execute("INSERT INTO payments (job) VALUES (%s)", [self.job.id])
            self.reached("paid")
            self.complete(connection, {"paid": self.job.id})
            self.reached("completed")
        self.reached("committed")

    def get_retries(self):
        return 0

    def reached(self, step):
        """Waits at one step, on the first attempt, until it is killed there."""
        if step == self.hold_at and self.job.attempt == 1:
            (self.folder / "held").write_text(str(os.getpid()))
            while True:
                time.sleep(0.01)

"""Gates in a test of an application: `run_due_jobs` goes through them as a worker does."""

from typing import Any

CODE = """
from jobq import Gate, Job, Rate, register_job

@register_job
class Call(Job):
    gate = Gate("crm", limit=1, by="customer", rate=Rate(2, per=60))

    def __init__(self, customer: str):
        self.customer = customer

    def run(self):
        return self.customer
"""


def test_jobs_of_a_gate_run_in_a_test_and_time_passes_for_its_rate(application: Any) -> None:
    application.write("jobs.py", CODE)
    ran = application.python(
        "-c",
        "import jobs, jobq; from jobq.testing import run_due_jobs\n"
        "[jobs.Call(name).run_in_worker() for name in ('a', 'a', 'b')]\n"
        "print([attempt.value for attempt in run_due_jobs()])\n"
        "print([attempt.value for attempt in run_due_jobs(until=100)])",
    )
    assert ran.stdout.splitlines() == ["['a']", "['a', 'b']"], ran.stderr

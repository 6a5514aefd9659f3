"""What stands for Django's dummy and immediate backends in Django's own tests: jobq's, with what they ask of it."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from jobq.django import database
from jobq.django.backend import JobqBackend
from jobq.testing import empty_tables, run_due_jobs


class Waiting(JobqBackend):
    """Nothing is run. The dummy's `results` are read from the database, each time anew."""

    def __init__(self, alias: str, params: dict[str, Any]) -> None:
        super().__init__(alias, params)
        self._ids: list[str] = []

    @property
    def results(self) -> list[Any]:
        return [self.get_result(result_id) for result_id in self._ids]

    def enqueue(self, task: Any, args: Any, kwargs: Any) -> Any:
        result = super().enqueue(task, args, kwargs)
        self._ids.append(result.id)
        return result

    def clear(self) -> None:
        self._ids.clear()
        empty_tables()


class Running(JobqBackend):
    """A worker of one call runs the task before enqueue() returns, unless its transaction is open."""

    def enqueue(self, task: Any, args: Any, kwargs: Any) -> Any:
        result = super().enqueue(task, args, kwargs)
        if not database.connection().in_atomic_block:
            with ThreadPoolExecutor(1) as worker:  # a thread that no event loop waits for, as in a worker's child
                worker.submit(run_due_jobs, raise_errors=False).result()
            result.refresh()
        return result

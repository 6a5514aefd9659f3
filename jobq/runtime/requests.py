"""Operators' requests about jobs of this worker: to end them, or to show their stacks."""

from collections.abc import Callable, Iterable

from jobq.records import Report
from jobq.runtime.children import Children
from jobq.runtime.control import Control
from jobq.runtime.endings import cancelled_unstarted
from jobq.runtime.stock import Stock
from jobq.store.control import CancelRequest, StackRequest


class Requests:
    def __init__(
        self, children: Children, stock: Stock, control: Control, *, on_reports: Callable[[list[Report]], None]
    ) -> None:
        self._children = children
        self._stock = stock
        self._control = control
        self._on_reports = on_reports
        self._asked: dict[int, list[int]] = {}  # requests for stacks, by job

    def cancel(self, requests: Iterable[CancelRequest]) -> None:
        """Ends jobs that are here: they come back unstarted, or are stopped. Jobs that have ended are left alone."""
        for request in requests:
            message = f"cancelled by {request.requested_by}"
            if self._children.cancel(request.job_id, request.attempt, message):
                continue
            if (assignment := self._stock.withdraw(request.job_id, request.attempt)) is not None:
                self._on_reports([cancelled_unstarted(assignment, message)])

    def ask_stacks(self, questions: Iterable[StackRequest]) -> None:
        for question in questions:
            askers = self._asked.setdefault(question.job_id, [])
            if question.id in askers:
                continue
            askers.append(question.id)
            if not self._children.ask_stack(question.job_id, question.attempt):
                self.answer(question.job_id, "it is claimed, and has not begun; or it has just ended")

    def answer(self, job_id: int, stack: str) -> None:
        """A job has shown its stack, or cannot."""
        if askers := self._asked.pop(job_id, None):
            self._control.answer(askers, stack)

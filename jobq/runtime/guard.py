"""In a child: passes the supervisor's orders into the user's code, and only there.

An order comes as a signal. Its text is in the shared memory, with the attempt that it is for. So a late order does not
hit the next job, and an early one waits for its job. It is raised at most once per attempt, and only between `open` and
`close`: never while jobq's own code reads an assignment or writes a report.
"""

import faulthandler
import json
import os
import signal
from types import FrameType
from typing import TYPE_CHECKING, Any

from jobq.directives import JobCancelled, JobInterrupted, JobTimedOut
from jobq.runtime.protocol import Order, OrderKind
from jobq.runtime.shared_memory import ORDER, PROGRESS, WORKER, SharedMemory
from jobq.runtime.stacks import TASK

if TYPE_CHECKING:
    import asyncio

INTERRUPT = signal.SIGUSR1
"""Makes the child look for an order in the shared memory."""

SHOW_STACK = signal.SIGUSR2
"""Makes the interpreter write every thread's stack into the shared memory."""

EXCEPTIONS: dict[OrderKind, type[JobInterrupted]] = {
    OrderKind.CANCEL: JobCancelled,
    OrderKind.TIMEOUT: JobTimedOut,
}


class Guard:
    """The guard of one process. Without shared memory (in a test, in a shell) there are no orders."""

    is_shared = False  # whether the process runs other jobs beside the one that is guarded

    def __init__(self, memory: SharedMemory | None = None) -> None:
        self.delivered: Order | None = None  # the order that the current or last attempt got
        self._memory = memory
        self._order: Order | None = None
        self._attempt: tuple[int, int] | None = None
        self._task: asyncio.Task[Any] | None = None

    def listen(self) -> None:
        """From now on signals are heard."""
        assert self._memory is not None
        signal.signal(INTERRUPT, self._on_signal)
        signal.signal(SHOW_STACK, self._on_show_stack)
        self._write_stacks(with_coroutines=False)
        if not faulthandler.is_enabled():  # otherwise the user wants the stack of a crash elsewhere
            faulthandler.enable(self._memory.fd)

    def be_deaf(self) -> None:
        """For a fork of this process: nobody sends it orders, or asks for its stack."""
        faulthandler.unregister(SHOW_STACK)
        for number, handler in ((INTERRUPT, self._on_signal), (SHOW_STACK, self._on_show_stack)):
            if signal.getsignal(number) == handler:  # otherwise it is the application's
                signal.signal(number, signal.SIG_DFL)

    def _write_stacks(self, *, with_coroutines: bool) -> None:
        """Without coroutines, system calls are restarted after a request for stacks."""
        assert self._memory is not None
        faulthandler.unregister(SHOW_STACK)  # registered over itself, it would keep its old flags, and write twice
        faulthandler.register(SHOW_STACK, file=self._memory.fd, all_threads=True, chain=with_coroutines)

    def open(self, job_id: int, attempt: int) -> None:
        """The user's code begins. Raises at once an order for this attempt that came before it began."""
        self.delivered = None
        self._attempt = (job_id, attempt)
        if self._order is not None:
            self._deliver()

    def close(self) -> None:
        """The user's code has ended. If an exception is raised even in here, it is the only one: see `_deliver`."""
        self._attempt = None

    def enter(self, task: "asyncio.Task[Any] | None") -> None:
        """From now on an order cancels this task. None: it is raised."""
        self._task = task
        if self._memory is not None:
            self._write_stacks(with_coroutines=task is not None)

    def tell(self, job_id: int, attempt: int, progress: dict[str, Any]) -> None:
        if self._memory is not None:
            self._memory.write(PROGRESS, json.dumps([job_id, attempt, progress], ensure_ascii=False).encode())

    @property
    def worker_id(self) -> int | None:
        """The worker that this process works for. None if there is none."""
        note = None if self._memory is None else self._memory.read(WORKER)
        return int(note) if note else None

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        assert self._memory is not None
        if note := self._memory.read(ORDER):
            self._order = Order.unpack(note)
            self._deliver()

    def _on_show_stack(self, _number: int, _frame: FrameType | None) -> None:
        """Waiting coroutines are on no thread's stack, so their stacks are written beside those of the threads."""
        if self._task is None or self._memory is None:
            return
        import asyncio

        for task in asyncio.all_tasks(self._task.get_loop()):
            os.write(self._memory.fd, described(task.get_coro()).encode(errors="replace"))

    def _deliver(self) -> None:
        order = self._order
        if order is None or self.delivered is not None or self._attempt != (order.job_id, order.attempt):
            return
        self.delivered = order
        self._order = None
        if self._task is not None:
            # A coroutine is cancelled where it waits; an exception raised here would end its loop instead.
            self._task.get_loop().call_soon_threadsafe(self._task.cancel)
            return
        raise EXCEPTIONS[order.kind](order.message)


def described(coroutine: Any) -> str:
    """A coroutine and what it waits for, in the interpreter's format for a thread."""
    frames = []
    while (frame := getattr(coroutine, "cr_frame", None)) is not None:
        frames.append(f'  File "{frame.f_code.co_filename}", line {frame.f_lineno} in {frame.f_code.co_name}\n')
        coroutine = coroutine.cr_await
    return "".join([f"\n{TASK} (most recent call first):\n", *reversed(frames)])

"""In a child: runs coroutines side by side, in an event loop that has a thread of its own.

What is to begin, and what is wanted of one that has begun, comes by a socket that the loop reads itself: an ordinary
job in the main thread is not in its way. Where a coroutine does not give the loop up, nothing of this is read, and what
was ordered ends in the death of the process.
"""

import asyncio
import os
import socket
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

from jobq.records import Assignment
from jobq.registry import registry
from jobq.running import CURRENT
from jobq.runtime import job_lines, output
from jobq.runtime.execution import execute_async
from jobq.runtime.guard import Guard, described
from jobq.runtime.protocol import (
    ASK,
    MAX_PACKET,
    ORDERS,
    Order,
    pack_message,
    pack_report,
    receive,
    unpack_assignments,
)

PROGRESS_SECONDS = 0.5
"""What coroutines say of their progress is passed on so often."""

EXIT_LOOP_FAILED = 70


class Coroutines:
    """`write` puts lines into the pipe of reports, whole."""

    def __init__(self, inbox: socket.socket, guard: Guard, write: Callable[[bytes], None]) -> None:
        self._inbox = inbox
        self._process_guard = guard
        self._write = write
        self._running: dict[int, tuple[TaskGuard, asyncio.Task[None]]] = {}
        self._said: dict[int, bytes] = {}
        self._thread = threading.Thread(target=self._main, name="jobq-coroutines", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def join(self) -> None:
        """Waits until the supervisor has shut the way in, and all that came by it has ended."""
        self._thread.join()

    def _main(self) -> None:
        try:
            asyncio.run(self._work())
        except BaseException:  # noqa: BLE001 - the edge of the thread
            import traceback

            traceback.print_exc()
            os._exit(EXIT_LOOP_FAILED)  # its supervisor handles its death

    async def _work(self) -> None:
        async for packet in self._packets():
            if packet.startswith(ORDERS):
                self._obey(Order.unpack(packet.removeprefix(ORDERS)))
            elif packet.startswith(ASK):
                self._tell_stack(int(packet.removeprefix(ASK)))
            else:
                _, assignments = unpack_assignments(packet)
                for assignment in assignments:
                    self._begin(assignment)
        while self._running:
            await asyncio.wait([task for _, task in self._running.values()])

    async def _packets(self) -> AsyncIterator[bytes]:
        """What comes, until the way in is shut. Asyncio itself reads no descriptors from sockets."""
        self._inbox.setblocking(False)
        buffer = memoryview(bytearray(MAX_PACKET))
        readable = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_reader(self._inbox, readable.set)
        try:
            while True:
                try:
                    packet = receive(self._inbox, buffer)
                except BlockingIOError:
                    readable.clear()
                    await readable.wait()
                    continue
                if not packet:
                    return
                yield packet
        finally:
            loop.remove_reader(self._inbox)

    def _begin(self, assignment: Assignment) -> None:
        guard = TaskGuard(self._process_guard, self._say)
        task = asyncio.get_running_loop().create_task(self._execute(assignment, guard))
        guard.enter(task)
        self._running[assignment.id] = (guard, task)

    async def _execute(self, assignment: Assignment, guard: "TaskGuard") -> None:
        report = await execute_async(assignment, registry, guard)
        if output.unfinished:
            output.finish_lines(CURRENT.get())
        if job_lines.said:
            report = job_lines.with_lines(report)
        del self._running[assignment.id]
        self._tell_progress()
        self._write(pack_report(report))

    def _obey(self, order: Order) -> None:
        if (running := self._running.get(order.job_id)) is not None:
            running[0].obey(order)

    def _tell_stack(self, job_id: int) -> None:
        if (running := self._running.get(job_id)) is not None:
            self._write(pack_message("stack", [job_id, described(running[1].get_coro())]))

    def _say(self, job_id: int, attempt: int, progress: dict[str, Any]) -> None:
        if not self._said:
            asyncio.get_running_loop().call_later(PROGRESS_SECONDS, self._tell_progress)
        self._said[job_id] = pack_message("progress", [job_id, attempt, progress])

    def _tell_progress(self) -> None:
        said, self._said = self._said, {}
        if said:
            self._write(b"".join(said.values()))


class TaskGuard(Guard):
    """The guard of one coroutine among others: an order cancels its task."""

    is_shared = True

    def __init__(self, process_guard: Guard, say: Callable[[int, int, dict[str, Any]], None]) -> None:
        super().__init__()
        self._process_guard = process_guard
        self._say = say

    def enter(self, task: "asyncio.Task[Any] | None") -> None:
        self._task = task

    def tell(self, job_id: int, attempt: int, progress: dict[str, Any]) -> None:
        # A coroutine may have called code in a thread, which can reach the loop only so.
        assert self._task is not None
        self._task.get_loop().call_soon_threadsafe(self._say, job_id, attempt, progress)

    @property
    def worker_id(self) -> int | None:
        return self._process_guard.worker_id

    def obey(self, order: Order) -> None:
        self._order = order
        self._deliver()

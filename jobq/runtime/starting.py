"""Starts one child: its sockets, its pipe, its shared memory and its process. If one of them fails, all are closed."""

import os
from collections.abc import Callable
from contextlib import ExitStack

from jobq import interpreter
from jobq.records import Assignment
from jobq.runtime.child_settings import ChildSettings
from jobq.runtime.concurrent import Concurrent
from jobq.runtime.process import Death, Process
from jobq.runtime.serial import Serial
from jobq.runtime.shared_memory import SharedMemory
from jobq.runtime.supervised import Child


def start_child(
    settings: ChildSettings,
    *,
    mark: str,
    generation: int,
    on_death: Callable[[Child, Death], None],
    on_returned: Callable[[list[Assignment]], None],
) -> Child:
    """Raises OSError or RuntimeError if the OS refuses a file, a process or a thread. `mark` is for its programs."""
    with ExitStack() as undo, ExitStack() as of_child:
        memory = SharedMemory.of_supervisor()
        undo.callback(memory.close)
        serial = Serial(memory)
        undo.callback(serial.close)
        concurrent = Concurrent(settings.concurrency if settings.concurrency > 1 else 0)
        undo.callback(concurrent.close)
        reports_fd, child_reports_fd = os.pipe()
        undo.callback(os.close, reports_fd)
        of_child.callback(os.close, child_reports_fd)
        ends = [end.fileno() for end in (serial.inbox, concurrent.inbox) if end is not None]
        fds = [ends[0], child_reports_fd, memory.fd, *ends[1:]]
        process = Process.start(
            interpreter.run_module("jobq.runtime.child", *map(str, [os.getpid(), *fds, -1][:5])),
            pass_fds=fds,
            environment={**settings.environment, **interpreter.environment()},
            mark=mark,
        )
        child = Child(process, memory, reports_fd, serial, concurrent, on_returned=on_returned, generation=generation)
        process.watch(lambda death: on_death(child, death))
        undo.pop_all()
    os.set_blocking(reports_fd, False)
    serial.say(settings.for_child())
    return child

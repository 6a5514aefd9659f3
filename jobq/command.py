"""`Command`: a command line as a job, to replace a line of a crontab."""

import os
import threading
from collections import deque
from contextlib import suppress
from typing import IO, Any

from jobq.base import Job
from jobq.errors import ScheduleError
from jobq.processes import children_of, kill_with_descendants

READ_BYTES = 4096
KEPT_CHUNKS = 8
"""Maximum bytes of a command's output that are kept with its result: the end of it."""

OUTPUT_SECONDS = 1.0
"""Seconds to read the rest of the output after the command has ended: a process that it left may keep it open."""


class CommandFailed(Exception):
    """A command ended with an exit code other than 0. The message has the end of its output."""


class Command(Job):
    """Runs a command line by `/bin/sh`, in the worker's working directory and environment.

        register_schedule("backup", Command("pg_dump -Fc app -f app.dump"), "0 3 * * *")

    An exit code other than 0 is an error. The end of its output is kept with the result.

    In a schedule the command becomes a class of its own, named `command.` and the schedule's name. Its jobs carry no
    command line, so a row in the database can start only what the application declared.
    """

    def __init__(self, command: str) -> None:
        if not isinstance(command, str) or not command.strip() or "\0" in command:
            raise ScheduleError(f"The command is {command!r}, but must be a command line, as in 'pg_dump app'.")
        self.command = command

    def run(self) -> dict[str, Any]:
        exit_code, output = run_to_end(self.command)
        if exit_code != 0:
            how = f"was ended by signal {-exit_code}" if exit_code < 0 else f"ended with exit code {exit_code}"
            raise CommandFailed(f"the command {how}: {self.command}\n{output}".rstrip())
        return {"exit_code": exit_code, "output": output}


def class_of(name: str, command: Command) -> type[Job]:
    """The class under which the command of one schedule is registered."""
    line = command.command

    def __init__(self: Command) -> None:  # noqa: N807 - it becomes a method
        Command.__init__(self, line)

    members = {"__init__": __init__, "__doc__": line, "__module__": "command", "__qualname__": name}
    return type(name, (type(command),), members)


def run_to_end(command: str) -> tuple[int, str]:
    """The exit code of a command, and the end of what it printed."""
    import subprocess  # takes longer than all else that `import jobq` loads

    others = children_of(os.getpid(), threading.get_native_id())
    process = None
    try:
        process = subprocess.Popen(  # noqa: S602 - a command line of the application's own, never one from a row
            command,
            shell=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        assert process.stdout is not None
        output = Tail(process.stdout)
        exit_code = process.wait()
    except BaseException:  # the job was cancelled, maybe before `process` was assigned
        started = children_of(os.getpid(), threading.get_native_id()) - others
        for pid in started | ({process.pid} if process is not None else set()):
            kill_with_descendants(pid)
        for pid in started:
            with suppress(ChildProcessError):
                os.waitpid(pid, 0)
        if process is not None:
            process.wait()
        raise
    return exit_code, output.text()


class Tail:
    """The end of a stream, read by a thread: a command with endless output neither blocks nor fills the memory."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._chunks: deque[bytes] = deque(maxlen=KEPT_CHUNKS)
        self._left_out = 0
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._read, name="jobq-command-output", daemon=True)
        self._thread.start()

    def text(self) -> str:
        self._thread.join(OUTPUT_SECONDS)
        with self._lock:
            text = b"".join(self._chunks).decode(errors="replace").replace("\0", "\\x00")
        return f"… {self._left_out:,} bytes left out …\n{text}" if self._left_out else text

    def _read(self) -> None:
        with self._stream:
            while chunk := self._stream.read1(READ_BYTES):  # type: ignore[attr-defined]  # a BufferedReader has it
                with self._lock:
                    if len(self._chunks) == KEPT_CHUNKS:
                        self._left_out += len(self._chunks[0])
                    self._chunks.append(chunk)

"""Reads a worker's log at the other end of a pipe, as a container or a service manager does; and it can hang."""

import os
import select
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

LOOK_SECONDS = 0.1


class LogReader:
    """Copies the log to a file. A worker that is started anew gets a new pipe."""

    def __init__(self, file: Path) -> None:
        self.file = file
        file.touch()
        self._reading = threading.Lock()  # held by whoever reads, or keeps others from it
        self._pipe: int | None = None  # the end that is read

    def open(self) -> int:
        """The end of a new pipe that a worker writes to; the caller closes its own copy."""
        reading, writing = os.pipe()
        self._pipe = reading
        threading.Thread(target=self._copy, args=(reading,), name=f"log-{self.file.stem}", daemon=True).start()
        return writing

    @contextmanager
    def hung(self) -> Iterator[None]:
        """Nobody reads inside, and the pipe is full from the beginning."""
        with self._reading:
            if self._pipe is not None:
                fill(self._pipe)
            yield

    def _copy(self, reading: int) -> None:
        with self.file.open("ab", buffering=0) as log:
            while True:
                if not select.select([reading], [], [], LOOK_SECONDS)[0]:
                    continue
                with self._reading:
                    data = os.read(reading, 1 << 16)
                    if not data:
                        break
                    log.write(data)
        with self._reading:
            os.close(reading)
            if self._pipe == reading:
                self._pipe = None


def fill(reading: int) -> None:
    """Fills a pipe of which only the end to read is at hand."""
    writing = os.open(f"/proc/self/fd/{reading}", os.O_WRONLY | os.O_NONBLOCK)
    try:
        with suppress(BlockingIOError):
            while True:
                os.write(writing, b"\n" * 512)
        with suppress(BlockingIOError):
            while True:
                os.write(writing, b"\n")
    finally:
        os.close(writing)

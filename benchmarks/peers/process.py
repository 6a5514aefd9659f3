"""One running driver: a script that speaks lines of JSON and is stopped when its time is over."""

import json
import os
import queue
import signal
import subprocess
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from benchmarks.peers.errors import PeerFailed

MEGABYTE = 1024 * 1024


class Process:
    """A driver process, killed with all its children on the way out of the context."""

    def __init__(self, name: str, command: list[str], environment: dict[str, str], folder: Path) -> None:
        self.name = name
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - as long as the process
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._process = subprocess.Popen(
            command,
            cwd=folder,
            env=os.environ | environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put(None)

    def tell(self, word: str) -> None:
        """Writes one line to the driver; one that has gone away is noticed by the next `next()`."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(word + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            return

    def next(self, deadline: float) -> dict[str, Any]:
        """The driver's next object. `deadline`: monotonic seconds. Raises PeerFailed when it is late, or gone."""
        while True:
            try:
                line = self._lines.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise PeerFailed(f"{self.name} did not finish in time and was stopped.") from None
            if line is None:
                self._process.wait()
                raise PeerFailed(f"{self.name} ended with status {self._process.returncode}: {self._last_words()}")
            # A system may print a greeting of its own; ours are objects.
            if line.startswith("{"):
                answer: dict[str, Any] = json.loads(line)
                return answer

    def poll(self) -> dict[str, Any] | None:
        """The next object if one has come, or nothing. Raises PeerFailed when the driver has gone."""
        return None if self._lines.empty() else self.next(time.monotonic() + 1)

    def _last_words(self) -> str:
        self._errors.seek(max(0, self._errors.seek(0, os.SEEK_END) - MEGABYTE))
        said = [line.strip() for line in self._errors.read().decode(errors="replace").splitlines() if line.strip()]
        # Node closes with its version; the line that says what happened comes before.
        telling = [line for line in said if "error" in line.lower()] or said
        return telling[-1] if telling else "it said nothing."

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # The group outlives its leader if that one left children behind; mostly all have ended by themselves.
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._reader.join()
        for stream in (self._process.stdin, self._process.stdout, self._errors):
            assert stream is not None
            with suppress(BrokenPipeError):  # words for a driver that had gone
                stream.close()

"""A worker beside a web application: `jobq run` as a child process of the web process, with the same lifetime.

For small deployments and for development. It is an ordinary worker: the web process only has a thread that starts it,
and starts it again when it has failed.
"""

import asyncio
import atexit
import fcntl
import hashlib
import logging
import os
import subprocess
import tempfile
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self
from weakref import WeakSet

from jobq import interpreter, stand_ins
from jobq.errors import ConfigurationError
from jobq.grace import shutdown_grace
from jobq.options import checked_queue
from jobq.settings import Settings, load

log = logging.getLogger("jobq.web")

FIRST_BACKOFF_SECONDS, MAX_BACKOFF_SECONDS = 1.0, 60.0

LOOK_SECONDS = 1.0
"""Seconds between two checks of a web process whether the one with the worker is gone."""

KILL_SECONDS = 5.0
"""Seconds for the worker to end, in addition to the grace times of its jobs."""


def worker(*queues: str, every_process: bool = False, reload: bool = False, **settings: Any) -> "Worker":
    """A worker that lives as long as this process: `async with jobq.worker():`, `with jobq.worker():` or `.start()`.

    It works `queues`, or all queues if you name none. Pass settings by their names, as in `max_processes=2`. If several
    web processes on a machine make the same call for the same application, one of them has the worker, and another
    takes over when that one ends. With `every_process`, each has its own. With `reload`, the worker follows changes of
    the code.

    It returns at once, even if the database is away: the worker is started again until it runs. Raises
    ConfigurationError if a setting is wrong.
    """
    names = [checked_queue(queue) for queue in queues]
    return Worker(names, load(**settings), settings, is_alone=not every_process, reload=reload)


@asynccontextmanager
async def lifespan(_app: Any = None) -> AsyncIterator[None]:
    """For `FastAPI(lifespan=jobq.lifespan)` and Starlette: a worker for all queues runs while the application runs."""
    async with worker():
        yield


class Worker:
    """One `jobq run`, kept running by a thread from `start` to `stop`."""

    def __init__(
        self, queues: list[str], settings: Settings, given: dict[str, Any], *, is_alone: bool, reload: bool
    ) -> None:
        self._settings = settings
        chosen = {name: value for name, value in given.items() if value is not None}
        variables = {f"JOBQ_{name.upper()}": as_text(value) for name, value in chosen.items()}
        self._environment = {**stand_ins.environment, **variables}
        self._options = [*(word for queue in queues for word in ("--queue", queue)), *(["--reload"] if reload else [])]
        self._lock = Lock(lock_file(settings, self._options, self._environment)) if is_alone else None
        self._mutex = threading.Lock()
        self._forget()

    def _forget(self) -> None:
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._pipe: tuple[int, int] | None = None

    @property
    def pid(self) -> int | None:
        """The process id of the worker, if this process has it and it runs."""
        process = self._process
        return None if process is None or process.poll() is not None else process.pid

    def start(self) -> Self:
        """Starts it, until `stop` is called or this process ends."""
        if self._thread is None:
            if self._lock is not None:
                self._lock.open()
            self._stopping.clear()
            self._pipe = os.pipe()
            self._thread = threading.Thread(target=self._keep, name="jobq-worker", daemon=True)
            self._thread.start()
            STARTED.add(self)
            atexit.register(self.stop)
        return self

    def stop(self) -> None:
        """Stops it like SIGTERM: running jobs may end within `shutdown_grace`. Waits until it has ended."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        atexit.unregister(self.stop)
        STARTED.discard(self)
        self._stopping.set()
        with self._mutex:
            process = self._process
        if process is not None:
            end(process, shutdown_grace(self._settings) + self._settings.cancel_grace + KILL_SECONDS)
        thread.join()
        self._close()

    def _close(self) -> None:
        if self._pipe is not None:
            for descriptor in self._pipe:
                os.close(descriptor)
        if self._lock is not None:
            self._lock.close()
        self._forget()

    def leave_to_parent(self) -> None:
        """In a fork of this process: the worker is not the fork's own, and must not outlive its parent because of
        it."""
        self._mutex = threading.Lock()  # a missing thread may have held it
        atexit.unregister(self.stop)
        self._close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        return self.start()

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self.stop)

    # In the thread

    def _keep(self) -> None:
        while self._lock is not None and not self._lock.take():
            if self._stopping.wait(LOOK_SECONDS):
                return
        backoff = FIRST_BACKOFF_SECONDS
        while not self._stopping.is_set():
            began = time.monotonic()
            code = self._run()
            if self._stopping.is_set():
                return
            if code == 0:
                log.info("the worker was stopped from outside: it is not started again")
                return
            if time.monotonic() - began > MAX_BACKOFF_SECONDS:
                backoff = FIRST_BACKOFF_SECONDS
            log.error("the worker ended with exit code %s: it is started again in %g s", code, backoff)
            self._stopping.wait(backoff)
            backoff = min(2 * backoff, MAX_BACKOFF_SECONDS)

    def _run(self) -> int:
        with self._mutex:
            if self._stopping.is_set() or self._pipe is None:
                return 0
            self._process = subprocess.Popen(
                interpreter.run_module("jobq.cli.beside", str(self._pipe[0]), *self._options),
                # It is not the service that systemd watches: the web server is.
                env={**os.environ, **self._environment, **interpreter.environment(), "NOTIFY_SOCKET": ""},
                stdin=subprocess.DEVNULL,
                pass_fds=[self._pipe[0]],
                start_new_session=True,  # Ctrl-C is for the web server, which stops the worker when it ends
            )
        return self._process.wait()


STARTED: "WeakSet[Worker]" = WeakSet()


def leave_all_to_parent() -> None:
    for started in list(STARTED):
        started.leave_to_parent()
    STARTED.clear()


os.register_at_fork(after_in_child=leave_all_to_parent)


def end(process: "subprocess.Popen[bytes]", seconds: float) -> None:
    process.terminate()
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        log.error("the worker did not end within %g s: it is killed, and its jobs are rescued", seconds)
        process.kill()


def as_text(value: Any) -> str:
    """A setting in the form of its environment variable."""
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


class Lock:
    """The lock of the one web process on a machine that has the worker. The kernel releases it when that process
    ends."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def open(self) -> None:
        """Raises ConfigurationError if the file cannot be opened."""
        try:
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise ConfigurationError(
                f"The lock that keeps a second web process from starting a worker cannot be opened: {error}. Set "
                "TMPDIR to a folder that can be written to, or use jobq.worker(every_process=True)."
            ) from None

    def take(self) -> bool:
        if self._descriptor is None:
            return False
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def lock_file(settings: Settings, *parts: Any) -> Path:
    """Equal for web processes of one user whose workers would be equal."""
    what = [settings.root, settings.database_url, settings.schema, *parts]
    name = hashlib.sha256(repr(what).encode()).hexdigest()[:24]
    return Path(tempfile.gettempdir()) / f"jobq-worker-{os.getuid()}-{name}.lock"

"""Tells the supervisor of a development worker that code or settings have changed."""

import logging
import threading
from collections.abc import Callable
from pathlib import Path

from jobq.errors import ConfigurationError

log = logging.getLogger("jobq.worker")

NOT_WATCHED = (".jobq", "build", "dist", "venv")


class Reloader:
    """Watches the application's folder in a thread of its own. `on_changed` gets the names of the changed files."""

    def __init__(self, root: Path, on_changed: Callable[[list[str]], None]) -> None:
        try:
            import watchfiles
        except ImportError:
            raise ConfigurationError("--reload needs watchfiles. Run: pip install 'jobq[reload]'") from None

        class Sources(watchfiles.DefaultFilter):
            ignore_dirs = (*watchfiles.DefaultFilter.ignore_dirs, *NOT_WATCHED)

            def __call__(self, change: watchfiles.Change, path: str) -> bool:
                return path.endswith((".py", "pyproject.toml")) and super().__call__(change, path)

        self._root = root
        self._on_changed = on_changed
        self._stopping = threading.Event()
        self._changes = watchfiles.watch(
            root, watch_filter=Sources(), stop_event=self._stopping, debounce=200, rust_timeout=1000
        )
        self._thread = threading.Thread(target=self._watch, name="jobq-reload", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()

    def _watch(self) -> None:
        try:
            for changes in self._changes:
                self._on_changed(sorted({str(Path(path).relative_to(self._root)) for _, path in changes}))
        except Exception:
            log.exception("changes of the code are not seen any more")

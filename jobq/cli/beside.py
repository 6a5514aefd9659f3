"""`python -m jobq.cli.beside FD …` is `jobq run …` for `jobq.worker()`: it stops when the web process is gone.

FD is the end of a pipe. Only the web process holds the other end.
"""

import os
import signal
import sys
import threading

from jobq.cli import main


def watch(descriptor: int) -> None:
    """Waits for the end of the pipe, which comes when the web process has died for any reason."""
    os.set_inheritable(descriptor, False)
    os.read(descriptor, 1)
    os.kill(os.getpid(), signal.SIGTERM)


def run(descriptor: int, options: list[str]) -> None:
    """Exits with 0 or 1: a web server that sees the exit codes of all children may give others a meaning."""
    threading.Thread(target=watch, args=[descriptor], name="jobq-watch-web", daemon=True).start()
    try:
        main(["run", *options])
    except SystemExit as end:
        sys.exit(1 if end.code else 0)


if __name__ == "__main__":
    run(int(sys.argv[1]), sys.argv[2:])

"""Runs a command as long as standard input stays open: it ends with the process that started it, even if that is
killed."""

import os
import signal
import subprocess
import sys
import threading
from types import FrameType


def main(command: list[str]) -> int:
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)

    def stop(_signal: int, _frame: FrameType | None) -> None:
        process.terminate()

    signal.signal(signal.SIGTERM, stop)
    threading.Thread(target=hold, args=[process], daemon=True).start()
    return process.wait()


def hold(process: "subprocess.Popen[bytes]") -> None:
    """Waits until the other end of standard input is closed. Nothing is ever written to it."""
    while os.read(0, 1024):
        pass
    process.terminate()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

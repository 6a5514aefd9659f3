"""What a supervisor makes of signals before anything runs."""

import signal
from types import SimpleNamespace

from jobq.runtime.supervisor import Supervisor


def test_deaths_of_children_are_told_also_where_whoever_started_the_worker_ignored_them() -> None:
    """Ignored signals stay ignored across exec, and the kernel then keeps no exit codes for wait()."""
    numbers = (signal.SIGCHLD, signal.SIGINT, signal.SIGTERM)
    before = {number: signal.getsignal(number) for number in numbers}
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        Supervisor._catch_signals(SimpleNamespace(_note_signal=signal.default_int_handler))  # type: ignore[arg-type]
        assert signal.getsignal(signal.SIGCHLD) is signal.SIG_DFL
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

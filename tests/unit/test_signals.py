"""What a supervisor makes of signals before anything runs."""

import select
import signal

from jobq.runtime.events import Events, Signalled


def test_deaths_of_children_are_told_also_where_whoever_started_the_worker_ignored_them() -> None:
    """Ignored signals stay ignored across exec, and the kernel then keeps no exit codes for wait()."""
    events = Events()
    numbers = (signal.SIGCHLD, signal.SIGINT, signal.SIGTERM)
    before = {number: signal.getsignal(number) for number in numbers}
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        events.catch_signals()
        assert signal.getsignal(signal.SIGCHLD) is signal.SIG_DFL
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        events.close()


def test_a_signal_becomes_an_event_that_wakes_the_main_loop() -> None:
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    events = Events()
    try:
        events.catch_signals()
        signal.raise_signal(signal.SIGTERM)
        assert select.select([events], [], [], 0)[0] == [events]
        assert list(events.take()) == [Signalled(signal.SIGTERM)]
    finally:
        signal.signal(signal.SIGTERM, before[0])
        signal.signal(signal.SIGINT, before[1])
        events.close()

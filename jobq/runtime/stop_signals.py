"""The signals by which a person, a terminal or a platform ends a worker. Each of them is a stop."""

import signal

NAMES = ("SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT", "SIGPWR", "SIGXCPU", "SIGALRM", "SIGUSR1", "SIGUSR2")
"""SIGHUP: the terminal or the session was closed. SIGPWR: containers of LXC. SIGXCPU, SIGALRM: a limit of time is
reached. SIGUSR1, SIGUSR2: batch systems (Slurm, LSF, Grid Engine) send them some time before they kill."""

STOPS: tuple[int, ...] = tuple(
    [getattr(signal, name) for name in NAMES if hasattr(signal, name)]
    # What systemd stops by, as the first process of a container.
    + ([signal.SIGRTMIN + 3] if hasattr(signal, "SIGRTMIN") else [])
)

OF_GROUPS = tuple(
    getattr(signal, name) for name in ("SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT", "SIGPWR") if hasattr(signal, name)
)
"""Those that come to every process of a terminal, a service or a container, and are for the worker alone."""

ENDED_BY_STOP = frozenset({signal.SIGKILL, *OF_GROUPS})
"""A child that dies of one of these while its worker stops was ended by the stop, and not by its job."""


def name_of(number: int) -> str:
    """`SIGTERM`, say; of a real-time signal its number."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"

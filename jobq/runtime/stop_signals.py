"""The signals by which a person, a terminal or a platform stops a worker."""

import signal

NAMES = ("SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT", "SIGPWR", "SIGXCPU", "SIGALRM", "SIGUSR1", "SIGUSR2")
"""SIGHUP: the terminal or the session was closed. SIGPWR: containers of LXC. SIGXCPU, SIGALRM: a limit of time is
reached. SIGUSR1, SIGUSR2: batch systems (Slurm, LSF, Grid Engine) send them some time before they kill."""

STOPS: tuple[int, ...] = tuple(
    [getattr(signal, name) for name in NAMES if hasattr(signal, name)]
    # systemd, as the first process of a container, stops on this one.
    + ([signal.SIGRTMIN + 3] if hasattr(signal, "SIGRTMIN") else [])
)

OF_GROUPS = tuple(
    getattr(signal, name) for name in ("SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT", "SIGPWR") if hasattr(signal, name)
)
"""Signals that reach every process of a terminal, a service or a container, and are meant for the worker alone."""

ENDED_BY_STOP = frozenset({signal.SIGKILL, *OF_GROUPS})
"""If a child dies of one of these while its worker stops, the stop ended it, and not its job."""


def name_of(number: int) -> str:
    """`SIGTERM`, for example; the number of a real-time signal."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"

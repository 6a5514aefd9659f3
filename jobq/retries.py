"""Delays before a retry, for `Job.get_retry_delay`; pure."""


def exponential(attempt: int, *, first: float = 1.0, factor: float = 2.0, most: float = 3600.0) -> float:
    """Seconds before the retry that follows `attempt` (1, 2, …): `first`, then `factor` times as long each time.

    Never longer than `most`. The usual answer to a service that is down: ask soon, then ever more rarely.
    """
    try:
        return float(min(most, first * float(factor) ** (max(attempt, 1) - 1)))
    except OverflowError:  # beyond any `most`
        return float(most)

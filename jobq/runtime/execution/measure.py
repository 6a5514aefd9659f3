"""What an attempt used: CPU time, and the peak of memory."""

import sys
from resource import RUSAGE_SELF, getrusage

MEASURE_SECONDS = 0.001
"""The kernel is asked what a process used at most so often: asking costs as much as the shortest jobs do. A job that is
shorter has its run time for CPU time, and for memory what the process held before. Of longer ones both are right to
about what a process does in this time."""

IDLE_SECONDS = 0.1
"""After a pause, what the process did in it (the threads that jobs leave behind) is not the next job's."""


class Usage:
    """What the attempts of this process use."""

    def __init__(self) -> None:
        self._at = 0.0  # when the kernel was asked last …
        self._cpu = 0.0  # … and what it said
        self._least = 0  # what the process held then without the job; a peak above it is the job's own

    def begin(self, now: float) -> None:
        if now - self._at > IDLE_SECONDS:
            self._measure(now)

    def end(self, started: float, now: float) -> tuple[int, int]:
        """CPU time in microseconds, and the peak of memory in kilobytes, of the attempt that ends now."""
        seconds = now - started
        if now - self._at <= MEASURE_SECONDS:
            return int(seconds * 1e6), self._least
        before = self._cpu
        peak = self._measure(now)
        if seconds > MEASURE_SECONDS:
            seconds = self._cpu - before
        return int(seconds * 1e6), peak

    def _measure(self, now: float) -> int:
        """Returns the peak of memory."""
        used = getrusage(RUSAGE_SELF)
        self._at = now
        self._cpu = used.ru_utime + used.ru_stime
        peak = used.ru_maxrss // KILOBYTE
        if peak > self._least:
            self._least = peak
            self._begin_anew()
        return peak

    def _begin_anew(self) -> None:
        """After a new peak, and not after every job: the kernel forgets it, so that the next job's is its own."""
        try:
            with open("/proc/self/clear_refs", "wb", buffering=0) as file:
                file.write(b"5")
        except OSError:
            return  # not on this platform, or not allowed: then it is the peak of the process so far
        self._least = getrusage(RUSAGE_SELF).ru_maxrss // KILOBYTE


KILOBYTE = 1024 if sys.platform == "darwin" else 1
"""In the unit in which the kernel tells the peak of memory."""

usage = Usage()

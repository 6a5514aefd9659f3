"""CPU time and peak memory of an attempt."""

import sys
from resource import RUSAGE_SELF, getrusage

MEASURE_SECONDS = 0.001
"""Minimum seconds between two measurements: asking the kernel costs as much as the shortest jobs do. For a shorter job
the CPU time is its run time, and the memory is what the process held before. For longer ones both are right within what
a process does in this time."""

IDLE_SECONDS = 0.1
"""After a pause, work of the process in it (by threads that jobs left) does not count for the next job."""


class Usage:
    """The usage of this process's attempts."""

    def __init__(self) -> None:
        self._at = 0.0  # when the kernel was asked last …
        self._cpu = 0.0  # … and its answer
        self._least = 0  # the process's memory then, without the job; a higher peak is the job's own

    def begin(self, now: float) -> None:
        if now - self._at > IDLE_SECONDS:
            self._measure(now)

    def end(self, started: float, now: float) -> tuple[int, int]:
        """CPU time in microseconds and peak memory in kilobytes of the attempt that ends now."""
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
        """Resets the peak after a new one, not after every job, so that the next job's peak is its own."""
        try:
            with open("/proc/self/clear_refs", "wb", buffering=0) as file:
                file.write(b"5")
        except OSError:
            return  # not possible here: then it is the peak of the process so far
        self._least = getrusage(RUSAGE_SELF).ru_maxrss // KILOBYTE


KILOBYTE = 1024 if sys.platform == "darwin" else 1
"""Kilobytes in the kernel's unit for the peak of memory."""

usage = Usage()

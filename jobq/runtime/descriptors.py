"""In a child: the descriptors through which it talks to its supervisor."""

import os
import sys
from itertools import starmap
from typing import NoReturn

EXIT_CUT_OFF = 71


class Descriptors:
    """The descriptors through which this process and its supervisor talk.

    A job may close them. Then its own files get their numbers: a report would go to a wrong file, and the child would
    wait for assignments for ever. So this process ends instead, and its supervisor notices that in any case. They are
    checked after each packet of assignments, since the packet ends with a report or with a message about reports.
    """

    def __init__(self, reports_fd: int, *others: int) -> None:
        self._reports_fd = reports_fd
        self._led_to = {fd: os.fstat(fd) for fd in (reports_fd, *others)}
        for fd in self._led_to:
            os.set_inheritable(fd, False)  # programs may be started with all inheritable descriptors

    def tell(self, data: bytes) -> None:
        """Writes all of it into the pipe of reports."""
        if not all(starmap(leads_to, self._led_to.items())):
            leave_cut_off()
        view = memoryview(data)
        while view:
            view = view[os.write(self._reports_fd, view) :]

    def close(self) -> None:
        """For a fork of this process. A file that a job has put in the place of a descriptor is the job's, and stays
        open."""
        for fd, before in self._led_to.items():
            if leads_to(fd, before):
                os.close(fd)


def leads_to(fd: int, before: os.stat_result) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), before)
    except OSError:
        return False


def leave_cut_off() -> NoReturn:
    """Exits without waiting for threads that a job may have left."""
    try:
        sys.stderr.write("a job has closed the descriptors by which its process hears of jobs and reports on them\n")
    finally:
        os._exit(EXIT_CUT_OFF)

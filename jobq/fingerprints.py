"""The fingerprint that makes two failures alike, so that ten thousand of them are three groups.

The fingerprint is computed where a failure is reported, in the child, and stored with it. There it costs only the
attempts that fail, the exception's frames are objects and not text, and an index finds a group. If it were computed
when somebody looks, it would have to read the traceback of every failure of the period.
"""

import re
import sys
from collections.abc import Iterable
from hashlib import md5
from types import TracebackType

from jobq.frames import is_applications

LENGTH = 12
"""Number of hexadecimal digits: enough to distinguish millions, and few enough to type."""

MAX_MESSAGE = 300
"""Number of characters of a message that count: a long one contains the data that differ."""

VARYING = re.compile(
    r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"  # UUIDs
    r"|0x[0-9a-fA-F]+"
    r"|\b(?=[0-9a-fA-F]*[0-9])[0-9a-fA-F]{8,}\b"  # hashes, and ids of other databases
    r"|\d+"
)


def fingerprint(
    job_class: str, error_type: str, frame: str | None = None, message: str = "", *, qualname: str = ""
) -> str:
    """The name of the group of a failure. `frame` counts without its line number, which every deploy changes.

    With the `qualname` of the current class, a frame in its own methods counts without its file and class, too: these
    change when the class is renamed or moved, and its stored name does not.
    """
    place = "" if frame is None else re.sub(r":\d+ ", " ", frame)
    function = place.rpartition(" ")[2]
    if qualname and f"{function}.".startswith(f"{qualname}."):
        place = function.removeprefix(qualname)
    parts = (job_class, error_type, place, without_varying(message))
    return md5("\n".join(parts).encode("utf-8", "replace"), usedforsecurity=False).hexdigest()[:LENGTH]


def without_varying(message: str) -> str:
    """A message without the parts that differ from one failure to the next: numbers and ids."""
    return VARYING.sub("#", message[:MAX_MESSAGE])


def own_frame(error: BaseException) -> str | None:
    """The last place in the job's own code that an exception passed, `mail/smtp.py:41 send`. None if there is none."""
    own = None
    for filename, line, function in frames(error.__traceback__):
        if is_applications(filename):
            own = f"{shortened(filename)}:{line} {function}"
    return own


def frames(traceback: TracebackType | None) -> Iterable[tuple[str, int, str]]:
    while traceback is not None:
        code = traceback.tb_frame.f_code
        yield code.co_filename, traceback.tb_lineno or 0, code.co_qualname
        traceback = traceback.tb_next


def shortened(filename: str) -> str:
    """A file relative to the import path: the same on every machine."""
    for folder in sys.path:
        if folder and filename.startswith(f"{folder}/"):
            return filename[len(folder) + 1 :]
    return filename

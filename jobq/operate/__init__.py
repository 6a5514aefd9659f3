"""What operators may do. Each act says truly what it did, and leaves a record of who did it."""

from jobq.operate.acting import Act, Part, acting
from jobq.operate.editing import run_again
from jobq.operate.jobs import Acted, Progress, cancel, purge, retry
from jobq.operate.undo import UNDO_SECONDS, undo

__all__ = [
    "UNDO_SECONDS",
    "Act",
    "Acted",
    "Part",
    "Progress",
    "acting",
    "cancel",
    "purge",
    "retry",
    "run_again",
    "undo",
]

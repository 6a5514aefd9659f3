"""The screens and the dialogs. Each is imported on first use, so that the console opens sooner."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .activity import Activity
    from .confirm import Confirm
    from .enqueue import Enqueue
    from .failures import Failures
    from .help import Help
    from .job import JobPage
    from .jobs import Jobs
    from .lanes import Lanes
    from .outcome import Outcome
    from .overview import Overview
    from .palette import Palette
    from .queues import Queues
    from .schedules import Schedules
    from .waiting import Waiting
    from .workers import Workers
    from .write import Write

__all__ = [
    "Activity",
    "Confirm",
    "Enqueue",
    "Failures",
    "Help",
    "JobPage",
    "Jobs",
    "Lanes",
    "Outcome",
    "Overview",
    "Palette",
    "Queues",
    "Schedules",
    "Waiting",
    "Workers",
    "Write",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = "job" if name == "JobPage" else name.lower()
    value = globals()[name] = getattr(import_module(f"{__name__}.{home}"), name)
    return value

"""The screens that have a number: the name of each, and the question that it answers."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tab:
    screen: str  # the name of its class in `screens`
    words: str
    short: str
    question: str


TABS = {
    "overview": Tab("Overview", "Overview", "Over", "Is it healthy, and if not, where?"),
    "jobs": Tab("Jobs", "Jobs", "Jobs", "Where is my job?"),
    "failures": Tab("Failures", "Failures", "Fail", "What broke, since when?"),
    "queues": Tab("Queues", "Queues", "Queues", "Are they keeping up?"),
    "workers": Tab("Workers", "Workers", "Workers", "Are they alive, and what do they do?"),
    "schedules": Tab("Schedules", "Schedules", "Sched", "Did it run, and when will it next?"),
    "activity": Tab("Activity", "Activity", "Log", "Who did what?"),
}
"""In the order of their numbers."""

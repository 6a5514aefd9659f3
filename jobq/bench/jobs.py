"""The measured jobs: they do nothing."""

from time import monotonic

from jobq import Job, register_job


@register_job
class Nothing(Job):
    """Costs only what every job costs."""

    def run(self) -> None:
        pass


@register_job
class Clock(Job):
    """Returns when it began, by the clock that all processes of a machine share."""

    def run(self) -> float:
        return monotonic()

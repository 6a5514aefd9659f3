"""Which jobs an act is on. Pure."""

from dataclasses import dataclass

from jobq.records import JobRecord

from .source import Query


@dataclass(frozen=True, slots=True)
class Scope:
    """What an act is on: some jobs by their ids, or all that a query selects."""

    ids: tuple[int, ...] = ()
    query: Query | None = None
    jobs: tuple[JobRecord, ...] = ()  # of the ids: those that are loaded; of a query: those on the screen
    about: str | None = None  # what a query's jobs are, in words

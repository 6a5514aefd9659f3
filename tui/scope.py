"""The jobs that an act is on. Pure."""

from dataclasses import dataclass

from jobq.records import JobRecord

from .source import Query


@dataclass(frozen=True, slots=True)
class Scope:
    """The target of an act: some jobs by their ids, or all that a query selects."""

    ids: tuple[int, ...] = ()
    query: Query | None = None
    jobs: tuple[JobRecord, ...] = ()  # with ids: the loaded ones; with a query: those on the screen
    about: str | None = None  # the query's jobs, in words

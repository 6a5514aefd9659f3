"""`jobq check --pending`: whether this code can load the queued jobs, for use before it is deployed."""

import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

import click

from jobq.clean import line
from jobq.cli.options import app_option, database_options, json_option, open_database
from jobq.cli.render import say, show_json, table
from jobq.errors import ArgumentsError, UnknownJobClass
from jobq.settings import Settings

if TYPE_CHECKING:
    from jobq.observe import Stored, Unfinished

MAX_IDS = 5
"""Number of jobs that are named for one kind of error."""

MAX_TROUBLES = 100
"""Maximum number of kinds of errors. Others are counted together, by class: each message is kept until the end."""

SHORT = 200
"""Arguments up to this size are remembered: many jobs have the same."""


@dataclass(slots=True)
class Trouble:
    """An error that keeps jobs of a class from loading."""

    job_class: str
    trouble: str
    jobs: int = 0
    first_ids: list[int] = field(default_factory=list)

    def add(self, job_id: int) -> None:
        self.jobs += 1
        if len(self.first_ids) < MAX_IDS:
            self.first_ids.append(job_id)


class Judgement:
    """The results for all jobs so far."""

    def __init__(self) -> None:
        self.jobs = 0
        self._troubles: dict[tuple[str, str], Trouble] = {}

    @property
    def troubles(self) -> list[Trouble]:
        return sorted(self._troubles.values(), key=lambda trouble: (trouble.job_class, trouble.first_ids))

    @property
    def would_not_load(self) -> int:
        return sum(trouble.jobs for trouble in self._troubles.values())

    def add(self, job: "Stored") -> None:
        self.jobs += 1
        if (why := trouble_of(job)) is not None:
            self._trouble(job.job_class, why).add(job.id)

    def _trouble(self, job_class: str, why: str) -> Trouble:
        """Messages that differ only in numbers and ids are one kind of error."""
        from jobq.fingerprints import without_varying

        key = (job_class, without_varying(why))
        if key not in self._troubles and len(self._troubles) >= MAX_TROUBLES:
            key, why = (job_class, ""), "other reasons"
        return self._troubles.setdefault(key, Trouble(job_class, line(why, 2000)))


@click.command("check")
@click.option("--pending", is_flag=True, help="Bind the arguments of every unfinished job to your code.")
@app_option
@database_options
@json_option
@click.pass_context
def check_command(
    ctx: click.Context, /, pending: bool, app: tuple[str, ...], settings: Settings, as_json: bool
) -> None:
    """Check whether your code can load the jobs that are queued.

    The arguments of every queued job are read and bound to the constructor. No job is made, and no row that an argument
    refers to is loaded. Exits with 1 if a job would not load.
    """
    if not pending:
        raise click.UsageError("Name what to check: jobq check --pending")
    from jobq import observe
    from jobq.cli.loading import load_application

    load_application(settings, app)
    judgement = judged(observe.unfinished(open_database(settings)))
    if as_json:
        show_json(
            {
                "jobs": judgement.jobs,
                "would_not_load": judgement.would_not_load,
                "troubles": [asdict(trouble) for trouble in judgement.troubles],
            }
        )
    elif judgement.troubles:
        show(judgement.troubles)
    if judgement.troubles:
        say(f"{judgement.would_not_load:,} of {judgement.jobs:,} jobs would not load")
        ctx.exit(1)
    say(f"all {judgement.jobs:,} jobs load")


def judged(unfinished: "Unfinished") -> Judgement:
    judgement = Judgement()
    for page in with_progress(unfinished):
        for job in page:
            judgement.add(job)
    return judgement


def with_progress(unfinished: "Unfinished") -> "Iterator[list[Stored]]":
    """The pages, with progress on a terminal."""
    is_hidden = unfinished.count < 10_000 or not sys.stderr.isatty()
    with click.progressbar(length=unfinished.count, label="check", file=sys.stderr, hidden=is_hidden) as bar:
        for page in unfinished.pages():
            yield page
            bar.update(len(page))


def trouble_of(job: "Stored") -> str | None:
    """Why a job would not load. None if it would."""
    if job.arguments is None:
        return "its arguments are too large to be read"
    judge = trouble_known if len(job.arguments) <= SHORT else trouble_with
    return judge(job.job_class, job.arguments)


def trouble_with(job_class: str, stored: str) -> str | None:
    from jobq import arguments
    from jobq.registry import registry

    try:
        arguments.check_stored(registry.get(job_class), stored)
    except (ArgumentsError, UnknownJobClass) as error:
        return str(error)
    except Exception as error:  # noqa: BLE001 - the user's migrate_arguments may raise anything
        return f"{arguments.MIGRATE}() raised {type(error).__name__}: {error}"
    return None


trouble_known = lru_cache(maxsize=4096)(trouble_with)


def show(troubles: list[Trouble]) -> None:
    rows = [
        (
            trouble.job_class,
            trouble.jobs,
            ", ".join(map(str, trouble.first_ids)) + (", …" if trouble.jobs > MAX_IDS else ""),
            trouble.trouble,
        )
        for trouble in troubles
    ]
    table(["CLASS", "JOBS", "FIRST", "TROUBLE"], rows, right=["JOBS"], elastic=["TROUBLE"])

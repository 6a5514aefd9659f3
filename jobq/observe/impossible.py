"""Rows that were written by hand: jobs whose arguments are too large to be read, and jobs that run without a claim."""

from collections.abc import Iterable
from dataclasses import dataclass

from jobq.commands import command, term
from jobq.fingerprints import fingerprint
from jobq.observe.reading import dicts
from jobq.observe.words import many
from jobq.records import MAX_ARGUMENTS_BYTES, TOO_LARGE
from jobq.store.database import Connection


@dataclass(frozen=True, slots=True)
class Impossible:
    """Such jobs, and the command that removes them."""

    text: str
    remedy: str


def impossible(connection: Connection, schema: str, classes: Iterable[str], *, lately: float) -> list[Impossible]:
    """Those that workers have set aside in the last `lately` seconds, and those that wait."""
    groups = [fingerprint(name, TOO_LARGE) for name in classes]
    asked = {"groups": groups, "lately": lately, "longest": MAX_ARGUMENTS_BYTES}
    return [told(**row) for row in dicts(connection, "doctor_impossible", schema, asked)]


def told(job_class: str, group: str | None, jobs: int, example: int) -> Impossible:
    large = f"more than {MAX_ARGUMENTS_BYTES >> 20} MB"
    if group is None:
        text = f"job {example} of {job_class} cannot be run: its arguments are {large}"
        return Impossible(text, command("cancel", example))
    text = f"{many(jobs, 'job')} of {job_class}, such as {example}, ended without running: arguments of {large}"
    return Impossible(text, command("purge", term("group", group)))


def unclaimed(connection: Connection, schema: str) -> list[Impossible]:
    """Jobs that run without a claim. Workers note them by themselves, and rescue them if their worker is gone."""
    return [
        Impossible(
            f"{many(row['jobs'], 'job')} set running by hand, such as {row['example']}: no list shows that they run, "
            "until a worker notes them, within 5 minutes",
            command("run"),
        )
        for row in dicts(connection, "doctor_unclaimed", schema, {})
    ]

"""`[tool.jobq.schedules]` in pyproject.toml: schedules without code."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from jobq import arguments
from jobq.errors import ConfigurationError, JobqError, ScheduleError
from jobq.importing import resolve
from jobq.registration import register_schedule

if TYPE_CHECKING:
    from jobq.base import Job

KEYS_OF_TIME = ("minute", "hour", "day_of_month", "month", "day_of_week")
KEYS = ("job", "command", "cron", *KEYS_OF_TIME, "timezone", "missed", "overlap", "jitter", "arguments")


def load_schedules(pyproject: Path) -> None:
    """Registers the schedules of [tool.jobq.schedules]. Raises ConfigurationError, which names the schedule."""
    if not pyproject.is_file():
        return
    from jobq.projects import read_table
    from jobq.settings import SCHEDULES

    table = read_table(pyproject).get(SCHEDULES, {})
    where = f"[tool.jobq.{SCHEDULES}] in {pyproject}"
    if not isinstance(table, dict):
        raise ConfigurationError(f"{where} must be a table, with a table for each schedule.")
    for name, entry in table.items():
        try:
            register_schedule_of_table(name, entry)
        except JobqError as error:
            raise ConfigurationError(f"{where}: {name}: {error}") from None


def register_schedule_of_table(name: str, entry: Any) -> None:
    from jobq.command import Command
    from jobq.schedules import Schedule

    if not isinstance(entry, dict):
        raise ScheduleError(f"it is {entry!r}, but must be a table, as in {{cron = '0 3 * * *', job = 'jobs.Report'}}.")
    if unknown := sorted(entry.keys() - set(KEYS)):
        raise ScheduleError(f"there is no key {unknown[0]!r}. Keys are: {', '.join(KEYS)}.")
    if ("job" in entry) == ("command" in entry):
        raise ScheduleError("give it either a job, as in job = 'jobs.Report', or a command = '…' line.")
    if ("cron" in entry) == any(key in entry for key in KEYS_OF_TIME):
        raise ScheduleError(f"give it either cron = '0 3 * * *', or some of {', '.join(KEYS_OF_TIME)}.")
    options = {key: entry[key] for key in ("timezone", "missed", "overlap", "jitter") if key in entry}
    if "cron" in entry:
        schedule = Schedule.from_cron(entry["cron"], **options)
    else:
        schedule = Schedule(**{key: entry[key] for key in KEYS_OF_TIME if key in entry}, **options)
    given = entry.get("arguments", {})
    if not isinstance(given, dict):
        raise ScheduleError(f"arguments is {given!r}, but must be a table, as in {{team = 'ops'}}.")
    if "command" in entry:
        if given:
            raise ScheduleError("a command takes no arguments: write them into its line.")
        register_schedule(name, Command(entry["command"]), schedule)
    else:
        register_schedule(name, job_of_table(entry["job"], given), schedule)


def job_of_table(name: Any, given: dict[str, Any]) -> "Job":
    if not isinstance(name, str):
        raise ScheduleError(f"job is {name!r}, but must be the name of a class, as in 'jobs.Report'.")
    job_class = resolve(name)
    arguments.bind(job_class, (), given)
    return job_class(**given)

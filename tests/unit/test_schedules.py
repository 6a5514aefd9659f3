"""`Schedule`: what cron understands and what it refuses, ticks through changes of the clocks, and what is missed."""

import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faults import ticks as walk
from jobq import Command, Job, Schedule, register_schedule
from jobq.application import describe_schedules
from jobq.command import CommandFailed
from jobq.cron import Cron
from jobq.cron_words import in_words
from jobq.errors import ApplicationError, ConfigurationError, RegistrationError, ScheduleError
from jobq.registration import add_class, register_job
from jobq.registry import Registry
from jobq.schedule_table import load_schedules
from jobq.settings import Settings
from jobq.ticks import MOST_MISSED, settle, ticks_of

BERLIN = "Europe/Berlin"
EVER = date(2000, 1, 1)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


# Expressions


def random_field(chooser: random.Random, place: int) -> str:
    least, most = walk.RANGES[place]

    def part() -> str:
        low = chooser.randint(least, most)
        high = chooser.randint(low, most)
        step = chooser.choice([2, 3, 5, 7])
        return chooser.choice([str(low), f"{low}-{high}", f"{low}-{high}/{step}", "*", f"*/{step}"])

    if chooser.random() < 0.35:
        return "*"
    return ",".join(part() for _ in range(chooser.choice([1, 1, 1, 2, 3])))


def random_expressions(count: int) -> list[str]:
    chooser = random.Random(7)
    return [" ".join(random_field(chooser, place) for place in range(5)) for _ in range(count)]


def test_expressions_mean_what_cron_means_by_them() -> None:
    """Against rules written down apart, over expressions of every shape: lists, ranges, steps, both days restricted."""
    compared = 0
    for text in random_expressions(400):
        try:
            cron = Cron.checked(text)
        except ScheduleError:
            assert not any(walk.Rule(text).is_day(EVER + timedelta(days=day)) for day in range(366 * 28)), text
            continue
        wall = at("2027-02-25T12:30").replace(tzinfo=None)
        expected = walk.Rule(text).walls(wall, 15)
        found = []
        for _ in expected:
            wall = cron.after(wall)
            found.append(wall)
        assert found == expected, text
        compared += 1
    assert compared > 350


@pytest.mark.parametrize(
    ("expression", "same"),
    [
        ("0 9 * JAN,dec mon-Fri", "0 9 * 1,12 1-5"),
        ("0 9 * * 7", "0 9 * * 0"),
        ("0 9 * * FRI-SUN", "0 9 * * 0,5,6"),
        ("0 9 * * 5-7", "0 9 * * 5,6,0"),
        ("@yearly", "0 0 1 1 *"),
        ("@annually", "0 0 1 1 *"),
        ("@monthly", "0 0 1 * *"),
        ("@weekly", "0 0 * * 0"),
        ("@daily", "0 0 * * *"),
        ("@Midnight", "0 0 * * *"),
        ("@hourly", "0 * * * *"),
        ("0 0 13 * 0-7", "0 0 * * *"),  # either day will do, and one of them is every day
        ("0 0 1-31 * MON", "0 0 * * *"),
        ("0 0 31 2 MON", "0 0 * 2 MON"),
    ],
)
def test_one_expression_means_the_same_as_another(expression: str, same: str) -> None:
    moment = at("2026-02-27T10:01")
    assert ticks_of(expression, "UTC").upcoming(moment, most=20) == ticks_of(same, "UTC").upcoming(moment, most=20)


def test_either_day_will_do_where_both_are_restricted() -> None:
    def days(expression: str) -> list[str]:
        ticks = ticks_of(expression, "UTC").upcoming(at("2026-02-10T00:00"), most=3)
        return [f"{tick:%m-%d}" for tick in ticks]

    assert days("0 0 13 * FRI") == ["02-13", "02-20", "02-27"]
    assert days("0 0 */2 * FRI") == ["02-13", "02-27", "03-13"]  # a star is no restriction, also with a step


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("60 * * * *", ["minute is '60'", "0 to 59"]),
        ("0 24 * * *", ["hour is '24'", "0 to 23"]),
        ("0 0 0 * *", ["day_of_month is '0'", "1 to 31"]),
        ("0 0 1 13 *", ["month is '13'", "JAN to DEC"]),
        ("0 0 * * 8", ["day_of_week is '8'", "0 and 7 are Sunday"]),
        ("0 0 * * FOO", ["day_of_week is 'FOO'", "SUN to SAT"]),
        ("0 0 * MON *", ["month is 'MON'"]),
        ("5/15 * * * *", ["minute is '5/15'", "5-59/15"]),
        ("*/0 * * * *", ["minute is '*/0'", "1 to 59"]),
        ("*/-1 * * * *", ["minute is '*/-1'"]),
        ("0 22-2 * * *", ["hour is '22-2'", "22-23,0-2"]),
        ("0 0 L * *", ["day_of_month is 'L'"]),
        ("0 0 * * 5#3", ["day_of_week is '5#3'"]),
        ("H * * * *", ["minute is 'H'"]),
        ("1,,2 * * * *", ["minute is ''"]),
        ("² * * * *", ["minute is '²'"]),
        ("* * *", ["3 fields", "five"]),
        ("0 * * * * *", ["6 fields", "five"]),
        ("", ["0 fields"]),
        ("@reboot", ["@reboot", "@daily"]),
        ("@every 5m", ["@every", "@hourly"]),
        ("0 0 31 2 *", ["never comes", "'31'", "'2'"]),
        ("0 0 30,31 FEB *", ["never comes"]),
        ("0 0 31 4,6,9,11 *", ["never comes"]),
        (5, ["5", "text"]),
    ],
)
def test_what_cron_would_not_understand_is_refused_with_what_is_allowed(expression: Any, words: list[str]) -> None:
    with pytest.raises(ScheduleError) as refused:
        Schedule.from_cron(expression)
    for word in words:
        assert word in str(refused.value)


def test_a_leap_day_comes_even_where_the_century_has_none() -> None:
    assert ticks_of("0 0 29 2 *", "UTC").after(at("2096-03-01T00:00")) == at("2104-02-29T00:00")


@given(st.text(alphabet="*/,-0123456789 @JANMONL#?²\n", max_size=30))
def test_no_text_makes_it_fail_otherwise(text: str) -> None:
    try:
        Schedule.from_cron(text)
    except ScheduleError:
        return


def test_keywords_make_the_same_as_a_line_of_a_crontab() -> None:
    assert Schedule(minute=0, hour=[9, "17-19"], day_of_week="MON-FRI", month=("JAN", 3)).expression == (
        "0 9,17-19 * JAN,3 MON-FRI"
    )


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"hour": 24}, ["hour is '24'"]),
        ({"hour": True}, ["hour is True"]),
        ({"hour": 1.5}, ["hour is 1.5"]),
        ({"hour": []}, ["hour is []"]),
        ({"hour": "1 2"}, ["hour is '1 2'"]),
        ({"timezone": "Europe/Berln"}, ["Europe/Berln", "Did you mean Europe/Berlin"]),
        ({"timezone": "../../etc/passwd"}, ["etc/passwd"]),
        ({"timezone": 1}, ["timezone is 1"]),
        ({"missed": "never"}, ["missed is 'never'", "once, skip, all"]),
        ({"overlap": "no"}, ["overlap is 'no'", "allow, skip"]),
        ({"jitter": -1}, ["jitter is -1"]),
        ({"jitter": float("nan")}, ["jitter is nan"]),
        ({"name": "a\nb"}, ["name"]),
        ({"arguments": ["ops"]}, ["arguments", "by name"]),
    ],
)
def test_an_option_that_cannot_be_is_refused(options: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(ScheduleError) as refused:
        Schedule(**options)
    for word in words:
        assert word in str(refused.value)


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("* * * * *", "every minute"),
        ("*/15 * * * *", "every 15 minutes"),
        ("0 * * * *", "every hour"),
        ("5 * * * *", "at minute 5 of every hour"),
        ("0 */2 * * *", "every 2 hours"),
        ("0 */5 * * *", "at 00:00, 05:00, 10:00, 15:00 and 20:00"),
        ("30 2 * * *", "every day at 02:30"),
        ("0 9,17 * * MON-FRI", "at 09:00 and 17:00 on Monday to Friday"),
        ("*/15 9-17 * * 1-5", "every 15 minutes from 09:00 to 17:45 on Monday to Friday"),
        ("0 0 13 * FRI", "at 00:00 on day 13 of the month or on Friday"),
        ("0 0 */2 * MON", "at 00:00 on every 2nd day of the month from the 1st if it is Monday"),
        ("@yearly", "at 00:00 on day 1 of January"),
        ("0 9 * DEC *", "every day at 09:00 in December"),
        ("*/7 * * * *", "at minute 0, 7, 14, 21, 28, 35, 42, 49 and 56 of every hour"),
    ],
)
def test_an_expression_can_be_said_in_words(expression: str, words: str) -> None:
    assert in_words(expression) == words


def test_every_expression_can_be_said_in_words() -> None:
    for text in random_expressions(300):
        try:
            Cron.checked(text)
        except ScheduleError:
            continue
        assert in_words(text)


# Changes of the clocks


@pytest.mark.parametrize("zone", walk.ZONES)
def test_the_ticks_around_changes_of_the_clocks_are_those_of_a_walk_through_every_minute(zone: str) -> None:
    """A short run; the whole one is `python -m tests.faults.ticks`."""
    rules = [walk.Rule(text) for text in walk.EXPRESSIONS]
    for change in changes_of(zone, 2026):
        start, end = change - timedelta(days=2), change + timedelta(days=2)
        expected = walk.expected(rules, ZoneInfo(zone), start, end)
        for rule in rules:
            ours = walk.calculated(rule, zone, start, end)
            assert walk.difference(rule, zone, ours, expected[rule]) is None


def changes_of(zone: str, year: int) -> list[datetime]:
    hours = [datetime(year, 1, 1, tzinfo=UTC) + timedelta(hours=hour) for hour in range(366 * 24)]
    offsets = [hour.astimezone(ZoneInfo(zone)).utcoffset() for hour in hours]
    found = [hours[place] for place in range(1, len(hours)) if offsets[place] != offsets[place - 1]]
    assert len(found) == 2
    return found


def test_a_fixed_time_that_does_not_exist_runs_once_right_after_the_gap() -> None:
    ticks = ticks_of("30 2 * * *", BERLIN).upcoming(at("2026-03-28T00:00"), most=3)
    assert ticks == [at("2026-03-28T01:30"), at("2026-03-29T01:00"), at("2026-03-30T00:30")]
    # Four of its times are left out: they come as one.
    ticks = ticks_of("*/15 2 * * *", BERLIN).upcoming(at("2026-03-29T00:00"), most=2)
    assert ticks == [at("2026-03-29T01:00"), at("2026-03-30T00:00")]


def test_a_fixed_time_that_exists_twice_runs_once() -> None:
    ticks = ticks_of("30 2 * * *", BERLIN).upcoming(at("2026-10-24T12:00"), most=2)
    assert ticks == [at("2026-10-25T00:30"), at("2026-10-26T01:30")]


def test_asked_within_the_hour_that_comes_again_the_next_tick_is_not_the_one_that_was() -> None:
    assert ticks_of("30 2 * * *", BERLIN).after(at("2026-10-25T01:10")) == at("2026-10-26T01:30")


def test_a_schedule_by_interval_goes_on_by_interval() -> None:
    for day in ("2026-03-29", "2026-10-25"):
        ticks = ticks_of("*/15 * * * *", BERLIN).upcoming(at(f"{day}T00:00"), most=96)
        assert {later - earlier for earlier, later in pairwise(ticks)} == {timedelta(minutes=15)}


def test_a_day_that_a_zone_left_out_is_made_up_for_once() -> None:
    """Samoa went from the 29th to the 31st of December 2011."""
    ticks = ticks_of("0 12 * * *", "Pacific/Apia").upcoming(at("2011-12-29T00:00"), most=3)
    assert [tick.astimezone(ZoneInfo("Pacific/Apia")).isoformat()[:16] for tick in ticks] == [
        "2011-12-29T12:00",
        "2011-12-31T00:00",
        "2011-12-31T12:00",
    ]


# What was missed


def due(expression: str, missed: str, next_at: str, now: str) -> tuple[list[str], int, str]:
    settled = settle(ticks_of(expression, "UTC"), missed=missed, next_at=at(next_at), now=at(now))
    return [f"{tick:%dT%H:%M}" for tick in settled.ticks], len(settled.passed), f"{settled.next_at:%dT%H:%M}"


@pytest.mark.parametrize("missed", ["once", "skip", "all"])
def test_a_tick_that_is_served_in_time_is_one_job_under_every_policy(missed: str) -> None:
    assert due("0 * * * *", missed, "2026-01-05T10:00", "2026-01-05T10:00:30") == (["05T10:00"], 0, "05T11:00")


def test_missed_ticks_become_one_job_or_none_or_one_each() -> None:
    span = "2026-01-05T07:00", "2026-01-05T10:20"
    assert due("0 * * * *", "once", *span) == (["05T10:00"], 3, "05T11:00")
    assert due("0 * * * *", "skip", *span) == ([], 4, "05T11:00")
    assert due("0 * * * *", "all", *span) == (["05T07:00", "05T08:00", "05T09:00", "05T10:00"], 0, "05T11:00")


def test_a_tick_that_is_due_just_now_was_not_missed_whatever_was_before_it() -> None:
    assert due("0 * * * *", "skip", "2026-01-05T07:00", "2026-01-05T10:00:10") == (["05T10:00"], 3, "05T11:00")


def test_a_year_of_missed_minutes_is_bounded_and_quickly_counted() -> None:
    ticks, passed, following = due("* * * * *", "all", "2025-01-05T10:00", "2026-01-05T10:00")
    assert (len(ticks), ticks[-1], passed, following) == (MOST_MISSED, "05T10:00", 1, "05T10:01")
    ticks, passed, _ = due("* * 1 1 *", "once", "2020-01-01T00:00", "2026-06-01T00:00")
    assert (ticks, passed) == (["01T23:59"], MOST_MISSED)


def test_a_tick_that_waits_counts_though_the_expression_was_changed_since() -> None:
    assert due("0 12 * * *", "once", "2026-01-05T07:00", "2026-01-05T08:00") == (["05T07:00"], 0, "05T12:00")


# Declaring


class Report(Job):
    def __init__(self, team: str = "all") -> None:
        self.team = team

    def run(self) -> None: ...

    def get_queue(self) -> str:
        return "reports"

    def get_unique_key(self) -> str:
        return self.team


def declared(monkeypatch: pytest.MonkeyPatch) -> Registry:
    registry = Registry()
    for module in ("registration", "application", "importing", "enqueueing"):
        monkeypatch.setattr(f"jobq.{module}.registry", registry)
    return registry


def test_a_class_with_one_schedule_gives_it_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    declared(monkeypatch)

    @register_job
    class Nightly(Report):
        schedule = Schedule.from_cron("0 3 * * *", missed="skip", jitter=60)

    (one,) = describe_schedules(Settings(timezone=BERLIN))

    assert one.name == one.job_class
    assert (one.expression, one.timezone, one.missed, one.jitter) == ("0 3 * * *", BERLIN, "skip", 60)
    assert (one.arguments, one.queue, one.unique_key) == ({}, "reports", "all")


def test_several_schedules_have_names_and_arguments_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    declared(monkeypatch)

    @register_job
    class Weekly(Report):
        schedules = (
            Schedule.from_cron("0 3 * * 1", name="ops", arguments={"team": "ops"}),
            Schedule.from_cron("0 4 * * 1", name="dev", arguments={"team": "dev"}, timezone="Asia/Tokyo"),
        )

    dev, ops = describe_schedules(Settings())

    assert dev.name.endswith("Weekly:dev")
    assert (dev.arguments, dev.unique_key, dev.timezone) == ({"team": "dev"}, "dev", "Asia/Tokyo")
    assert (ops.arguments, ops.unique_key, ops.timezone) == ({"team": "ops"}, "ops", "UTC")


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"schedule": "0 3 * * *"}, ["'0 3 * * *'", "must be a Schedule"]),
        ({"schedules": Schedule()}, ["must be a list"]),
        ({"schedules": [Schedule(), Schedule(hour=1)]}, ["2 schedules", "name"]),
        ({"schedules": [Schedule(name="a"), Schedule(name="a", hour=1)]}, ["two schedules", "a'"]),
        ({"schedule": Schedule(arguments={"taem": "ops"})}, ["taem", "team"]),
    ],
)
def test_a_class_whose_schedules_cannot_be_is_refused_when_it_is_registered(
    members: dict[str, Any], words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = declared(monkeypatch)
    with pytest.raises(RegistrationError) as refused:
        add_class(registry, type("Broken", (Report,), members))
    for word in words:
        assert word in str(refused.value)


def test_a_job_that_cannot_be_made_is_refused_with_the_users_own_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    declared(monkeypatch)

    @register_job
    class Fragile(Report):
        schedule = Schedule()

        def get_queue(self) -> str:
            return {"a": "b"}["c"]

    with pytest.raises(ApplicationError, match=r"Fragile.*KeyError") as refused:
        describe_schedules(Settings())
    assert 'return {"a": "b"}["c"]' in refused.value.user_traceback


def test_a_command_is_a_class_of_its_own_whose_jobs_carry_no_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    registry = declared(monkeypatch)
    register_schedule("backup", Command("echo saved"), "0 3 * * *")

    (one,) = describe_schedules(Settings())

    assert (one.name, one.job_class, one.arguments) == ("backup", "command.backup", {})
    assert registry.get("command.backup")().run() == {"exit_code": 0, "output": "saved\n"}
    assert registry.find("jobq.command.Command") is None


def test_a_command_that_fails_is_an_error_with_the_end_of_its_output() -> None:
    with pytest.raises(CommandFailed, match=r"exit code 3: seq(.|\n)*100000\n"):
        Command("seq 1 100000; echo no 1>&2; seq 99999 100000; exit 3").run()
    with pytest.raises(CommandFailed, match="signal 9"):
        Command("kill -9 $$").run()


@pytest.mark.usefixtures("callable_off")
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc")
def test_a_command_that_is_called_off_ends_with_all_that_it_started(tmp_path: Path, eventually: Any) -> None:
    started = tmp_path / "started"
    calling_off = threading.Thread(target=signal_when_there, args=[started, eventually])
    calling_off.start()
    with pytest.raises(CalledOff):
        Command(f"(sleep 600 & echo $! > {started}.part; mv {started}.part {started}; wait) | cat").run()
    calling_off.join()
    eventually(lambda: not is_running(int(started.read_text())))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc")
def test_a_command_that_is_called_off_while_it_is_started_ends_too(monkeypatch: pytest.MonkeyPatch) -> None:
    started = []
    start = subprocess.Popen

    def called_off(*arguments: Any, **options: Any) -> None:
        started.append(start(*arguments, **options))
        raise CalledOff

    monkeypatch.setattr(subprocess, "Popen", called_off)
    with pytest.raises(CalledOff):
        Command("sleep 600").run()
    assert not is_running(started[0].pid)
    started[0].communicate()


class CalledOff(BaseException):
    pass


def signal_when_there(file: Path, eventually: Any) -> None:
    """As a supervisor calls a job off: by a signal whose handler raises."""
    eventually(file.exists)
    os.kill(os.getpid(), signal.SIGUSR2)


@pytest.fixture
def callable_off() -> Iterator[None]:
    def call_off(_signal: int, _frame: object) -> None:
        raise CalledOff

    before = signal.signal(signal.SIGUSR2, call_off)
    yield
    signal.signal(signal.SIGUSR2, before)


def is_running(pid: int) -> bool:
    """It has been killed: it may still be waited for by whoever adopted it, but it runs no more."""
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] not in "ZX"


def test_a_command_does_not_wait_for_what_it_left_behind() -> None:
    assert Command("sleep 30 & echo started").run() == {"exit_code": 0, "output": "started\n"}


def test_schedules_in_pyproject_need_no_code(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    registry = declared(monkeypatch)
    add_class(registry, Report)
    pyproject = tmp_path / "pyproject.toml"
    pyproject.write_text(
        "[tool.jobq.schedules]\n"
        'backup = { cron = "0 3 * * *", command = "pg_dump app" }\n'
        "[tool.jobq.schedules.ops]\n"
        f'job = "{__name__}.Report"\n'
        'hour = [9, 17]\nminute = 0\ntimezone = "Europe/Berlin"\noverlap = "skip"\n'
        'arguments = { team = "ops" }\n'
    )

    load_schedules(pyproject)

    backup, ops = describe_schedules(Settings())
    assert (backup.job_class, backup.expression) == ("command.backup", "0 3 * * *")
    assert (ops.arguments, ops.expression, ops.overlap) == ({"team": "ops"}, "0 9,17 * * *", "skip")


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ('{ cron = "0 25 * * *", command = "ls" }', ["night", "hour is '25'"]),
        ('{ crn = "0 3 * * *", command = "ls" }', ["'crn'", "cron"]),
        ('{ cron = "0 3 * * *" }', ["job", "command"]),
        ('{ command = "ls" }', ["cron = "]),
        ('{ cron = "0 3 * * *", hour = 3, command = "ls" }', ["either cron"]),
        ('{ cron = "0 3 * * *", command = "" }', ["command line"]),
        ('{ cron = "0 3 * * *", job = "nowhere.Report" }', ["nowhere"]),
        ('{ cron = "0 3 * * *", job = "' + __name__ + '.Report", arguments = { taem = 1 } }', ["taem"]),
        ('"0 3 * * *"', ["must be a table"]),
    ],
)
def test_a_schedule_in_pyproject_that_cannot_be_is_refused_with_its_name(
    entry: str, words: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    declared(monkeypatch).add(Report)
    pyproject = tmp_path / "pyproject.toml"
    pyproject.write_text(f"[tool.jobq.schedules]\nnight = {entry}\n")
    with pytest.raises(ConfigurationError) as refused:
        load_schedules(pyproject)
    for word in ("pyproject.toml", *words):
        assert word in str(refused.value)

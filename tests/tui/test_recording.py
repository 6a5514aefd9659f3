"""A recording of the console shows again what was shown, without a database; what is no recording is refused."""

import json
import os
from collections.abc import Callable
from dataclasses import MISSING, fields, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import canned
import pytest
from driving import look, opened, press, run, text_of
from jobq.tui import recording_format
from jobq.tui.codec import Record
from jobq.tui.recording import Recorder
from jobq.tui.recording_format import FORMAT, TARGET
from jobq.tui.recording_format import QUESTIONS as RECORDED
from jobq.tui.replay import Replay
from jobq.tui.source import VIEWS, Source

from jobq.errors import UsageError

KEYS = ("2", "j", "enter", "escape", "3", "6", "7", "1")
"""A walk through the screens, with a job's page."""


def body(console: Any) -> str:
    """What is between the head and the keys."""
    return "\n".join(text_of(console).splitlines()[1:-1])


def moved_on(source: canned.CannedSource, seconds: float) -> None:
    """Some jobs more, and some time later."""
    stats = source.stats
    source.stats = replace(stats, pending=stats.pending + 7, at=stats.at + timedelta(seconds=seconds))
    source.all = [*source.all, canned.ended(919_000 + int(seconds), "errored", seconds_ago=-seconds)]


def record(path: Path) -> list[list[str]]:
    """The console is walked through twice, while the world moves on; returns what each screen showed."""
    source = canned.CannedSource(canned.trouble())
    shown: list[list[str]] = []

    async def flow() -> None:
        recorder: Any = Recorder(source, path, "0.1.0")
        async with opened(recorder) as pilot:
            assert "REC" in text_of(pilot.app)
            for _ in range(2):
                pages = []
                for key in KEYS:
                    await press(pilot, key)
                    pages.append(body(pilot.app))
                shown.append(pages)
                moved_on(source, 10.0)
                await look(pilot)
            shown.append([body(pilot.app)])
        recorder.close()

    run(flow)
    return shown


def test_a_recording_shows_what_was_shown_and_nothing_can_be_done_in_it(tmp_path: Path) -> None:
    path = tmp_path / "night.jsonl"
    first, second, last = record(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert first[0] != second[0]

    async def flow() -> None:
        source: Any = Replay(path)
        source.toggle()
        source.step(-100)
        async with opened(source) as pilot:
            for shown in (first, second):
                for key, page in zip(KEYS, shown, strict=True):
                    await press(pilot, key)
                    assert body(pilot.app) == page, key
                await press(pilot, "greater_than_sign")
            assert body(pilot.app) == last[0]
            await press(pilot, "2", "c")
            assert "this is a recording" in text_of(pilot.app)
            await press(pilot, *["less_than_sign"] * 2, "2")
            assert "REPLAY " in text_of(pilot.app)  # the time in it is as long as it took to record
            await press(pilot, "right")
            assert "nobody looked at this" in text_of(pilot.app)

    run(flow)


def test_a_recording_goes_on_by_itself_at_its_pace_and_over_what_was_not_recorded(tmp_path: Path) -> None:
    path = tmp_path / "two.jsonl"
    source: Any = canned.CannedSource(canned.calm())
    recorder: Any = Recorder(source, path, "0.1.0")
    for _ in range(3):
        recorder.look(3600.0)
        moved_on(source, 10.0)
    recorder.close()
    header, *looks = [json.loads(line) for line in path.read_text().splitlines()]
    for number, line in enumerate(looks):
        line["at"] = header["at"] + 10 * number
    looks.append({**looks[0], "at": header["at"] + 86400})  # a day later, in the same file
    path.write_text("".join(json.dumps(line) + "\n" for line in (header, *looks)))
    now = 0.0
    source = Replay(path, lambda: now)
    assert source.badge == "REPLAY 0:10 of 24:00:00"
    source.faster()
    now = 6.0  # twice as fast
    assert source.badge.startswith("REPLAY 0:22")
    assert source.look(0.0).stats.pending == 412 + 14
    now = 60.0
    assert source.is_over
    source.toggle()
    assert not source.is_over


def test_a_lost_database_is_seen_again_and_what_was_cut_off_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "lost.jsonl"
    source = canned.CannedSource(canned.calm())
    recorder: Any = Recorder(source, path, "0.1.0")
    recorder.look(3600.0)
    source.lose()
    with pytest.raises(Exception, match="cannot be reached"):
        recorder.look(3600.0)
    recorder.close()
    with path.open("a") as file:
        file.write('{"at":17')
    replay = Replay(path)
    replay.toggle()
    replay.step(1)
    with pytest.raises(Exception, match="connection refused"):
        replay.look(3600.0)
    Recorder(source, path, "0.1.0").close()
    assert [json.loads(line) for line in path.read_text().splitlines()][-1]["jobq"] == "recording"


def test_nothing_in_a_forged_recording_takes_effect(tmp_path: Path) -> None:
    path = tmp_path / "forged.jsonl"
    recorder: Any = Recorder(canned.CannedSource(canned.trouble()), path, "0.1.0")
    recorder.look(3600.0)
    recorder.close()
    path.write_text(path.read_text().replace("mail", "\\u001b]0;x\\u0007\\n\\u202e"))
    source = Replay(path)
    found = source.look(0.0)
    assert found.stats.queues[2].name == "␛]0;x␇⏎\\u202e"
    assert "\x1b" not in repr(found).replace("\\x1b", "\x1b")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "is empty"),
        ("root:x:0:0\n", "is not a recording of the console"),
        ("\xff\x00\n", "is not a recording of the console"),
        ('{"jobq": "recording", "format": 9, "version": "7.0", "at": 0}\n', "format 9, by jobq 7.0; this version"),
        ("HEADER\n", "has nothing to show"),
        ("HEADER\nnonsense\n", "line 2: it is not JSON"),
        ('HEADER\n{"ask": "look"}\n', "line 2: it has no time"),
        ('HEADER\n{"at": 1}\n', "line 2: it is not an answer"),
        ('HEADER\n{"at": 1, "ask": ["look"], "answer": {}}\n', "line 2: it is not an answer"),
        ('HEADER\n{"at": 1, "ask": "look", "answer": {"stats": {}}}\n', "line 2: the look before it is missing"),
        (
            'HEADER\n{"at": 1, "ask": "look", "answer": {"stats": {}, "running": [], '
            '"failing": {"groups": []}, "period": {}, "seconds": 0.1}}\n',
            "line 2: stats: Stats has no scheduled",
        ),
        (
            'HEADER\n{"at": 1, "ask": "look", "answer": {"stats": {"scheduled": "many"}, "running": [], '
            '"failing": {"groups": []}, "period": {}, "seconds": 0.1}}\n',
            "line 2: stats: scheduled: 'many' is no whole number",
        ),
    ],
)
def test_what_is_no_recording_is_refused_and_left_as_it_is(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "other.jsonl"
    target = json.dumps(TARGET.write(canned.TARGET))
    header = f'{{"jobq": "recording", "format": {FORMAT}, "version": "0.1.0", "at": 0, "target": {target}}}'
    path.write_text(text.replace("HEADER", header), encoding="latin-1")
    before = path.read_bytes()
    with pytest.raises(UsageError, match=problem):
        Replay(path)
    if before and "HEADER" not in text and "jobq" not in text:
        with pytest.raises(UsageError, match="left as it is"):
            Recorder(canned.CannedSource(canned.calm()), path, "0.1.0")
    assert path.read_bytes() == before


def test_a_file_that_cannot_be_written_ends_the_recording_and_not_the_console(tmp_path: Path) -> None:
    if not os.path.exists("/dev/full"):
        pytest.skip("this system has no file that is always full")
    recorder: Any = Recorder(canned.CannedSource(canned.calm()), tmp_path / "full.jsonl", "0.1.0")
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, recorder._file.fileno())
    os.close(full)
    assert recorder.look(3600.0).stats.pending == 412
    assert "recording stopped: No space left" in recorder.badge
    assert recorder.look(3600.0).stats.pending == 412


QUESTIONS: dict[str, Callable[[Any], Any]] = {
    "look": lambda source: source.look(3600.0),
    "jobs": lambda source: source.jobs(source.query(VIEWS[0], ""), limit=3, after=None),
    "matches": lambda source: source.matches(source.query(VIEWS[0], "queue:mail")),
    "among": lambda source: source.among(source.query(VIEWS[0], ""), source.all[:3]),
    "job": lambda source: source.job(918_244),
    "classes": lambda source: source.classes(),
    "gate": lambda source: source.gate("crm"),
    "failures": lambda source: source.failures(3600.0),
    "why": lambda source: source.why(918_244),
    "audit": lambda source: source.audit(),
    "schedules": lambda source: source.schedules(),
    "preview": lambda source: source.preview(24.0),
    "stack": lambda source: source.stack(918_244, 1),
    "log": lambda source: source.log(918_244, 1, False),
    "acts_on": lambda source: source.acts_on(918_244, canned.ago(hours=1)),
}


NOT_RECORDED = {
    "stored_name",
    "query", "suggestions", "learn", "select", "check", "plan", "enqueue", "act", "undo", "migrate", "reset",
}  # fmt: skip
"""Questions that a filter answers by itself, and acts: what acts did is seen in what is read after them."""


def test_every_question_of_a_source_is_recorded_or_is_an_act() -> None:
    names = {name for name in vars(Source) if not name.startswith("_") and callable(getattr(Source, name))}
    acts = {name for name in names if name.startswith("act_on_")}
    assert names - acts - NOT_RECORDED == set(RECORDED) == set(QUESTIONS)


@pytest.mark.parametrize("name", QUESTIONS)
def test_an_answer_comes_back_from_json_as_it_was(name: str) -> None:
    answer, kind = QUESTIONS[name](canned.CannedSource(canned.gated())), RECORDED[name].answer
    assert kind.read(json.loads(json.dumps(kind.write(answer)))) == answer


RECORDS = {name: value for name, value in vars(recording_format).items() if isinstance(value, Record)}


@pytest.mark.parametrize("name", RECORDS)
def test_every_field_of_a_record_has_its_name_in_the_format(name: str) -> None:
    """A field that a record gets needs a line in recording_format.py. With `maybe`, older recordings can do without."""
    kind: Any = RECORDS[name]
    given = {part.attribute: part.is_required for part in kind.fields}
    assert set(given) == {part.name for part in fields(kind.made)}
    defaults = {part.name for part in fields(kind.made) if (part.default, part.default_factory) != (MISSING, MISSING)}
    assert {attribute for attribute, is_required in given.items() if not is_required} <= defaults
    assert len({part.name for part in kind.fields}) == len(given)


def test_the_names_of_the_format_are_its_own(tmp_path: Path) -> None:
    path = tmp_path / "one.jsonl"
    recorder: Any = Recorder(canned.CannedSource(canned.trouble()), path, "0.1.0")
    recorder.jobs(recorder.query(VIEWS[0], "queue:mail"), limit=1, after=None)
    recorder.close()
    header, line = map(json.loads, path.read_text().splitlines())
    assert header.items() >= {"jobq": "recording", "format": 2, "version": "0.1.0"}.items()
    assert line["ask"] == "jobs"
    assert line["with"] == {"list": {"name": "pending", "filter": "queue:mail"}, "limit": 1, "after": None}
    assert line["answer"]["jobs"][0].keys() >= {"id", "class", "due_at"}


def test_what_a_later_version_adds_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "later.jsonl"
    source = canned.CannedSource(canned.trouble())
    recorder: Any = Recorder(source, path, "0.1.0")
    recorder.look(3600.0)
    recorder.close()
    text = path.read_text().replace('"stats":{', '"stats":{"moons":2,').replace('"answer":{', '"answer":{"tide":1,')
    path.write_text(text + json.dumps({"at": 9e9, "ask": "weather", "answer": {}}) + "\n")
    assert Replay(path).look(0.0).stats == source.stats


def test_a_recording_of_another_format_is_not_added_to(tmp_path: Path) -> None:
    path = tmp_path / "old.jsonl"
    path.write_text('{"jobq": "recording", "format": 1, "version": "0.0.9", "at": 0}\n')
    with pytest.raises(UsageError, match=r"in format 1, by jobq 0\.0\.9; record to another file"):
        Recorder(canned.CannedSource(canned.calm()), path, "0.1.0")
    assert path.read_text().count("\n") == 1

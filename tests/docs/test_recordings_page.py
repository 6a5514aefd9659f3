"""docs/recordings.md: its keys, its lines and its table are those of the format."""

import json
import re
from typing import Any

from jobq.tui.actions import BY_NAME
from jobq.tui.codec import Record
from jobq.tui.recording_format import FORMAT, QUESTIONS, TARGET

from jobq.cli.tui import tui
from pages import docs

PAGE = docs("recordings")


def lines() -> list[dict[str, Any]]:
    return [json.loads(line) for block in PAGE.code("The file", "json") for line in block.splitlines()]


def test_the_options_are_those_of_the_command() -> None:
    known = {option for parameter in tui.params for option in parameter.opts}
    for option in re.findall(r"--[a-z]+", "".join(PAGE.code("Record and replay", "console"))):
        assert option in known


def test_the_keys_are_those_of_the_console() -> None:
    for name, key in (("freeze", "f"), ("step_back", "<"), ("step_on", ">"), ("minute_back", "-"), ("minute_on", "+")):
        assert BY_NAME[name].keys == key
        assert f"`{key}`" in PAGE.text
    assert BY_NAME["speed"].keys == ","


def test_the_header_is_in_this_format() -> None:
    header = lines()[0]
    assert header["format"] == FORMAT
    target = TARGET.read(header["target"])
    assert TARGET.write(target) == header["target"]
    assert target.is_production


def test_the_answers_are_in_this_format() -> None:
    preview, lost = lines()[1:]
    question = QUESTIONS[preview["ask"]]
    assert {part.name for part in question.about} == preview["with"].keys()
    assert question.answer.write(question.answer.read(preview["answer"])) == preview["answer"]
    assert lost["ask"] in QUESTIONS


def test_the_table_names_every_question_with_what_it_is_asked_about_and_its_parts() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.*?) ?\| (.*) \|$", PAGE.text, re.M)
    assert [name for name, _, _ in rows] == ["ask", *QUESTIONS]
    for name, about, answer in rows[1:]:
        question = QUESTIONS[name]
        assert re.findall(r"`(\w+)`", about) == [part.name for part in question.about]
        if isinstance(question.answer, Record):
            assert re.findall(r"`(\w+)`", answer) == [part.name for part in question.answer.fields]

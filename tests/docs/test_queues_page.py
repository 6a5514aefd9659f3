"""docs/queues.md says what is true: each choice of its table works what it says, and its commands can be given."""

import re

from jobq.cli.run import run
from jobq.queue_choice import QueueChoice, parsed
from pages import docs, typed

PAGE = docs("queues")


def test_each_choice_of_the_table_works_what_the_page_says() -> None:
    rows = [
        [re.findall(r"`([^`]+)`", cell) for cell in row.split("|")[1:4]]
        for row in PAGE.text.splitlines()
        if row.startswith("| `")
    ]
    assert len(rows) == 7
    for (option,), works, leaves in rows[1:]:
        choice = QueueChoice(parsed([option]))
        assert [queue for queue in [*works, *leaves] if queue in choice] == works, option


def test_the_commands_of_the_page_are_read_as_they_are_meant() -> None:
    commands = typed(*(block.text for block in PAGE.blocks() if block.language == "console"))
    read = [parsed(run.make_context("run", words[2:]).params["queues"]) for words in commands]
    assert read == [("mail", "default"), ("mail", "default"), ("mail*",), ("-slow",), ("mail*", "-mail-slow")]

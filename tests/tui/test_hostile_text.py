"""Whatever is in the database, nothing of it takes effect on the operator's terminal."""

import random
from dataclasses import replace
from typing import Any

import canned
import pytest
from driving import opened, press, run, settle, strips_of, text_of
from jobq.tui.source import Report

from jobq.clean import UNSAFE
from jobq.observe import AttemptLog, LoggedLine
from jobq.states import FINISHED, Outcome, State

HOSTILE = (
    "[red]x[/]",
    "[/]",
    "[/foo]",
    "[@click=app.quit]x[/]",
    "[link=https://evil.example]x[/link]",
    "[$primary]x[/]",
    ":skull: [[x]] \\[x] \\",
    "\x1b]0;title\x07",
    "\x1b[2J\x1b[H\x1b[31mred",
    "\x1b[?1049l",
    "\x1b]52;c;SEFDS0VE\x07",
    "\x9b2J\x90\x9d",
    "\x00\x01\x08\x7f\r\n\t\x0b",
    "\u202egnp.exe\u202c",
    "zero\u200bwidth\u200d\ufeff",
    "\U000e0041\U000e0042",
    "日本語" * 60,
    "👩‍🔧" * 40,
    "e" + "\u0301" * 50,
    "x" * 10_000,
    "\n" * 300,
    "bad \ud800 surrogate",
    "{}%s%(x)s{0!r}",
    "../../etc/passwd; rm -rf ~ && `id` $(id)",
)

CHANCE = random.Random(1)


def hostile() -> str:
    return "".join(CHANCE.sample(HOSTILE, CHANCE.randint(1, 3)))


def hostile_world(number: int) -> Any:
    """A thousand jobs, workers and queues of which every text is hostile; the same whichever tests came before."""
    CHANCE.seed(1)
    stats, jobs = canned.trouble()
    found = []
    for job in (jobs * 3)[:number]:
        found.append(
            replace(
                job,
                id=job.id + 1_000_000 * (len(found) // len(jobs)),
                job_class=hostile(),
                queue=hostile(),
                unique_key=hostile(),
                worker=hostile(),
                source=hostile(),
                arguments={hostile(): hostile(), "deep": [hostile(), {hostile(): hostile()}]},
                error_type=hostile(),
                error_message=hostile(),
            )
        )
    stats = replace(
        stats,
        queues=tuple(replace(queue, name=hostile()) for queue in stats.queues),
        workers=tuple(
            replace(worker, name=hostile(), host=hostile(), version=hostile(), queues=(hostile(),))
            for worker in stats.workers
        ),
        unknown_classes=tuple(replace(one, job_class=hostile(), queues=(hostile(),)) for one in stats.unknown_classes),
    )
    return stats, found


class HostileSource(canned.CannedSource):
    def job(self, job_id: int) -> Any:
        detail = super().job(job_id)
        attempts = tuple(
            replace(one, traceback=hostile() * 3, error_type=hostile(), value={hostile(): hostile()}, worker=hostile())
            for one in detail.attempts
        )
        return canned.live.cleaned(replace(detail, attempts=attempts))

    def log(self, job_id: int, attempt: int | None, is_followed: bool) -> Any:
        lines = [
            LoggedLine(job_id, 1, hostile(), hostile(), number, canned.NOW, 0.0, 20, hostile(), hostile())
            for number in range(30)
        ]
        return canned.live.cleaned(AttemptLog(job_id, 1, 30, tuple(lines)))

    def act(self, verb: str, selected: Any, progress: Any, selection: Any) -> Report:
        ids = selected.ids
        return Report(verb, ids[:1], {job_id: canned.live.line(hostile()) for job_id in ids[1:]})


def check(console: Any) -> None:
    """No cell holds anything but what may be shown, no style does anything when it is clicked."""
    for strip in strips_of(console):
        for segment in strip:
            assert UNSAFE.search(segment.text) is None, ascii(segment.text)
            assert "\n" not in segment.text
            meta = segment.style.meta if segment.style else {}
            assert not any(name.startswith("@") for name in meta), meta
            assert not segment.style or segment.style.link is None
        assert strip.cell_length == console.size.width


VISITS = {
    "overview": (),
    "pending": ("2", "j", "space"),
    "finished": ("2", "right", "right", "right", "j"),
    "errored": ("2", *["right"] * 5, "j"),
    "job": ("2", *["right"] * 5, "j", "enter", "o", "tab", "tab", "tab"),
    "log": ("2", *["right"] * 5, "j", "L"),
    "confirmation": ("2", *["right"] * 5, "space", "space", "r"),
    "outcome": ("2", *["right"] * 5, "space", "space", "r", "y"),
    "copy": ("2", *["right"] * 5, "y"),
    "edit": ("2", *["right"] * 5, "e"),
    "palette": ("2", "colon"),
    "failures": ("3", "j", "r"),
    "queues": ("4", "c"),
    "workers": ("5", "j", "tab"),
}


@pytest.mark.parametrize("visit", VISITS)
def test_a_thousand_hostile_jobs_have_no_effect_on_any_screen(visit: str) -> None:
    async def flow() -> None:
        async with opened(HostileSource(hostile_world(1000)), (120, 40)) as pilot:
            check(pilot.app)
            for key in VISITS[visit]:
                await press(pilot, key)
                check(pilot.app)
            await pilot.resize_terminal(80, 24)
            await settle(pilot)
            check(pilot.app)
            assert pilot.app.is_running

    run(flow)


def test_a_hostile_message_in_a_toast_is_text() -> None:
    async def flow() -> None:
        async with opened(canned.CannedSource(canned.calm())) as pilot:
            for text in HOSTILE[:10]:
                pilot.app.notices.tell(canned.live.line(text))  # type: ignore[attr-defined]
            await settle(pilot)
            check(pilot.app)
            assert "[@click=app.quit]x[/]" in text_of(pilot.app)

    run(flow)


def test_an_error_of_the_database_with_markup_in_it_is_shown_as_it_is() -> None:
    async def flow() -> None:
        source = canned.CannedSource(canned.empty())
        source.error = canned.DatabaseUnreachable("[red]x[/] \x1b[2J [/foo]")
        async with opened(source) as pilot:
            check(pilot.app)
            assert "[red]x[/] ␛[2J [/foo]" in text_of(pilot.app)

    run(flow)


def test_every_list_is_hostile_enough() -> None:
    """That the texts reach the screen at all: a test that shows nothing would find nothing."""
    _, jobs = hostile_world(1000)
    assert len(jobs) == 1000
    assert {job.state for job in jobs} >= {State.PENDING, State.RUNNING, FINISHED}
    assert any(job.outcome == Outcome.ERRORED for job in jobs)

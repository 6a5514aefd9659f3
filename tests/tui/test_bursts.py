"""Keys that come all at once, as from a paste, a macro or a slow connection."""

import asyncio
from typing import Any

import pytest
from bursts import WatchedSource, answer, burst, play, send
from driving import opened, press, run, settle, text_of
from jobq.tui.screens.base import ConsoleScreen
from jobq.tui.screens.confirm import Confirm
from jobq.tui.screens.help import Help
from jobq.tui.screens.leave import Leave
from jobq.tui.screens.outcome import Outcome
from jobq.tui.tabs import TABS
from textual.events import Paste
from textual.widgets import Input

ERRORED = ["2", *["right"] * 5]
LETTERS = [*"rcDpmtzVexy"]
"""Keys that act on a list."""


@pytest.fixture
def source() -> WatchedSource:
    return WatchedSource()


def acts_of(source: WatchedSource) -> list[Any]:
    return [*source.acts, *source.enqueued, *source.asked]


def typed_in(pilot: Any) -> str:
    assert isinstance(pilot.app.focused, Input)
    return str(pilot.app.focused.value)


@pytest.mark.parametrize("opener", ["slash", "colon", "full_stop", "n", "b"])
def test_what_follows_the_key_that_opens_a_field_goes_into_it(source: WatchedSource, opener: str) -> None:
    async def flow() -> None:
        async with opened(source) as pilot:
            await press(pilot, *ERRORED)
            await burst(pilot, opener, *LETTERS)
            assert typed_in(pilot) == "".join(LETTERS)
            assert acts_of(source) == []
            await answer(pilot)

    run(flow)


def test_on_no_screen_does_a_key_overtake_the_change_to_it(source: WatchedSource) -> None:
    async def flow() -> None:
        async with opened(source) as pilot:
            for number, name in enumerate(TABS, 1):
                await burst(pilot, str(number), "question_mark", "escape", "colon", *LETTERS)
                assert pilot.app.current_mode == name
                assert typed_in(pilot) == "".join(LETTERS)
                await burst(pilot, "escape", str(number % len(TABS) + 1), "question_mark")
                assert pilot.app.current_mode == list(TABS)[number % len(TABS)]
                assert isinstance(pilot.app.screen, Help)
                await press(pilot, "escape")
            assert acts_of(source) == []

    run(flow)


def test_a_burst_fills_the_fields_of_the_enqueue_form_in_their_order(source: WatchedSource) -> None:
    name = ["full_stop" if one == "." else one for one in "billing.jobs.SyncInvoice"]
    fields = [*name, "tab", "5", "tab", "4", "2", "tab", "tab", "tab", "1", "0", "m"]

    async def flow() -> None:
        async with opened(source) as pilot:
            await press(pilot, "n")
            await burst(pilot, *fields)
            new = pilot.app.screen.new()
            assert new.job_class == "billing.jobs.SyncInvoice"
            assert (new.texts["invoice"], new.texts["customer"], new.delay) == ("5", "42", "10m")
            await answer(pilot)

    run(flow)


def test_a_field_that_is_removed_as_it_takes_the_focus_does_not_swallow_the_keys(source: WatchedSource) -> None:
    async def flow() -> None:
        async with opened(source) as pilot:
            await press(pilot, "n", *["full_stop" if one == "." else one for one in "mail.jobs.SendReceipt"])
            form = pilot.app.screen
            box = form.query_one("#parameters")
            box.query_one(Input).focus()  # it takes the focus by a message,
            box.remove_children()  # … which comes when it is being removed
            await settle(pilot)
            await press(pilot, "escape", "question_mark")
            assert isinstance(pilot.app.screen, Help)

    run(flow)


@pytest.mark.parametrize("keys", [["space", "j", "space", "r"], ["asterisk", "r"], ["D"]])
def test_a_question_takes_no_key_that_was_typed_before_it_was_shown(source: WatchedSource, keys: list[str]) -> None:
    async def flow() -> None:
        async with opened(source) as pilot:
            await press(pilot, *ERRORED)
            await burst(pilot, *keys, "y", "enter", "1", "enter", "y")
            assert acts_of(source) == []
            if "asterisk" not in keys:  # its jobs are counted first: what was typed meanwhile was for the list
                assert isinstance(pilot.app.screen, Confirm)
                assert "typed before this was visible" in text_of(pilot.app)

    run(flow)


def test_what_came_of_an_act_is_not_closed_by_keys_that_were_typed_before_it_was_shown(source: WatchedSource) -> None:
    async def flow() -> None:
        async with opened(source) as pilot:
            await press(pilot, *ERRORED, "space", "space", "r")
            meant = [job.id for job in source.all if job.outcome == "errored"]
            source.refused = dict.fromkeys(meant, "it has left")
            await press(pilot, "y")
            assert isinstance(pilot.app.screen, Outcome)
            outcome = pilot.app.screen
            await press(pilot, "escape")
            pilot.app.push_screen(Outcome(outcome.report, outcome.done))
            send(pilot.app, "enter")  # before it is drawn
            await settle(pilot)
            assert isinstance(pilot.app.screen, Outcome)
            await press(pilot, "enter")
            assert isinstance(pilot.app.screen, ConsoleScreen)

    run(flow)


def test_what_is_pasted_into_a_list_does_nothing(source: WatchedSource) -> None:
    async def flow() -> None:
        async with opened(source) as pilot:
            await press(pilot, *ERRORED)
            before = text_of(pilot.app)
            pilot.app._driver.send_message(Paste("r\ny\nD1\nq"))
            await settle(pilot)
            assert text_of(pilot.app) == before
            assert acts_of(source) == []
            pilot.app._driver.send_message(Paste("never"))
            await burst(pilot, "slash")
            pilot.app._driver.send_message(Paste("queue:mail"))
            await settle(pilot)
            assert typed_in(pilot) == "queue:mail"

    run(flow)


def test_ctrl_c_makes_void_what_waits_and_asks_whether_to_quit(source: WatchedSource) -> None:
    async def flow() -> None:
        async with opened(source) as pilot:
            await press(pilot, *ERRORED)
            await burst(pilot, "slash", "a", "b", "ctrl+c")
            assert isinstance(pilot.app.screen, Leave)
            await press(pilot, "r", "escape")
            assert not isinstance(pilot.app.screen, Leave)
            send(pilot.app, "ctrl+c", "ctrl+c")
            while pilot.app.is_running:
                await asyncio.sleep(0.002)

    run(flow)
    assert acts_of(source) == []


def test_ctrl_z_says_so_where_there_is_no_shell(source: WatchedSource) -> None:
    async def flow() -> None:
        async with opened(source) as pilot:
            await press(pilot, "ctrl+z")
            assert "there is no shell behind" in text_of(pilot.app)

    run(flow)


def test_a_burst_too_long_to_be_typed_loses_its_end_and_the_console_says_so(
    source: WatchedSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobq.tui.keyboard.MOST_HELD", 20)

    async def flow() -> None:
        async with opened(source) as pilot:
            await press(pilot, *ERRORED)
            await burst(pilot, "slash", *"abcdefghijklmnopqrstuvwxyz", "r")
            assert typed_in(pilot) == "abcdefghijklmnopqrs"
            await settle(pilot)
            assert "more than 20 keys came at once" in text_of(pilot.app)
            await press(pilot, "t")
            assert typed_in(pilot) == "abcdefghijklmnopqrst"

    run(flow)
    assert acts_of(source) == []


def test_a_console_that_does_not_come_to_rest_leaves_keys_out_but_ctrl_c_works(
    source: WatchedSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobq.tui.keyboard.PATIENCE", 0.05)

    async def flow() -> None:
        async with opened(source) as pilot:
            go_on = asyncio.Event()
            pilot.app.screen.call_later(go_on.wait)  # a handler that does not end
            send(pilot.app, "r", "question_mark")
            while "the console was busy" not in notices(pilot):
                await asyncio.sleep(0.002)
            send(pilot.app, "ctrl+c")
            while not isinstance(pilot.app.screen, Leave):
                await asyncio.sleep(0.002)
            go_on.set()

    run(flow)
    assert acts_of(source) == []


def notices(pilot: Any) -> str:
    return " ".join(notice.message for notice in pilot.app._notifications)


@pytest.mark.parametrize("seed", range(4))
def test_random_bursts_do_nothing_unasked_and_the_console_answers_after_them(seed: int) -> None:
    run(lambda: play(100, seed))  # python -m tests.tui.bursts sends ten thousand

"""One search over all states: its counts, the list that it leads to, and the keys that it takes."""

import json
import threading
from collections.abc import Callable
from typing import Any

import pytest
from canned import CannedSource, trouble
from driving import line_with, look, opened, press, run, settle, text_of, type_text
from jobq.tui.access import Target
from jobq.tui.live import LiveSource
from jobq.tui.widgets.filterbar import FilterBar

from jobq.errors import QueryTooSlow
from jobq.records import ClassRecord, ParameterRecord
from jobq.store.database import Database

CUSTOMERS = range(36, 48)  # twelve jobs, one for each


@pytest.fixture
def source(database: Database) -> LiveSource:
    return LiveSource(database, Target("here", database.schema, "development", is_read_only=False), lambda: None)


@pytest.fixture
def shop(store: Any, report: Callable[..., Any]) -> dict[int, int]:
    """Of each customer one job: nine have ended, three in an error; two are scheduled, one runs."""
    worker = store.worker()
    ids = {}
    for customer in CUSTOMERS:
        delay = 600 if customer in (45, 46) else 0
        arguments = json.dumps({"customer": customer, "order": 7000 + customer})
        ids[customer] = store.add(arguments=arguments, job_class="shop.jobs.Invoice", delay=delay)
    for assignment in store.claim(worker, classes=["shop.jobs.Invoice"]):
        customer = next(one for one, job in ids.items() if job == assignment.id)
        is_bad = customer in (36, 37, 38)
        error = {"error_type": "TimeoutError", "error_message": "30 s", "fingerprint": "a" * 16} if is_bad else {}
        if customer != 47:
            store.finish(worker, report(assignment, "errored" if is_bad else "successful", **error))
    return ids


def strip_of(console: Any) -> str:
    return " ".join(line_with(console, "pending").split())


def test_the_job_of_customer_42_is_found_and_opened_in_six_keys_from_the_overview(
    source: LiveSource, shop: dict[int, int]
) -> None:
    async def flow() -> None:
        async with opened(source) as pilot:
            await press(pilot, "slash", "=", "4", "2", "enter", "enter")
            assert f"#{shop[42]}" in text_of(pilot.app)
            assert pilot.app.screen.job_id == shop[42]  # type: ignore[attr-defined]

    run(flow)


def test_the_strip_counts_the_matches_in_each_state_and_carries_the_filter(
    source: LiveSource, shop: dict[int, int]
) -> None:
    async def flow() -> None:
        async with opened(source) as pilot:
            await press(pilot, "slash")
            await type_text(pilot, "class:*.Invoice")
            await press(pilot, "enter")
            strip = strip_of(pilot.app)
            expected = ("pending 0", "scheduled 2", "running 1", "finished 9", "successful 6", "errored 3", "lost 0")
            assert all(words in strip for words in expected)
            assert "no pending job matches: these are scheduled" in text_of(pilot.app)
            assert "2 match" in text_of(pilot.app)
            await press(pilot, "right", "right")
            assert "9 match" in text_of(pilot.app)
            assert "/ class:*.Invoice" in text_of(pilot.app)
            await press(pilot, "left")
            assert "1 match" in text_of(pilot.app)
            await press(pilot, "escape")
            assert "finished 9" not in strip_of(pilot.app)

    run(flow)


def test_a_term_that_no_job_of_a_list_fits_is_kept_and_said_to_be_so(source: LiveSource, shop: dict[int, int]) -> None:
    async def flow() -> None:
        async with opened(source) as pilot:
            await press(pilot, "slash")
            await type_text(pilot, "outcome:errored =37")
            await press(pilot, "enter")
            assert "no pending job matches: these are finished" in text_of(pilot.app)
            await press(pilot, "left")
            assert "no running job fits outcome:errored" in text_of(pilot.app)
            assert "no job matches" in text_of(pilot.app)
            await press(pilot, "asterisk", "c")
            assert "Cancel" not in text_of(pilot.app)
            await press(pilot, "escape", "right")
            assert "1 match" in text_of(pilot.app)

    run(flow)


def test_where_nothing_matches_it_is_said_of_all_states(source: LiveSource, shop: dict[int, int]) -> None:
    async def flow() -> None:
        async with opened(source) as pilot:
            await press(pilot, "3", "slash")
            await type_text(pilot, "nowhere")
            await press(pilot, "enter")
            assert "no job matches, in any state" in text_of(pilot.app)

    run(flow)


def test_a_search_begins_anew_from_every_screen_also_from_the_page_of_a_job(
    source: LiveSource, shop: dict[int, int]
) -> None:
    async def flow() -> None:
        async with opened(source) as pilot:
            await press(pilot, "slash", "=", "4", "2", "enter", "enter")
            for key in ("", "3", "4", "5", "6", "7"):
                await press(pilot, *([key] if key else []), "slash", "=", "3", "6", "enter")
                assert "/ =36" in text_of(pilot.app)
                assert f"{shop[36]}" in text_of(pilot.app)

    run(flow)


def test_a_count_that_does_not_come_holds_up_neither_the_others_nor_the_list(
    source: LiveSource, shop: dict[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    matches = source.matches

    def slow(query: Any) -> Any:
        if query.view.name == "pending":
            raise QueryTooSlow("The search was stopped after 5 s.")
        return matches(query)

    monkeypatch.setattr(source, "matches", slow)

    async def flow() -> None:
        async with opened(source) as pilot:
            await press(pilot, "slash", "=", "4", "2", "enter")
            assert "pending ?" in strip_of(pilot.app)
            assert "finished 1" in strip_of(pilot.app)
            assert "1 match" in text_of(pilot.app)

    run(flow)


def test_a_partial_search_says_how_far_it_looked_and_looks_further_on_g(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobq.tui.job_list.LOOK_ON", 60)
    canned = CannedSource(trouble())
    canned.look_size = 20

    async def flow() -> None:
        async with opened(canned) as pilot:
            await press(pilot, "2", "slash")
            await type_text(pilot, "zzz")
            await press(pilot, "enter")
            assert "partial: looked at the newest 60" in text_of(pilot.app)
            assert "no job matches among the newest 60: G looks further" in text_of(pilot.app)
            await look(pilot)
            await press(pilot, "G")
            assert "partial: looked at the newest 120" in text_of(pilot.app)

    run(flow)


def test_the_timeouts_of_the_last_hour_are_retried_in_ten_keys_from_the_overview(
    source: LiveSource, shop: dict[int, int], store: Any
) -> None:
    """They are of two classes, and there is another failure beside them, with more jobs."""
    failed = [shop[36], shop[37], shop[38]]
    store.execute(
        "UPDATE jobq.results SET fingerprint = repeat('b', 16), job_class = 'shop.jobs.Mail' WHERE id = %s", shop[37]
    )
    others = [shop[customer] for customer in (39, 40, 41, 42)]
    store.execute(
        "UPDATE jobq.results SET outcome = 'errored', error_type = 'KeyError', fingerprint = repeat('c', 16) "
        "WHERE id = ANY (%s)",
        others,
    )

    async def flow() -> None:
        async with opened(source) as pilot:
            await press(pilot, "3", "backslash", *"Time", "enter", "asterisk", "r")
            shown = text_of(pilot.app)
            assert "Retry 3 jobs" in shown
            assert "2 groups: TimeoutError of" in shown
            await press(pilot, "y")

    run(flow)
    assert {row.id for row in store.unfinished()} >= set(failed)
    assert not {row.id for row in store.unfinished()} & set(others)


def test_groups_are_marked_one_by_one_and_in_a_range_and_an_act_keeps_to_them() -> None:
    canned = CannedSource(trouble())

    async def flow() -> None:
        async with opened(canned) as pilot:
            groups = [group.group for group in canned.groups]
            await press(pilot, "3", "space", "j", "V")
            marks = pilot.app.screen.marks  # type: ignore[attr-defined]
            assert marks.ids == set(groups[:3])
            assert "3 marked" in text_of(pilot.app)
            await press(pilot, "escape", "space", "m")
            assert canned.muted == {groups[2]}
            await press(pilot, "escape", "g", "asterisk", "D")
            assert f"{len(groups)} groups" in text_of(pilot.app)
            await press(pilot, "escape", "asterisk")
            assert not marks

    run(flow)


def test_a_filter_is_completed_from_what_workers_know_and_the_newest_jobs_have(
    source: LiveSource, shop: dict[int, int], store: Any
) -> None:
    parameter = ParameterRecord("customer", "named", "int", None, required=True)
    store.worker(pid=2, classes=[ClassRecord("shop.jobs.Invoice", (), (parameter,), None)])
    store.add(job_class="shop.jobs.Other", queue="slow mails", unique_key="k-1", arguments='{"colour": "dark red"}')

    async def flow() -> None:
        async with opened(source) as pilot:
            await press(pilot, "slash")
            bar = pilot.app.screen.query_one("#filter-bar", FilterBar)

            async def completed(text: str) -> str:
                bar.field.value = ""
                await type_text(pilot, text)
                await press(pilot, "tab")
                return bar.field.value

            assert await completed("cus") == "args.customer:"
            assert await completed("error:T") == "error:TimeoutError"
            assert await completed("key:k") == "key:k-1"
            assert await completed("queue:default,") == 'queue:default,"slow mails"'
            assert await completed("-outcome:er") == "-outcome:errored"
            assert await completed("args.customer:4") == "args.customer:40"
            assert await completed("class:shop.jobs.Oth") == "class:shop.jobs.Other"
            assert await completed('"cus') == '"cus'
            assert (await completed("worker:")).startswith("worker:")
            bar.field.value = ""
            await type_text(pilot, "args.customer:4")
            assert "args.customer:40   args.customer:41   args.customer:42" in text_of(pilot.app)

    run(flow)


def test_customer_42_is_found_by_the_name_of_its_argument_in_eight_keys(
    source: LiveSource, shop: dict[int, int]
) -> None:
    async def flow() -> None:
        async with opened(source) as pilot:
            await press(pilot, "slash", *"cus", "tab", "4", "2", "enter")
            assert "/ args.customer:42" in text_of(pilot.app)
            assert "1 match" in text_of(pilot.app)
            assert "finished 1" in strip_of(pilot.app)

    run(flow)


def test_what_is_typed_waits_for_no_completion(monkeypatch: pytest.MonkeyPatch) -> None:
    """The look for completions hangs until the filter has been applied."""
    canned, release = CannedSource(trouble()), threading.Event()
    monkeypatch.setattr(canned, "learn", lambda job_class: release.wait(60))

    async def flow() -> None:
        async with opened(canned) as pilot:
            await pilot.press("slash", *"Time", "enter")
            for _ in range(2000):
                if "/ Time" in text_of(pilot.app):
                    break
                await pilot.pause(0.005)
            assert "/ Time" in text_of(pilot.app)
            assert not release.is_set()
            release.set()
            await settle(pilot)

    run(flow)

"""Numbers, times, texts and what is read from a snapshot: the pure parts of the console."""

import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import canned
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jobq.tui import formats, search
from jobq.tui.actions import ACTIONS, MANY, PURGE, RETRY, Tier
from jobq.tui.feed import AWAY_SECONDS, OFF, Feed
from jobq.tui.navigation import place_of
from jobq.tui.samples import Samples
from jobq.tui.screens.alike import alike
from jobq.tui.source import COUNT_LIMIT, VIEW_BY_NAME, Snapshot
from jobq.tui.troubles import Place, troubles
from rich.cells import cell_len
from rich.text import Text
from textual.message_pump import MessagePump

from jobq.commands import term
from jobq.errors import FilterError

TUI = Path(__file__).parents[2] / "tui"


@given(st.floats(0, 1e12))
def test_a_short_number_has_at_most_five_characters(number: float) -> None:
    assert len(formats.short(number)) <= 5


@given(st.text(max_size=80), st.integers(1, 60), st.booleans())
def test_a_fitted_text_has_exactly_its_cells(text: str, width: int, right: bool) -> None:
    clean = canned.live.line(text)
    assert cell_len(formats.fit(clean, width, right=right)) == width


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0.04, "40ms"), (0.44, "0.4s"), (75, "1m 15s"), (3600, "1h"), (90_061, "1d 1h"), (None, "—")]
)
def test_durations_have_two_units_at_the_most(seconds: float | None, shown: str) -> None:
    assert formats.duration(seconds) == shown


def snapshot(world: object) -> Snapshot:
    return canned.CannedSource(world).look(3600.0)  # type: ignore[arg-type]


def test_a_calm_world_needs_nobody() -> None:
    assert troubles(snapshot(canned.calm()), Samples(), "1h") == ()


def test_each_trouble_is_named_and_leads_to_its_place() -> None:
    found = {trouble.key: trouble for trouble in troubles(snapshot(canned.trouble()), Samples(), "1h")}
    assert found["dead worker 3"].place.screen == "workers"
    assert found["paused reports"].text == "reports paused for 3 hours by ana@ops: 311 jobs wait"
    assert found["unknown class crm.jobs.Merge"].place == Place("jobs", "pending", "class:crm.jobs.Merge")


def test_no_worker_is_a_trouble_where_jobs_wait() -> None:
    stats, jobs = canned.calm()
    (trouble,) = troubles(snapshot((replace(stats, workers=()), jobs)), Samples(), "1h")
    assert "no worker runs" in trouble.text


def test_growth_is_that_of_the_last_minute_and_unknown_of_what_cannot_be_counted() -> None:
    stats, _ = canned.calm()
    samples = Samples()
    for second in (120, 30, 0):
        queues = tuple(
            replace(queue, pending=COUNT_LIMIT if queue.name == "mail" else 200 - second) for queue in stats.queues
        )
        samples.add(replace(stats, queues=queues, at=stats.at - timedelta(seconds=second)))
    assert samples.growth_per_minute("default") == pytest.approx(60)
    assert samples.growth_per_minute("mail") is None


@given(
    st.text(min_size=1, max_size=20).filter(lambda text: "\0" not in text and not re.search("[\ud800-\udfff]", text))
)
def test_a_name_of_any_kind_can_be_filtered_by(name: str) -> None:
    query = search.query(VIEW_BY_NAME["pending"], term("queue", name))
    (one,) = [one for one in query.meaning.terms if one.key == "queue"]
    assert [value.text for value in one.values] == [name]  # type: ignore[union-attr]


def test_what_is_cut_has_a_mark_where_it_was_cut() -> None:
    path = "/srv/app/billing/vat.py:31 vat_rate"
    assert formats.tail(path, 40) == path
    assert formats.tail(path, 30) == "…/billing/vat.py:31 vat_rate"
    assert formats.tail(path, 19) == "…vat.py:31 vat_rate"
    text = Text.assemble(("mail ", "red"), ("paused", "bold"))
    assert formats.cut(text, 11) is text
    assert formats.cut(text, 8).plain == "mail pa…"
    assert formats.cut(text, 8, more="~").spans[-1].style == "bold"
    assert formats.at_least(9, 10) == "9"
    assert formats.at_least(10_000, 10_000, formats.short) == "10k+"


def test_a_filter_finds_groups_of_failures_by_what_they_are() -> None:
    (group, *_) = canned.groups_of(canned.trouble()[1])
    assert group.job_class == "mail.jobs.SendReceipt"
    for text in ("", "class:mail.*", "error:timeout", "timed queue:mail", "-error:KeyError vat.py", "class:x,mail.*"):
        assert search.fits(group, search.group_filter(text)), text
    for text in ("class:mail", "error:KeyError", "-mail", "queue:default", "timed class:billing.*"):
        assert not search.fits(group, search.group_filter(text)), text
    with pytest.raises(FilterError, match="Groups are found by"):
        search.group_filter("since:1h")


def test_what_failed_jobs_have_in_common_is_told_of_their_arguments() -> None:
    assert alike([{"invoice": 1, "country": "CH"}]) == ""
    assert alike([{"invoice": 1, "country": "CH"}, {"invoice": 2, "country": "CH"}]) == (
        'the last 2: their arguments differ in invoice and have the same country="CH"'
    )
    assert alike([{}, {"force": True}]) == "the last 2: their arguments differ in force"
    assert alike([{}, {}]) == ""


def test_a_term_that_fits_no_job_of_a_list_empties_it_and_is_kept() -> None:
    query = search.query(VIEW_BY_NAME["pending"], "outcome:errored queue:mail")
    assert query.barred == ("outcome:errored",)
    assert query.text == "outcome:errored queue:mail"


def test_the_command_for_a_list_is_that_list() -> None:
    assert search.command(VIEW_BY_NAME["errored"], "queue:mail") == "jobq list 'outcome:errored queue:mail'"


def test_a_place_is_read_as_it_is_written() -> None:
    assert place_of("jobs/errored/queue:mail since:1h") == Place("jobs", "errored", "queue:mail since:1h")
    assert place_of("failures") == Place("failures")


def test_what_is_asked_before_an_act_grows_with_what_it_is_on() -> None:
    assert RETRY.tier(1, is_production=False) is Tier.NONE
    assert RETRY.tier(MANY, is_production=False) is Tier.YES
    assert RETRY.tier(MANY + 1, is_production=False) is Tier.TYPED
    assert PURGE.tier(1, is_production=False) is Tier.TYPED
    assert RETRY.tier(1, is_production=True) is Tier.TYPED


def test_every_action_is_done_by_some_screen() -> None:
    source = "".join(path.read_text(encoding="utf-8") for path in TUI.rglob("*.py"))
    for action in ACTIONS:
        assert f"def action_{action.name}(" in source, action.name


def test_no_text_is_ever_read_as_markup() -> None:
    for path in TUI.rglob("*.py"):
        source = path.read_text(encoding="utf-8")
        for call in re.findall(r"\b(?:Static|notify)\((?:[^()]|\([^()]*\))*\)", source):
            assert "markup=False" in call, f"{path.name}: {call}"
        assert "from_markup" not in source


def test_a_console_that_nobody_looks_at_looks_more_rarely_and_one_that_is_off_only_when_told() -> None:
    source, listener = canned.CannedSource(canned.empty()), MessagePump()
    feed = Feed(source, listener, every=1.0)
    paces = [feed.pace]
    feed.is_away = True
    paces.append(feed.pace)
    assert paces == [1.0, AWAY_SECONDS]
    assert [Feed(source, listener, every=every).pace for every in (OFF, None)] == [None, None]

"""The keys of the console, on a real database."""

import re
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import pytest
from canned import CannedSource, trouble
from driving import line_with, look, opened, press, run, settle, text_of, type_text
from jobq.tui.access import Target
from jobq.tui.live import LiveSource
from jobq.tui.navigation import place_of

from jobq.arguments import encode_note
from jobq.records import ClassRecord, ParameterRecord
from jobq.settings import Settings
from jobq.store import migrations
from jobq.store.database import Database

OWN = {"queue": "default", "priority": 0, "retries": 0, "timeout": None, "unique_key": None}
"""What a class says that says nothing of its own."""

WORK = "shop.jobs.Work"
ERRORED = ["right"] * 5


@pytest.fixture
def source(database: Database) -> LiveSource:
    return live(database)


def live(database: Database, *, env: str = "development", is_read_only: bool = False) -> LiveSource:
    target = Target("here", database.schema, env, is_read_only)
    return LiveSource(database, target, lambda: migrations.migrate(database))


def failed(store: Any, report: Callable[..., Any], number: int, **fields: Any) -> list[int]:
    """Jobs that ended in an error."""
    worker = store.worker()
    ids = store.add_many(*({"arguments": f'{{"n": {place}}}', **fields} for place in range(number)))
    claimed = store.claim(worker)
    store.finish(
        worker,
        *(report(one, "errored", error_type="KeyError", error_message="'vat_id'", traceback="…") for one in claimed),
    )
    store.execute("UPDATE jobq.workers SET stopped_at = now()")
    return ids


def test_enter_opens_the_job_under_the_cursor_and_escape_leads_back(source: LiveSource, store: Any) -> None:
    first, second = store.add(), store.add()

    async def flow() -> None:
        async with opened(source) as pilot:
            await press(pilot, "2", "j", "enter")
            assert f"#{first} {WORK}" in text_of(pilot.app)
            await press(pilot, "left_square_bracket")
            assert f"#{second} {WORK}" in text_of(pilot.app)
            await press(pilot, "escape")
            assert "newest first" in text_of(pilot.app)

    run(flow)


def test_a_value_that_was_not_kept_is_told_in_the_list_and_on_the_jobs_page(
    source: LiveSource, store: Any, report: Callable[..., Any]
) -> None:
    store.add()
    worker = store.worker()
    note = "run() returned a Response, \x1b[2J which is not kept"
    store.finish(worker, *(report(one, "successful", value=encode_note(note)) for one in store.claim(worker)))

    async def flow() -> None:
        async with opened(source) as pilot:
            await press(pilot, "2", *["right"] * 4)
            assert "run() returned a Response, ␛[2J which is not kept" in text_of(pilot.app)
            await press(pilot, "enter")
            assert "run() returned a Response, ␛[2J which is not kept" in text_of(pilot.app)
            assert "unkept" not in text_of(pilot.app)

    run(flow)


def test_r_queues_a_failed_job_again_without_asking(source: LiveSource, store: Any, report: Callable[..., Any]) -> None:
    (job,) = failed(store, report, 1)

    async def flow() -> None:
        async with opened(source) as pilot:
            await press(pilot, "2", *ERRORED, "r")
            assert f"retried #{job}" in text_of(pilot.app)
            assert "no errored jobs" in text_of(pilot.app)

    run(flow)
    assert [row.id for row in store.unfinished()] == [job]


def test_marked_jobs_and_no_others_are_retried_after_a_yes(
    source: LiveSource, store: Any, report: Callable[..., Any]
) -> None:
    ids = failed(store, report, 5)

    async def flow() -> None:
        async with opened(source) as pilot:
            await press(pilot, "2", *ERRORED, "space", "j", "space", "r")
            assert "Retry 2 jobs" in text_of(pilot.app)
            await press(pilot, "y")

    run(flow)
    retried = {row.id for row in store.unfinished()}
    assert len(retried) == 2
    assert retried < set(ids)


@pytest.mark.parametrize("key", ["enter", "escape", "n"])
def test_leaving_a_dialog_changes_nothing(source: LiveSource, store: Any, report: Callable[..., Any], key: str) -> None:
    failed(store, report, 3)

    async def flow() -> None:
        async with opened(source) as pilot:
            await press(pilot, "2", *ERRORED, "space", "space", "r", key)
            assert "2 marked" in text_of(pilot.app)

    run(flow)
    assert store.unfinished() == []


def test_all_that_match_are_retried_also_those_that_are_not_loaded(
    source: LiveSource, store: Any, report: Callable[..., Any]
) -> None:
    for _ in range(2):
        failed(store, report, 100)
    mails = failed(store, report, 100)
    store.execute("UPDATE jobq.results SET job_class = 'mail.Send' WHERE id = ANY (%s)", mails)

    async def flow() -> None:
        async with opened(source) as pilot:
            await press(pilot, "2", *ERRORED, "asterisk", "r")
            shown = text_of(pilot.app)
            assert all(words in shown for words in ("Retry 300 jobs", f"200 {WORK}", "100 mail.Send"))
            assert re.search(r"[1-9]\d* on the screen, the other 2\d\d not", shown)
            assert "of run time" not in shown, "nobody knows how long these take"
            await press(pilot, "y", "enter")  # neither is the number
            assert store.unfinished() == []
            await type_text(pilot, "300")
            await press(pilot, "enter")

    run(flow)
    assert len(store.unfinished()) == 300


def test_what_comes_to_match_while_the_dialog_is_open_is_not_touched(source: LiveSource, store: Any) -> None:
    first, second = store.add(), store.add()

    async def flow() -> None:
        async with opened(source) as pilot:
            await press(pilot, "2", "asterisk", "c")
            assert "Cancel 2 jobs" in text_of(pilot.app)
            store.add()
            await press(pilot, "y")

    run(flow)
    assert [row.id for row in store.results()] == [first, second]
    assert len(store.unfinished()) == 1


def test_a_job_that_changed_state_meanwhile_is_left_alone_and_the_reason_told(source: LiveSource, store: Any) -> None:
    first, second = store.add(), store.add()

    async def flow() -> None:
        async with opened(source) as pilot:
            await press(pilot, "2", "space", "space", "c")
            store.cancel(first)
            await press(pilot, "y")
            assert "Cancelled 1 job, left 1 alone" in text_of(pilot.app)
            assert "it has ended already" in text_of(pilot.app)

    run(flow)
    assert {row.id for row in store.results()} == {first, second}


def test_deleting_takes_the_number_of_jobs_even_for_one(
    source: LiveSource, store: Any, report: Callable[..., Any]
) -> None:
    (job,) = failed(store, report, 1)

    async def flow() -> None:
        async with opened(source) as pilot:
            await press(pilot, "2", *ERRORED, "D", "y", "enter")
            assert store.results(job)
            await type_text(pilot, "1")
            await press(pilot, "enter")

    run(flow)
    assert store.results() == []


def test_a_filter_shows_what_matches_and_an_act_keeps_to_it(source: LiveSource, store: Any) -> None:
    for queue in ("mail", "mail", "slow"):
        store.add(queue=queue)

    async def flow() -> None:
        async with opened(source) as pilot:
            await press(pilot, "2", "slash")
            await type_text(pilot, "queue:mail")
            await press(pilot, "enter")
            assert "2 match" in text_of(pilot.app)
            await press(pilot, "asterisk", "c")
            assert "every match of pending queue:mail" in text_of(pilot.app)
            await press(pilot, "y")
            await press(pilot, "escape")
            assert "1 job " in text_of(pilot.app)

    run(flow)
    assert {row.queue for row in store.results()} == {"mail"}


def test_a_mistake_in_a_filter_is_told_and_does_not_apply(source: LiveSource, store: Any) -> None:
    store.add()

    async def flow() -> None:
        async with opened(source) as pilot:
            await press(pilot, "2", "slash")
            await type_text(pilot, "colour:red")
            assert "There is no colour:" in text_of(pilot.app)
            await press(pilot, "enter", "escape")
            assert "1 job " in text_of(pilot.app)

    run(flow)


def test_new_rows_are_held_while_the_cursor_is_below_the_top(source: LiveSource, store: Any) -> None:
    ids = [store.add() for _ in range(5)]

    async def flow() -> None:
        async with opened(source) as pilot:
            await press(pilot, "2", "j")
            before = [line[:8] for line in text_of(pilot.app).splitlines()[5:10]]
            new = store.add()
            await look(pilot)
            assert "1 newer, held" in text_of(pilot.app)
            assert [line[:8] for line in text_of(pilot.app).splitlines()[5:10]] == before
            await press(pilot, "g")
            assert str(new) in text_of(pilot.app).splitlines()[5]

    run(flow)
    assert len(ids) == 5


def test_the_cursor_and_the_marks_stay_with_their_jobs_when_others_leave(source: LiveSource, store: Any) -> None:
    ids = [store.add() for _ in range(6)]

    async def flow() -> None:
        async with opened(source) as pilot:
            await press(pilot, "2", "j", "j", "space")
            store.cancel(ids[5], ids[4])
            await look(pilot)
            shown: Any = pilot.app.screen.list_view  # type: ignore[attr-defined]
            assert shown.marks.ids == {ids[3]}
            assert shown.rows.current_key == ids[2]
            await press(pilot, "c", "y")

    run(flow)
    assert {row.id for row in store.results()} == {ids[5], ids[4], ids[3]}


def test_groups_of_failures_keep_their_places_below_the_top_until_g(
    source: LiveSource, store: Any, report: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobq.tui.live.FIGURES_EVERY", 0.0)
    monkeypatch.setattr("jobq.tui.live.FIGURES_SHARE", 0.0)

    def fail(letter: str, number: int) -> None:
        ids = failed(store, report, number)
        store.execute("UPDATE jobq.results SET fingerprint = repeat(%s, 16) WHERE id = ANY (%s)", letter, ids)

    def order(console: Any) -> str:
        return "".join(group.group[0] for group in console.screen.rows.items)

    for letter, number in (("a", 3), ("b", 2), ("c", 1)):
        fail(letter, number)

    async def flow() -> None:
        async with opened(source, place=place_of("failures/error:vat -class:shop.*")) as pilot:
            assert "no group matches" in text_of(pilot.app)
            await press(pilot, "backslash", *["backspace"] * 14, "enter", "j")
            assert "\\ error:vat   3 groups" in text_of(pilot.app)
            assert "the last 2: their arguments differ in n" in text_of(pilot.app)
            await press(pilot, "escape", "j")
            assert order(pilot.app) == "abc"
            fail("c", 9)
            fail("d", 5)
            await look(pilot)
            assert order(pilot.app) == "abcd"
            assert "1 new, below" in text_of(pilot.app)
            await press(pilot, "g")
            assert order(pilot.app) == "cdab"

    run(flow)


def test_marks_stay_with_their_jobs_when_the_filter_changes(source: LiveSource, store: Any) -> None:
    mail, slow, other = store.add(queue="mail"), store.add(queue="slow"), store.add(queue="mail")

    async def flow() -> None:
        async with opened(source) as pilot:
            await press(pilot, "2", "j", "space", "slash")
            await type_text(pilot, "queue:mail")
            await press(pilot, "enter", "j", "space")
            assert "2 marked, 1 not loaded here" in text_of(pilot.app)
            await press(pilot, "c")
            assert "Cancel 2 jobs" in text_of(pilot.app)
            await press(pilot, "y")

    run(flow)
    assert {row.id for row in store.results()} == {mail, slow}
    assert [row.id for row in store.unfinished()] == [other]


def test_a_list_of_thousands_is_read_a_page_at_a_time(source: LiveSource, store: Any) -> None:
    ids = store.add_many(*({} for _ in range(1500)))

    async def flow() -> None:
        async with opened(source) as pilot:
            await press(pilot, "2")
            shown: Any = pilot.app.screen.list_view  # type: ignore[attr-defined]
            assert len(shown.rows.items) == 200
            for _ in range(8):
                await press(pilot, "G")
            assert len(shown.rows.items) == 1500
            assert shown.rows.current_key == ids[0]
            await press(pilot, "g")
            assert shown.rows.current_key == ids[-1]

    run(flow)


def test_a_job_is_enqueued_from_the_form_once_its_fields_are_right(
    source: LiveSource, store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VISUAL", "sed -i s/many/7/")
    parameter = ParameterRecord("n", "named", "int", None, required=True)
    store.worker(classes=[ClassRecord(WORK, (), (parameter,), "Works.", options=OWN)])

    async def flow() -> None:
        async with opened(source) as pilot:
            await press(pilot, "n")
            await type_text(pilot, WORK)
            await press(pilot, "tab")
            await type_text(pilot, "many")
            await press(pilot, "ctrl+s")
            assert "is no int" in text_of(pilot.app)
            await press(pilot, "ctrl+e")
            assert "no editor in a browser" in text_of(pilot.app)  # nor in what drives these tests
            monkeypatch.setattr(pilot.app, "suspend", nullcontext)
            await press(pilot, "ctrl+e", "ctrl+s")
            assert f"enqueued {WORK}" in text_of(pilot.app)

    run(flow)
    (job,) = store.unfinished()
    assert (job.job_class, job.arguments, job.queue) == (WORK, {"n": 7}, "default")


def test_a_job_is_run_again_as_a_new_one_with_other_arguments(
    source: LiveSource, store: Any, report: Callable[..., Any]
) -> None:
    (old,) = failed(store, report, 1, queue="default", retries=3)
    parameter = ParameterRecord("n", "named", "int", None, required=True)
    store.worker(pid=2, classes=[ClassRecord(WORK, (), (parameter,), None, options=OWN)])

    async def flow() -> None:
        async with opened(source) as pilot:
            await press(pilot, "2", *ERRORED, "e", "tab", "backspace")
            await type_text(pilot, "42")
            await press(pilot, "ctrl+s")

    run(flow)
    (job,) = store.unfinished()
    assert (job.arguments, job.retries) == ({"n": 42}, 3)
    assert store.results(old)


def test_the_job_of_a_schedule_is_run_once_with_other_arguments(source: LiveSource, store: Any) -> None:
    parameter = ParameterRecord("n", "named", "int", None, required=True)
    store.worker(classes=[ClassRecord(WORK, (), (parameter,), None, options=OWN)])
    store.execute(
        "INSERT INTO jobq.schedules (name, job_class, arguments, queue, priority, retries, expression, timezone, "
        "missed, overlap, jitter, next_at) VALUES ('nightly', %s, '{\"n\": 1}', 'reports', 0, 0, '0 2 * * *', 'UTC', "
        "'once', 'allow', 0, now() + interval '1 day')",
        WORK,
    )

    async def flow() -> None:
        async with opened(source) as pilot:
            await press(pilot, "6", "e")
            assert "like nightly" in text_of(pilot.app)
            await press(pilot, "tab", "backspace")
            await type_text(pilot, "42")
            await press(pilot, "ctrl+s")

    run(flow)
    (job,) = store.unfinished()
    assert (job.job_class, job.arguments, job.queue) == (WORK, {"n": 42}, "reports")
    assert not store.rows("SELECT FROM jobq.ticks"), "its ticks are as they were"


def test_with_plain_characters_there_is_nothing_else_from_key_to_chart() -> None:
    async def flow() -> None:
        async with opened(CannedSource(trouble()), (80, 24), is_ascii=True) as pilot:
            for keys in ([], ["question_mark"], ["escape", "2", "right", "right", "colon"], ["escape", "3", "m"]):
                await press(pilot, *keys)
                assert text_of(pilot.app).isascii(), keys

    run(flow)


def test_lines_are_drawn_without_braille_where_the_font_has_none() -> None:
    async def flow() -> None:
        async with opened(CannedSource(trouble()), has_braille=False) as pilot:
            drawn = text_of(pilot.app)
            assert not any("\u2800" <= character <= "\u28ff" for character in drawn)
            assert "▀" in drawn
            assert "▄" in drawn

    run(flow)


def test_a_worker_is_asked_to_stop_after_a_yes(source: LiveSource, store: Any) -> None:
    first, second = store.worker(pid=1), store.worker(pid=2)

    async def flow() -> None:
        async with opened(source) as pilot:
            await press(pilot, "5", "j", "S")
            assert "Stop here/2" in text_of(pilot.app)
            await press(pilot, "y")
            assert "asked to stop: here/2" in text_of(pilot.app)
            await look(pilot)
            assert "to stop" in line_with(pilot.app, "here/2 ")
            await press(pilot, "S")
            assert "has asked it already" in text_of(pilot.app)

    run(flow)
    asked = store.rows("SELECT id FROM jobq.workers WHERE stop_requested_at IS NOT NULL")
    assert [row.id for row in asked] == [second]
    assert first


def test_the_history_of_a_job_has_what_operators_did_to_it(
    source: LiveSource, store: Any, report: Callable[..., Any]
) -> None:
    (job,) = failed(store, report, 1)
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    store.execute(f'UPDATE jobq.results SET trace_context = \'{{"traceparent": "00-{trace}-00f067aa0ba902b7-01"}}\'')
    other = "INSERT INTO jobq.audit (who, verb, affected, ids, selection) VALUES ('bo@ops', 'cancel', %s, %s, 'id:>1')"
    store.execute(other, 500, list(range(1000, 1020)))
    store.execute(other, 2, [1000, 1001])

    async def flow() -> None:
        async with opened(source) as pilot:
            await press(pilot, "2", *ERRORED, "r", *["left"] * 5, "enter")
            assert f"trace {trace}" in text_of(pilot.app)
            await press(pilot, "w")
            assert "0 jobs before it" in text_of(pilot.app)
            await press(pilot, "tab", "tab")
            text = text_of(pilot.app)
            assert "retry  by " in text
            assert text.count("cancel  by bo@ops  with 499 others  id:>1") == 1
            assert "perhaps also" in text

    run(flow)
    assert store.job(job)


def test_a_group_of_which_all_recovered_leads_to_its_last_job(
    source: LiveSource, store: Any, report: Callable[..., Any]
) -> None:
    (job,) = failed(store, report, 1)
    store.execute("UPDATE jobq.results SET fingerprint = 'abcdef01'")
    store.retry_by_hand(job)
    store.finish(worker := store.worker(pid=9), *(report(one) for one in store.claim(worker)))

    async def flow() -> None:
        async with opened(source) as pilot:
            await press(pilot, "3")
            assert "all were tried again" in text_of(pilot.app)
            await press(pilot, "enter")
            assert "Attempt 2 of 2" in text_of(pilot.app)

    run(flow)


def test_a_very_small_window_has_a_list_and_one_line_of_keys(source: LiveSource, store: Any) -> None:
    job = store.add()

    async def flow() -> None:
        async with opened(source, (44, 12)) as pilot:
            text = text_of(pilot.app).splitlines()
            assert "no worker runs" in text[0]
            assert text[-1].rstrip().endswith("larger window shows more")
            await press(pilot, "2")
            assert "ID" in text_of(pilot.app).splitlines()[0]
            await press(pilot, "enter")
            assert "not begun" in text_of(pilot.app).splitlines()[0]
            assert "no worker runs" in text_of(pilot.app)
            await press(pilot, "escape")
            await pilot.resize_terminal(100, 30)
            await settle(pilot)
            assert f"{job}" in text_of(pilot.app)
            assert "newest first" in text_of(pilot.app)

    run(flow)


def test_a_trouble_leads_to_its_row_on_a_screen_that_was_never_opened_before(source: LiveSource, store: Any) -> None:
    store.worker(classes=[ClassRecord(WORK, (), (), None)])
    store.execute("INSERT INTO jobq.queues (name, paused_at) VALUES ('a', now()), ('mail', now())")
    store.add(queue="a")
    store.add(queue="mail")

    async def flow() -> None:
        async with opened(source) as pilot:
            lines = [line for line in text_of(pilot.app).splitlines() if " paused " in line and "wait" in line]
            place = next(place for place, line in enumerate(lines) if "mail paused" in line)
            await press(pilot, *["j"] * place, "enter")
            assert pilot.app.screen.rows.current.name == "mail"  # type: ignore[attr-defined]
            await press(pilot, "p", "y")
            assert "resumed mail" in text_of(pilot.app)

    run(flow)


def test_a_read_only_console_refuses_every_act_and_offers_none(
    database: Database, store: Any, report: Callable[..., Any]
) -> None:
    failed(store, report, 1)

    async def flow() -> None:
        async with opened(live(database, is_read_only=True)) as pilot:
            await press(pilot, "2", *ERRORED)
            assert "off: r retry" in text_of(pilot.app).splitlines()[-1]
            await press(pilot, "r")
            assert "read-only" in line_with(pilot.app, "retry:")
            await press(pilot, "n")
            assert "Enqueue" not in text_of(pilot.app)

    run(flow)
    assert store.unfinished() == []


def test_on_production_one_retry_takes_its_number(database: Database, store: Any, report: Callable[..., Any]) -> None:
    failed(store, report, 1)
    source = live(database, env="production")
    source.access.open()

    async def flow() -> None:
        async with opened(source) as pilot:
            await press(pilot, "2", *ERRORED, "r")
            assert "on PROD" in text_of(pilot.app)
            assert store.unfinished() == []
            await type_text(pilot, "1")
            await press(pilot, "enter")

    run(flow)
    assert len(store.unfinished()) == 1


def test_a_frozen_console_shows_what_it_showed(source: LiveSource, store: Any) -> None:
    store.add()

    async def flow() -> None:
        async with opened(source) as pilot:
            await press(pilot, "f")
            store.add()
            await look(pilot)
            assert "pending 1 " in text_of(pilot.app)
            await press(pilot, "f")
            assert "pending 2 " in text_of(pilot.app)

    run(flow)


def test_a_lost_database_leaves_what_was_seen_turns_acts_off_and_comes_back(
    source: LiveSource, store: Any, connection: Any, report: Callable[..., Any], database: Database
) -> None:
    failed(store, report, 1)

    async def flow() -> None:
        async with opened(source) as pilot:
            await press(pilot, "2", *ERRORED)
            store.execute("ALTER SCHEMA jobq RENAME TO away")  # questions fail, as they do where nothing answers
            pilot.app.feed.source.look = refuse  # type: ignore[attr-defined]
            await look(pilot)
            assert "reconnecting" in text_of(pilot.app)
            assert "KeyError" in text_of(pilot.app)
            await press(pilot, "r")
            assert "cannot be reached" in text_of(pilot.app)
            store.execute("ALTER SCHEMA away RENAME TO jobq")
            del pilot.app.feed.source.look  # type: ignore[attr-defined]
            await look(pilot)
            assert "live" in text_of(pilot.app)

    run(flow)
    assert store.unfinished() == []


def refuse(_seconds: float) -> Any:
    from jobq.errors import DatabaseUnreachable

    raise DatabaseUnreachable("here cannot be reached: connection refused.")


def test_the_console_offers_to_migrate_a_database_without_tables(settings: Settings) -> None:
    database = Database(settings)
    with database.connect("test") as connection:
        connection.execute("DROP SCHEMA jobq CASCADE")

    async def flow() -> None:
        async with opened(live(database)) as pilot:
            assert "The schema is not ready" in text_of(pilot.app)
            await press(pilot, "m")
            assert "NEEDS YOU" in text_of(pilot.app)

    try:
        run(flow)
    finally:
        database.close()


def test_enter_on_what_needs_you_leads_to_the_jobs_that_are_meant(source: LiveSource, store: Any) -> None:
    store.worker(classes=[ClassRecord("shop.jobs.Other", (), (), None)])
    store.add()

    async def flow() -> None:
        async with opened(source) as pilot:
            assert f"{WORK}: no worker knows it, 1 job" in text_of(pilot.app)
            await press(pilot, "enter")
            assert f"class:{WORK}" in text_of(pilot.app)
            assert "1 match" in text_of(pilot.app)

    run(flow)


def test_the_palette_finds_an_action_by_its_words_and_a_job_by_its_number(source: LiveSource, store: Any) -> None:
    job = store.add()

    async def flow() -> None:
        async with opened(source) as pilot:
            await press(pilot, "colon")
            await type_text(pilot, "workers")
            await press(pilot, "enter")
            assert "no worker runs" in text_of(pilot.app)
            await press(pilot, "colon")
            await type_text(pilot, str(job))
            await press(pilot, "enter")
            assert f"#{job} {WORK}" in text_of(pilot.app)

    run(flow)


def test_y_copies_what_is_chosen(source: LiveSource, store: Any) -> None:
    job = store.add(arguments='{"n": 1}')

    async def flow() -> None:
        async with opened(source) as pilot:
            await press(pilot, "2", "y", "a")
            assert pilot.app.clipboard == '{"n": 1}'
            await press(pilot, "y", "s")
            assert pilot.app.clipboard == f"jobq show {job}"

    run(flow)


def test_marks_of_a_range_and_sorting(source: LiveSource, store: Any) -> None:
    ids = [store.add(priority=priority) for priority in (1, 5, 3)]

    async def flow() -> None:
        async with opened(source) as pilot:
            await press(pilot, "2", "space", "j", "V")
            shown: Any = pilot.app.screen.list_view  # type: ignore[attr-defined]
            assert shown.marks.ids == set(ids)
            await press(pilot, "escape")
            assert shown.marks.ids == set()
            while shown.jobs.sort != ("PRIO", True):
                await press(pilot, "s")
            assert [job.id for job in shown.rows.items] == [ids[1], ids[2], ids[0]]

    run(flow)


def test_z_takes_back_what_was_done(source: LiveSource, store: Any, report: Callable[..., Any]) -> None:
    ids = failed(store, report, 3)

    async def flow() -> None:
        async with opened(source) as pilot:
            await press(pilot, "2", *ERRORED, "space", "space", "r", "y")
            assert len(store.unfinished()) == 2
            await press(pilot, "z")
            assert "undo retry: #" in text_of(pilot.app)

    run(flow)
    assert store.unfinished() == []
    assert {row.id for row in store.results() if not row.retried} == set(ids)


def test_an_act_is_in_the_activity_with_its_filter_and_undone_from_there(source: LiveSource, store: Any) -> None:
    job = store.add(queue="mail")

    async def flow() -> None:
        async with opened(source) as pilot:
            await press(pilot, "4", "c", "y")
            assert store.results(job)
            await press(pilot, "7")
            assert "queue:mail" in line_with(pilot.app, "cancel")
            await press(pilot, "z")
            assert "undone" in text_of(pilot.app)

    run(flow)
    assert store.job(job).state == "pending"


def test_p_pauses_a_queue_and_lets_it_go_on(source: LiveSource, store: Any) -> None:
    store.add(queue="mail")

    async def flow() -> None:
        async with opened(source) as pilot:
            await press(pilot, "4", "p", "enter")
            assert store.rows("SELECT name FROM jobq.queues WHERE paused_at IS NOT NULL")
            await settle(pilot)
            assert "paused" in line_with(pilot.app, "   mail") or "paused" in line_with(pilot.app, "mail ")
            await press(pilot, "p", "y")

    run(flow)
    assert store.rows("SELECT name FROM jobq.queues WHERE paused_at IS NOT NULL") == []


def test_a_running_job_is_asked_to_end(source: LiveSource, store: Any) -> None:
    job = store.add()
    store.claim(store.worker())

    async def flow() -> None:
        async with opened(source) as pilot:
            await press(pilot, "2", "right", "right", "c", "y")
            assert "asked 1 running job to end" in text_of(pilot.app)

    run(flow)
    assert store.job(job).cancel_requested_at is not None


def test_a_group_of_failures_is_retried_as_a_whole_and_no_other(
    source: LiveSource, store: Any, report: Callable[..., Any]
) -> None:
    worker = store.worker()
    store.add_many(*({"queue": "default"} for _ in range(4)))
    claimed = store.claim(worker)
    kinds = ["KeyError", "KeyError", "KeyError", "TimeoutError"]
    store.finish(
        worker,
        *(
            report(one, "errored", error_type=kind, error_message=kind, fingerprint=kind.ljust(16, "0"))
            for one, kind in zip(claimed, kinds, strict=True)
        ),
    )

    async def flow() -> None:
        async with opened(source) as pilot:
            await press(pilot, "3")
            assert "KeyError" in text_of(pilot.app)
            await press(pilot, "r")
            assert "Retry 3 jobs" in text_of(pilot.app)
            await press(pilot, "y")

    run(flow)
    assert {row.id for row in store.unfinished()} == {one.id for one in claimed[:3]}


def test_a_muted_group_of_failures_needs_nobody_and_is_told_of_again(
    source: LiveSource, store: Any, report: Callable[..., Any]
) -> None:
    failed(store, report, 2)
    store.execute("UPDATE jobq.results SET fingerprint = repeat('a', 16)")

    async def flow() -> None:
        async with opened(source) as pilot:
            assert "2 × KeyError" in text_of(pilot.app)
            await press(pilot, "m")
            assert "2 × KeyError" not in text_of(pilot.app)
            await press(pilot, "3")
            assert "muted by " in text_of(pilot.app)
            await press(pilot, "3", "m", "1")
            assert "2 × KeyError" in text_of(pilot.app)
            await press(pilot, "3", "m", "z", "1")
            assert "2 × KeyError" in text_of(pilot.app)

    run(flow)
    assert [act.verb for act in reversed(source.audit())] == ["mute", "unmute", "mute", "undo"]


def test_why_says_what_a_job_waits_for(source: LiveSource, store: Any) -> None:
    store.add(delay=3600)

    async def flow() -> None:
        async with opened(source) as pilot:
            await press(pilot, "2", "right", "w")
            assert "Why #" in text_of(pilot.app)

    run(flow)


def test_no_screen_shows_what_a_secret_holds(source: LiveSource, store: Any, report: Callable[..., Any]) -> None:
    parameter = ParameterRecord("card", "any", "Secret", None, True)
    store.worker(classes=[ClassRecord(WORK, (), (parameter,), None, options=OWN)])
    stored = '{"card": {"$": "secret", "v": "open-sesame"}, "more": [{"$": "secret", "v": "open-sesame"}]}'
    failed(store, report, 1, arguments=stored)
    store.add(arguments=stored)
    seen: list[str] = []

    async def flow() -> None:
        async with opened(source, size=(160, 50)) as pilot:
            for keys in ([str(number) for number in range(1, 8)], ["2", "enter"], ["e"], ["escape"], ["escape"],
                         ["2", *ERRORED, "enter"], ["e"], ["escape"], ["escape"]):  # fmt: skip
                for key in keys:
                    await press(pilot, key)
                    seen.append(text_of(pilot.app))

    run(flow)
    assert any("•••" in text for text in seen)
    assert not any("sesame" in text for text in seen)

"""Questions that take long: a sign at once, nobody else waits for them, and nobody has to wait for their answers."""

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

import canned
import pytest
from driving import look, opened, press, run, settle, text_of
from jobq.tui.feed import READERS, STILL_LOOKS, STILL_SECONDS, Feed
from jobq.tui.messages import Answered
from jobq.tui.screens.looking import Looking
from textual.pilot import Pilot

TO_RUNNING = ("2", "right", "right")


class SlowSource(canned.CannedSource):
    """Its stacks are not answered before `release` is set."""

    def __init__(self) -> None:
        super().__init__(canned.calm())
        self.is_asked = threading.Event()
        self.release = threading.Event()

    def stack(self, job_id: int, attempt: int) -> Any:
        self.is_asked.set()
        assert self.release.wait(60)
        return super().stack(job_id, attempt)


async def until(pilot: Pilot[Any], is_true: Callable[[], bool]) -> None:
    """For what does not wait for the console's rest: a question is under way."""
    for _ in range(2000):
        if is_true():
            return
        await pilot.pause(0.005)
    pytest.fail(f"it has not come about:\n{text_of(pilot.app)}")


def is_looking(pilot: Pilot[Any]) -> bool:
    return isinstance(pilot.app.screen, Looking) and "looking" in text_of(pilot.app)


def test_a_slow_question_shows_a_sign_before_it_is_answered_and_then_its_answer() -> None:
    source = SlowSource()

    async def flow() -> None:
        async with opened(source) as pilot:
            await press(pilot, *TO_RUNNING)
            await pilot.press("l")
            await until(pilot, lambda: is_looking(pilot))
            source.release.set()
            await settle(pilot)
            assert "attempt 1 on web-1/7101" in text_of(pilot.app)

    run(flow)


def test_a_slow_question_holds_up_neither_looks_nor_other_questions() -> None:
    source = SlowSource()

    async def flow() -> None:
        async with opened(source) as pilot:
            await press(pilot, *TO_RUNNING)
            await pilot.press("l")
            await until(pilot, source.is_asked.is_set)
            await pilot.press("escape", "7")
            await until(pilot, lambda: "ana@ops" in text_of(pilot.app))  # the audit was read
            source.stats, source.all = canned.empty()
            pilot.app.feed.look()  # type: ignore[attr-defined]
            await until(pilot, lambda: pilot.app.state.snapshot.stats.workers == ())  # type: ignore[attr-defined]
            assert not source.release.is_set()
            source.release.set()
            await settle(pilot)

    run(flow)


def test_an_answer_that_nobody_waits_for_any_more_is_dropped() -> None:
    source = SlowSource()

    async def flow() -> None:
        async with opened(source) as pilot:
            await press(pilot, *TO_RUNNING)
            before = text_of(pilot.app)
            await pilot.press("l")
            await until(pilot, source.is_asked.is_set)
            await pilot.press("escape")
            source.release.set()
            await settle(pilot)
            await look(pilot)
            assert text_of(pilot.app) == before

    run(flow)


class Listener:
    """Takes what the feed says, as a screen does."""

    def __init__(self) -> None:
        self.heard: SimpleQueue[Any] = SimpleQueue()

    def post_message(self, message: Any) -> bool:
        self.heard.put(message)
        return True


@pytest.fixture
def release() -> threading.Event:
    return threading.Event()


@pytest.fixture
def feed(release: threading.Event) -> Any:
    listener: Any = Listener()
    feed = Feed(canned.CannedSource(canned.calm()), listener, every=None)
    yield feed
    release.set()
    feed.stop()


def test_a_question_is_answered_while_all_other_readers_but_one_wait(feed: Feed, release: threading.Event) -> None:
    asker: Any = Listener()
    for number in range(READERS - 1):
        feed.ask(asker, f"slow {number}", lambda _source: release.wait(60))
    feed.ask(asker, "quick", lambda source: source.target.name)
    answer = asker.heard.get(timeout=60)
    assert isinstance(answer, Answered)
    assert (answer.name, answer.value) == ("quick", canned.TARGET.name)


def test_what_is_asked_with_every_look_is_not_asked_twice_at_a_time(feed: Feed, release: threading.Event) -> None:
    asker: Any = Listener()
    begun: SimpleQueue[int] = SimpleQueue()

    def slow(_source: Any) -> bool:
        begun.put(1)
        return release.wait(60)

    feed.ask(asker, "page", slow, is_again=True)
    begun.get(timeout=60)
    for _ in range(10):
        feed.ask(asker, "page", slow, is_again=True)
    feed.ask(asker, "other", lambda _source: "answered")
    assert asker.heard.get(timeout=60).value == "answered"
    release.set()
    assert asker.heard.get(timeout=60).name == "page"
    assert begun.empty()


def test_of_questions_of_one_name_only_the_youngest_is_answered(
    feed: Feed, release: threading.Event, eventually: Any
) -> None:
    asker: Any = Listener()
    feed.ask(asker, "peek", lambda _source: release.wait(60))
    feed.ask(asker, "peek", lambda _source: "the youngest")
    assert asker.heard.get(timeout=60).value == "the youngest"
    feed.ask(asker, "forgotten", lambda _source: release.wait(60))
    feed.forget(asker, "forgotten")
    release.set()
    eventually(lambda: feed._readers.is_idle)
    assert asker.heard.empty()


def test_of_many_questions_of_one_name_two_are_under_way_and_the_youngest_is_next(
    feed: Feed, release: threading.Event, eventually: Any
) -> None:
    asker: Any = Listener()
    begun: SimpleQueue[int] = SimpleQueue()

    def ask(number: int) -> None:
        def slow(_source: Any) -> int:
            begun.put(number)
            assert release.wait(60)
            return number

        feed.ask(asker, "page", slow)

    for number in range(2):
        ask(number)
        assert begun.get(timeout=60) == number
    for number in range(2, 6):
        ask(number)
    release.set()
    eventually(lambda: feed._readers.is_idle)
    assert (begun.get(timeout=60), begun.empty()) == (5, True)
    assert (asker.heard.get(timeout=60).value, asker.heard.empty()) == (5, True)


def test_looks_are_rarer_while_nothing_happens_and_frequent_again_once_something_does() -> None:
    source = canned.CannedSource(canned.calm())
    listener: Any = Listener()
    feed = Feed(source, listener, every=1.0)
    paces = []
    for source.stats, source.all in [canned.calm()] * (1 + STILL_LOOKS) + [canned.empty()]:
        feed._look_once()
        paces.append(feed.pace)
    assert paces == [1.0] * STILL_LOOKS + [STILL_SECONDS, 1.0]


def test_a_recording_is_played_at_one_pace() -> None:
    listener: Any = Listener()
    feed = Feed(canned.CannedSource(canned.calm()), listener, every=1.0, may_slow=False)
    for _ in range(2 + STILL_LOOKS):
        feed._look_once()
    assert feed.pace == 1.0

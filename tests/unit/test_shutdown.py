"""How a worker stops, step by step; its children and services are played by the test."""

import signal
from types import SimpleNamespace
from typing import Any, cast

import pytest

from jobq.runtime import shutdown as stopping
from jobq.runtime.shutdown import Phase, Shutdown


class Scene:
    """A worker with `held` jobs in its children, and with `unrecorded` reports."""

    def __init__(self) -> None:
        self.held = 1
        self.has_children = True
        self.cut_off: list[str] = []
        self.services = SimpleNamespace(
            hooks=SimpleNamespace(are_taken=True),
            heartbeat=SimpleNamespace(wake=lambda: None),
            completer=SimpleNamespace(backlog=0),
            control=SimpleNamespace(has_to_write=False),
            log_keeper=SimpleNamespace(has_to_write=False),
            ownership=SimpleNamespace(held=lambda: {(1, 1)}),
        )
        supply = SimpleNamespace(
            receive=lambda: None,
            give_back_all=lambda: None,
            stop_claiming=lambda: None,
            has_to_give_back=False,
            is_asking=False,
        )
        children = SimpleNamespace(
            dispatcher=SimpleNamespace(recall_all=lambda: None), crew=SimpleNamespace(close=lambda: None), roster=self
        )
        self.shutdown = Shutdown(
            *(cast("Any", children), cast("Any", supply), cast("Any", self.services)), grace_seconds=30.0
        )

    @property
    def is_idle(self) -> bool:
        return not self.held

    @property
    def is_empty(self) -> bool:
        return not self.has_children

    def count_held(self) -> int:
        return self.held

    def cut_off_all(self, reason: str) -> None:
        self.cut_off.append(reason)

    def end_children(self) -> None:
        self.held, self.has_children = 0, False


@pytest.fixture
def scene() -> Scene:
    return Scene()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Any:
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(stopping, "monotonic", lambda: clock.now)
    return clock


def test_what_runs_may_end_within_the_grace_time(scene: Scene, clock: Any) -> None:
    scene.shutdown.begin()
    clock.now = 29.0
    scene.shutdown.go_on()
    assert (scene.shutdown.phase, scene.cut_off) == (Phase.STOPPING, [])
    scene.end_children()
    scene.shutdown.go_on()
    assert (scene.shutdown.phase, scene.shutdown.exit_code) == (Phase.FLUSHING, 0)
    assert not scene.services.hooks.are_taken


def test_what_runs_longer_is_cut_off_once_and_another_signal_changes_nothing(scene: Scene, clock: Any) -> None:
    scene.shutdown.take_signal(signal.SIGTERM)
    clock.now = 31.0
    for _ in range(2):
        scene.shutdown.go_on()
    assert scene.shutdown.phase is Phase.CUT_OFF
    scene.shutdown.take_signal(signal.SIGTERM)
    assert len(scene.cut_off) == 1
    scene.end_children()
    scene.shutdown.go_on()
    assert scene.shutdown.exit_code == 0


@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGINT, 130), (signal.SIGQUIT, 131), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("first", [signal.SIGTERM, signal.SIGHUP])
def test_a_second_signal_cuts_off_and_is_the_exit_code(
    scene: Scene, clock: Any, first: int, number: int, exit_code: int
) -> None:
    scene.shutdown.take_signal(first)
    clock.now = 0.0 if first == number else 1.5
    scene.shutdown.take_signal(number)
    assert (scene.shutdown.phase, len(scene.cut_off)) == (Phase.CUT_OFF, 1)
    scene.end_children()
    scene.shutdown.go_on()
    assert scene.shutdown.exit_code == exit_code


@pytest.mark.parametrize(
    "numbers",
    [
        (signal.SIGINT, signal.SIGTERM),  # Ctrl-C in a terminal, where a process manager runs the worker
        (signal.SIGHUP, signal.SIGHUP, signal.SIGHUP),  # a terminal is closed
        (signal.SIGTERM, signal.SIGHUP),  # systemd, with SendSIGHUP
        (signal.SIGUSR2, signal.SIGTERM),  # a batch system, whose time is running out
    ],
)
def test_one_stop_may_send_several_signals_at_once(scene: Scene, clock: Any, numbers: tuple[int, ...]) -> None:
    for number in numbers:
        scene.shutdown.take_signal(number)
        clock.now += 0.3
    assert (scene.shutdown.phase, scene.cut_off) == (Phase.STOPPING, [])


def test_the_first_signal_to_a_worker_that_an_operator_stopped_cuts_nothing_off(scene: Scene) -> None:
    scene.shutdown.begin()
    scene.shutdown.take_signal(signal.SIGTERM)
    assert (scene.shutdown.phase, scene.cut_off) == (Phase.STOPPING, [])


def test_reports_that_cannot_be_recorded_are_waited_for_and_then_given_up(scene: Scene, clock: Any) -> None:
    scene.shutdown.begin()
    scene.end_children()
    scene.services.completer.backlog = 3
    scene.shutdown.go_on()
    assert (scene.shutdown.phase, scene.shutdown.exit_code) == (Phase.FLUSHING, None)
    clock.now = stopping.FLUSH_SECONDS + 1
    scene.shutdown.go_on()
    assert scene.shutdown.exit_code == 1

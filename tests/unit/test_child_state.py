"""The life of a child: the drawing, the table, and the reasons for which its jobs end with it."""

import re
from typing import Any

import pytest

from jobq.records import Assignment
from jobq.runtime import child_state
from jobq.runtime.child_state import (
    DEAD,
    DOOMED,
    INTERRUPTED,
    IS_REPLACED,
    LEAVING,
    NEEDS_SUCCESSOR,
    OPEN,
    RETIRING,
    STARTING,
    TRANSITIONS,
    Blames,
    ChildState,
    CutOff,
    Life,
    Ordered,
    Step,
    Unexplained,
    fate_of,
)
from jobq.runtime.interruption import Interruption, Running
from jobq.runtime.protocol import Order, OrderKind

JOB = Assignment(7, 1, 0, 0, 0, 0, 0, "default", "jobs.Nothing", "{}")
TOLD = Interruption(Order(7, 1, OrderKind.TIMEOUT, "by a test"), JOB, 1.0, 0.0)


def test_the_drawing_has_every_step_and_no_other() -> None:
    drawn = re.findall(r"^    (\w+) --(\w+)--> (\w+)", child_state.__doc__ or "", re.MULTILINE)
    assert {(source, step): target for source, step, target in drawn} == TRANSITIONS
    assert len(drawn) == len(TRANSITIONS)


def test_every_state_can_be_reached_and_all_but_the_last_can_be_left() -> None:
    assert {STARTING, *TRANSITIONS.values()} == set(ChildState)
    assert {source for source, _ in TRANSITIONS} == set(ChildState) - {DEAD}
    assert {step for _, step in TRANSITIONS} == set(Step)


def test_no_step_leads_back() -> None:
    order = list(ChildState)
    for (source, _), target in TRANSITIONS.items():
        assert order.index(source) < order.index(target)


def test_a_doomed_child_can_only_die() -> None:
    assert {target for (source, _), target in TRANSITIONS.items() if source is DOOMED} == {DEAD}


def test_a_child_that_gets_no_more_jobs_while_it_works_has_a_successor() -> None:
    assert {INTERRUPTED, RETIRING, LEAVING} == NEEDS_SUCCESSOR
    assert IS_REPLACED < NEEDS_SUCCESSOR


def test_a_child_that_was_interrupted_gets_no_more_jobs() -> None:
    life = Life()
    for step, state in ((life.load, OPEN), (life.interrupt, INTERRUPTED), (life.load, INTERRUPTED)):
        step()
        assert life.state is state
    life.retire()
    assert life.state is RETIRING


def test_a_child_is_told_once_to_leave_and_loads_in_vain_then() -> None:
    life = Life()
    assert life.leave(5.0)
    assert not life.leave(6.0)
    life.load()
    assert (life.state, life.leaving_since, life.has_loaded) == (LEAVING, 5.0, True)


def test_the_first_reason_to_kill_a_child_wins() -> None:
    life = Life()
    life.kill(Blames(7, "its time ran out"))
    life.kill(CutOff("the worker stops"))
    assert life.cause == Blames(7, "its time ran out")
    assert life.state is DOOMED
    life.die()
    life.kill(CutOff("again"))
    assert life.state is DEAD


@pytest.mark.parametrize(
    ("cause", "interruption", "fate"),
    [
        (None, None, Unexplained()),
        (Unexplained("a forged report"), None, Unexplained("a forged report")),
        (None, TOLD, Ordered(TOLD, was_killed=False)),
        (Blames(7, "late"), TOLD, Ordered(TOLD, was_killed=True)),
        (Blames(8, "late"), None, Blames(8, "late")),
        (Blames(8, "late"), TOLD, Blames(8, "late")),
        (CutOff("the end"), None, CutOff("the end")),
        (CutOff("the end"), TOLD, CutOff("the end")),
    ],
)
def test_the_fate_of_a_job_whose_process_died(cause: Any, interruption: Any, fate: Any) -> None:
    assert fate_of(Running(JOB, 1.0, interruption), cause) == fate


def test_an_order_to_the_job_before_is_none_to_this_one() -> None:
    assert fate_of(Running(JOB._replace(id=8), 1.0, TOLD), None) == Unexplained()

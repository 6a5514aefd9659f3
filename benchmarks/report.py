"""What was measured: as a table, as a plot, and held against what is aimed at."""

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from benchmarks.bench import Figure

Place = tuple[str, str]
"""A measure, and the name of a figure in it; `…*` is the best whose name begins so, "peers" the best peer."""


@dataclass(frozen=True)
class Target:
    """What a figure has to reach: at least or at most `goal`; as a share of another, or beyond it, if one is named."""

    words: str
    figure: Place
    goal: float
    share_of: Place | None = None
    beyond: Place | None = None
    at_most: bool = False


ONE = ("drain", "jobq, 1 worker")
OWN = "jobq's own statements, in a loop"
WIDE = "drain, 200-byte arguments"
SINGLY = "enqueue one by one"
BARE = ("start", "a bare interpreter")
BY_CLIENTS = "enqueue by 16 clients"
LATER = "scheduled for later, at a higher priority"
OPEN = "a transaction held open"
IDLE = "idle worker"

TARGETS = (
    Target("drain / graphile-worker's best", ONE, 1.2, ("drain", "graphile-worker*")),
    Target("drain / its own statements in a loop", ONE, 0.8, ("drain", OWN)),
    Target("drain / a bare table of 5 columns in a loop", ONE, 0.4, ("drain", "a bare table of 5 columns, in a loop")),
    Target("the same with 200-byte arguments / its own statements", (WIDE, "jobq, 1 worker"), 0.8, (WIDE, OWN)),
    Target("two workers / one", ("drain", "jobq, 2 workers"), 1.0, ONE),
    Target("four workers / one", ("drain", "jobq, 4 workers"), 1.0, ONE),
    Target("enqueue one by one / a bare INSERT", (SINGLY, "jobq"), 0.85, (SINGLY, "a bare INSERT")),
    Target("enqueue by 16 clients / bare INSERTs", (BY_CLIENTS, "jobq"), 0.8, (BY_CLIENTS, "a bare INSERT")),
    Target("enqueue_many / COPY", ("enqueue_many", "jobq"), 0.5, ("enqueue_many", "COPY")),
    Target("enqueue_many / the best peer", ("enqueue_many", "jobq"), 2.0, ("enqueue_many", "peers")),
    Target("commit to run(), p50, ms", ("commit to run(), p50", "jobq"), 1.1, at_most=True),
    Target("commit to run(), p99, ms", ("commit to run(), p99", "jobq"), 4.0, at_most=True),
    Target("idle worker, statements a second", (IDLE, "statements"), 1.0, at_most=True),
    Target("idle worker, bytes of WAL a second", (IDLE, "WAL"), 50.0, at_most=True),
    Target("idle worker, % of a core", (IDLE, "CPU of supervisor and children"), 0.3, at_most=True),
    Target("supervisor, MB", (IDLE, "memory of the supervisor"), 45.0, at_most=True),
    Target("children's time in jobs of 1 ms, %", ("time spent in jobs", "of 1 ms"), 95.0),
    Target("children's time in jobs of 10 ms, %", ("time spent in jobs", "of 10 ms"), 95.0),
    Target("children's time in jobs of 1 s, %", ("time spent in jobs", "of 1 s"), 95.0),
    Target("a long backlog / a short one", ("backlog", "long"), 0.9, ("backlog", "short")),
    Target("beside many jobs for later / beside none", (LATER, "many"), 0.95, (LATER, "none")),
    Target("beside a long history / beside none", ("history", "long"), 0.95, ("history", "none")),
    Target("a transaction held open, last tenth / first", (OPEN, "last tenth"), 0.9, (OPEN, "first tenth")),
    Target("import jobq, ms above a bare interpreter", ("start", "import jobq"), 40.0, beyond=BARE, at_most=True),
    Target("jobq --help, ms", ("start", "jobq --help"), 150.0, at_most=True),
)


def find(figures: Sequence[Figure], place: Place, peers: Sequence[str]) -> float | None:
    measure, name = place
    of_measure = [figure for figure in figures if figure.measure == measure]
    if name == "peers":
        found = [figure for figure in of_measure if figure.name in peers]
    elif name.endswith("*"):
        found = [figure for figure in of_measure if figure.name.startswith(name[:-1])]
    else:
        found = [figure for figure in of_measure if figure.name == name]
    return max((figure.median for figure in found), default=None)


def reached(figures: Sequence[Figure], target: Target, peers: Sequence[str]) -> float | None:
    """How far a target is reached; None where what it takes was not measured."""
    value = find(figures, target.figure, peers)
    if target.share_of is not None:
        base = find(figures, target.share_of, peers)
        return None if value is None or not base else value / base
    if target.beyond is not None:
        base = find(figures, target.beyond, peers)
        return None if value is None or base is None else value - base
    return value


def markdown(figures: Sequence[Figure], peers: Sequence[str], words: Sequence[str]) -> str:
    lines = ["# What was measured", "", *words, ""]
    lines += ["| measure | what | median | least to most | |", "|---|---|---:|---:|---|"]
    for figure in figures:
        spread = f"{shown(min(figure.rounds))} – {shown(max(figure.rounds))}" if len(figure.rounds) > 1 else "one round"
        lines.append(
            f"| {figure.measure} | {figure.name} | {shown(figure.median)} {figure.unit} | {spread} | {figure.note} |"
        )
    lines += ["", "## What is aimed at", "", "| | reached | aim | |", "|---|---:|---:|---|"]
    for target in TARGETS:
        value = reached(figures, target, peers)
        if value is None:
            continue
        is_met = value <= target.goal if target.at_most else value >= target.goal
        sign = "≤" if target.at_most else "≥"
        verdict = "met" if is_met else "**not met**"
        lines.append(f"| {target.words} | {shown(value)} | {sign} {target.goal:g} | {verdict} |")
    return "\n".join(lines) + "\n"


def shown(value: float) -> str:
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def machine(server: str) -> str:
    """What it was measured on."""
    model = platform.processor() or platform.machine()
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    except OSError:
        model = platform.machine()
    return (
        f"{os.cpu_count()} cores ({model}), {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}, PostgreSQL {server}."
    )


PLOTTED = ("drain", "enqueue_many", "enqueue one by one", "commit to run(), p50")
BAR, GAP, LEFT, WIDTH = 18, 6, 270, 820
COLOURS = {"jobq": "#2f6fdd", "limit": "#b8bec9", "peer": "#e08a3c"}


def svg(figures: Sequence[Figure], peers: Sequence[str]) -> str:
    """Bars, a group for each measure; the database's own limit in grey, peers in orange."""
    parts: list[str] = []
    y = 10
    for measure in PLOTTED:
        of_measure = [figure for figure in figures if figure.measure == measure]
        if not of_measure:
            continue
        y += 22
        unit = of_measure[0].unit
        better = "less is better" if unit == "ms" else "more is better"
        parts.append(f'<text x="10" y="{y}" font-weight="bold">{escape(measure)}, {unit} ({better})</text>')
        most = max(figure.median for figure in of_measure)
        y += 10
        for figure in sorted(of_measure, key=lambda figure: figure.median, reverse=unit != "ms"):
            length = max(1.0, (WIDTH - LEFT - 90) * figure.median / most)
            parts.append(f'<text x="{LEFT - 8}" y="{y + 13}" text-anchor="end">{escape(figure.name)}</text>')
            parts.append(
                f'<rect x="{LEFT}" y="{y}" width="{length:.1f}" height="{BAR}" fill="{COLOURS[kind(figure, peers)]}"/>'
            )
            parts.append(f'<text x="{LEFT + length + 6:.1f}" y="{y + 13}">{shown(figure.median)}</text>')
            y += BAR + GAP
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y + 10}" font-family="sans-serif" '
        f'font-size="12" fill="#1f2430"><rect width="100%" height="100%" fill="#ffffff"/>{"".join(parts)}</svg>\n'
    )


def kind(figure: Figure, peers: Sequence[str]) -> str:
    if figure.name.partition(",")[0] in peers:
        return "peer"
    return "jobq" if figure.name == "jobq" or figure.name.startswith("jobq, ") else "limit"

"""The output of `jobq stats --since`: the jobs that ended in a period, by queue and by class."""

from collections.abc import Callable, Sequence
from typing import Any

import click

from jobq.cli.render import duration, say, sparkline, table
from jobq.observe import Figures, Period, QueueFlow
from jobq.observe.words import many


def show_figures(period: Period) -> None:
    if period.total.attempts == 0 and not any(flow.came_in for flow in period.flows):
        say(f"nothing ended since {period.since:%Y-%m-%d %H:%M %Z}")
        return
    total, span = period.total, duration((period.until - period.since).total_seconds())
    click.echo(
        f"in {span}: {many(total.ended, 'job')} ended, {rate(total.ended, period)} a minute; "
        f"{total.failed_jobs:,} of them failed; {many(total.attempts, 'attempt')}, {total.failed_attempts:,} failed"
    )
    click.echo(f"ended  {sparkline([step.ended for step in period.steps])}")
    click.echo(f"in     {sparkline([step.came_in for step in period.steps])}")
    flows = {flow.name: flow for flow in period.flows}
    names = sorted({*flows, *(queue.name for queue in period.queues)})
    queues = {queue.name: queue for queue in period.queues}
    show_rows("QUEUE", [(name, queues.get(name), flows.get(name)) for name in names], period)
    show_rows("CLASS", [(one.name, one, None) for one in period.classes], period)


def show_rows(what: str, rows: Sequence[tuple[str, Figures | None, QueueFlow | None]], period: Period) -> None:
    is_queue = what == "QUEUE"
    columns = [what, *(["IN/MIN", "GROWS"] if is_queue else []), "OUT/MIN", "ENDED", "FAILED", "FAIL%", "ATTEMPTS"]
    columns += ["WAIT P50", "P95", "MAX", "RUN P50", "P95 ", "MAX "]
    cells = [
        (name, *(flow_cells(flow) if is_queue else ()), out_of(figures, flow, period), *figure_cells(figures))
        for name, figures, flow in rows
    ]
    table(columns, cells, right=columns[1:])


def flow_cells(flow: QueueFlow | None) -> tuple[str, str]:
    if flow is None or flow.came_in is None or flow.growth is None or flow.seconds == 0:
        return "?", "?"
    minutes = flow.seconds / 60
    return f"{flow.came_in / minutes:,.1f}", f"{flow.growth / minutes:+,.1f}/min"


def out_of(figures: Figures | None, flow: QueueFlow | None, period: Period) -> str:
    """For a queue, over the same time as its incoming jobs."""
    if flow is not None and flow.seconds > 0:
        return f"{flow.went_out / (flow.seconds / 60):,.1f}"
    return rate(figures.ended if figures else 0, period)


def figure_cells(figures: Figures | None) -> tuple[str, ...]:
    """Jobs, then attempts. With few attempts there is no 95th percentile: the cell shows their number."""
    if figures is None:
        return ("0", "0", "", "0", "", "", "", "", "", "")
    few_waits, few_runs = figures.few_waits, figures.few_runs
    return (
        f"{figures.ended:,}",
        f"{figures.failed_jobs:,}",
        f"{100 * figures.failed_share:.1f}",
        f"{figures.attempts:,}",
        duration(figures.wait(0.5)),
        duration(figures.wait(0.95)) if few_waits is None else f"of {few_waits}",
        duration(figures.longest_wait),
        duration(figures.run(0.5)),
        duration(figures.run(0.95)) if few_runs is None else f"of {few_runs}",
        duration(figures.longest_run),
    )


def rate(count: int, period: Period) -> str:
    return f"{count / max(period.minutes, 1e-9):,.1f}"


def json_of(period: Period) -> dict[str, Any]:
    flows = {flow.name: flow for flow in period.flows}
    return {
        "since": period.since,
        "until": period.until,
        "total": json_of_figures(period.total),
        "queues": [
            json_of_figures(queue)
            | {"came_in": flow.came_in if (flow := flows.get(queue.name)) else None}
            | {"growth": flow.growth if flow else None}
            for queue in period.queues
        ],
        "classes": [json_of_figures(one) for one in period.classes],
        "step_seconds": period.step_seconds,
        "steps": [
            {
                "at": step.at,
                "outcomes": dict(step.outcomes),
                "ended": step.ended,
                "came_in": step.came_in,
                "run_seconds": {"p50": step.run(0.5), "p95": step.run(0.95)},
            }
            for step in period.steps
        ],
    }


def json_of_figures(figures: Figures) -> dict[str, Any]:
    return {
        "name": figures.name,
        "attempts": figures.attempts,
        "ended": figures.ended,
        "failed_attempts": figures.failed_attempts,
        "failed_jobs": figures.failed_jobs,
        "outcomes": dict(figures.outcomes),
        "retried": figures.retried,
        "wait_seconds": json_of_seconds(figures.wait, figures.longest_wait, sum(figures.waits)),
        "run_seconds": json_of_seconds(figures.run, figures.longest_run, sum(figures.runs)),
    }


def json_of_seconds(at: Callable[[float], float | None], longest: float | None, of: int) -> dict[str, Any]:
    """Percentiles, the maximum, and the number of attempts behind them."""
    return {"p50": at(0.5), "p95": at(0.95), "p99": at(0.99), "max": longest, "of": of}

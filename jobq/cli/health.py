"""`jobq health`: whether the workers beside this process are alive. For probes that execute a command."""

import os

import click

from jobq.clean import line
from jobq.cli.options import json_option
from jobq.vitals import Vitals, folder_of_vitals, found


@click.command()
@click.argument("workers", metavar="[WORKER...]", nargs=-1)
@click.option("--live", "is_ready_wanted", flag_value=False, default=False, help="Its main loop turns. The default.")
@click.option(
    "--ready", "is_ready_wanted", flag_value=True, help="It can work, too: children loaded, database in touch."
)
@json_option
@click.pass_context
def health(ctx: click.Context, workers: tuple[str, ...], is_ready_wanted: bool, as_json: bool) -> None:
    """Say whether the workers of this user on this machine, or in this container, are healthy.

    Exit code 0: all are; 1: one is not, or none runs. The command does not import the application and asks neither the
    database nor the worker: the worker's main loop writes its state into a file in memory. WORKER is a name (host/pid)
    or a process id.
    """
    seen = [one for one in found() if not workers or is_meant(one, workers)]
    verdicts = [(one, problem(one, is_ready_wanted)) for one in seen]
    if as_json:
        from jobq.cli.render import show_json

        show_json([shown(one, why_not) for one, why_not in verdicts])
    else:
        for one, why_not in verdicts:
            click.echo(f"{line(one.name)}: {line(why_not or ('ready' if is_ready_wanted else 'alive'))}")
    missing = [word for word in workers if not any(is_meant(one, (word,)) for one in seen)]
    if missing or not seen:
        named = f" {', '.join(map(line, missing))}" if missing else ""
        click.echo(f"no worker{named} of user {os.getuid()} runs here (looked in {folder_of_vitals()})", err=True)
    if missing or not seen or any(why_not for _, why_not in verdicts):
        ctx.exit(1)


def is_meant(one: Vitals, words: tuple[str, ...]) -> bool:
    return one.name in words or str(one.pid) in words


def problem(one: Vitals, is_ready_wanted: bool) -> str | None:
    """What is wrong with it. None if it is healthy."""
    if not one.is_live:
        return f"hung: its main loop last turned {one.seconds_since_turn:.0f} s ago"
    if is_ready_wanted and not one.is_ready:
        return f"not ready: {one.why_not_ready}"
    return None


def shown(one: Vitals, why_not: str | None) -> dict[str, object]:
    return {
        "worker": one.name,
        "pid": one.pid,
        "healthy": why_not is None,
        "problem": why_not,
        "seconds_since_turn": round(one.seconds_since_turn, 3),
        "ready": one.is_ready,
    }

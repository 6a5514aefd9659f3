"""`jobq tui`: the operations console."""

import gc
import math
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from jobq import addresses
from jobq.cli.options import database_options, open_database
from jobq.cli.web import WebOptions, is_served, serve, web_options
from jobq.errors import UsageError
from jobq.settings import Settings

if TYPE_CHECKING:
    from jobq.store.database import Database
    from jobq.tui.source import Source


PATIENCE = 2.0
"""Seconds after which a console reports a lost database, instead of waiting: a person is watching."""


class Pace(click.FloatRange):
    """Seconds, or infinity."""

    name = "number of seconds, nor off"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        return math.inf if value in ("off", math.inf) else super().convert(value, param, ctx)


@click.command()
@click.argument("place", metavar="[PLACE]", required=False)
@click.option("--read-only", "is_read_only", is_flag=True, help="Look, and change nothing.")
@click.option("--demo", "is_demo", is_flag=True, help="With a worker and a steady stream of the demonstration's jobs.")
@click.option("--ascii", "is_ascii", is_flag=True, help="Draw with plain characters only.")
@click.option("--blocks", "is_in_blocks", is_flag=True, help="Draw lines with blocks: the font has no Braille.")
@click.option(
    "--every",
    type=Pace(0.5, 60),
    default=1.0,
    show_default=True,
    metavar="SECONDS|off",
    help="How often to look; off: when ctrl+r is pressed.",
)
@click.option("--record", "record", metavar="FILE", help="Record what it reads in this file, for --replay.")
@click.option("--replay", "replay", metavar="FILE", help="Show a recording, without any database.")
@web_options
@database_options
def tui(
    place: str | None,
    is_read_only: bool,
    is_demo: bool,
    is_ascii: bool,
    is_in_blocks: bool,
    every: float,
    record: str | None,
    replay: str | None,
    web: WebOptions | None,
    settings: Settings,
) -> None:
    """Open the operations console in this terminal, or with --web in a browser on this machine.

    PLACE is the first screen: jobs, jobs/errored, jobs/pending/queue:mail, failures/class:mail.*, queues, workers.
    Press ? there for the keys.
    """
    if web is None and not is_served() and not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError("The console needs a terminal. For a script there is jobq stats, and --json.")
    if replay is not None and (record is not None or is_demo):
        raise UsageError("--replay shows what was recorded: leave --record and --demo out.")
    require_screen(place)
    if web is not None:
        if record is not None:
            raise UsageError("--record keeps what one console is told; with --web each tab is one. Leave it out.")
        options = [f"--every={'off' if every == math.inf else every}"]
        options += ["--ascii"] if is_ascii else []
        options += ["--blocks"] if is_in_blocks else []
        options += [f"--replay={replay}"] if replay else []
        options += ["--", place] if place else []
        in_browser(web, settings, options, is_demo=is_demo)
        return
    from jobq.tui import ending

    with ending.with_terminal(sys.stdin.fileno()), ExitStack() as stack:
        with loading():
            if replay is None:
                source = stack.enter_context(live(settings, is_read_only=is_read_only, is_demo=is_demo))
            from jobq.tui.app import Console
            from jobq.tui.navigation import place_of
            from jobq.tui.preferences import default_path, load

        if replay is not None:
            from jobq.tui.replay import Replay

            source = Replay(Path(replay))
        elif record is not None:
            source = stack.enter_context(recorded(source, Path(record)))
        Console(
            source,
            every=every,
            is_ascii=is_ascii,
            has_braille=not is_in_blocks and os.environ.get("TERM") != "linux",
            place=None if place is None else place_of(place),
            preferences=load(default_path()),
        ).run()


def require_screen(place: str | None) -> None:
    from jobq.tui.tabs import TABS

    screen = None if place is None else place.partition("/")[0]
    if screen is not None and screen not in TABS:
        raise UsageError(f"There is no screen {screen!r}. Screens are: {', '.join(TABS)}.")


@contextmanager
def loading() -> Iterator[None]:
    """Excludes loaded modules from garbage collection: scanning them again and again took a sixth of the time."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def in_browser(web: WebOptions, settings: Settings, options: list[str], *, is_demo: bool) -> None:
    """Each tab is a `jobq tui` with these settings and options."""
    from jobq.cli.demo import apart

    settings = apart(settings) if is_demo else settings
    with streaming(settings, open_database(settings)) if is_demo else nullcontext():
        serve(web, settings, f"jobq {name_of(settings)}", options)


@contextmanager
def live(settings: Settings, *, is_read_only: bool, is_demo: bool) -> Iterator["Source"]:
    """The database of the settings. It is asked at once, while the console is still loading."""
    from jobq.tui.access import Target
    from jobq.tui.live import LiveSource

    if is_demo:
        from jobq.cli.demo import apart

        settings = apart(settings)
    database = open_database(settings)
    database.patience = PATIENCE
    target = Target(name_of(settings), settings.schema, settings.env, is_read_only)
    with streaming(settings, database) if is_demo else nullcontext():
        source = LiveSource(database, target, lambda: migrate(database))
        source.look_ahead()
        yield source


def migrate(database: "Database") -> None:
    from jobq.store import migrations

    migrations.migrate(database)


@contextmanager
def recorded(source: "Source", path: Path) -> Iterator["Source"]:
    """The same source; its answers are recorded in a file."""
    from jobq import __version__
    from jobq.tui.recording import Recorder

    with closing(Recorder(source, path, __version__)) as recorder:
        yield recorder


def name_of(settings: Settings) -> str:
    if settings.database_url is None:
        return "embedded"
    return addresses.short(settings.database_url)


@contextmanager
def streaming(settings: Settings, database: "Database") -> Iterator[None]:
    """A worker, and a handful of the demonstration's jobs every second, until the console is closed."""
    import threading

    from jobq.cli.demo import migrated
    from jobq.demo import course

    del database
    migrated(settings)
    files = course.source_files()
    is_over = threading.Event()

    def enqueue() -> None:
        for _ in course.trickle(files):
            if is_over.wait(1):
                return

    with course.worker(settings, None):
        thread = threading.Thread(target=enqueue, name="jobq-demo", daemon=True)
        thread.start()
        try:
            yield
        finally:
            is_over.set()
            thread.join(5)

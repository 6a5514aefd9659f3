"""The first two lines of every screen: the database, the age of the data, and the tabs."""

from rich.text import Text

from .. import formats, theme
from ..context import Context
from ..feed import OFF
from ..replay import Replay
from ..state import State
from ..tabs import TABS
from ..theme import Glyphs
from ..widgets.frame import tab_text

STALE_SECONDS = 5.0


def target_text(console: Context, *, is_wide: bool) -> Text:
    """The database, whether it may be changed, and the current act."""
    target = console.source.target
    text = Text.assemble((" jobq ", theme.style(theme.KEY, bold=True, reverse=True)), no_wrap=True)
    if target.is_production:
        text.append("  PROD ", f"bold #ffffff on {theme.BAD}")
    if badge := console.source.badge:
        text.append(f" {badge} ", theme.style(theme.BUSY, bold=True, reverse=True))
    name = target.name if is_wide else target.name.rpartition("@")[2]
    text.append(f"  {name}", theme.style(theme.TEXT))
    if target.schema != "jobq":
        text.append(f" {target.schema}", theme.style(theme.DIM))
    access = console.source.access
    if access.why_not() is not None:
        text.append("  read-only", theme.style(theme.WAIT))
    elif access.is_limited:
        text.append(f"  write, {access.left()} left", theme.style(theme.BUSY, bold=True))
    if console.acting.doing is not None:
        text.append(f"   {console.glyphs.arrow} {console.acting.doing}", theme.style(theme.BUSY, bold=True))
    return text


def live_text(console: Context, *, is_wide: bool) -> Text:
    """The age of the data, and whether it is updated."""
    glyphs = console.glyphs
    clock = f"  {formats.clock(console.state.now)}{' UTC' if is_wide else ''} "
    if console.state.snapshot is None:
        return Text.assemble((f"{glyphs.silent} looking", theme.style(theme.WAIT)), " ")
    if console.state.replay is not None:
        pace_words = pace_text(console.state.replay, glyphs, is_lost=console.state.lost is not None)
        then = f"  {console.state.now:%Y-%m-%d %H:%M:%S}{' UTC' if is_wide else ''} "
        return Text.assemble((pace_words, theme.style(theme.BUSY, bold=True)), then)
    if console.state.is_frozen:
        word = f"{glyphs.frozen} frozen {formats.age(console.state.age)}"
        return Text.assemble((word, theme.style(theme.BUSY, bold=True)), clock)
    if console.state.lost is not None:
        word = f"{glyphs.trouble} {formats.age(console.state.age)} old, reconnecting ({console.state.lost.tries})"
        return Text.assemble((word, theme.style(theme.BAD, bold=True)), clock)
    if console.feed.every == OFF:
        word = f"{glyphs.frozen} {formats.age(console.state.age)} old, {console.shown_key('look')} looks"
        return Text.assemble((word, theme.style(theme.BUSY, bold=True)), clock)
    pace = console.feed.pace
    if pace is not None and console.state.age > max(STALE_SECONDS, 3 * pace):
        word = f"{glyphs.trouble} {formats.age(console.state.age)} old"
        return Text.assemble((word, theme.style(theme.WAIT)), clock)
    live = f"{glyphs.live} live" + (f" {pace:g}s" if pace is not None else "")
    live = f"last {console.period.words}   {live}" if is_wide else live
    return Text.assemble((live, theme.style(theme.GOOD)), clock)


def pace_text(replay: Replay, glyphs: Glyphs, *, is_lost: bool) -> str:
    """How a recording is being played."""
    lost = f"{glyphs.trouble} the database was lost   " if is_lost else ""
    if replay.is_paused:
        return f"{lost}{glyphs.frozen} paused"
    return f"{lost}at its end" if replay.is_over else f"{lost}{glyphs.states['running']} {replay.speed}×"


def tabs_text(state: State, here: str, width: int) -> Text:
    drawn = tabs_of(state, here, is_long=True)
    return drawn if drawn.cell_len <= width else tabs_of(state, here, is_long=False)


def tabs_of(state: State, here: str, *, is_long: bool) -> Text:
    text = Text("", no_wrap=True)
    for number, (name, tab) in enumerate(TABS.items(), 1):
        figure, is_bad = figure_of(state, name)
        words = tab.words if is_long else tab.short
        text.append_text(tab_text(number, words, figure, is_here=name == here, is_bad=is_bad))
        text.append("  " if is_long and number < len(TABS) else "")
    return text


def figure_of(state: State, name: str) -> tuple[str, bool]:
    """The text behind the name of a screen in the tabs, and whether it is bad news."""
    snapshot = state.snapshot
    if snapshot is None:
        return "", False
    stats = snapshot.stats
    if name == "overview":
        return (str(len(state.troubles)) if state.troubles else ""), True
    if name == "jobs":
        return formats.short(stats.pending + stats.gated + stats.scheduled + stats.running), False
    if name == "failures":
        groups = snapshot.failing.groups_at_rest
        return (f"{groups}+" if groups >= 8 else str(groups)) if groups else "", True
    if name == "queues":
        return str(len(stats.queues)), False
    if name == "workers":
        return str(len(stats.workers)), not stats.workers and stats.pending > 0
    return "", False

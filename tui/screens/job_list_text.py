"""The lines around a list of jobs: the strip of lists, the filter, and what is marked or held."""

from collections.abc import Mapping, Sequence

from rich.text import Text

from jobq.records import JobRecord
from jobq.states import FINISHED

from .. import formats, theme
from ..job_list import JobList
from ..keymap import Keymap
from ..marks import Marks
from ..preferences import SavedView
from ..source import VIEWS, Snapshot, View
from ..theme import Glyphs
from ..window import PAGE

Counts = Mapping[str, tuple[int, bool]]
"""Of each list, by its name, how many jobs are in it, and whether that is an estimate."""


def counts_of(snapshot: Snapshot | None) -> Counts:
    if snapshot is None:
        return {}
    stats = snapshot.stats
    return {
        "pending": (stats.pending, "pending" in stats.estimated),
        "scheduled": (stats.scheduled, "scheduled" in stats.estimated),
        "running": (stats.running, False),
    }


def strip(shown: View, counts: Counts, glyphs: Glyphs, width: int, *, has_colours: bool) -> Text:
    """The lists with their counts, the one that is shown told from the others."""
    drawn = strip_of(shown, counts, glyphs, is_long=True, has_colours=has_colours)
    if drawn.cell_len <= width:
        return drawn
    return strip_of(shown, counts, glyphs, is_long=False, has_colours=has_colours)


def strip_of(shown: View, counts: Counts, glyphs: Glyphs, *, is_long: bool, has_colours: bool) -> Text:
    text = Text("", no_wrap=True)
    for view in VIEWS:
        if view.name == "finished":
            text.append(f"{glyphs.bar}", theme.style(theme.FAINT))
        part = view_text(view, counts, glyphs, is_here=view is shown, is_long=is_long)
        if view is shown:
            part.stylize(f"on {theme.CURSOR}" if has_colours else "reverse")
        text.append_text(part)
    return text


def view_text(view: View, counts: Counts, glyphs: Glyphs, *, is_here: bool, is_long: bool) -> Text:
    number = formats.count if is_long else formats.short
    words = view.name if is_long else view.short
    look = theme.style(theme.colour(view.look), bold=is_here)
    part = Text.assemble((f" {glyphs.states[view.look]} {words}", look))
    if view.name in counts:
        figure, about = counts[view.name]
        colour = theme.TEXT if is_here else theme.DIM
        part.append(f" {'~' if about else ''}{number(figure)}", theme.style(colour))
    part.append("  " if is_long else " ")
    return part


def filter_text(chosen: str) -> Text:
    if not chosen:
        return Text.assemble((" / ", theme.style(theme.KEY, bold=True)), ("filter", theme.style(theme.DIM)))
    text = Text.assemble((" / ", theme.style(theme.KEY, bold=True)))
    for word in chosen.split(" "):
        name, colon, value = word.partition(":")
        text.append(name + colon if colon else "", theme.style(theme.DIM))
        text.append((value if colon else word) + " ", theme.style(theme.TEXT, bold=True))
    return text


def chips(views: Sequence[SavedView], jobs: JobList, room: int, more: str) -> Text:
    """The saved views, as many as there is room for; the one that is shown told from the others."""
    drawn = Text()
    for saved in views:
        is_here = (saved.view, saved.filter) == (jobs.view.name, jobs.filter)
        look = theme.style(theme.KEY if is_here else theme.TEAL, reverse=is_here)
        chip = Text.assemble(" ", (f" {saved.name} ", look))
        if drawn.cell_len + chip.cell_len > room:
            drawn.append(f" {more}", theme.style(theme.DIM))
            break
        drawn.append_text(chip)
    return drawn


def match_text(jobs: JobList, loaded: int, glyphs: Glyphs, *, is_wide: bool) -> Text:
    """How many are loaded, and in which order they are."""
    if not jobs.window.is_loaded:
        return Text("looking ", theme.style(theme.DIM))
    order = "newest first"
    if jobs.sort is not None:
        order = f"by {jobs.sort[0].lower()} {glyphs.down if jobs.sort[1] else glyphs.up}"
    more = "" if jobs.window.is_complete and jobs.window.first == 0 else "+"
    noun = "match" if jobs.filter else ("job" if loaded == 1 and not more else "jobs")
    of = " (of what is loaded)" if jobs.sort and more and is_wide else ""
    return Text(f"{formats.count(loaded)}{more} {noun}   {order}{of} ", theme.style(theme.DIM))


def marked_text(jobs: JobList, marks: Marks, loaded: Sequence[JobRecord], keymap: Keymap, glyphs: Glyphs) -> Text:
    """What the next act will be on."""
    if marks.is_all:
        return Text.assemble(
            (f" {glyphs.mark} all that match", theme.style(theme.KEY, bold=True)),
            (f"  {jobs.query}, also those not loaded", theme.style(theme.DIM)),
        )
    away = marks.away_from(loaded)
    beside = f", {away} not loaded here" if away and jobs.window.is_loaded else ""
    keys = f"   {keymap.shown('match_all')} all that match   {keymap.shown('back')} unmarks"
    return Text.assemble(
        (f" {glyphs.mark} {len(marks.ids)} marked{beside}", theme.style(theme.KEY, bold=True)),
        (keys, theme.style(theme.DIM)),
    )


def place_text(jobs: JobList, current: JobRecord | None, cursor: int, loaded: int) -> Text:
    """Where the cursor is."""
    if current is not None and jobs.window.is_gone(current.id):
        words = f" #{current.id} has left this list; enter shows what became of it"
        return Text(words, theme.style(theme.WAIT))
    return Text(f" {cursor + 1} of {formats.count(loaded)}" if loaded else "", theme.style(theme.DIM))


def newer_text(jobs: JobList, keymap: Keymap, glyphs: Glyphs) -> Text:
    """How many new ones are held back."""
    newer = jobs.window.newer
    if not newer or jobs.is_following:
        return Text("")
    more = "+" if newer >= PAGE else ""
    return Text.assemble(
        (f"{glyphs.up} {newer}{more} newer, held", theme.style(theme.BUSY, bold=True)),
        (f"  {keymap.shown('top')} lets them in ", theme.style(theme.DIM)),
    )


def emptiness(jobs: JobList, keymap: Keymap, more: str) -> str:
    """What stands where there are no rows."""
    if not jobs.window.is_loaded:
        return jobs.problem or "looking" + more
    back = keymap.shown("back")
    if "group:" in jobs.filter and jobs.view.which == FINISHED:
        return f"no job of this group is at rest: all were tried again, or deleted. {back} clears the filter"
    return f"no job matches: {back} clears the filter" if jobs.filter else f"no {jobs.view.name} jobs"
